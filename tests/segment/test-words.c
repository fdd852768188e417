/* A key as words: a vector from elsewhere, and every single mistake is named.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "segment/typed.h"
#include "segment/words.h"

#define DAY_NS (86400 * NS_PER_S)

/* Worked out with Python from the description in words.h. */
static const char vector[] =
    "abandon amount liar amount expire adjust cage candy"
    " arch gather drum bullet absurd math era live"
    " bid rhythm alien crouch range attend journey truth"
    " camp patient pass impose";

static struct key key_of(uint8_t first)
{
	uint8_t secret[KEY_LEN];
	struct key k;

	for (unsigned i = 0; i < KEY_LEN; i++)
		secret[i] = (uint8_t)(first + i);
	assert_int_equal(key_make(&k, secret, 20000 * DAY_NS + 12345, NULL), 0);
	return k;
}

static void spell(const uint16_t *words, unsigned n, char *out)
{
	char text[WORD_SIZE];

	out[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		word_text(words[i], text);
		strcat(strcat(out, i > 0 ? " " : ""), text);
	}
}

static void a_vector(void **state)
{
	struct key k = key_of(0), back;
	uint16_t words[WORDS_KEY];
	char text[WORDS_KEY * WORD_SIZE];

	(void)state;
	words_of_key(&k, words);
	spell(words, WORDS_KEY, text);
	assert_string_equal(text, vector);
	assert_true(words_to_key(words, &back));
	assert_memory_equal(back.secret, k.secret, KEY_LEN);
	assert_memory_equal(back.id, k.id, sizeof(k.id));
	assert_true(back.created_ns == 20000 * DAY_NS);
}

/* Each is found whole, and by four letters, and by no other's. */
static void the_list(void **state)
{
	char text[WORD_SIZE];

	(void)state;
	for (int i = 0; i < WORDS_LIST; i++) {
		word_text((unsigned)i, text);
		assert_int_equal(word_find(text), i);
		if (strlen(text) > 4)
			text[4] = '\0';
		assert_int_equal(word_find(text), i);
		text[0] = (char)(text[0] - 'a' + 'A');
		assert_int_equal(word_find(text), i);
	}
	assert_int_equal(word_find("abo"), -1);
	assert_int_equal(word_find("abouts"), -1);
	assert_int_equal(word_find(""), -1);
	assert_int_equal(word_like("abuot"), word_find("about"));
	assert_int_equal(word_like("zooo"), word_find("zoo"));
}

static void expect(const uint16_t *words, unsigned n, enum words_fault fault,
		   unsigned at)
{
	struct words_verdict v;

	words_diagnose(words, n, &v);
	if (v.fault != fault || (fault != WORDS_SEVERAL && v.at != at))
		fail_msg("said %d at %u, wanted %d at %u", (int)v.fault, v.at,
			 (int)fault, at);
}

/* The same mistake at each place; places are taken in turn for each. */
static void mistakes(void **state)
{
	struct key k = key_of(77);
	uint16_t words[WORDS_KEY], t[WORDS_KEY + 1];
	struct words_verdict v;

	(void)state;
	words_of_key(&k, words);
	for (unsigned at = 0; at < WORDS_KEY; at += 9) {
		memcpy(t, words, sizeof(words));
		t[at] = (uint16_t)((t[at] + 1 + 70 * at) % WORDS_LIST);
		expect(t, WORDS_KEY, WORDS_REPLACED, at);
		t[at] = WORDS_LIST;
		words_diagnose(t, WORDS_KEY, &v);
		assert_int_equal(v.fault, WORDS_REPLACED);
		assert_int_equal(v.word, words[at]);

		memcpy(t, words, at * sizeof(*t));
		memcpy(t + at, words + at + 1,
		       (WORDS_KEY - at - 1) * sizeof(*t));
		expect(t, WORDS_KEY - 1, WORDS_MISSING, at);

		memcpy(t, words, at * sizeof(*t));
		t[at] = (uint16_t)(words[at] ^ 1);
		memcpy(t + at + 1, words + at, (WORDS_KEY - at) * sizeof(*t));
		expect(t, WORDS_KEY + 1, WORDS_EXTRA, at);
	}
	memcpy(t, words, sizeof(words));
	t[3] = words[20];
	t[20] = words[3];
	expect(t, WORDS_KEY, WORDS_SWAPPED, 3);
	t[9] ^= 1;
	expect(t, WORDS_KEY, WORDS_SEVERAL, 0);
	expect(words, 12, WORDS_SEVERAL, 0);
}

/* Several keys in any shape; the oldest first, none twice. */
static void typed(void **state)
{
	static char text[KEYRING_TEXT_MAX + 4096], words[1024];
	struct keyring *k, *back = NULL;
	struct key key = key_of(5);
	uint16_t w[WORDS_KEY];
	struct err e = {0};
	size_t n;

	(void)state;
	words_of_key(&key, w);
	spell(w, WORDS_KEY, words);
	assert_int_equal(keyring_new(&k, NULL), 0);
	assert_int_equal(keyring_add(k, NULL), 0);
	n = keyring_format(k, text);
	snprintf(text + n, sizeof(text) - n, "\n%s\n--\n%s\n", words, words);
	assert_int_equal(typed_read(text, "t", &back, &e), 0);
	assert_int_equal(back->n, 2);
	assert_memory_equal(back->keys[0].secret, key.secret, KEY_LEN);
	assert_memory_equal(&back->keys[1], &k->keys[0], sizeof(struct key));
	keyring_free(back);

	/* Two keys without anything between them; then the second one wrong */
	key = key_of(6);
	words_of_key(&key, w);
	n = (size_t)snprintf(text, sizeof(text), "%s\n", words);
	spell(w, WORDS_KEY, words);
	snprintf(text + n, sizeof(text) - n, "%s", words);
	assert_int_equal(typed_read(text, "t", &back, &e), 0);
	assert_int_equal(back->n, 2);
	keyring_free(back);
	w[4] ^= 1;
	spell(w, WORDS_KEY, words);
	snprintf(text + n, sizeof(text) - n, "%s", words);
	assert_int_equal(typed_read(text, "t", &back, &e), -PS_DATA);
	assert_non_null(strstr(e.msg, "t:2: word 5 of the key"));

	assert_int_equal(typed_read("", "t", &back, &e), -PS_DATA);
	assert_int_equal(typed_read("no such key\n", "t", &back, &e), -PS_DATA);
	snprintf(text, sizeof(text),
		 "vault %032d 2026-11-21T00:00:00Z %064d 00000000\n", 1, 2);
	assert_int_equal(typed_read(text, "t", &back, &e), -PS_DATA);
	assert_null(strstr(e.msg, "0000000000"));
	keyring_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_vector), cmocka_unit_test(the_list),
	    cmocka_unit_test(mistakes), cmocka_unit_test(typed)};

	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
