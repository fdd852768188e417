/* Where a bucket is and who asks: by the URL and the settings. */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "vault/s3.h"
#include "vault/settings.h"

#define BUCKET_MARK "{bucket}"

/* ---- keys ---- */

static int find_keys(struct s3_keys *keys, struct err *e)
{
	int rc = store_credential("AWS_ACCESS_KEY_ID", &keys->id, e);

	if (rc == 0)
		rc =
		    store_credential("AWS_SECRET_ACCESS_KEY", &keys->secret, e);
	if (rc == 0)
		rc = store_credential("AWS_SESSION_TOKEN", &keys->token, e);
	if (rc < 0 || (keys->id != NULL && keys->secret != NULL))
		return rc;
	rc = err_set(e, PS_CONFIG, "there are no keys for S3");
	err_hint(e, "put AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into the "
		    "environment or a file for --credentials");
	return rc;
}

/* ---- the place ---- */

static int bad_url(const char *url, const char *why, struct err *e)
{
	err_set(e, PS_USAGE, "%s: %s", url, why);
	err_hint(e, "write s3://BUCKET or s3://BUCKET/PREFIX");
	return -PS_USAGE;
}

/* Letters, digits, '.' and '-': all that a bucket's name is made of. */
static bool bucket_ok(const char *name)
{
	size_t n = strlen(name);

	return n >= 3 && n <= 63 && isalnum((unsigned char)name[0]) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n &&
	       strstr(name, "..") == NULL;
}

/* "a//b/" becomes "a/b/"; "." and ".." would be folded on the way. */
static int take_prefix(struct s3 *s, const char *url, const char *p,
		       struct err *e)
{
	size_t n = 0;

	while (*(p += strspn(p, "/")) != '\0') {
		size_t len = strcspn(p, "/");

		if ((len == 1 && *p == '.') ||
		    (len == 2 && memcmp(p, "..", 2) == 0))
			return bad_url(url, "'.' and '..' are no prefix", e);
		if (n + len + 2 > sizeof(s->prefix))
			return bad_url(url, "prefix too long", e);
		memcpy(s->prefix + n, p, len);
		n += len;
		s->prefix[n++] = '/';
		p += len;
	}
	s->prefix[n] = '\0';
	return 0;
}

static int take_url(struct s3 *s, const char *url, struct err *e)
{
	const char *p = url + strlen("s3://");
	size_t n = strcspn(p, "/");

	if (n >= sizeof(s->bucket))
		return bad_url(url, "that is no name of a bucket", e);
	memcpy(s->bucket, p, n);
	s->bucket[n] = '\0';
	if (!bucket_ok(s->bucket))
		return bad_url(url, "that is no name of a bucket", e);
	return take_prefix(s, url, p + n, e);
}

/* ':80' and ':443' are left out, as curl does in the Host header. */
static void drop_default_port(char *base)
{
	const char *port = strncmp(base, "https:", 6) == 0 ? ":443" : ":80";
	size_t n = strlen(base), m = strlen(port);

	if (n > m && strcmp(base + n - m, port) == 0)
		base[n - m] = '\0';
}

static int bad_endpoint(const char *endpoint, struct err *e)
{
	err_set(e, PS_CONFIG, "endpoint '%.200s': not a URL of a service",
		endpoint);
	err_hint(e, "write https://HOST, or https://" BUCKET_MARK
		    ".HOST for virtual hosts");
	return -PS_CONFIG;
}

/*
 * The URL of the bucket: with the mark in the endpoint the name is put there,
 * else it becomes the first part of the path.
 */
static int place_bucket(struct s3 *s, const char *endpoint, struct err *e)
{
	const char *mark = strstr(endpoint, BUCKET_MARK);
	size_t i, n;

	if (strncmp(endpoint, "http://", 7) != 0 &&
	    strncmp(endpoint, "https://", 8) != 0)
		return bad_endpoint(endpoint, e);
	if (mark != NULL)
		snprintf(s->base, sizeof(s->base), "%.*s%s%s",
			 (int)(mark - endpoint), endpoint, s->bucket,
			 mark + strlen(BUCKET_MARK));
	else
		snprintf(s->base, sizeof(s->base), "%s", endpoint);
	n = strlen(s->base);
	while (n > 0 && s->base[n - 1] == '/')
		s->base[--n] = '\0';
	if (strpbrk(s->base, "?#@ ") != NULL ||
	    strchr(strstr(s->base, "://") + 3, '/') != NULL ||
	    n + sizeof(s->bucket) + 2 > sizeof(s->base))
		return bad_endpoint(endpoint, e);
	for (i = 0; i < n; i++)
		s->base[i] = (char)tolower((unsigned char)s->base[i]);
	drop_default_port(s->base);
	n = strlen(s->base);
	if (mark == NULL)
		snprintf(s->base + n, sizeof(s->base) - n, "/%s", s->bucket);
	return 0;
}

/* Of two names the first that is set. */
static int first_of(const char *a, const char *b, const char **ret,
		    struct err *e)
{
	int rc = store_credential(a, ret, e);

	if (rc == 0 && *ret == NULL)
		rc = store_credential(b, ret, e);
	return rc;
}

/* Names with dots fit no certificate of AWS: these go into the path. */
static int take_endpoint(struct s3 *s, struct err *e)
{
	const char *endpoint = store_settings.endpoint;
	char own[256];
	int rc = 0;

	if (endpoint == NULL)
		rc = first_of("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL",
			      &endpoint, e);
	if (rc < 0)
		return rc;
	if (endpoint != NULL)
		return place_bucket(s, endpoint, e);
	snprintf(own, sizeof(own), "https://%ss3.%s.amazonaws.com%s",
		 strchr(s->bucket, '.') != NULL ? "" : BUCKET_MARK ".",
		 s->region, strncmp(s->region, "cn-", 3) == 0 ? ".cn" : "");
	return place_bucket(s, own, e);
}

static int take_region(struct s3 *s, struct err *e)
{
	const char *region = NULL;
	int rc = first_of("AWS_REGION", "AWS_DEFAULT_REGION", &region, e);

	if (rc < 0)
		return rc;
	if (region == NULL)
		region = "us-east-1";
	snprintf(s->region, sizeof(s->region), "%s", region);
	if (strlen(region) < sizeof(s->region) &&
	    strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") ==
		strlen(region))
		return 0;
	return err_set(e, PS_CONFIG, "'%.80s' is no region of S3", region);
}

int s3_configure(struct s3 *s, const char *url, struct err *e)
{
	int rc = take_url(s, url, e);

	if (rc == 0)
		rc = take_region(s, e);
	if (rc == 0)
		rc = take_endpoint(s, e);
	if (rc == 0)
		rc = find_keys(&s->keys, e);
	return rc;
}
