#include "config.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/units.h"
#include "vault/key-note.h"

#define NOTE_MAX 4096u
#define ID_TEXT (2 * SEG_KEY_ID_LEN + 1)
#define DISKS_LOOKED_AT 4

/* ---- the note ---- */

static int parse(const char *text, size_t n, struct vault_key *ret,
		 struct err *e)
{
	json_t *j = json_loadb(text, n, 0, NULL);
	const char *id = "", *host = "";
	int rc = 0;

	if (json_unpack(j, "{s:s, s:s}", "key", &id, "host", &host) < 0 ||
	    !hex_decode(id, ret->id, SEG_KEY_ID_LEN) ||
	    (*host != '\0' && !name_ok(host)))
		rc = err_set(e, PS_DATA, VAULT_KEY_NOTE ": damaged");
	else
		snprintf(ret->host, sizeof(ret->host), "%s", host);
	json_decref(j);
	return rc;
}

static int read_note(struct vault *v, struct vault_key *ret, struct err *e)
{
	struct store *s = v->store;
	char text[NOTE_MAX];
	uint64_t size = 0;
	int rc = s->ops->size(s, VAULT_KEY_NOTE, &size, e);

	if (rc == 0 && size > sizeof(text))
		return err_set(e, PS_DATA, VAULT_KEY_NOTE ": too long");
	if (rc == 0)
		rc = s->ops->read(s, VAULT_KEY_NOTE, 0, text, (size_t)size, e);
	return rc < 0 ? rc : parse(text, (size_t)size, ret, e);
}

static int write_note(struct vault *v, const struct key *key, struct err *e)
{
	char text[256], id[ID_TEXT], created[TIME_TEXT];
	char host[HOST_NAME_MAX + 1] = "";

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	host[strcspn(host, ".")] = '\0';
	if (!name_ok(host))
		host[0] = '\0';
	hex_encode(key->id, SEG_KEY_ID_LEN, id);
	format_time(key->created_ns / NS_PER_S * NS_PER_S, created);
	snprintf(text, sizeof(text),
		 "{\"key\": \"%s\", \"created\": \"%s\", \"host\": \"%s\"}\n",
		 id, created, host);
	return store_put_text(v->store, VAULT_KEY_NOTE, text, e);
}

/* ---- a segment ---- */

struct looking {
	struct vault *v;
	struct vault_key *ret;
	unsigned left;
	bool found;
};

static int look_at(void *ctx, const char *machine, const char *disk,
		   struct err *e)
{
	struct looking *l = ctx;
	struct vault_covers c;
	struct vault_object *o;
	int rc;

	if (l->found || l->left == 0)
		return 0;
	l->left--;
	rc = vault_covers(l->v, machine, disk, &c, e);
	if (rc < 0)
		return rc;
	if (c.n > 0 && vault_object_open(l->v, machine, disk, &c.items[c.n - 1],
					 NULL, &o, NULL) == 0) {
		l->found = (o->seg.header.encoding & SEG_SEALED) != 0;
		memcpy(l->ret->id, o->seg.header.key_id, SEG_KEY_ID_LEN);
		vault_object_close(o);
	}
	vault_covers_free(&c);
	return 0;
}

int vault_key_read(struct vault *v, struct vault_key *ret, struct err *e)
{
	struct looking l = {.v = v, .ret = ret, .left = DISKS_LOOKED_AT};
	int rc;

	*ret = (struct vault_key){.host = ""};
	rc = read_note(v, ret, e);
	if (rc != -PS_NOINPUT)
		return rc;
	rc = vault_disks(v, NULL, look_at, &l, e);
	if (rc < 0 || l.found)
		return rc;
	return err_set(e, PS_NO, "nothing tells the key of the vault");
}

int vault_key_note(struct vault *v, const struct keyring *keys, struct err *e)
{
	struct vault_key have;
	int rc = vault_key_read(v, &have, e);

	if (rc == -PS_NO) {
		rc = write_note(v, &keys->keys[keys->n - 1], e);
		/* Somebody else was first, a moment ago. */
		if (rc == 0 || rc == -PS_NO)
			rc = vault_key_read(v, &have, e);
	}
	if (rc < 0)
		return rc;
	if (keyring_find(keys, have.id) != NULL)
		return 0;
	rc = err_set(
	    e, PS_NO, "what is in the vault is sealed with another key%s%s",
	    have.host[0] != '\0' ? ", that of the host " : "", have.host);
	err_hint(e, "use the key file that is there: who has this one alone "
		    "cannot restore it");
	return rc;
}
