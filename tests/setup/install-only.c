/*
 * install-only ROOT PORT PASSPHRASE-FILE CS-PORT: what unifiedsetup does behind
 * its checks, for tests that do it some hundred times.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/tool.h"
#include "setup/install.h"

static void say(void *ctx, const struct action *a, const struct err *e)
{
	(void)ctx;
	printf("%s: %s\n", e != NULL ? "failed" : "done", a->words);
}

int main(int argc, char **argv)
{
	static struct choices c = {.mode = "PS",
				   .location = "/srv/ps",
				   .env = "VMWare",
				   .psip = "127.0.0.1",
				   .csip = "127.0.0.1",
				   .vault_file = "vaultcreds",
				   .proxy_file = "proxy",
				   .name = "ps1"};
	static struct setup_plan p;
	struct fault f = {0};
	struct err e = {0};

	tool_init("install-only");
	if (argc != 5)
		return PS_USAGE;
	c.root = argv[1];
	c.port = strtoul(argv[2], NULL, 10);
	c.passphrase_file = argv[3];
	c.cs_port = strtoul(argv[4], NULL, 10);
	if (choices_check(&c, &f) < 0 || choices_read(&c, &f) < 0)
		return tool_fail(&f.err);
	if (setup_recover(&c, &e) < 0 || setup_install(&p, &c, &e) < 0 ||
	    setup_run(&p, say, NULL, &e) < 0)
		return tool_fail(&e);
	setup_free(&p);
	return tool_finish(PS_OK);
}
