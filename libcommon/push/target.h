/* target.sh, built in: see there. */
#ifndef PS_PUSH_TARGET_H
#define PS_PUSH_TARGET_H

extern const char push_target_text[];

#endif
