#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/units.h"
#include "setup/choices.h"
#include "setup/flags.h"

__attribute__((format(printf, 2, 3))) static void note(struct choices *c,
						       const char *fmt, ...)
{
	va_list ap;

	if (c->nnotes == SETUP_NOTES)
		return;
	va_start(ap, fmt);
	vsnprintf(c->notes[c->nnotes++], sizeof(c->notes[0]), fmt, ap);
	va_end(ap);
}

/* ---- what is required ---- */

/* All that is missing, in one message. */
static int check_missing(const struct choices *c, struct fault *f)
{
	const struct {
		const char *option;
		bool missing;
	} needs[] = {
	    {"server-mode", c->mode == NULL},
	    {"install-location", c->drive == NULL && c->location == NULL},
	    {"env-type", c->env == NULL},
	    {"vault-creds-file-path", c->cs && c->vault_file == NULL},
	    {"csip", !c->cs && c->csip == NULL},
	    {"passphrase-file-path", !c->cs && c->passphrase_file == NULL},
	};
	const char *first = NULL;
	char words[200] = "";
	size_t i, n = 0;

	for (i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		if (!needs[i].missing)
			continue;
		n += (size_t)snprintf(words + n, sizeof(words) - n, "%s/%s",
				      first != NULL ? ", " : "",
				      flag_original(needs[i].option));
		first = first != NULL ? first : needs[i].option;
	}
	if (first == NULL)
		return 0;
	(void)err_set(&f->err, PS_USAGE, "required and missing: %s", words);
	err_hint(&f->err, "without any flag, on a terminal, unifiedsetup asks "
			  "for all of it");
	return fault_note(f, "missing-flag", first, NULL);
}

static int contradict(struct fault *f, const char *option, const char *words)
{
	(void)err_set(&f->err, PS_USAGE, "%s", words);
	return fault_note(f, "contradiction", option, NULL);
}

static int check_together(struct choices *c, struct fault *f)
{
	if (c->drive != NULL && c->location != NULL)
		return contradict(f, "install-drive",
				  "/InstallDrive and /InstallLocation are two "
				  "names for one folder: give one of them");
	if (c->bypass && c->proxy_file != NULL)
		return contradict(f, "bypass-proxy",
				  "/BypassProxy and /ProxySettingsFilePath "
				  "exclude each other");
	if (c->cs && c->port == c->cs_port)
		return contradict(f, "data-transfer-secure-port",
				  "/DataTransferSecurePort: this port is that "
				  "of the configuration server's own service");
	if (c->cs && c->passphrase_file != NULL)
		return contradict(f, "passphrase-file-path",
				  "/PassphraseFilePath belongs to /ServerMode "
				  "PS: a configuration server makes the "
				  "passphrase");
	if (!c->cs && c->mysql_file != NULL)
		note(c, "/MySQLCredsFilePath is not used: only a configuration "
			"server has a registry");
	if (c->cs && c->csip != NULL && c->psip != NULL &&
	    strcmp(c->csip, c->psip) != 0)
		note(c,
		     "/CSIP %.60s is not used: the configuration server "
		     "listens at /PSIP %.60s",
		     c->csip, c->psip);
	if (!c->cs && c->port == SETUP_CS_PORT)
		note(c, "/DataTransferSecurePort 443: that is the port of a "
			"configuration server; here nothing else has it");
	if (c->port == 9433)
		note(c, "/DataTransferSecurePort 9433: the documentation has "
			"this for 9443 in one place; is it meant?");
	return 0;
}

/* ---- formats ---- */

static int bad(struct fault *f, const char *option, const char *value,
	       const char *words)
{
	(void)err_set(&f->err, PS_USAGE, "/%s: '%s' %s", flag_original(option),
		      value, words);
	return fault_note(f, "bad-value", option, NULL);
}

/* "D:", "D:\", "C:\Temp\x", "\\server\share". */
static bool is_windows_path(const char *text)
{
	return (isalpha((unsigned char)text[0]) && text[1] == ':' &&
		(text[2] == '\0' || text[2] == '\\' || text[2] == '/')) ||
	       strncmp(text, "\\\\", 2) == 0;
}

