#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/hkdf.h"
#include "base/secret.h"
#include "base/units.h"
#include "segment/keyring.h"

#define FIRST_LINE "ps-keyring 1"
#define MACHINE_PREFIX "machine="
#define LINE_MAX_LEN 512

static const char head[] =
    "# Key file of ps-toolkit, see ps-encrypt(1). Whoever has it can read\n"
    "# what it sealed; without it nobody can. Keep a copy in another place.\n";

int keyring_new(struct keyring **ret, struct err *e)
{
	struct keyring *k =
	    calloc(1, sizeof(*k) + KEYRING_MAX * sizeof(struct key));

	if (k == NULL)
		return err_sys(e, PS_TEMPFAIL, "key file");
	*ret = k;
	return 0;
}

void keyring_free(struct keyring *k)
{
	if (k == NULL)
		return;
	secret_wipe(k, sizeof(*k) + KEYRING_MAX * sizeof(struct key));
	free(k);
}

const struct key *keyring_find(const struct keyring *k,
			       const uint8_t id[SEG_KEY_ID_LEN])
{
	unsigned i;

	for (i = 0; i < k->n; i++)
		if (memcmp(k->keys[i].id, id, SEG_KEY_ID_LEN) == 0)
			return &k->keys[i];
	return NULL;
}

/* ---- derivation ---- */

static int key_id(const uint8_t secret[KEY_LEN], uint8_t id[SEG_KEY_ID_LEN],
		  struct err *e)
{
	static const char info[] = "ps-toolkit key id";

	return hkdf_sha256(secret, KEY_LEN, NULL, 0, info, sizeof(info) - 1, id,
			   SEG_KEY_ID_LEN, e);
}

int key_for_machine(const struct key *key, const char *machine,
		    uint8_t out[KEY_LEN], struct err *e)
{
	char info[32 + NAME_SIZE];
	int n;

	if (key->machine[0] == '\0') {
		n = snprintf(info, sizeof(info), "ps-toolkit machine%s",
			     machine);
		return hkdf_sha256(key->secret, KEY_LEN, NULL, 0, info,
				   (size_t)n, out, KEY_LEN, e);
	}
	if (strcmp(key->machine, machine) != 0)
		return err_set(e, PS_NOPERM,
			       "the key file is for machine %s, not for %s",
			       key->machine, machine);
	memcpy(out, key->secret, KEY_LEN);
	return 0;
}

int key_make(struct key *ret, const uint8_t secret[KEY_LEN], int64_t created_ns,
	     struct err *e)
{
	*ret = (struct key){.created_ns = created_ns};
	memcpy(ret->secret, secret, KEY_LEN);
	return key_id(ret->secret, ret->id, e);
}

int keyring_take(struct keyring *k, const struct key *key, struct err *e)
{
	unsigned at = k->n;

	if (keyring_find(k, key->id) != NULL)
		return 0;
	if (k->n == KEYRING_MAX)
		return err_set(e, PS_CONFIG, "there are too many keys");
	if (k->n > 0 && strcmp(k->keys[0].machine, key->machine) != 0)
		return err_set(e, PS_CONFIG,
			       "keys of the vault and of machines are mixed");
	for (; at > 0 && k->keys[at - 1].created_ns > key->created_ns; at--)
		k->keys[at] = k->keys[at - 1];
	k->keys[at] = *key;
	k->n++;
	return 0;
}

int keyring_add(struct keyring *k, struct err *e)
{
	struct key *key = &k->keys[k->n];
	int rc;

	if (k->n == KEYRING_MAX)
		return err_set(e, PS_CONFIG, "the key file is full");
	if (k->n > 0 && k->keys[0].machine[0] != '\0')
		return err_set(e, PS_NOPERM,
			       "the key file is for machine %s alone: only "
			       "vault keys are replaced",
			       k->keys[0].machine);
	*key = (struct key){.created_ns = time_now_ns() / NS_PER_S * NS_PER_S};
	/* Newer than the others, whatever the clock says. */
	if (k->n > 0 && key->created_ns <= key[-1].created_ns)
		key->created_ns = key[-1].created_ns + NS_PER_S;
	if (getrandom(key->secret, KEY_LEN, 0) != KEY_LEN)
		return err_sys(e, PS_IOERR, "getrandom");
	rc = key_id(key->secret, key->id, e);
	if (rc == 0)
		k->n++;
	return rc;
}

int keyring_derive(struct keyring **ret, const struct keyring *k,
		   const char *machine, struct err *e)
{
	struct keyring *r = NULL;
	unsigned i;
	int rc = name_check("machine", machine, PS_USAGE, e);

	if (rc == 0 && k->keys[0].machine[0] != '\0')
		rc = err_set(e, PS_NOPERM,
			     "the key file is for machine %s alone: keys are "
			     "derived from vault keys",
			     k->keys[0].machine);
	if (rc == 0)
		rc = keyring_new(&r, e);
	for (i = 0; rc == 0 && i < k->n; i++) {
		r->keys[i] = k->keys[i];
		memcpy(r->keys[i].machine, machine, strlen(machine) + 1);
		rc =
		    key_for_machine(&k->keys[i], machine, r->keys[i].secret, e);
		r->n++;
	}
	if (rc < 0) {
		keyring_free(r);
		return rc;
	}
	*ret = r;
	return 0;
}

