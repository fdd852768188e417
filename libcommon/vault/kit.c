#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/html.h"
#include "base/qr.h"
#include "base/secret.h"
#include "base/units.h"
#include "segment/typed.h"
#include "segment/words.h"
#include "vault/kit.h"

#define COLUMNS 4  /* of words */
#define SHOWN 1000 /* disks on the page */

static const char title[] = "Recovery kit of ps-toolkit";
static const char warning[] =
    "Whoever has this page and can read the vault can read every backup in it."
    " Without a key nobody can. Keep it like cash, in another place than the"
    " vault and the servers, and not as a file on either.";

/* Paper is white; a QR code wants its margin. A4 and Letter. */
static const char css[] =
    ".qr{width:58mm;height:58mm;flex:none}.key{display:flex;flex-wrap:wrap;"
    "gap:0 1rem;break-inside:avoid;margin:1rem 0}.key table{width:auto;"
    "align-self:flex-start}.key td{font:.95rem ui-monospace,monospace;"
    "padding:.25rem .7rem .25rem 0}.key i{color:var(--dim);font-size:.75rem;"
    "font-style:normal}pre{white-space:pre-wrap;overflow-wrap:anywhere;"
    "font:.9rem/1.4 ui-monospace,monospace}h2{break-after:avoid}\n"
    "@media(max-width:30rem){.key tr{display:flex;flex-wrap:wrap}.key td{"
    "flex:0 0 40%}}\n"
    "@page{margin:15mm}@media print{:root{color-scheme:light;--bg:#fff;"
    "--fg:#000;--dim:#444;--line:#999;--bad:#000}body{max-width:none;"
    "padding:0;font-size:11pt}}\n";

/* ---- what the vault has ---- */

struct look {
	struct kit *kit;
	struct vault *vault;
	size_t cap;
};

static int opens(const struct look *l, const struct kit_disk *d,
		 const struct vault_cover *c, bool *ret, struct err *e)
{
	struct err why = {0};
	struct vault_object *o;
	int rc = vault_object_open(l->vault, d->machine, d->disk, c,
				   l->kit->keys, &o, &why);

	if (rc == 0)
		vault_object_close(o);
	if (rc == -PS_NOPERM || rc == -PS_DATA) {
		*ret = false;
		rc = 0;
	}
	if (rc < 0 && e != NULL)
		*e = why;
	return rc;
}

static int look_at(void *ctx, const char *machine, const char *disk,
		   struct err *e)
{
	struct look *l = ctx;
	struct kit *k = l->kit;
	struct vault_covers c;
	struct kit_disk *d;
	int rc;

	if (k->ndisks == l->cap) {
		l->cap = 2 * l->cap + 64;
		d = realloc(k->disks, l->cap * sizeof(*d));
		if (d == NULL)
			return err_sys(e, PS_TEMPFAIL, "disks of the vault");
		k->disks = d;
	}
	rc = vault_covers(l->vault, machine, disk, &c, e);
	if (rc < 0)
		return rc;
	d = &k->disks[k->ndisks];
	*d = (struct kit_disk){.opens = true};
	snprintf(d->machine, NAME_SIZE, "%s", machine);
	snprintf(d->disk, NAME_SIZE, "%s", disk);
	if (c.n > 0) {
		rc = opens(l, d, &c.items[0], &d->opens, e);
		if (rc == 0 && c.n > 1)
			rc = opens(l, d, &c.items[c.n - 1], &d->opens, e);
		k->ndisks++;
		k->closed += !d->opens;
	}
	vault_covers_free(&c);
	return rc;
}

int kit_look(struct kit *ret, struct vault *v, const struct keyring *keys,
	     struct err *e)
{
	struct look l = {.kit = ret, .vault = v};
	int rc;

	if (keys->keys[0].machine[0] != '\0') {
		rc = err_set(e, PS_NOPERM,
			     "these are the keys of machine %s alone",
			     keys->keys[0].machine);
		err_hint(e, "a kit is made with the vault's key file");
		return rc;
	}
	*ret = (struct kit){.keys = keys, .now_ns = time_now_ns()};
	rc = vault_disks(v, NULL, look_at, &l, e);
	if (rc < 0)
		kit_free(ret);
	return rc;
}

void kit_free(struct kit *k)
{
	free(k->disks);
	*k = (struct kit){0};
}

/* ---- parts that both pages have ---- */

/* As one word of a shell. */
static void put_word(const char *text, FILE *f)
{
	fputc('\'', f);
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\''", f);
		else
			fputc(*text, f);
	}
	fputc('\'', f);
}

static void put_vault(const struct kit *k, FILE *f)
{
	put_word(k->url, f);
	if (strncmp(k->url, "azblob://", 9) == 0 ||
	    strncmp(k->url, "s3://", 5) == 0)
		fputs(" --credentials store.env", f);
	if (k->endpoint != NULL) {
		fputs(" --endpoint ", f);
		put_word(k->endpoint, f);
	}
	fputs(" -k vault.key", f);
}