static int check_path(struct fault *f, const char *option, const char *path,
		      const char *example)
{
	int rc;

	if (path == NULL || !is_windows_path(path))
		return 0;
	rc = bad(f, option, path, "is a path of Windows");
	err_hint(&f->err, "a path as %s is needed", example);
	return rc;
}

int choices_location(struct choices *c, struct fault *f)
{
	const char *option =
	    c->drive != NULL ? "install-drive" : "install-location";
	const char *dir = c->drive != NULL ? c->drive : c->location;
	size_t n = strlen(dir);
	int rc = check_path(f, option, dir, "/var/lib/ps-toolkit");

	if (rc < 0)
		return rc;
	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (dir[0] != '/' || n == 1 || n > PATH_MAX / 2) {
		rc = bad(f, option, dir, "is no whole path of a folder");
		err_hint(&f->err, "a path as /var/lib/ps-toolkit is needed");
		return rc;
	}
	if (strpbrk(dir, "\n\r\"\\") != NULL)
		return bad(f, option, dir,
			   "has characters that cannot stand "
			   "in ps.yaml");
	snprintf(c->dir, sizeof(c->dir), "%.*s", (int)n, dir);
	return 0;
}

int choices_addresses(struct choices *c, struct fault *f)
{
	struct in_addr raw;
	int rc;

	if (c->psip != NULL && inet_pton(AF_INET, c->psip, &raw) != 1) {
		rc = bad(f, "psip", c->psip, "is no IPv4 address");
		err_hint(&f->err, "the address of the interface that data "
				  "come in by, as 192.0.2.10");
		return rc;
	}
	if (c->psip != NULL)
		snprintf(c->address, sizeof(c->address), "%s", c->psip);
	if (c->csip != NULL &&
	    c->csip[strspn(c->csip, "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-")] != '\0')
		return bad(f, "csip", c->csip,
			   "is neither an IPv4 address nor a name");
	return 0;
}

static int check_name(struct choices *c, struct fault *f)
{
	char host[256] = "";

	if (c->name == NULL) {
		if (gethostname(host, sizeof(host) - 1) < 0)
			host[0] = '\0';
		host[strcspn(host, ".")] = '\0';
	}
	if (!name_ok(c->name != NULL ? c->name : host)) {
		int rc = bad(f, "name", c->name != NULL ? c->name : host,
			     "is no name for a server");

		err_hint(&f->err, "letters, digits, '-', '_', '.'; see --name");
		return rc;
	}
	snprintf(c->here, sizeof(c->here), "%.*s", NAME_MAX_LEN,
		 c->name != NULL ? c->name : host);
	return 0;
}

static int check_paths(const struct choices *c, struct fault *f)
{
	const struct {
		const char *option, *path;
	} files[] = {
	    {"mysql-creds-file-path", c->mysql_file},
	    {"vault-creds-file-path", c->vault_file},
	    {"passphrase-file-path", c->passphrase_file},
	    {"proxy-settings-file-path", c->proxy_file},
	};
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < sizeof(files) / sizeof(files[0]); i++)
		rc = check_path(f, files[i].option, files[i].path,
				"/root/connection.passphrase");
	return rc;
}

int choices_check(struct choices *c, struct fault *f)
{
	int rc;

	c->cs = c->mode != NULL && strcmp(c->mode, "CS") == 0;
	rc = check_together(c, f);
	if (rc == 0 && c->mode != NULL)
		rc = check_missing(c, f);
	else if (rc == 0) {
		(void)err_set(&f->err, PS_USAGE,
			      "required and missing: /ServerMode");
		err_hint(&f->err, "without any flag, on a terminal, "
				  "unifiedsetup asks for all of it");
		rc = fault_note(f, "missing-flag", "server-mode", NULL);
	}
	if (rc == 0)
		rc = choices_location(c, f);
	if (rc == 0)
		rc = check_paths(c, f);
	if (rc == 0)
		rc = choices_addresses(c, f);
	if (rc == 0)
		rc = check_name(c, f);
	return rc;
}

/* ---- the files ---- */

