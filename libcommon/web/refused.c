#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <expat.h>

#include "web/try.h"

/* ---- what the service says ---- */

/* <Error><Code>..</Code><Message>..</Message></Error>, Azure and S3 alike. */
struct said {
	char code[64], message[200];
	char *to; /* of the element that is open */
	size_t size;
};

static void XMLCALL on_start(void *ctx, const XML_Char *name,
			     const XML_Char **attributes)
{
	struct said *s = ctx;

	(void)attributes;
	s->to = NULL;
	if (strcmp(name, "Code") == 0 && s->code[0] == '\0') {
		s->to = s->code;
		s->size = sizeof(s->code);
	} else if (strcmp(name, "Message") == 0 && s->message[0] == '\0') {
		s->to = s->message;
		s->size = sizeof(s->message);
	}
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	(void)name;
	((struct said *)ctx)->to = NULL;
}

/* Printable ASCII only: it goes to terminals and logs. */
static void XMLCALL on_text(void *ctx, const XML_Char *text, int len)
{
	struct said *s = ctx;
	size_t used, i;

	if (s->to == NULL)
		return;
	used = strlen(s->to);
	for (i = 0; i < (size_t)len && used + 1 < s->size; i++) {
		char c = text[i];

		if (c == '\n') { /* request id and time follow */
			s->to[used] = '\0';
			s->to = NULL;
			return;
		}
		s->to[used++] = (char)(c >= ' ' && c <= '~' ? c : '?');
	}
	s->to[used] = '\0';
}

static void parse(const struct web_request *q, struct said *s)
{
	XML_Parser p;

	*s = (struct said){0};
	if (q->answer.body == NULL || q->answer.len == 0)
		return;
	p = XML_ParserCreate(NULL);
	if (p == NULL)
		return;
	XML_SetUserData(p, s);
	XML_SetElementHandler(p, on_start, on_end);
	XML_SetCharacterDataHandler(p, on_text);
	/* What stood before a fault of the XML holds. */
	(void)XML_Parse(p, q->answer.body, (int)q->answer.len, 1);
	XML_ParserFree(p);
}

void web_error_code(const struct web_request *q, char *buf, size_t size)
{
	struct said s;

	if (web_field(q, "x-ms-error-code", buf, size))
		return;
	parse(q, &s);
	snprintf(buf, size, "%s", s.code);
}

static int code_of(int status)
{
	switch (status) {
	case 401:
	case 403:
	case 407:
		return PS_NOPERM;
	case 404:
		return PS_NOINPUT;
	case 408:
	case 409:
	case 412:
	case 429:
		return PS_TEMPFAIL;
	default:
		return status >= 500 && status != 501 ? PS_TEMPFAIL
						      : PS_PROTOCOL;
	}
}

static void hint_proxy(struct err *e)
{
	err_hint(e, "give USER:PASSWORD in a file: proxy-auth in ps.yaml, or "
		    "in https_proxy");
}

int web_refused(const struct web_request *q, struct err *e)
{
	static const char *const ids[] = {"x-ms-request-id",
					  "x-amz-request-id"};
	int status = q->answer.status, rc;
	struct said s;
	char code[64], id[96] = "", words[320];
	size_t i;

	if (status == 407) {
		rc = err_set(e, PS_NOPERM,
			     "%s: the proxy wants a user and a password, or "
			     "refuses these (407)",
			     q->what);
		hint_proxy(e);
		return rc;
	}
	parse(q, &s);
	web_error_code(q, code, sizeof(code));
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]) && id[0] == '\0'; i++)
		(void)web_field(q, ids[i], id, sizeof(id));
	snprintf(words, sizeof(words), "%s%s%s", code,
		 code[0] != '\0' && s.message[0] != '\0' ? ": " : "",
		 s.message);
	return err_set(e, code_of(status), "%s: the service answers %d%s%s%s%s",
		       q->what, status, words[0] != '\0' ? " " : "", words,
		       id[0] != '\0' ? ", request id " : "", id);
}

/* ---- what curl says ---- */

void web_host(const char *url, char *out, size_t size)
{
	const char *p = strstr(url, "://"), *at;
	size_t n;

	p = p != NULL ? p + 3 : url;
	n = strcspn(p, "/?#");
	for (at = p; at < p + n; at++) {
		if (*at == '@') { /* user and password stay here */
			n -= (size_t)(at + 1 - p);
			p = at + 1;
		}
	}
	snprintf(out, size, "%.*s", (int)(n < 200 ? n : 200), p);
}

