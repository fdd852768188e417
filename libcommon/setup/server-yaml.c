/* The configuration of a server, with a word about each part. */
#include "config.h"

#include <stdlib.h>

#include "setup/install.h"

/* A value in double quotes, of YAML 1.1 section 5.7. */
void yaml_line(FILE *f, const char *key, const char *dir, const char *name)
{
	const char *parts[] = {dir, *name != '\0' ? "/" : "", name};
	const char *at;
	unsigned i;

	fprintf(f, "%s: \"", key);
	for (i = 0; i < 3; i++)
		for (at = parts[i]; *at != '\0'; at++) {
			if (*at == '"' || *at == '\\')
				fputc('\\', f);
			fputc(*at, f);
		}
	fputs("\"\n", f);
}

static void put_vault(FILE *f, const struct choices *c, const char *etc)
{
	const struct vault_creds *v = &c->vault;
	char url[SECRET_TEXT + 32];

	fputs(
	    "\n# The vault, and the key that its data are sealed with. Keep a "
	    "copy of the\n# key elsewhere: without it nothing can be "
	    "restored.\n",
	    f);
	if (v->url[0] == '\0') {
		fputs("# No vault was given: ps-pipeline needs one "
		      "(ps-store(7)).\n"
		      "#vault: azblob://ACCOUNT/CONTAINER\n",
		      f);
		return;
	}
	yaml_line(f, "vault", v->url, "");
	yaml_line(f, "key", etc, "vault.key");
	if (v->n > 0 || v->endpoint[0] != '\0' || v->ca_file[0] != '\0')
		fputs("store:\n", f);
	if (v->n > 0)
		yaml_line(f, "  credentials", etc, "store.credentials");
	if (v->endpoint[0] != '\0')
		yaml_line(f, "  endpoint", v->endpoint, "");
	if (v->ca_file[0] != '\0')
		yaml_line(f, "  ca-file", v->ca_file, "");
	if (c->proxy.host[0] == '\0')
		return;
	proxy_settings_url(&c->proxy, url, sizeof(url));
	yaml_line(f, "proxy", url, "");
	if (c->proxy.auth)
		yaml_line(f, "proxy-auth", etc, "proxy.auth");
}

static void put_receive(FILE *f, const struct choices *c, const char *etc,
			bool joins)
{
	char listen[64], dir[PLACE_SIZE];

	fputs("\n# Where sources send their changes.\nreceive:\n", f);
	snprintf(listen, sizeof(listen), "%s:%u", c->address,
		 (unsigned)c->port);
	yaml_line(f, "  listen", listen, "");
	/* As ps-config register leaves them. */
	place_state(c, "identity", dir);
	yaml_line(f, "  cert", joins ? dir : etc,
		  joins ? "server.crt" : "server.pem");
	yaml_line(f, "  key", joins ? dir : etc, "server.key");
	if (c->cs) {
		place_state(c, "config", dir);
		yaml_line(f, "  passphrase", dir, "connection.passphrase");
	} else {
		yaml_line(f, "  passphrase", etc, "connection.passphrase");
	}
}

/* Where this process server is registered: here, or elsewhere. */
static void put_joined(FILE *f, const struct choices *c)
{
	char path[PLACE_SIZE];

	place_state(c, "identity", path);
	yaml_line(f, "  server", c->cs ? c->address : c->csip, "");
	fprintf(f, "  port: %u\n", (unsigned)c->cs_port);
	yaml_line(f, "  identity", path, "");
	/* There may be more of them on this machine. */
	if (c->root != NULL)
		yaml_line(f, "  instance", c->root, "");
}

static void put_config(FILE *f, const struct choices *c, const char *etc,
		       bool joins)
{
	char path[PLACE_SIZE];

	if (c->cs)
		fputs("\n# The registry of the configuration server.\n", f);
	else
		fputs("\n# The configuration server.\n", f);
	fputs("config:\n", f);
	if (c->cs) {
		place_state(c, "config", path);
		yaml_line(f, "  dir", path, "");
		if (c->mysql_file != NULL)
			yaml_line(f, "  credentials", etc, "mysql.credentials");
		fprintf(f, "  listen: \"%s:%u\"\n", c->address,
			(unsigned)c->cs_port);
	}
	if (c->cs && joins)
		fputs("  # Its own process server is registered, too.\n", f);
	if (joins || !c->cs)
		put_joined(f, c);
}

char *server_yaml(const struct setup_plan *p)
{
	const struct choices *c = p->c;
	char *text = NULL, path[PLACE_SIZE];
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	fprintf(f,
		"# %s %s, written by unifiedsetup(8); ps.yaml(5) has every "
		"key.\n# To install again writes it anew and keeps this one "
		"as ps.yaml.old.\n\n# What came in and is not stored in the "
		"vault yet.\n",
		c->cs ? "Configuration and process server" : "Process server",
		c->here);
	place_data(c, "cache", path);
	yaml_line(f, "cache", path, "");
	put_vault(f, c, p->etc);
	put_receive(f, c, p->etc, p->joins);
	put_config(f, c, p->etc, p->joins);
	fputs("\n# Samples and alerts.\nhealth:\n", f);
	place_state(c, "health", path);
	yaml_line(f, "  state", path, "");
	/* What has to run: the usual, unless it is more or less. */
	if (c->cs)
		fputs("  role: configuration\n", f);
	else if (c->vault.url[0] == '\0')
		fputs("  services: \"receive,heartbeat\"\n", f);
	fputs("\n# What ps-service starts.\nservice:\n", f);
	yaml_line(f, "  names", p->services, "");
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
