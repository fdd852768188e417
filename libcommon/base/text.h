/*
 * Words from outside (messages of programs, names of files) that go into JSON,
 * which takes UTF-8 only.
 */
#ifndef PS_BASE_TEXT_H
#define PS_BASE_TEXT_H

/*
 * Makes UTF-8 of a text, in place: each byte that is none (RFC 3629), as in
 * Latin-1 or where a buffer has cut a letter in two, becomes '?'.
 */
void text_tame(char *text);

#endif
