/*
 * How to log in to Azure Blob. Names as Azure's own tools and blobfuse have
 * them; the first that is there counts: connection string, account key, SAS
 * token, client secret; AZURE_STORAGE_AUTH_TYPE chooses one.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "vault/azblob.h"

/* The account of every emulator, known to all (Azurite's manual). */
#define DEV_ACCOUNT "devstoreaccount1"
#define DEV_KEY                                                                \
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"      \
	"K1SZFPTOtr/KBHBeksoGMGw=="
#define DEV_ENDPOINT "http://127.0.0.1:10000/" DEV_ACCOUNT

static int take_key(struct azblob *az, const char *text, struct err *e)
{
	if (az_unbase64(text, az->key, sizeof(az->key), &az->key_len) < 0)
		return err_set(e, PS_CONFIG,
			       "the account key of %s is not base64",
			       az->account);
	az->auth = AZ_SHARED_KEY;
	return 0;
}

static int take_sas(struct azblob *az, const char *text, struct err *e)
{
	if (*text == '?')
		text++;
	if (strstr(text, "sig=") == NULL ||
	    text[strcspn(text, " \t\r\n#")] != '\0')
		return err_set(e, PS_CONFIG, "the SAS token of %s is none",
			       az->account);
	az->sas = text;
	az->auth = AZ_SAS;
	return 0;
}

static int set_endpoint(struct azblob *az, const char *url, struct err *e)
{
	size_t n = strlen(url);

	while (n > 0 && url[n - 1] == '/')
		n--;
	if ((strncmp(url, "https://", 8) != 0 &&
	     strncmp(url, "http://", 7) != 0) ||
	    strpbrk(url, "?#@ ") != NULL || n >= sizeof(az->endpoint))
		return err_set(
		    e, PS_CONFIG,
		    "the endpoint of %s is not http[s]://HOST[/PATH]",
		    az->account);
	snprintf(az->endpoint, sizeof(az->endpoint), "%.*s", (int)n, url);
	return 0;
}

/* ---- connection strings ---- */

/* The value of "Name=value;" as a copy; NULL: it is not there. */
static char *field(const char *text, const char *name)
{
	size_t len = strlen(name);

	while (*text != '\0') {
		size_t n = strcspn(text, ";");

		if (strncmp(text, name, len) == 0 && text[len] == '=')
			return n > len + 1
				   ? strndup(text + len + 1, n - len - 1)
				   : NULL;
		text += n + (text[n] == ';');
	}
	return NULL;
}

static void drop(char *text)
{
	if (text != NULL)
		secret_wipe(text, strlen(text));
	free(text);
}

static int wrong_account(const struct azblob *az, const char *other,
			 struct err *e)
{
	return err_set(e, PS_CONFIG,
		       "AZURE_STORAGE_CONNECTION_STRING is for the account %s, "
		       "not for %s",
		       other, az->account);
}

static int development(struct azblob *az, struct err *e)
{
	int rc;

	if (strcmp(az->account, DEV_ACCOUNT) != 0)
		return wrong_account(az, DEV_ACCOUNT, e);
	rc = set_endpoint(az, DEV_ENDPOINT, e);
	return rc < 0 ? rc : take_key(az, DEV_KEY, e);
}

static int string_endpoint(struct azblob *az, const char *text, struct err *e)
{
	char *blob = field(text, "BlobEndpoint");
	char *protocol = field(text, "DefaultEndpointsProtocol");
	char *suffix = field(text, "EndpointSuffix");
	char url[sizeof(az->endpoint)];
	int rc;

	if (blob != NULL) {
		rc = set_endpoint(az, blob, e);
	} else {
		snprintf(url, sizeof(url), "%s://%s.blob.%s",
			 protocol != NULL ? protocol : "https", az->account,
			 suffix != NULL ? suffix : "core.windows.net");
		rc = set_endpoint(az, url, e);
	}
	free(blob);
	free(protocol);
	free(suffix);
	return rc;
}

static int take_string(struct azblob *az, const char *text, struct err *e)
{
	char *dev = field(text, "UseDevelopmentStorage");
	char *account = field(text, "AccountName");
	char *key = field(text, "AccountKey");
	char *sas = field(text, "SharedAccessSignature");
	int rc;

	if (dev != NULL && strcmp(dev, "true") == 0)
		rc = development(az, e);
	else if (account != NULL && strcmp(account, az->account) != 0)
		rc = wrong_account(az, account, e);
	else
		rc = string_endpoint(az, text, e);
	if (rc == 0 && dev == NULL && key != NULL)
		rc = take_key(az, key, e);
	else if (rc == 0 && dev == NULL && sas != NULL)
		/* It is the rest of the string that store_credential keeps. */
		rc = take_sas(az, strstr(text, "SharedAccessSignature=") + 22,
			      e);
	else if (rc == 0 && dev == NULL)
		rc = err_set(e, PS_CONFIG,
			     "AZURE_STORAGE_CONNECTION_STRING has no "
			     "AccountKey and no SharedAccessSignature");
	free(dev);
	free(account);
	drop(key);
	drop(sas);
	return rc;
}

