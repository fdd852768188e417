/*
 * Signature Version 4 of AWS, in the Authorization header ("Authenticating
 * Requests: Using the Authorization Header", Amazon S3 API Reference). Own
 * code, as libcurl's (CURLOPT_AWS_SIGV4) of Debian 12 neither sorts nor
 * escapes the query, and takes no digest of the body.
 */
#ifndef PS_VAULT_S3_SIGN_H
#define PS_VAULT_S3_SIGN_H

#include "base/digest.h"
#include "web/web.h"

/* Who asks; token is NULL for keys that do not end. */
struct s3_keys {
	const char *id, *secret, *token;
};

/*
 * Signs a request whose URL has an escaped path and a query that is escaped
 * and sorted: sets x-amz-date, x-amz-content-sha256, x-amz-security-token and
 * Authorization. `payload`: SHA-256 of the body in hexadecimal. `now`:
 * seconds since 1970. All headers that the request has are signed.
 */
int s3_sign(struct web_request *q, const struct s3_keys *keys,
	    const char *region, const char *payload, int64_t now,
	    struct err *e);

#endif
