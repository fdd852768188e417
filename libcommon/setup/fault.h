/*
 * Why an installation does not begin, for people and for programs: a word that
 * stays the same, which flag, which file and line, and the error itself.
 */
#ifndef PS_SETUP_FAULT_H
#define PS_SETUP_FAULT_H

#include "base/err.h"

struct fault {
	const char *id;	    /* "proxy-settings"; see unifiedsetup(8) */
	const char *option; /* "psip"; NULL: none */
	char file[4096];    /* empty: none */
	unsigned line;	    /* in the file; 0: none */
	struct err err;
};

/* Records what failed beside f->err, which is set; returns -f->err.code. */
int fault_note(struct fault *f, const char *id, const char *option,
	       const char *file);

/* One line of JSON, for free(3); NULL: no memory. */
char *fault_json(const struct fault *f);

#endif
