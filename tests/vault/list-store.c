/* list-store VAULT DIR PAGE: the names in a folder of a store, as told. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/tool.h"
#include "vault/settings.h"
#include "vault/store.h"

static int print(void *ctx, const struct store_entry *en, struct err *e)
{
	(void)ctx;
	(void)e;
	printf("%s%s\n", en->name, en->is_dir ? "/" : "");
	return 0;
}

int main(int argc, char **argv)
{
	struct err e = {0};
	struct store *s;

	tool_init("list-store");
	if (argc != 4)
		return PS_USAGE;
	store_settings.page = strtoull(argv[3], NULL, 10);
	if (store_open(&s, argv[1], 0, &e) < 0 ||
	    s->ops->list(s, argv[2], print, NULL, &e) < 0)
		tool_die(&e);
	store_close(s);
	return tool_finish(PS_OK);
}