/* ---- Entra ID ---- */

static int take_identity(struct azblob *az, const char *type, struct err *e)
{
	struct az_identity id = {0};
	int rc = store_credential("AZURE_CLIENT_ID", &id.client_id, e);

	if (rc == 0 && strcmp(type, "spn") == 0) {
		rc = store_credential("AZURE_TENANT_ID", &id.tenant, e);
		if (rc == 0)
			rc = store_credential("AZURE_CLIENT_SECRET", &id.secret,
					      e);
		if (rc == 0)
			rc = store_credential("AZURE_AUTHORITY_HOST",
					      &id.authority, e);
		if (rc == 0 && (id.tenant == NULL || id.client_id == NULL ||
				id.secret == NULL))
			rc = err_set(e, PS_CONFIG,
				     "AZURE_TENANT_ID, AZURE_CLIENT_ID and "
				     "AZURE_CLIENT_SECRET belong together");
	} else if (rc == 0) {
		rc = store_credential("AZURE_POD_IDENTITY_AUTHORITY_HOST",
				      &id.authority, e);
	}
	if (rc == 0)
		rc = az_token_open(&az->token, az->web, &id, e);
	az->auth = AZ_TOKEN;
	return rc;
}

/* ---- all together ---- */

static int nothing(const struct azblob *az, struct err *e)
{
	err_set(e, PS_CONFIG, "no credentials for the storage account %s",
		az->account);
	err_hint(e, "set AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or "
		    "AZURE_STORAGE_CONNECTION_STRING, or name a file with "
		    "--credentials; see ps-store(7)");
	return -PS_CONFIG;
}

struct kind {
	const char *type, *name;
};

/* The value of the first kind that is there, or of the one that is asked. */
static int choose(const char *type, const struct kind **ret,
		  const char **ret_value, struct err *e)
{
	static const struct kind kinds[] = {
	    {"string", "AZURE_STORAGE_CONNECTION_STRING"},
	    {"key", "AZURE_STORAGE_KEY"},
	    {"sas", "AZURE_STORAGE_SAS_TOKEN"},
	    {"spn", "AZURE_CLIENT_SECRET"},
	    {"msi", NULL},
	};
	size_t i;
	int rc;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kind *k = &kinds[i];

		*ret = k;
		*ret_value = NULL;
		if (type != NULL && strcmp(type, k->type) != 0)
			continue;
		if (k->name == NULL)
			return type != NULL ? 0 : -PS_NO;
		rc = store_credential(k->name, ret_value, e);
		if (rc < 0 || *ret_value != NULL)
			return rc;
	}
	return -PS_NO;
}

static int endpoint(struct azblob *az, struct err *e)
{
	const char *url = store_settings.endpoint;
	int rc = 0;

	if (url == NULL)
		rc = store_credential("AZURE_STORAGE_BLOB_ENDPOINT", &url, e);
	if (rc == 0 && url != NULL)
		rc = set_endpoint(az, url, e);
	if (rc == 0 && az->auth != AZ_SHARED_KEY &&
	    !az_confidential(az->endpoint))
		rc = err_set(e, PS_CONFIG,
			     "%s: a SAS or bearer token is not sent without "
			     "TLS",
			     az->endpoint);
	return rc;
}

int az_login(struct azblob *az, struct err *e)
{
	const struct kind *k = NULL;
	const char *type = NULL, *value;
	int rc;

	snprintf(az->endpoint, sizeof(az->endpoint),
		 "https://%s.blob.core.windows.net", az->account);
	rc = store_credential("AZURE_STORAGE_AUTH_TYPE", &type, e);
	if (rc == 0)
		rc = choose(type, &k, &value, e);
	if (rc == -PS_NO)
		return nothing(az, e);
	if (rc < 0 || k == NULL)
		return rc;
	if (strcmp(k->type, "string") == 0)
		rc = take_string(az, value, e);
	else if (strcmp(k->type, "key") == 0)
		rc = take_key(az, value, e);
	else if (strcmp(k->type, "sas") == 0)
		rc = take_sas(az, value, e);
	else
		rc = take_identity(az, k->type, e);
	return rc < 0 ? rc : endpoint(az, e);
}

void az_logout(struct azblob *az)
{
	secret_wipe(az->key, sizeof(az->key));
	az_token_close(az->token);
}
