/*
 * cdpcli: under its known name, the one command of a master target that
 * administrators use: it registers again and fetches the latest certificates.
 */
#include "config.h"

#include <stddef.h>

#include "base/opt.h"
#include "base/secret.h"
#include "base/tool.h"
#include "register.h"

static struct register_ask ask = {
    .dir = REGISTER_DIR, .role = "mt", .port = UINT64_MAX};
static bool registermt;

static const struct opt opts[] = {
    {0, "registermt", OPT_FLAG, NULL, &registermt,
     "register as master target, fetch the latest certificates", 0, 0, 0, 0, 0},
    {0, "identity", OPT_DIR, "DIR", &ask.dir,
     "folder of key, certificate and names", "PS_IDENTITY", "config.identity",
     0, 0, 0},
    {0, "cs", OPT_TEXT, "ADDRESS", &ask.cs, "of the configuration server", 0,
     "config.server", 0, 0, 0},
    {0, "cs-port", OPT_TEXT, "PORT", &ask.cs_port, "its port (default: 443)", 0,
     "config.port", 0, 0, 0},
    {'P', "passphrase", OPT_FILE, "FILE", &ask.passphrase,
     "file with the passphrase (default: the key of the last time)", 0, 0, 0, 0,
     0},
    {0, "name", OPT_TEXT, "NAME", &ask.name,
     "of this server (default: the host's)", 0, 0, 0, 0, 0},
    {0, "address", OPT_TEXT, "ADDRESS", &ask.address, "where it is reached", 0,
     0, 0, 0, 0},
    {0, "port", OPT_NUMBER, "PORT", &ask.port,
     "where it takes data (default: 9443)", 0, 0, 0, 1, 65535},
    {0, "alt", OPT_TEXT, "NAMES", &ask.alt,
     "more names for its certificate, as DNS:mt1.example,IP:192.0.2.1", 0, 0, 0,
     0, 0},
    {0, "pin", OPT_TEXT, "PIN", &ask.pin,
     "pin of the configuration server's key, sha256//...", 0, 0, 0, 0, 0},
    {0, "instance", OPT_TEXT, "TEXT", &ask.instance,
     "which of several servers on this host it is", 0, "config.instance", 0, 0,
     0},
    {0, "machine-id", OPT_TEXT, "ID", &ask.machine_id,
     "id of this machine (default: made from /etc/machine-id)", 0, 0, 0, 0, 0},
    {0, "json", OPT_FLAG, NULL, &ask.json, "print JSON", 0, 0, 0, 0, 0},
    {0},
};

static const struct opt_tool tool = {
    .name = "cdpcli",
    .about = "Registers a master target again.",
    .synopsis = "--registermt [--cs ADDRESS] [--cs-port PORT] [-P FILE] "
		"[--port PORT]\n",
    .opts = opts,
};

int main(int argc, char **argv)
{
	struct err e = {0};
	int rc;

	tool_init("cdpcli");
	if (opt_parse(&tool, argc, argv) < argc)
		opt_misuse("too many arguments");
	if (!registermt)
		opt_misuse("--registermt is missing");
	secret_harden_process();
	rc = register_here(&ask, &e);
	return tool_finish(rc < 0 ? tool_fail(&e) : PS_OK);
}
