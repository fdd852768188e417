#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "vault/azblob.h"

void az_base64(const uint8_t *p, size_t n, char *out)
{
	EVP_EncodeBlock((unsigned char *)out, p, (int)n);
}

int az_unbase64(const char *text, uint8_t *out, size_t size, size_t *ret_len)
{
	size_t n = strlen(text), pad = 0;
	uint8_t buf[4 * AZ_KEY_MAX];
	int got;

	if (n == 0 || n % 4 != 0 || n > sizeof(buf))
		return -1;
	while (pad < 2 && text[n - 1 - pad] == '=')
		pad++;
	got = EVP_DecodeBlock(buf, (const unsigned char *)text, (int)n);
	if (got < (int)pad || (size_t)got - pad > size)
		return -1;
	*ret_len = (size_t)got - pad;
	memcpy(out, buf, *ret_len);
	OPENSSL_cleanse(buf, sizeof(buf));
	return 0;
}

int az_hmac(const uint8_t *key, size_t key_len, const char *text,
	    char out[AZ_SIGNATURE_SIZE], struct err *e)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text,
		 strlen(text), mac, &len) == NULL)
		return err_set(e, PS_SOFTWARE, "HMAC failed");
	az_base64(mac, len, out);
	return 0;
}

struct text {
	char *p;
	size_t used, size;
	bool over;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t,
						      const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->p + t->used, t->size - t->used, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->size - t->used)
		t->over = true;
	else
		t->used += (size_t)n;
}

static int by_name(const void *a, const void *b)
{
	return strcasecmp(((const struct web_header *)a)->name,
			  ((const struct web_header *)b)->name);
}

/*
 * "Authorize with Shared Key", Blob service, versions since 2015-02-21: an
 * empty Content-Length for none, and no Date, as x-ms-date is always there.
 */
int az_string_to_sign(const struct web_request *q, const char *resource,
		      char *out, size_t size, struct err *e)
{
	static const char *const fields[] = {
	    "Content-MD5",	   "Content-Type", "Date",
	    "If-Modified-Since",   "If-Match",	   "If-None-Match",
	    "If-Unmodified-Since", "Range"};
	struct web_header sorted[WEB_HEADERS_MAX];
	struct text t = {out, 0, size, false};
	const char *value;
	size_t i;

	add(&t, "%s\n\n\n", q->method); /* Content-Encoding, -Language */
	if (q->body_len > 0)
		add(&t, "%llu", (unsigned long long)q->body_len);
	add(&t, "\n");
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		value = web_header_get(q, fields[i]);
		add(&t, "%s\n", value != NULL ? value : "");
	}
	memcpy(sorted, q->headers, q->nheaders * sizeof(*sorted));
	qsort(sorted, q->nheaders, sizeof(*sorted), by_name);
	for (i = 0; i < q->nheaders; i++)
		if (strncasecmp(sorted[i].name, "x-ms-", 5) == 0)
			add(&t, "%s:%s\n", sorted[i].name, sorted[i].value);
	add(&t, "%s", resource);
	return t.over ? err_set(e, PS_SOFTWARE, "%s: too long to be signed",
				q->what)
		      : 0;
}
