/* What ps-compress and ps-encrypt share: a transform over one stream. */
#ifndef PS_TOOLS_FILTER_H
#define PS_TOOLS_FILTER_H

#include <stdint.h>

#include "segment/transform.h"

/*
 * Runs the transform from the operand ("-" or none: standard input) to
 * standard output, with a progress line on a terminal and totals under -v.
 * Gives the exit code; misuse ends the program.
 */
int filter_run(const struct transform *t, int argc, char **argv);

/*
 * Opens the one operand for reading, or takes standard input; `*ret_name`
 * is for messages. Misuse ends the program; -CODE when it cannot be opened.
 */
int filter_input(int argc, char **argv, const char **ret_name, struct err *e);

/* Bytes of a regular file, 0 for anything else: for the progress line. */
uint64_t filter_size(int fd);

#endif
