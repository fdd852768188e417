#include "config.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/units.h"
#include "segment/words.h"

#define BITS 11 /* of a word */
#define DAY_NS (86400 * NS_PER_S)
#define TOLD (KEY_LEN + 2) /* bytes that the check is made of */
#define PACKED ((WORDS_KEY * BITS + 7) / 8)
#define CHECK_LAST 0xf0u /* bits of the last byte that are used */
#define ENOUGH 4	 /* letters that tell a word */

/* ---- the list ---- */

/* The begin of word n; its length in *ret_len. */
static const char *word_at(unsigned n, size_t *ret_len)
{
	const char *at = wordlist;

	while (n-- > 0)
		at += strcspn(at, " ") + 1;
	*ret_len = strcspn(at, " ");
	return at;
}

void word_text(unsigned n, char out[WORD_SIZE])
{
	size_t len;
	const char *at = word_at(n, &len);

	memcpy(out, at, len);
	out[len] = '\0';
}

static bool fits(const char *word, size_t len, const char *text, size_t n)
{
	if (n > len || (n < len && n < ENOUGH))
		return false;
	for (size_t i = 0; i < n; i++)
		if (tolower((unsigned char)text[i]) != word[i])
			return false;
	return true;
}

int word_find(const char *text)
{
	size_t n = strlen(text), len;
	const char *at = wordlist;

	for (int i = 0; i < WORDS_LIST; i++, at += len + 1) {
		len = strcspn(at, " ");
		if (fits(at, len, text, n))
			return i;
	}
	return -1;
}

/* Letters to change, add or leave out, or neighbours to swap. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned d[WORD_SIZE + 1][WORD_SIZE + 1];

	for (size_t i = 0; i <= na; i++)
		for (size_t k = 0; k <= nb; k++) {
			unsigned least;

			if (i == 0 || k == 0) {
				d[i][k] = (unsigned)(i + k);
				continue;
			}
			least = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
			if (d[i - 1][k] + 1 < least)
				least = d[i - 1][k] + 1;
			if (d[i][k - 1] + 1 < least)
				least = d[i][k - 1] + 1;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] &&
			    a[i - 2] == b[k - 1] && d[i - 2][k - 2] + 1 < least)
				least = d[i - 2][k - 2] + 1;
			d[i][k] = least;
		}
	return d[na][nb];
}

int word_like(const char *text)
{
	char low[WORD_SIZE + 1] = {0};
	size_t n = 0, len;
	unsigned best = ~0u, got;
	const char *at = wordlist;
	int ret = 0;

	for (; n < WORD_SIZE && text[n] != '\0'; n++)
		low[n] = (char)tolower((unsigned char)text[n]);
	for (int i = 0; i < WORDS_LIST; i++, at += len + 1) {
		len = strcspn(at, " ");
		got = distance(low, n, at, len);
		if (got < best) {
			best = got;
			ret = i;
		}
	}
	secret_wipe(low, sizeof(low));
	return ret;
}

/* ---- a key ---- */

static void check_of(const uint8_t told[TOLD], uint8_t out[SHA256_LEN])
{
	static const char prefix[] = "ps-toolkit words 1";
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, prefix, sizeof(prefix) - 1);
	sha256_update(&s, told, TOLD);
	sha256_final(&s, out);
}

void words_of_key(const struct key *key, uint16_t ret[WORDS_KEY])
{
	uint8_t packed[TOLD + SHA256_LEN];
	int64_t day = key->created_ns / DAY_NS;

	memcpy(packed, key->secret, KEY_LEN);
	packed[KEY_LEN] = (uint8_t)(day >> 8);
	packed[KEY_LEN + 1] = (uint8_t)day;
	check_of(packed, packed + TOLD);
	for (unsigned w = 0; w < WORDS_KEY; w++) {
		ret[w] = 0;
		for (unsigned i = w * BITS; i < (w + 1) * BITS; i++)
			ret[w] = (uint16_t)(ret[w] << 1 |
					    (packed[i / 8] >> (7 - i % 8) & 1));
	}
	secret_wipe(packed, sizeof(packed));
}