/* ---- text ---- */

static size_t format_key(const struct key *key, char *out, size_t size)
{
	char id[2 * SEG_KEY_ID_LEN + 1], secret[2 * KEY_LEN + 1];
	char created[TIME_TEXT];
	size_t n;

	hex_encode(key->id, SEG_KEY_ID_LEN, id);
	hex_encode(key->secret, KEY_LEN, secret);
	format_time(key->created_ns, created);
	n = (size_t)snprintf(out, size, "%s%s %s %s %s",
			     key->machine[0] != '\0' ? MACHINE_PREFIX : "vault",
			     key->machine, id, created, secret);
	n += (size_t)snprintf(out + n, size - n, " %08x\n", crc32c(0, out, n));
	secret_wipe(secret, sizeof(secret));
	return n;
}

size_t keyring_format(const struct keyring *k, char *out)
{
	size_t n =
	    (size_t)snprintf(out, KEYRING_TEXT_MAX, "%s%s\n", head, FIRST_LINE);
	unsigned i;

	for (i = 0; i < k->n; i++)
		n += format_key(&k->keys[i], out + n, KEYRING_TEXT_MAX - n);
	return n;
}

/* Takes CHECK off the end of a line and compares it. */
static bool check_line(char *line)
{
	char *check = strrchr(line, ' ');
	uint8_t crc[4];

	if (check == NULL || !hex_decode(check + 1, crc, 4))
		return false;
	*check = '\0';
	return crc32c(0, line, (size_t)(check - line)) ==
	       ((uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 |
		(uint32_t)crc[2] << 8 | crc[3]);
}

static bool parse_kind(const char *kind, char machine[NAME_SIZE])
{
	size_t n = strlen(MACHINE_PREFIX);

	if (strcmp(kind, "vault") == 0) {
		machine[0] = '\0';
		return true;
	}
	if (strncmp(kind, MACHINE_PREFIX, n) != 0 || !name_ok(kind + n))
		return false;
	memcpy(machine, kind + n, strlen(kind + n) + 1);
	return true;
}

/* Reads a line; gives what is wrong with it, or NULL. */
static const char *parse_key(struct keyring *k, char *line)
{
	struct key *key = &k->keys[k->n];
	uint8_t id[SEG_KEY_ID_LEN];
	char *field[4], *save = NULL;
	unsigned i;

	if (k->n == KEYRING_MAX)
		return "too many keys";
	if (!check_line(line))
		return "the check at its end does not fit";
	for (i = 0; i < 4; i++) {
		field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (field[i] == NULL)
			return "a field is missing";
	}
	if (strtok_r(NULL, " ", &save) != NULL ||
	    !parse_kind(field[0], key->machine) ||
	    !hex_decode(field[1], key->id, SEG_KEY_ID_LEN) ||
	    !parse_time(field[2], &key->created_ns) ||
	    !hex_decode(field[3], key->secret, KEY_LEN))
		return "not a key";
	if (strcmp(key->machine, k->keys[0].machine) != 0)
		return "keys of the vault and of machines are mixed";
	if (key->machine[0] == '\0' &&
	    (key_id(key->secret, id, NULL) < 0 ||
	     memcmp(id, key->id, SEG_KEY_ID_LEN) != 0))
		return "the id does not belong to the key";
	if (keyring_find(k, key->id) != NULL)
		return "the key is there twice";
	k->n++;
	return NULL;
}

static const char *parse_line(struct keyring *k, char *line, bool *begun)
{
	secret_trim(line);
	if (line[0] == '#' || line[0] == '\0')
		return NULL;
	if (*begun)
		return parse_key(k, line);
	*begun = strcmp(line, FIRST_LINE) == 0;
	return *begun ? NULL : "not a key file of version 1";
}

int keyring_parse(struct keyring **ret, const char *text, const char *name,
		  struct err *e)
{
	char line[LINE_MAX_LEN];
	const char *wrong = NULL;
	struct keyring *k = NULL;
	unsigned number = 0;
	bool begun = false;
	int rc = keyring_new(&k, e);

	if (rc < 0)
		return rc;
	while (wrong == NULL && *text != '\0') {
		size_t n = strcspn(text, "\n");

		number++;
		if (n >= sizeof(line)) {
			wrong = "too long";
			break;
		}
		memcpy(line, text, n);
		line[n] = '\0';
		wrong = parse_line(k, line, &begun);
		text += n + (text[n] == '\n');
	}
	secret_wipe(line, sizeof(line));
	if (wrong == NULL && k->n == 0)
		wrong = "no key in the file";
	if (wrong != NULL) {
		keyring_free(k);
		return err_set(e, PS_CONFIG, "%s:%u: %s", name, number, wrong);
	}
	*ret = k;
	return 0;
}

int keyring_load(struct keyring **ret, const char *path, struct err *e)
{
	char *text = malloc(KEYRING_TEXT_MAX + 1);
	size_t n;
	int rc;

	if (text == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", path);
	rc = secret_read(path, text, KEYRING_TEXT_MAX + 1, &n, e);
	if (rc == 0) {
		rc = strlen(text) == n
			 ? keyring_parse(ret, text, path, e)
			 : err_set(e, PS_CONFIG, "%s: not a key file", path);
	}
	secret_wipe(text, KEYRING_TEXT_MAX + 1);
	free(text);
	return rc;
}
