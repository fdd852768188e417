/* Every URL of the store's side by itself, by the proxy if there is one. */
#include "config.h"

#include <string.h>

#include "setup/checks.h"
#include "setup/openings.h"
#include "vault/settings.h"

#define WAIT_S 8
#define PROXY_LOGIN 407 /* RFC 9110, section 15.5.8 */

/* Any answer of the service will do: nothing is signed, nothing asked for. */
static bool answers(struct web *w, const struct opening *o, struct finding *f,
		    struct err *e)
{
	struct web_request q = {.method = "GET",
				.what = "no answer",
				.url = o->url,
				.once = true,
				.retry_for = WAIT_S};
	bool well;

	(void)web_do(w, &q, e);
	well = q.answer.status > 0 && q.answer.status != PROXY_LOGIN;
	if (well)
		find_shows(f, "%s answers (%d), for %s", o->url,
			   q.answer.status, o->what);
	else
		find_shows(f, "%s: %s", o->url, e->msg);
	web_free(&q);
	return well;
}

void advise_login(const struct choices *c, struct finding *f)
{
	if (c->proxy_file != NULL)
		find_next(f,
			  "the proxy takes no connection without a log-in "
			  "that it knows: ProxyAuthentication, "
			  "ProxyUserName, ProxyPassword in %s",
			  c->proxy_file);
	else
		find_next(f, "the proxy of https_proxy takes no connection "
			     "without a log-in that it knows: give it by "
			     "/ProxySettingsFilePath, with "
			     "ProxyAuthentication, ProxyUserName, "
			     "ProxyPassword");
}

/* By the words of the reason: curl's way to a store has no others. */
static void advise(const struct choices *c, const struct openings *o,
		   const char *why, struct finding *f)
{
	const char *place = choices_proxy_place(c);

	if (strstr(why, "not trusted") != NULL)
		find_next(f,
			  "does %s look into TLS? It has to pass this URL as "
			  "it is. When the store's authority is your own: "
			  "ca-file in %s",
			  o->proxy[0] != '\0' ? o->proxy
					      : "something on the way",
			  c->vault_file);
	else if (o->proxy[0] == '\0')
		find_next(f, "the firewall has to let it pass (unifiedsetup "
			     "--show-firewall prints a text for its people); "
			     "is there a proxy for /ProxySettingsFilePath?");
	else if (strstr(why, "(407)") != NULL)
		advise_login(c, f);
	else if (strstr(why, "reach the proxy") != NULL)
		find_next(f,
			  "are address and port in %s right, and does the "
			  "proxy run?",
			  place);
	else
		find_next(f,
			  "let the proxy %s pass CONNECT to it; its log "
			  "says why it does not",
			  o->proxy);
}

static void look(const struct choices *c, const struct openings *o,
		 struct web *w, struct finding *f)
{
	unsigned i, asked = 0, silent = 0;
	const char *first = "";
	struct err why = {0};

	for (i = 0; i < o->n; i++) {
		const struct opening *it = &o->items[i];
		struct err e = {0};

		/* The configuration server is not asked by the proxy. */
		if (it->inbound || !it->store)
			continue;
		asked++;
		if (answers(w, it, f, &e))
			continue;
		if (silent++ == 0) {
			first = it->url;
			why = e;
		}
	}
	if (silent == 0) {
		find_passed(f, "%u of %u answer%s%s", asked, asked,
			    o->proxy[0] != '\0' ? ", by " : "", o->proxy);
		return;
	}
	find_failed(f, DOCTOR_CAUSE, "%u of %u fail; %.80s: %.160s", silent,
		    asked, first, why.msg);
	advise(c, o, why.msg, f);
}

void check_urls(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	char url[8];
	struct openings o;
	struct web *w = NULL;
	struct err e = {0};

	if (d->vault == NULL) {
		find_skipped(f, "no vault was given: /VaultCredsFilePath");
		return;
	}
	if (!doctor_endpoint(d, url, sizeof(url))) {
		find_skipped(f, "the vault is a folder: it has no URL");
		return;
	}
	openings_of(c, &o);
	if (store_web(&w, &e) < 0)
		find_error(f, DOCTOR_CAUSE, &e);
	else
		look(c, &o, w, f);
	web_close(w);
}