/* False: a word is not in the list, or the check does not fit. */
static bool unpack(const uint16_t words[WORDS_KEY], uint8_t packed[PACKED])
{
	uint8_t check[SHA256_LEN];
	const uint8_t *got = packed + TOLD;

	memset(packed, 0, PACKED);
	for (unsigned i = 0; i < WORDS_KEY * BITS; i++) {
		unsigned w = words[i / BITS];

		if (w >= WORDS_LIST)
			return false;
		packed[i / 8] |=
		    (uint8_t)((w >> (BITS - 1 - i % BITS) & 1) << (7 - i % 8));
	}
	check_of(packed, check);
	return memcmp(check, got, PACKED - TOLD - 1) == 0 &&
	       ((check[PACKED - TOLD - 1] ^ packed[PACKED - 1]) & CHECK_LAST) ==
		   0;
}

bool words_to_key(const uint16_t words[WORDS_KEY], struct key *ret)
{
	uint8_t packed[PACKED];
	bool good = unpack(words, packed);
	int64_t day = packed[KEY_LEN] << 8 | packed[KEY_LEN + 1];

	if (good)
		good = key_make(ret, packed, day * DAY_NS, NULL) == 0;
	secret_wipe(packed, sizeof(packed));
	return good;
}

/* ---- mistakes ---- */

/* Do the words fit as they stand now? */
static bool good(const uint16_t words[WORDS_KEY])
{
	uint8_t packed[PACKED];
	bool ret = unpack(words, packed);

	secret_wipe(packed, sizeof(packed));
	return ret;
}

/* Each word in the place of `at`; leaves what it tried last. */
static bool some_word(uint16_t words[WORDS_KEY], unsigned at)
{
	for (words[at] = 0; words[at] < WORDS_LIST; words[at]++)
		if (good(words))
			return true;
	return false;
}

static bool replaced(const uint16_t *words, uint16_t t[WORDS_KEY],
		     struct words_verdict *ret)
{
	ret->fault = WORDS_REPLACED;
	memcpy(t, words, WORDS_KEY * sizeof(*t));
	for (ret->at = 0; ret->at < WORDS_KEY; ret->at++) {
		if (some_word(t, ret->at)) {
			ret->word = t[ret->at];
			return true;
		}
		t[ret->at] = words[ret->at];
	}
	return false;
}

static bool swapped(const uint16_t *words, uint16_t t[WORDS_KEY],
		    struct words_verdict *ret)
{
	ret->fault = WORDS_SWAPPED;
	memcpy(t, words, WORDS_KEY * sizeof(*t));
	for (ret->at = 0; ret->at < WORDS_KEY; ret->at++)
		for (ret->other = ret->at + 1; ret->other < WORDS_KEY;
		     ret->other++) {
			t[ret->at] = words[ret->other];
			t[ret->other] = words[ret->at];
			if (good(t))
				return true;
			t[ret->at] = words[ret->at];
			t[ret->other] = words[ret->other];
		}
	return false;
}

static bool missing(const uint16_t *words, uint16_t t[WORDS_KEY],
		    struct words_verdict *ret)
{
	ret->fault = WORDS_MISSING;
	memcpy(t + 1, words, (WORDS_KEY - 1) * sizeof(*t));
	for (ret->at = 0; ret->at < WORDS_KEY; ret->at++) {
		if (some_word(t, ret->at)) {
			ret->word = t[ret->at];
			return true;
		}
		if (ret->at + 1 < WORDS_KEY)
			t[ret->at] = words[ret->at];
	}
	return false;
}

static bool extra(const uint16_t *words, uint16_t t[WORDS_KEY],
		  struct words_verdict *ret)
{
	ret->fault = WORDS_EXTRA;
	memcpy(t, words + 1, WORDS_KEY * sizeof(*t));
	for (ret->at = 0; ret->at <= WORDS_KEY; ret->at++) {
		if (good(t))
			return true;
		if (ret->at < WORDS_KEY)
			t[ret->at] = words[ret->at];
	}
	return false;
}

void words_diagnose(const uint16_t *words, unsigned n,
		    struct words_verdict *ret)
{
	uint16_t t[WORDS_KEY];
	bool found = false;

	*ret = (struct words_verdict){0};
	if (n > WORDS_KEY)
		found = extra(words, t, ret);
	if (!found && n >= WORDS_KEY)
		found = swapped(words, t, ret) || replaced(words, t, ret);
	if (!found && n >= WORDS_KEY - 1)
		found = missing(words, t, ret);
	if (!found)
		ret->fault = WORDS_SEVERAL;
	secret_wipe(t, sizeof(t));
}
