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
	if (c->proxy.host[0] != '\0')
		find_next(f,
			  "%s; let the proxy %s pass CONNECT to it, with this "
			  "name and password if it asks for one "
			  "(/ProxySettingsFilePath)",
			  why.hint[0] != '\0' ? why.hint : "see its log",
			  o->proxy);
	else
		find_next(f,
			  "%s; unifiedsetup --show-firewall prints what has "
			  "to pass; is there a proxy for "
			  "/ProxySettingsFilePath?",
			  why.hint[0] != '\0' ? why.hint
					      : "the firewall has to let it "
						"pass");
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