static void put_credentials(const struct kit *k, FILE *f)
{
	const char *names = NULL;

	if (strncmp(k->url, "azblob://", 9) == 0)
		names = "AZURE_STORAGE_KEY=... or AZURE_STORAGE_SAS_TOKEN=...";
	else if (strncmp(k->url, "s3://", 5) == 0)
		names = "AWS_ACCESS_KEY_ID=... and AWS_SECRET_ACCESS_KEY=...";
	if (names == NULL)
		fputs("3. Make the folder of the vault readable here. If it "
		      "is in another place\n   now, say that place in 4.\n",
		      f);
	else
		fprintf(
		    f,
		    "3. Get the store's credentials, which are not on "
		    "this page, into a file store.env\n   (chmod 600): %s\n",
		    names);
}

/* Without secrets. */
static void put_steps(const struct kit *k, FILE *f)
{
	const struct kit_disk *d = k->disks;

	fprintf(f,
		"1. On any Linux machine install ps-toolkit %s or newer; then: "
		"umask 077\n"
		"2. Make the key file again. Type the words into a file, in "
		"their order\n"
		"   (numbers, lines and letter case do not matter):\n"
		"     ps-encrypt --from-kit words.txt -o vault.key\n"
		"   or photograph the QR codes, all keys:\n"
		"     zbarimg -q --raw photo.png | ps-encrypt --from-kit - -o "
		"vault.key\n"
		"   It says which word is wrong. The ids that it prints have "
		"to be those above.\n",
		PACKAGE_VERSION);
	put_credentials(k, f);
	fputs("4. See what is there, then bring each disk back (into a file, "
	      "or a device with\n   --in-place):\n     ps-vault list ",
	      f);
	put_vault(k, f);
	fputs("\n     ps-restore ", f);
	put_vault(k, f);
	fprintf(f, " \\\n       --machine %s --disk %s -o %s.img\n",
		k->ndisks > 0 ? d->machine : "MACHINE",
		k->ndisks > 0 ? d->disk : "DISK",
		k->ndisks > 0 ? d->disk : "DISK");
	fputs("   Older points: --point ID or --at TIME. The manual: man "
	      "ps-restore\n",
	      f);
}

static void put_disks(const struct kit *k, FILE *f)
{
	size_t shown = k->ndisks < SHOWN ? k->ndisks : SHOWN;

	if (k->ndisks == 0)
		fputs("The vault was empty.\n", f);
	for (size_t i = 0; i < shown; i++)
		fprintf(f, "%s/%s%s\n", k->disks[i].machine, k->disks[i].disk,
			k->disks[i].opens ? ""
					  : "   NOT WITH THE KEYS OF THIS "
					    "PAGE");
	if (shown < k->ndisks)
		fprintf(f, "and %zu more\n", k->ndisks - shown);
}

/* "id ID, made TIME, seals" */
static void key_heading(const struct kit *k, unsigned i, FILE *f)
{
	const struct key *key = &k->keys->keys[i];
	char id[2 * SEG_KEY_ID_LEN + 1], made[TIME_TEXT];

	hex_encode(key->id, SEG_KEY_ID_LEN, id);
	format_time(key->created_ns, made);
	fprintf(f, "id %s, made %s, %s", id, made,
		i + 1 == k->keys->n ? "seals" : "opens what it sealed before");
}

/* The text of a key file with this key alone, without its comment. */
static int key_file(const struct key *key, char **ret_whole, const char **ret,
		    size_t *ret_n, struct err *e)
{
	struct keyring *one;
	char *text = malloc(KEYRING_TEXT_MAX);
	const char *at;
	size_t n;
	int rc = text == NULL ? err_sys(e, PS_TEMPFAIL, "kit")
			      : keyring_new(&one, e);

	if (rc < 0) {
		free(text);
		return rc;
	}
	one->keys[one->n++] = *key;
	n = keyring_format(one, text);
	keyring_free(one);
	for (at = text; *at == '#';)
		at += strcspn(at, "\n") + 1;
	*ret_whole = text;
	*ret = at;
	*ret_n = n - (size_t)(at - text);
	return 0;
}

static int put_qr(const struct key *key, bool html, FILE *f, struct err *e)
{
	const char *text;
	char *whole;
	size_t n;
	int rc = key_file(key, &whole, &text, &n, e);

	if (rc < 0)
		return rc;
	rc = html ? qr_svg(text, n, "QR code of the key", f, e)
		  : qr_text(text, n, f, e);
	secret_wipe(whole, KEYRING_TEXT_MAX);
	free(whole);
	return rc;
}

/* ---- as text ---- */

