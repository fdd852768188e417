#include "config.h"

#include "base/units.h"
#include "pipeline/vault-settings.h"

void vault_settle(const struct store_settings *base, const struct plan_vault *v)
{
	uint64_t seconds;

	store_settings = *base;
	if (v->endpoint != NULL)
		store_settings.endpoint = v->endpoint;
	if (v->credentials != NULL)
		store_settings.credentials = v->credentials;
	if (v->ca_file != NULL)
		store_settings.ca_file = v->ca_file;
	if (v->proxy != NULL)
		store_settings.proxy = v->proxy;
	if (v->proxy_auth != NULL)
		store_settings.proxy_auth = v->proxy_auth;
	if (v->retry_for != NULL && parse_duration(v->retry_for, &seconds))
		store_settings.retry_for = seconds;
}
