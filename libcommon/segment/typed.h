/*
 * Keys as they come back from paper: typed words (segment/words.h), lines of a
 * key file as QR codes hold them, a whole kit as text, or all of it mixed.
 *
 * Words may be numbered, in any letter case, with commas between them, and on
 * any number of lines. A line that begins with '-', '#' or '=' ends a key.
 * Where there are lines that begin with TYPED_BEGIN only what stands between
 * those and the next such line counts.
 */
#ifndef PS_SEGMENT_TYPED_H
#define PS_SEGMENT_TYPED_H

#include "segment/keyring.h"

#define TYPED_BEGIN "-----BEGIN PS-TOOLKIT KEY"
#define TYPED_END "-----END PS-TOOLKIT KEY"

/*
 * Reads the keys, the oldest first. -PS_DATA with what is wrong, and where:
 * the mistake in a key's words when there is just one. A wrong word is told as
 * it was typed, and the one that belongs there; no other word ever.
 */
int typed_read(const char *text, const char *name, struct keyring **ret,
	       struct err *e);

#endif