/* Services have no such environment: what it says goes into ps.yaml. */
static void take_environment(struct choices *c)
{
	const char *url = getenv("https_proxy");

	if (url == NULL)
		url = getenv("HTTPS_PROXY");
	if (url == NULL || *url == '\0' || c->bypass || c->proxy_file != NULL ||
	    (strncmp(c->vault.url, "azblob:", 7) != 0 &&
	     strncmp(c->vault.url, "s3:", 3) != 0) ||
	    strncmp(c->vault.endpoint, "http:", 5) == 0)
		return;
	if (!proxy_settings_parse(&c->proxy, url))
		note(c, "https_proxy is not of the form http://HOST:PORT: the "
			"services will not have it; see 'proxy' in ps.yaml(5)");
}

int choices_read(struct choices *c, struct fault *f)
{
	int rc = 0;

	if (c->cs && c->mysql_file != NULL)
		rc = mysql_creds_read(&c->mysql, c->mysql_file, f);
	if (rc == 0 && c->vault_file != NULL)
		rc = vault_creds_read(&c->vault, c->vault_file,
				      time_now_ns() / NS_PER_S, f);
	if (rc == 0 && c->passphrase_file != NULL)
		rc = passphrase_file_read(c->passphrase, c->passphrase_file, f);
	if (rc == 0 && c->proxy_file != NULL)
		rc = proxy_settings_read(&c->proxy, c->proxy_file, f);
	if (rc == 0)
		take_environment(c);
	return rc;
}

const char *choices_proxy_place(const struct choices *c)
{
	return c->proxy_file != NULL ? c->proxy_file : "https_proxy";
}

void choices_wipe(struct choices *c)
{
	secret_wipe(&c->mysql, sizeof(c->mysql));
	secret_wipe(&c->vault, sizeof(c->vault));
	secret_wipe(&c->proxy, sizeof(c->proxy));
	secret_wipe(c->passphrase, sizeof(c->passphrase));
}

char *choices_credentials(const struct choices *c)
{
	const struct vault_creds *v = &c->vault;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	unsigned i;

	if (f == NULL)
		return NULL;
	for (i = 0; i < v->n; i++)
		fprintf(f, "%s=%s\n", v->secrets[i].name, v->secrets[i].value);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

char *choices_mysql(const struct choices *c)
{
	char *text = NULL;

	if (asprintf(&text,
		     "[MySQLCredentials]\nMySQLRootPassword = \"%s\"\n"
		     "MySQLUserPassword = \"%s\"\n",
		     c->mysql.root, c->mysql.user) < 0)
		return NULL;
	return text;
}

/* ---- the same as a command line ---- */

static void print_flag(FILE *f, const char *option, const char *value)
{
	if (value == NULL)
		return;
	fprintf(f, " %s%s ", flag_original(option) != option ? "/" : "--",
		flag_original(option));
	if (value[strspn(value, "abcdefghijklmnopqrstuvwxyz"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"0123456789_./:@%+,-")] == '\0') {
		fputs(value, f);
		return;
	}
	fputc('\'', f);
	for (; *value != '\0'; value++)
		if (*value == '\'')
			fputs("'\\''", f);
		else
			fputc(*value, f);
	fputc('\'', f);
}

void choices_print(const struct choices *c, FILE *f)
{
	char port[24];

	fputs("unifiedsetup /AcceptThirdpartyEULA", f);
	print_flag(f, "server-mode", c->mode);
	print_flag(f, "install-location",
		   c->drive != NULL ? c->drive : c->location);
	print_flag(f, "mysql-creds-file-path", c->mysql_file);
	print_flag(f, "vault-creds-file-path", c->vault_file);
	print_flag(f, "env-type", c->env);
	print_flag(f, "psip", c->psip);
	print_flag(f, "csip", c->csip);
	print_flag(f, "passphrase-file-path", c->passphrase_file);
	print_flag(f, "proxy-settings-file-path", c->proxy_file);
	if (c->bypass)
		fputs(" /BypassProxy", f);
	snprintf(port, sizeof(port), "%u", (unsigned)c->port);
	if (c->port != SETUP_DATA_PORT)
		print_flag(f, "data-transfer-secure-port", port);
	if (c->skip_space)
		fputs(" /SkipSpaceCheck", f);
	snprintf(port, sizeof(port), "%u", (unsigned)c->cs_port);
	if (c->cs_port != SETUP_CS_PORT)
		print_flag(f, "cs-port", port);
	print_flag(f, "root", c->root);
	print_flag(f, "name", c->name);
}
