/*
 * The addresses that door.h knows, kept over a start of the server: after a
 * restart in the middle of a flood its machines go before strangers at once.
 *
 * CACHE/.known: "ps-known 1", then a line "ADDRESS SECONDS" for each: 32
 * hexadecimal digits, and when somebody logged in from there last. Advice
 * only: written without sync; one that is damaged is not read further.
 */
#ifndef PS_NET_KNOWN_H
#define PS_NET_KNOWN_H

#include "net/door.h"

#define KNOWN_FILE ".known"
#define KNOWN_DAYS 30 /* an address that was not used is nobody's */
#define KNOWN_EVERY_NS (10 * INT64_C(1000000000)) /* between two writes */

void known_load(struct door *d, const char *cache);
/* Only when there is something new. */
void known_save(struct door *d, const char *cache);

#endif
