/* The certificate of the configuration server itself. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include "base/durable.h"
#include "base/units.h"
#include "config/ca.h"
#include "config/desk-private.h"
#include "config/x509.h"
#include "net/tls.h"

#define PATH_SIZE 4096

static void path_of(const struct desk_place *p, const char *name,
		    char out[PATH_SIZE])
{
	snprintf(out, PATH_SIZE, "%s/%s", p->where->dir, name);
}

/* The key of our own, made once. */
static int have_key(const struct desk_place *p, EVP_PKEY **ret, struct err *e)
{
	char path[PATH_SIZE];
	int rc;

	path_of(p, DESK_KEY, path);
	if (access(path, F_OK) < 0) {
		rc = x509_new_key_file(path, e);
		if (rc < 0 && rc != -PS_NO)
			return rc;
	}
	return x509_key_from_file(ret, path, e);
}

/* "ps-config HOST": not the name of any server. */
static void our_names(const struct desk_place *p, char subject[NAME_SIZE],
		      char alt[1024])
{
	char host[49];

	if (gethostname(host, sizeof(host)) < 0 || host[0] == '\0')
		snprintf(host, sizeof(host), "localhost");
	host[sizeof(host) - 1] = '\0';
	snprintf(subject, NAME_SIZE, "ps-config %s", host);
	snprintf(alt, 1024, "DNS:%s%s%.900s", host, p->alt != NULL ? "," : "",
		 p->alt != NULL ? p->alt : "");
}

static int read_cert(const char *path, X509 **ret, struct err *e)
{
	char pem[CA_PEM_SIZE] = "";
	FILE *f = fopen(path, "re");
	size_t n;
	int rc;

	if (f == NULL)
		return err_sys(e, 0, "%s", path);
	n = fread(pem, 1, sizeof(pem) - 1, f);
	pem[n] = '\0';
	(void)fclose(f);
	rc = x509_from_pem(ret, pem, e);
	return rc < 0 ? err_prefix(e, "%s", path) : 0;
}

/* Has it all the names "DNS:a,IP:b"? */
static bool has_names(X509 *x, const char *alt)
{
	char one[256];
	bool ok = true;

	while (*alt != '\0' && ok) {
		size_t n = strcspn(alt, ",");

		snprintf(one, sizeof(one), "%.*s", (int)n, alt);
		if (strncmp(one, "IP:", 3) == 0)
			ok = X509_check_ip_asc(x, one + 3, 0) == 1;
		else
			ok = strncmp(one, "DNS:", 4) == 0 &&
			     X509_check_host(x, one + 4, 0, 0, NULL) == 1;
		alt += n + (alt[n] == ',');
	}
	return ok;
}

/* Is the file of our authority, for this key and names, good for a while? */
static int is_good(struct reg *r, const struct desk_place *p, EVP_PKEY *key,
		   const char *alt, char *pin, struct err *e)
{
	char path[PATH_SIZE], pem[CA_PEM_SIZE];
	struct reg_cert c = {.serial = ""};
	X509 *x = NULL, *authority = NULL;
	int rc = ca_certificate(r, pem, e);

	if (rc == 0)
		rc = x509_from_pem(&authority, pem, e);
	if (rc < 0)
		return rc;
	path_of(p, DESK_CERT, path);
	if (read_cert(path, &x, NULL) == 0 && x509_describe(x, &c, NULL) == 0)
		rc = EVP_PKEY_eq(X509_get0_pubkey(x), key) == 1 &&
		     X509_verify(x, X509_get0_pubkey(authority)) == 1 &&
		     has_names(x, alt) && !cert_due(&c, time_now_ns());
	X509_free(x);
	X509_free(authority);
	snprintf(pin, CA_PIN_SIZE, "%s", c.pin);
	return rc;
}

static int make_cert(struct reg *r, const struct desk_place *p, EVP_PKEY *key,
		     const char *subject, const char *alt, char *pin,
		     struct err *e)
{
	char path[PATH_SIZE], pem[CA_PEM_SIZE];
	struct reg_cert c = {.serial = ""};
	X509 *x = NULL;
	int rc;

	path_of(p, DESK_SERVE, path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", path);
	rc = ca_issue_own(r, subject, alt, key, pem, e);
	path_of(p, DESK_CERT, path);
	if (rc == 0)
		rc = durable_write_path(path, pem, strlen(pem), 0644,
					DURABLE_REPLACE, e);
	if (rc == 0)
		rc = x509_from_pem(&x, pem, e);
	if (rc == 0)
		rc = x509_describe(x, &c, e);
	X509_free(x);
	snprintf(pin, CA_PIN_SIZE, "%s", c.pin);
	return rc;
}

/* The pin of a certificate that somebody gave us. */
static int pin_of_file(const char *path, char *pin, struct err *e)
{
	X509 *x = NULL;
	int rc = read_cert(path, &x, e);

	if (rc == 0)
		rc = x509_pin(x, pin, e);
	X509_free(x);
	return rc;
}

int own_cert(struct reg *r, const struct desk_place *p, char *ret_pin,
	     struct err *e)
{
	char subject[NAME_SIZE], alt[1024];
	EVP_PKEY *key = NULL;
	int rc;

	if (p->cert != NULL)
		return pin_of_file(p->cert, ret_pin, e);
	our_names(p, subject, alt);
	rc = have_key(p, &key, e);
	if (rc == 0)
		rc = is_good(r, p, key, alt, ret_pin, e);
	if (rc == 0)
		rc = make_cert(r, p, key, subject, alt, ret_pin, e);
	EVP_PKEY_free(key);
	return rc < 0 ? rc : 0;
}
