/* The key of the vault: one vault has one, whatever number of servers. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "setup/checks.h"
#include "setup/place.h"
#include "vault/key-note.h"

/* The key file that this server will have; false: a new one is made. */
static bool key_path(const struct choices *c, char out[PLACE_SIZE + 16])
{
	char etc[PLACE_SIZE];

	if (c->vault.key_file[0] != '\0') {
		snprintf(out, PLACE_SIZE + 16, "%s", c->vault.key_file);
		return true;
	}
	place_etc(c, etc);
	snprintf(out, PLACE_SIZE + 16, "%s/vault.key", etc);
	return access(out, F_OK) == 0;
}

static void judge(const struct choices *c, const struct vault_key *has,
		  struct finding *f)
{
	char path[PLACE_SIZE + 16], id[2 * SEG_KEY_ID_LEN + 1];
	bool have = key_path(c, path), opens;
	struct keyring *keys = NULL;
	struct err e = {0};

	if (have && keyring_load(&keys, path, &e) < 0) {
		find_error(f, DOCTOR_CAUSE, &e);
		find_next(f, "name the key file of the vault: key-file in %s",
			  c->vault_file);
		return;
	}
	opens = keys != NULL && keyring_find(keys, has->id) != NULL;
	keyring_free(keys);
	hex_encode(has->id, SEG_KEY_ID_LEN, id);
	find_shows(f, "key %s%s%s", id,
		   has->host[0] != '\0' ? ", noted by the host " : "",
		   has->host);
	if (opens) {
		find_passed(f, "%.180s is that of the vault", path);
		return;
	}
	if (have)
		find_warned(f, "the vault has a key, and %.180s is another one",
			    path);
	else
		find_warned(f, "the vault has a key, and a second one would be "
			       "made for this server");
	find_next(f, "copy the key file of the server that stores there "
		     "already, and name it in the vault credentials "
		     "(key-file): with two keys neither recovery kit brings "
		     "all back");
}

void check_key(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	struct vault_key has;
	struct err e = {0};
	struct vault v;
	int rc;

	if (d->vault == NULL) {
		find_skipped(f, "no vault was given");
		return;
	}
	rc = vault_open(&v, d->vault, &e);
	if (rc < 0) {
		find_skipped(f, "the vault cannot be opened: see 'store'");
		return;
	}
	rc = vault_key_read(&v, &has, &e);
	vault_close(&v);
	if (rc == 0)
		judge(c, &has, f);
	else if (rc == -PS_NO)
		find_passed(f, "the vault has none yet");
	else
		find_warned(f, "it cannot be told: %s", e.msg);
	if (rc < 0 && rc != -PS_NO)
		find_next(f, "ps-vault init -k KEYFILE VAULT says the same; "
			     "ps-vault(5) tells of the note");
}
