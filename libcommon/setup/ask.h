/*
 * The pages of the original's wizard as questions on a terminal. What is wrong
 * is said at once and asked again.
 */
#ifndef PS_SETUP_ASK_H
#define PS_SETUP_ASK_H

#include "setup/choices.h"

/* No flag says anything that the pages ask for. */
bool ask_wanted(const struct choices *c);

/*
 * Fills in the flags, with text that lives as long as the program. -PS_NO: the
 * last question was answered by no; -PS_USAGE: the input ended.
 */
int ask_choices(struct choices *c, FILE *in, FILE *out, struct err *e);

#endif