void web_proxy_name(const struct web *w, const char *url, char *out,
		    size_t size)
{
	static const char *const http[] = {"http_proxy", "all_proxy",
					   "ALL_PROXY", NULL};
	static const char *const https[] = {"https_proxy", "HTTPS_PROXY",
					    "all_proxy", "ALL_PROXY", NULL};
	const char *const *names =
	    strncmp(url, "https:", 6) == 0 ? https : http;
	const char *proxy = w->proxy;

	for (; proxy == NULL && *names != NULL; names++)
		proxy = getenv(*names);
	out[0] = '\0';
	if (proxy != NULL)
		web_host(proxy, out, size);
}

/* A proxy that was asked for a tunnel and said no. */
static enum web_end tunnel(struct web *w, long status, struct web_request *q,
			   struct err *e)
{
	char proxy[256];

	q->answer.proxy = true;
	web_proxy_name(w, q->url, proxy, sizeof(proxy));
	if (status == 407) {
		err_set(e, PS_NOPERM,
			"%s: the proxy %s wants a user and a password, or "
			"refuses these (407)",
			q->what, proxy);
		hint_proxy(e);
		return WEB_FAILED;
	}
	err_set(e, status >= 500 ? PS_UNAVAILABLE : PS_NOPERM,
		"%s: the proxy %s makes no connection (%ld)", q->what, proxy,
		status);
	return status >= 500 ? WEB_NETWORK : WEB_FAILED;
}

static enum web_end untrusted(const char *host, const struct web_request *q,
			      const char *words, struct err *e)
{
	err_set(e, PS_CONFIG, "%s: the certificate of %s is not trusted: %s",
		q->what, host, words);
	err_hint(e, "an own authority is named with --ca-file");
	return WEB_FAILED;
}

/* Curl names whom it could not connect to: "Failed to connect to H port N". */
static bool is_proxy(const struct web *w, CURLcode rc,
		     const struct web_request *q, const char *words)
{
	char proxy[256], named[300];
	const char *colon;

	if (rc == CURLE_COULDNT_RESOLVE_PROXY)
		return true;
	web_proxy_name(w, q->url, proxy, sizeof(proxy));
	colon = strrchr(proxy, ':');
	if (rc != CURLE_COULDNT_CONNECT || q->direct || colon == NULL)
		return false;
	snprintf(named, sizeof(named), "%.*s port %s", (int)(colon - proxy),
		 proxy, colon + 1);
	return strstr(words, named) != NULL;
}

static enum web_end unreachable(const char *host, struct web_request *q,
				const char *words, struct err *e)
{
	err_set(e, PS_UNAVAILABLE, "%s: cannot reach %s%s: %s", q->what,
		q->answer.proxy ? "the proxy on the way to " : "", host, words);
	return WEB_NETWORK;
}

enum web_end web_broken(struct web *w, CURL *curl, CURLcode rc,
			struct web_request *q, const char *words, struct err *e)
{
	long tunnelled = 0;
	double connected = 0;
	char host[256];

	curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &tunnelled);
	if (tunnelled >= 300)
		return tunnel(w, tunnelled, q, e);
	web_host(q->url, host, sizeof(host));
	if (*words == '\0')
		words = curl_easy_strerror(rc);
	q->answer.proxy = is_proxy(w, rc, q, words);
	switch (rc) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
		return unreachable(host, q, words, e);
	case CURLE_OPERATION_TIMEDOUT:
		curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME, &connected);
		if (connected <= 0)
			return unreachable(host, q, words, e);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return untrusted(host, q, words, e);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_LOGIN_DENIED:
		err_set(e, PS_CONFIG, "%s: %s: %s", q->what, host, words);
		return WEB_FAILED;
	case CURLE_WEIRD_SERVER_REPLY:
		err_set(e, PS_PROTOCOL, "%s: %s: %s", q->what, host, words);
		return WEB_FAILED;
	default:
		break;
	}
	err_set(e, PS_TEMPFAIL, "%s: the connection to %s broke: %s", q->what,
		host, words);
	return WEB_LATER;
}
