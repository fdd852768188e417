#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "segment/typed.h"
#include "segment/words.h"

#define BLOCK_MAX (64u * WORDS_KEY) /* words that are no key yet */
#define WORD_TYPED 24		    /* what is kept of a word, for messages */
#define LINE_KEPT 512
#define KEYRING_HEAD "ps-keyring 1"

struct word {
	uint16_t number; /* WORDS_LIST: not in the list */
	unsigned line;
	char text[WORD_TYPED];
};

struct typed {
	const char *name;
	struct keyring *ring;
	unsigned line;
	unsigned n; /* words that are no key yet */
	struct word words[BLOCK_MAX];
	struct err *e;
};

/* ---- what is wrong ---- */

static int unknown_words(const struct typed *t)
{
	char msg[400], like[WORD_SIZE];
	size_t len = 0;
	unsigned told = 0;

	for (unsigned i = 0; i < t->n && told < 4; i++) {
		const struct word *w = &t->words[i];

		if (w->number < WORDS_LIST)
			continue;
		word_text((unsigned)word_like(w->text), like);
		len += (size_t)snprintf(msg + len, sizeof(msg) - len,
					"%sline %u: '%s' is not in the list "
					"of words (%s?)",
					told++ > 0 ? "; " : "", w->line,
					w->text, like);
	}
	return told == 0 ? 0 : err_set(t->e, PS_DATA, "%s: %s", t->name, msg);
}

static int several(const struct typed *t)
{
	int rc = unknown_words(t);

	if (rc < 0)
		return rc;
	if (t->n % WORDS_KEY != 0)
		return err_set(
		    t->e, PS_DATA, "%s: %u words end in line %u: a key has %d",
		    t->name, t->n, t->words[t->n - 1].line, WORDS_KEY);
	return err_set(t->e, PS_DATA,
		       "%s: lines %u to %u: more than one of these words is "
		       "not as it was printed",
		       t->name, t->words[0].line, t->words[WORDS_KEY - 1].line);
}

static int say(const struct typed *t, const struct words_verdict *v)
{
	const struct word *w = &t->words[v->at < t->n ? v->at : t->n - 1];
	char right[WORD_SIZE];

	word_text(v->word, right);
	if (v->fault == WORDS_REPLACED)
		return err_set(t->e, PS_DATA,
			       "%s:%u: word %u of the key, '%s', is wrong: by "
			       "the checksum it is '%s'",
			       t->name, w->line, v->at + 1, w->text, right);
	if (v->fault == WORDS_SWAPPED)
		return err_set(t->e, PS_DATA,
			       "%s:%u: words %u and %u of the key, '%s' and "
			       "'%s', have changed places",
			       t->name, w->line, v->at + 1, v->other + 1,
			       w->text, t->words[v->other].text);
	if (v->fault == WORDS_MISSING)
		return err_set(t->e, PS_DATA,
			       "%s:%u: word %u of the key is missing: by the "
			       "checksum it is '%s'",
			       t->name, w->line, v->at + 1, right);
	if (v->fault == WORDS_EXTRA)
		return err_set(t->e, PS_DATA,
			       "%s:%u: word %u of the key, '%s', is one too "
			       "many",
			       t->name, w->line, v->at + 1, w->text);
	return several(t);
}

/* The words that are there have to be a key, and are none. */
static int end_block(struct typed *t)
{
	uint16_t numbers[WORDS_KEY + 1];
	unsigned n = t->n < WORDS_KEY + 1 ? t->n : WORDS_KEY + 1;
	struct words_verdict v;

	if (n == 0)
		return 0;
	for (unsigned i = 0; i < n; i++)
		numbers[i] = t->words[i].number;
	words_diagnose(numbers, n, &v);
	secret_wipe(numbers, sizeof(numbers));
	return say(t, &v);
}

/* ---- reading ---- */

/* Takes a key as soon as the words are one. */
static int try_key(struct typed *t)
{
	uint16_t numbers[WORDS_KEY];
	struct key key;
	int rc = 0;

	for (unsigned i = 0; i < WORDS_KEY; i++)
		numbers[i] = t->words[i].number;
	if (words_to_key(numbers, &key)) {
		rc = keyring_take(t->ring, &key, t->e);
		t->n = 0;
	}
	secret_wipe(numbers, sizeof(numbers));
	secret_wipe(&key, sizeof(key));
	return rc;
}

