#include "config.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "setup/flags.h"

static const struct {
	const char *option, *original;
} originals[] = {
    {"server-mode", "ServerMode"},
    {"install-drive", "InstallDrive"},
    {"install-location", "InstallLocation"},
    {"mysql-creds-file-path", "MySQLCredsFilePath"},
    {"vault-creds-file-path", "VaultCredsFilePath"},
    {"env-type", "EnvType"},
    {"psip", "PSIP"},
    {"csip", "CSIP"},
    {"passphrase-file-path", "PassphraseFilePath"},
    {"bypass-proxy", "BypassProxy"},
    {"proxy-settings-file-path", "ProxySettingsFilePath"},
    {"data-transfer-secure-port", "DataTransferSecurePort"},
    {"skip-space-check", "SkipSpaceCheck"},
    {"accept-thirdparty-eula", "AcceptThirdpartyEULA"},
    {"show-thirdparty-eula", "ShowThirdpartyEULA"},
};

const char *flag_original(const char *option)
{
	size_t i;

	for (i = 0; i < sizeof(originals) / sizeof(originals[0]); i++)
		if (strcmp(originals[i].option, option) == 0)
			return originals[i].original;
	return option;
}

/* "ServerMode", "SERVERMODE=x" and "server-mode" are one name. */
static bool same_name(const char *flag, const char *option)
{
	for (;; flag++, option++) {
		while (*option == '-')
			option++;
		if (*flag == '\0' || *flag == '=' || *option == '\0')
			return *option == '\0' &&
			       (*flag == '\0' || *flag == '=');
		if (tolower((unsigned char)*flag) != *option)
			return false;
	}
}

/*
 * What every tool has beside its table (base/opt.h) and takes no value, as it
 * is written there; NULL: it is none of them.
 */
static const char *common_of(const char *word)
{
	static const struct {
		const char *given, *ours;
	} words[] = {
	    {"-h", NULL}, {"--help", NULL},    {"/?", "--help"},
	    {"-V", NULL}, {"--version", NULL}, {"/help", "--help"},
	    {"-q", NULL}, {"--quiet", NULL},   {"/q", "--quiet"},
	    {"-v", NULL}, {"--verbose", NULL}, {"--dump-options", NULL},
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		bool windows = words[i].ours != NULL;

		if (windows ? strcasecmp(words[i].given, word) == 0
			    : strcmp(words[i].given, word) == 0)
			return windows ? words[i].ours : word;
	}
	return NULL;
}

static const struct opt config_file = {
    0, "config", OPT_FILE, "FILE", NULL, NULL, 0, 0, 0, 0, 0};

/*
 * The option that a word names; NULL: none. *ret_value: what stands behind its
 * "=", or NULL. An option may be cut short as getopt allows it.
 */
static const struct opt *find(const struct opt *opts, const char *word,
			      const char **ret_value)
{
	const struct opt *o, *found = NULL;
	size_t n;

	n = strcspn(word, "=");
	*ret_value = word[n] == '=' ? word + n + 1 : NULL;
	if (word[0] == '/') {
		for (o = opts; o->name != NULL; o++)
			if (same_name(word + 1, o->name))
				return o;
		return NULL;
	}
	if (strncmp(word, "--", 2) != 0 || word[2] == '\0')
		return NULL;
	word += 2;
	n -= 2;
	for (o = opts; o->name != NULL; o++) {
		if (strncmp(o->name, word, n) != 0)
			continue;
		if (o->name[n] == '\0')
			return o;
		if (found != NULL)
			return NULL;
		found = o;
	}
	if (found == NULL && strncmp("config", word, n) == 0)
		return &config_file;
	return found;
}

bool flags_have(int argc, char **argv, const char *option)
{
	int i;

	for (i = 1; i < argc; i++)
		if ((argv[i][0] == '/' && same_name(argv[i] + 1, option)) ||
		    (strncmp(argv[i], "--", 2) == 0 &&
		     strcmp(argv[i] + 2, option) == 0))
			return true;
	return false;
}

static bool takes_value(const struct opt *o)
{
	return o->kind != OPT_FLAG;
}

/* "vmware" is "VMWare": as the table writes it; NULL: none of its words. */
static const char *choice_of(const struct opt *o, const char *value)
{
	static char word[32];
	const char *at = o->choices;
	size_t n, len = strlen(value);

	for (;;) {
		n = strcspn(at, "|");
		if (n == len && n < sizeof(word) &&
		    strncasecmp(at, value, n) == 0) {
			snprintf(word, sizeof(word), "%.*s", (int)n, at);
			return word;
		}
		if (at[n] == '\0')
			return NULL;
		at += n + 1;
	}
}

