/* ps-config serve: the configuration server. */
#include "config.h"

#include <stdio.h>

#include "base/notify.h"
#include "base/tool.h"
#include "config/serve.h"
#include "ps-config.h"

static int ready(unsigned port, struct err *e)
{
	/* Whoever waits for the port would wait for ever. */
	if (printf("%u\n", port) < 0 || fflush(stdout) != 0)
		return tool_no_output(e);
	notify_state("READY=1");
	return 0;
}

static int cmd_serve(struct reg *r, char **operands, struct err *e)
{
	const struct serve s = {
	    .where = ask.where,
	    .listen = ask.listen,
	    .cert = ask.cert,
	    .key = ask.key,
	    .alt = ask.alt,
	    .user = ask.user,
	    .log_dir = ask.log_dir,
	    .max_connections = (unsigned)ask.max_connections,
	    .cert_s = ask.valid,
	    .interval = ask.interval != NOT_GIVEN ? ask.interval : 60};

	(void)r;
	(void)operands;
	if ((ask.cert == NULL) != (ask.key == NULL))
		opt_misuse("--cert and --key go together");
	return serve_run(&s, ready, e);
}

const struct action serve_actions[] = {
    {NULL, 0, " [-l [ADDR:]PORT] [--cert FILE --key FILE]", cmd_serve},
    {0},
};