static int take_word(struct typed *t, const char *text)
{
	struct word *w = &t->words[t->n];
	int number;

	if (t->n == BLOCK_MAX)
		return end_block(t);
	number = word_find(text);
	w->number = (uint16_t)(number < 0 ? WORDS_LIST : number);
	w->line = t->line;
	snprintf(w->text, sizeof(w->text), "%s", text);
	return ++t->n == WORDS_KEY ? try_key(t) : 0;
}

/* "12 about, 13. above": what is no letter stands between words. */
static int take_words(struct typed *t, const char *line)
{
	char text[WORD_TYPED];
	int rc = 0;

	while (rc == 0 && *line != '\0') {
		size_t n = 0;

		while (*line != '\0' && !isalpha((unsigned char)*line))
			line++;
		for (; *line != '\0' && !isspace((unsigned char)*line) &&
		       strchr(",;.", *line) == NULL;
		     line++) {
			if (n + 1 < sizeof(text) &&
			    isprint((unsigned char)*line))
				text[n++] = *line;
		}
		text[n] = '\0';
		if (n > 0)
			rc = take_word(t, text);
	}
	secret_wipe(text, sizeof(text));
	return rc;
}

/* A line of a key file: its second field has 32 hex digits. */
static bool is_key_line(const char *line)
{
	size_t kind = strcspn(line, " ");

	return line[kind] == ' ' &&
	       strspn(line + kind + 1, "0123456789abcdef") ==
		   2 * SEG_KEY_ID_LEN &&
	       line[kind + 1 + 2 * SEG_KEY_ID_LEN] == ' ';
}

static int take_key_line(struct typed *t, const char *line)
{
	char file[LINE_KEPT + sizeof(KEYRING_HEAD) + 2], where[300];
	struct keyring *one = NULL;
	int rc;

	snprintf(file, sizeof(file), KEYRING_HEAD "\n%s\n", line);
	rc = keyring_parse(&one, file, "key", t->e);
	if (rc < 0) {
		snprintf(where, sizeof(where),
			 "%s:%u: this line of a key file "
			 "is not as it was written",
			 t->name, t->line);
		rc = err_set(t->e, PS_DATA, "%s", where);
	} else {
		rc = keyring_take(t->ring, &one->keys[0], t->e);
	}
	keyring_free(one);
	secret_wipe(file, sizeof(file));
	return rc;
}

static int take_line(struct typed *t, const char *line)
{
	line += strspn(line, " \t");
	if (strncmp(line, KEYRING_HEAD, strlen(KEYRING_HEAD)) == 0)
		return 0;
	if (*line != '\0' && strchr("-#=", *line) != NULL)
		return end_block(t);
	return is_key_line(line) ? take_key_line(t, line) : take_words(t, line);
}

static int read_lines(struct typed *t, const char *text)
{
	bool framed = strstr(text, TYPED_BEGIN) != NULL, inside = !framed;
	char line[LINE_KEPT];
	int rc = 0;

	while (rc == 0 && *text != '\0') {
		size_t n = strcspn(text, "\n");

		t->line++;
		if (n >= sizeof(line)) {
			rc = inside ? err_set(t->e, PS_DATA,
					      "%s:%u: too long a line", t->name,
					      t->line)
				    : 0;
		} else {
			memcpy(line, text, n);
			line[n] = '\0';
			secret_trim(line);
			if (inside)
				rc = take_line(t, line);
		}
		if (framed &&
		    strncmp(text, TYPED_BEGIN, strlen(TYPED_BEGIN)) == 0)
			inside = true;
		else if (framed &&
			 strncmp(text, TYPED_END, strlen(TYPED_END)) == 0)
			inside = false;
		text += n + (text[n] == '\n');
	}
	secret_wipe(line, sizeof(line));
	return rc == 0 ? end_block(t) : rc;
}

int typed_read(const char *text, const char *name, struct keyring **ret,
	       struct err *e)
{
	struct typed *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", name);
	t->name = name;
	t->e = e;
	rc = keyring_new(&t->ring, e);
	if (rc == 0)
		rc = read_lines(t, text);
	if (rc == 0 && t->ring->n == 0)
		rc = err_set(e, PS_DATA, "%s: there is no key in it", name);
	if (rc == 0)
		*ret = t->ring;
	else
		keyring_free(t->ring);
	secret_wipe(t, sizeof(*t));
	free(t);
	return rc;
}
