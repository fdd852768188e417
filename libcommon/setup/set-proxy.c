/* Another way to the vault, for a server that is installed. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/units.h"
#include "doctor/steps.h"
#include "setup/install.h"

#define YAML_SIZE (1u << 20)

static void yaml_of(const struct choices *c, char out[PLACE_SIZE + 16])
{
	char etc[PLACE_SIZE];

	place_etc(c, etc);
	snprintf(out, PLACE_SIZE + 16, "%s/ps.yaml", etc);
}

int choices_installed(struct choices *c, struct err *e)
{
	char path[PLACE_SIZE + 16];
	struct conf *conf = NULL;
	const char *value;
	int rc;

	yaml_of(c, path);
	rc = conf_read(&conf, path, e);
	if (rc == -PS_NOINPUT)
		rc = err_set(e, PS_NOINPUT, "%s: nothing is installed", path);
	if (rc < 0)
		return rc;
	value = conf_get(conf, "vault");
	snprintf(c->vault.url, sizeof(c->vault.url), "%s",
		 value != NULL ? value : "");
	value = conf_get(conf, "store.endpoint");
	snprintf(c->vault.endpoint, sizeof(c->vault.endpoint), "%s",
		 value != NULL ? value : "");
	value = conf_get(conf, "store.ca-file");
	snprintf(c->vault.ca_file, sizeof(c->vault.ca_file), "%s",
		 value != NULL ? value : "");
	value = conf_get(conf, "store.credentials");
	c->credentials_file = value != NULL ? strdup(value) : NULL;
	value = conf_get(conf, "store.retry-for");
	if (value == NULL || !parse_duration(value, &c->retry_for))
		c->retry_for = 0;
	conf_free(conf);
	if (c->vault.url[0] == '\0')
		return err_set(e, PS_CONFIG, "%s: has no vault", path);
	return 0;
}

static bool is_key(const char *line, const char *key)
{
	size_t n = strlen(key);

	return strncmp(line, key, n) == 0 && line[n] == ':';
}

/* The text without the lines of the old proxy, and with the new ones. */
static char *rewritten(const struct choices *c, const char *etc,
		       const char *old)
{
	char *text = NULL, url[SECRET_TEXT + 32];
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	const char *line;

	if (f == NULL)
		return NULL;
	for (line = old; *line != '\0';) {
		size_t n = strcspn(line, "\n");

		n += line[n] == '\n';
		if (!is_key(line, "proxy") && !is_key(line, "proxy-auth"))
			fwrite(line, 1, n, f);
		line += n;
	}
	if (line > old && line[-1] != '\n')
		fputc('\n', f);
	if (c->proxy.host[0] != '\0') {
		proxy_settings_url(&c->proxy, url, sizeof(url));
		yaml_line(f, "proxy", url, "");
	}
	if (c->proxy.auth)
		yaml_line(f, "proxy-auth", etc, "proxy.auth");
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int restart(struct setup_plan *p, struct err *e)
{
	const char *const here[] = {"ps-service", "restart", "pipeline", NULL};
	const char *const there[] = {"ps-service", "restart",  "--root",
				     p->c->root,   "pipeline", NULL};

	if (setup_has_command("ps-service", "restart"))
		return setup_program(p, "ps-pipeline is started anew",
				     p->c->root != NULL ? there : here, e);
	return setup_add(p, ACT_NOTE, "pipeline",
			 "ps-pipeline: has to be started anew by hand, there "
			 "is no ps-service") == NULL
		   ? err_set(e, PS_SOFTWARE, "too many steps")
		   : 0;
}

/* The files are as they are to be; but was it told so, the time before? */
static bool runs_older(const struct setup_plan *p)
{
	const char *argv[] = {"ps-service", "status",	"--json", "pipeline",
			      "--root",	    p->c->root, NULL};
	const char *need;

	if (p->c->root == NULL)
		argv[4] = NULL;
	need = setup_has_command("ps-service", "status")
		   ? setup_services_need(p, argv)
		   : NULL;
	return need != NULL && strcmp(need, "restart") == 0;
}

/* A password that nobody uses any more does not stay behind. */
static int forget_login(struct setup_plan *p, const char *yaml, struct err *e)
{
	char path[PLACE_SIZE + 16];

	snprintf(path, sizeof(path), "%s/proxy.auth", p->etc);
	if (yaml == NULL || strstr(yaml, "/proxy.auth") != NULL ||
	    access(path, F_OK) < 0)
		return 0;
	return setup_add(p, ACT_UNLINK, path, "file %s goes", path) == NULL
		   ? err_set(e, PS_SOFTWARE, "too many steps")
		   : 0;
}

int setup_set_proxy(struct setup_plan *p, const struct choices *c,
		    struct err *e)
{
	char path[PLACE_SIZE + 16], *old, *auth = NULL, *now;
	int rc = setup_begin(p, c, e);

	yaml_of(c, path);
	if (rc < 0)
		return rc;
	old = doctor_read(path, YAML_SIZE, NULL);
	if (old == NULL)
		return err_sys(e, 0, "%s", path);
	if (c->proxy.auth) {
		if (asprintf(&auth, "%s:%s\n", c->proxy.user,
			     c->proxy.password) < 0)
			auth = NULL;
		rc = setup_want_file(p, "proxy.auth", auth, 0600,
				     "log-in at the proxy", e);
	}
	now = rewritten(c, p->etc, old);
	free(old);
	old = now != NULL ? strdup(now) : NULL;
	if (rc == 0)
		rc = setup_want_file(p, "ps.yaml", now, 0644,
				     "configuration of the server", e);
	else
		free(now);
	if (rc == 0)
		rc = forget_login(p, old, e);
	/* Nothing that changes: nothing to start anew. */
	if (rc == 0 && (p->n > 0 || runs_older(p)))
		rc = restart(p, e);
	free(old);
	return rc;
}
