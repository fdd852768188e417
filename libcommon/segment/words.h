/*
 * A vault key as words to be printed, and typed in again: 28 words of the
 * list of BIP-39, 11 bits each, the most significant first:
 *
 *	256 bits	the key
 *	16 bits		day of its creation, since 1970
 *	36 bits		check: the first of SHA-256("ps-toolkit words 1",
 *			the 34 bytes before)
 *
 * The check is long enough to say which word is wrong: of all ways to mistake
 * one word (about 115,000), one in 600,000 keys has a second that fits.
 */
#ifndef PS_SEGMENT_WORDS_H
#define PS_SEGMENT_WORDS_H

#include "segment/keyring.h"

#define WORDS_LIST 2048
#define WORDS_KEY 28
#define WORD_SIZE 9 /* the longest has 8 letters */

/* All words, in order, a space between two. */
extern const char wordlist[];

/* The n-th word, 0 .. WORDS_LIST - 1. */
void word_text(unsigned n, char out[WORD_SIZE]);
/*
 * The number of a word, in any letter case; its first four letters are enough.
 * -1: not in the list.
 */
int word_find(const char *text);
/* The word that looks most like a text. */
int word_like(const char *text);

void words_of_key(const struct key *key, uint16_t ret[WORDS_KEY]);
/* False when the check does not fit; else the id and the day are set, too. */
bool words_to_key(const uint16_t words[WORDS_KEY], struct key *ret);

/* What is wrong with words that do not fit. */
enum words_fault {
	WORDS_REPLACED, /* word `at` should be `word` */
	WORDS_SWAPPED,	/* words `at` and `other` changed places */
	WORDS_MISSING,	/* `word` is missing at `at` */
	WORDS_EXTRA,	/* word `at` is too many */
	WORDS_SEVERAL,	/* more than one mistake */
};

struct words_verdict {
	enum words_fault fault;
	unsigned at, other; /* from 0 */
	uint16_t word;
};

/*
 * Finds the one mistake in n words, of which those that the list does not have
 * are WORDS_LIST. More than a key has: the first of them are looked at.
 */
void words_diagnose(const uint16_t *words, unsigned n,
		    struct words_verdict *ret);

#endif