static int key_text(const struct kit *k, unsigned i, FILE *f, struct err *e)
{
	uint16_t words[WORDS_KEY];
	char text[WORD_SIZE];

	fprintf(f, TYPED_BEGIN " %u of %u-----\n# ", i + 1, k->keys->n);
	key_heading(k, i, f);
	fputs("\n\n", f);
	words_of_key(&k->keys->keys[i], words);
	for (unsigned w = 0; w < WORDS_KEY; w++) {
		word_text(words[w], text);
		fprintf(f, "%3u %-10s%s", w + 1, text,
			w % COLUMNS == COLUMNS - 1 ? "\n" : "");
	}
	secret_wipe(words, sizeof(words));
	secret_wipe(text, sizeof(text));
	fprintf(f, TYPED_END " %u of %u-----\n", i + 1, k->keys->n);
	return put_qr(&k->keys->keys[i], false, f, e);
}

static int write_text(const struct kit *k, FILE *f, struct err *e)
{
	char now[TIME_TEXT];
	int rc = 0;

	format_time(k->now_ns / NS_PER_S * NS_PER_S, now);
	fprintf(f, "%s, made %s\n\n%s\n\nVault: %s\n", title, now, warning,
		k->url);
	if (k->endpoint != NULL)
		fprintf(f, "Service: %s\n", k->endpoint);
	fprintf(f, "\nKEYS: %u\n\n", k->keys->n);
	for (unsigned i = 0; rc == 0 && i < k->keys->n; i++)
		rc = key_text(k, i, f, e);
	fputs("\nTO RESTORE\n\n", f);
	put_steps(k, f);
	fputs("\nMACHINES AND DISKS IN THE VAULT THAT DAY\n\n", f);
	put_disks(k, f);
	return rc;
}

/* ---- as a page ---- */

static int key_html(const struct kit *k, unsigned i, FILE *f, struct err *e)
{
	uint16_t words[WORDS_KEY];
	char text[WORD_SIZE];

	fprintf(f, "<h2>Key %u of %u</h2>\n<p class=\"dim\">", i + 1,
		k->keys->n);
	key_heading(k, i, f);
	fputs("</p>\n<div class=\"key\"><table>\n", f);
	words_of_key(&k->keys->keys[i], words);
	for (unsigned w = 0; w < WORDS_KEY; w++) {
		word_text(words[w], text);
		fprintf(f, "%s<td><i>%u</i> %s</td>%s",
			w % COLUMNS == 0 ? "<tr>" : "", w + 1, text,
			w % COLUMNS == COLUMNS - 1 ? "</tr>\n" : "");
	}
	secret_wipe(words, sizeof(words));
	secret_wipe(text, sizeof(text));
	fputs("</table>\n", f);
	if (put_qr(&k->keys->keys[i], true, f, e) < 0)
		return -e->code;
	fputs("</div>\n", f);
	return 0;
}

typedef void part_fn(const struct kit *k, FILE *f);

static int preformatted(const struct kit *k, part_fn *fn, FILE *f,
			struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *m = open_memstream(&text, &n);

	if (m == NULL)
		return err_sys(e, PS_TEMPFAIL, "kit");
	fn(k, m);
	if (fclose(m) != 0) {
		free(text);
		return err_sys(e, PS_TEMPFAIL, "kit");
	}
	fputs("<pre>", f);
	for (char *line, *rest = text; (line = strsep(&rest, "\n")) != NULL;) {
		html_text(line, f);
		fputc('\n', f);
	}
	fputs("</pre>\n", f);
	free(text);
	return 0;
}

static int write_html(const struct kit *k, FILE *f, struct err *e)
{
	char now[TIME_TEXT];
	int rc = 0;

	format_time(k->now_ns / NS_PER_S * NS_PER_S, now);
	html_begin(title, css, f);
	fprintf(f,
		"<h1>%s</h1>\n<p class=\"dim\">made %s</p>\n<div "
		"class=\"alert critical\"><span>%s</span></div>\n<p>Vault: "
		"<code>",
		title, now, warning);
	html_text(k->url, f);
	fputs("</code></p>\n", f);
	if (k->endpoint != NULL) {
		fputs("<p>Service: <code>", f);
		html_text(k->endpoint, f);
		fputs("</code></p>\n", f);
	}
	for (unsigned i = 0; rc == 0 && i < k->keys->n; i++)
		rc = key_html(k, i, f, e);
	fputs("<h2>To restore</h2>\n", f);
	if (rc == 0)
		rc = preformatted(k, put_steps, f, e);
	fputs("<h2>Machines and disks in the vault that day</h2>\n", f);
	if (rc == 0)
		rc = preformatted(k, put_disks, f, e);
	html_end(f);
	return rc;
}

int kit_write(const struct kit *k, bool html, FILE *f, struct err *e)
{
	int rc = html ? write_html(k, f, e) : write_text(k, f, e);

	if (rc == 0 && (fflush(f) != 0 || ferror(f)))
		rc = err_set(e, PS_SOFTWARE, "kit: larger than it can be");
	return rc;
}
