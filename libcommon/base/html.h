/*
 * Pages in one file: no script, no font, nothing from elsewhere, light and
 * dark, readable on a phone and on paper, well formed as XML.
 */
#ifndef PS_BASE_HTML_H
#define PS_BASE_HTML_H

#include <stdio.h>

/*
 * Everything down to <body>, with the style that all pages share: classes dim,
 * ok, notice, warning, critical, unknown, alert, wide (around a table), n (a
 * figure), plots. `css`: more rules, or "". Ends with html_end().
 */
void html_begin(const char *title, const char *css, FILE *f);
void html_end(FILE *f);

/* Words of others: escaped, and without anything that is not plain text. */
void html_text(const char *text, FILE *f);

#endif
