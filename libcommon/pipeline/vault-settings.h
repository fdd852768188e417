/* How one of several vaults is reached, for a process that opens it. */
#ifndef PS_PIPELINE_VAULT_SETTINGS_H
#define PS_PIPELINE_VAULT_SETTINGS_H

#include "pipeline/plan.h"
#include "vault/settings.h"

/*
 * Sets store_settings for a vault of the list: what its entry does not say is
 * taken from `base` (of `store:` and `proxy:`). A process opens one vault
 * only: credentials are read once. The texts are borrowed.
 */
void vault_settle(const struct store_settings *base,
		  const struct plan_vault *v);

#endif