static bool in_range(const struct opt *o, const char *value)
{
	uint64_t n;

	if (o->kind == OPT_NUMBER)
		return parse_u64(value, UINT64_MAX, &n) && n >= o->min &&
		       (o->max == 0 || n <= o->max);
	return o->kind != OPT_DURATION || parse_duration(value, &n);
}

static int misuse(struct fault *f, const char *id, const char *option,
		  const char *word, const char *what)
{
	(void)err_set(&f->err, PS_USAGE, "%s: %s", word, what);
	return fault_note(f, id, option, NULL);
}

/* The value as the table has it, in *value; *word: how the flag was given. */
static int take_value(struct fault *f, const struct opt *o, const char *word,
		      const char **value)
{
	const char *text = *value;

	if (o->kind == OPT_CHOICE)
		*value = choice_of(o, text);
	if (*value != NULL && in_range(o, text))
		return 0;
	(void)err_set(&f->err, PS_USAGE, "%.*s: '%s' is not a valid %s",
		      (int)strcspn(word, "="), word, text, o->arg);
	if (o->choices != NULL)
		err_hint(&f->err, "one of %s", o->choices);
	else if (o->max != 0)
		err_hint(&f->err, "%u to %u", (unsigned)o->min,
			 (unsigned)o->max);
	return fault_note(f, "bad-value", o->name, NULL);
}

/* A word that is no flag: why, as far as one can guess. */
static int unknown(struct fault *f, const char *word)
{
	bool flag = word[0] == '/' || word[0] == '-';
	int rc =
	    misuse(f, flag ? "unknown-flag" : "stray-word", NULL, word,
		   flag ? "there is no such flag" : "stands behind no flag");

	if (strncasecmp(word, "/x:", 3) == 0)
		err_hint(&f->err, "there is nothing to extract: go on with the "
				  "flags of the installation");
	else if (!flag)
		err_hint(&f->err, "a value with spaces needs quotes");
	else
		err_hint(&f->err, "unifiedsetup --help lists them");
	return rc;
}

struct walk {
	const struct opt *opts;
	uint64_t seen; /* bit of each option in the table */
	char **out;
	int n;
};

static int put(struct walk *w, const char *option, const char *value,
	       struct fault *f)
{
	char *word = NULL;

	if (asprintf(&word, "%s%s%s%s", option[0] == '-' ? "" : "--", option,
		     value != NULL ? "=" : "", value != NULL ? value : "") < 0)
		return misuse(f, "memory", NULL, option, "no memory");
	w->out[w->n++] = word;
	return 0;
}

/* Returns how many words were taken, or -CODE. */
static int take(struct walk *w, char **word, struct fault *f)
{
	const char *value, *none;
	const struct opt *o = find(w->opts, word[0], &value);
	bool two = false;
	uint64_t bit;
	int rc;

	if (common_of(word[0]) != NULL) {
		rc = put(w, common_of(word[0]), NULL, f);
		return rc < 0 ? rc : 1;
	}
	if (o == NULL)
		return unknown(f, word[0]);
	bit = o == &config_file ? 1ULL << 63 : 1ULL << (o - w->opts);
	if ((w->seen & bit) != 0)
		return misuse(f, "doubled-flag", o->name, word[0],
			      "is given twice");
	w->seen |= bit;
	if (!takes_value(o) && value != NULL)
		return misuse(f, "needless-value", o->name, word[0],
			      "takes no value");
	if (takes_value(o) && value == NULL) {
		value = word[1];
		two = true;
		if (value == NULL || common_of(value) != NULL ||
		    find(w->opts, value, &none) != NULL)
			return misuse(f, "missing-value", o->name, word[0],
				      "its value is missing");
	}
	if (takes_value(o) && *value == '\0')
		return misuse(f, "empty-value", o->name, word[0],
			      "its value is empty");
	rc = takes_value(o) ? take_value(f, o, word[0], &value) : 0;
	if (rc == 0)
		rc = put(w, o->name, takes_value(o) ? value : NULL, f);
	return rc < 0 ? rc : 1 + two;
}

int flags_translate(const struct opt *opts, int argc, char **argv, int *ret_n,
		    char ***ret, struct fault *f)
{
	struct walk w = {.opts = opts};
	int i = 1, rc = 0;

	w.out = calloc((size_t)argc + 1, sizeof(*w.out));
	if (w.out == NULL)
		return misuse(f, "memory", NULL, "flags", "no memory");
	w.out[w.n++] = argv[0];
	while (i < argc && rc >= 0) {
		rc = take(&w, argv + i, f);
		i += rc;
	}
	if (rc < 0) {
		free(w.out);
		return rc;
	}
	*ret_n = w.n;
	*ret = w.out;
	return 0;
}
