/*
 * Tells the service manager how a daemon is: sd_notify(3) without its
 * library. Nothing happens when $NOTIFY_SOCKET is not set.
 */
#ifndef PS_BASE_NOTIFY_H
#define PS_BASE_NOTIFY_H

/* "READY=1", "STOPPING=1", "STATUS=words", or several lines of them. */
void notify_state(const char *state);

#endif
