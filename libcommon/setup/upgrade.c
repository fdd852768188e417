/* To another version, and back. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/conf.h"
#include "base/units.h"
#include "base/version.h"
#include "config/client.h"
#include "doctor/steps.h"
#include "setup/former-mariadb.h"
#include "setup/former.h"
#include "setup/site.h"
#include "setup/yaml-edit.h"

#define YAML_SIZE (1u << 20)

/* ---- may it be ---- */

static int out_of_reach(const struct steps *s, const struct version *was,
			const struct version *now, struct err *e)
{
	int rc = err_set(e, PS_CONFIG,
			 "%s is installed, this is %s: a release is reached "
			 "from the four before it",
			 s->was.version, s->now.version);

	if (was->major == now->major)
		err_hint(e, "install %lu.%lu first", now->major,
			 was->minor + VERSIONS_BACK);
	else
		err_hint(e, "see its release notes for the way");
	return rc;
}

static int downgrade(const struct steps *s, struct err *e)
{
	bool back = strcmp(s->was.former, s->now.version) == 0;
	int rc = err_set(e, PS_CONFIG,
			 "%s is installed, this is %s: that would be a "
			 "downgrade",
			 s->was.version, s->now.version);

	if (back)
		err_hint(e, "to go back to the version before: --rollback");
	else
		err_hint(e, "install the packages of %s again", s->was.version);
	return rc;
}

static int check_order(const struct steps *s, struct err *e)
{
	struct version was, now;

	if (!version_parse(s->was.version, &was) ||
	    !version_parse(s->now.version, &now))
		return err_set(e, PS_DATA, "'%s' is no version",
			       s->was.version);
	if (version_compare_all(&was, &now) > 0)
		return downgrade(s, e);
	return version_in_reach(&was, &now) ? 0
					    : out_of_reach(s, &was, &now, e);
}

/* A process server: what does its configuration server have? */
static int check_above(struct steps *s, struct err *e)
{
	struct site_view v;
	int rc = site_identity(s, e);

	if (rc == -PS_NOINPUT) { /* installed without registration */
		*e = (struct err){.code = 0};
		s->name[0] = '\0';
		return 0;
	}
	if (rc == 0)
		rc = site_look(s, true, &v, e);
	return rc < 0 ? rc : cs_judge_version(v.version, s->host, e);
}

/* A configuration server: would its servers be left behind? */
static int check_below(struct steps *s, bool yes, struct err *e)
{
	struct site_servers v;
	int rc = site_servers(s, s->now.version, &v, e);

	if (rc == -PS_CONFIG) { /* tables of another version: not known */
		*e = (struct err){.code = 0};
		return steps_note(s, e,
				  "versions of the other servers: not known "
				  "before the tables are of this version");
	}
	if (rc < 0 || v.bad == 0)
		return rc;
	if (yes)
		return steps_note(s, e,
				  "%u servers cannot work with %s, the "
				  "first is %s with %s",
				  v.bad, s->now.version, v.first, v.its);
	rc = err_set(e, PS_CONFIG,
		     "%u servers cannot work with %s, the first is %s "
		     "with %s",
		     v.bad, s->now.version, v.first, v.its);
	err_hint(e, "process servers and master targets are as new as their "
		    "configuration server, or at most four releases older; "
		    "--yes goes on");
	return rc;
}

/* Tables of MariaDB that nobody can copy. */
static int check_tables(struct steps *s, bool yes, struct err *e)
{
	struct site_servers v;
	char dir[PLACE_SIZE];
	int rc;

	former_database(s, dir);
	if (dir[0] != '\0' || yes || mariadb_can())
		return 0;
	rc = site_servers(s, s->now.version, &v, e);
	if (rc != -PS_CONFIG)
		return rc < 0 ? rc : 0;
	err_hint(e, "the tables in MariaDB will be changed, and nobody can "
		    "copy them here: install mariadb-client, or save them and "
		    "go on with --yes");
	return rc;
}

/* ---- services that this version has and the one before had not ---- */

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *at;

	for (at = strstr(list, word); at != NULL; at = strstr(at + 1, word))
		if ((at == list || strchr(", ", at[-1]) != NULL) &&
		    strchr(", ", at[n]) != NULL)
			return true;
	return false;
}

/* What the user took out stays out. */
static int want_new_services(struct steps *s, char **yaml, struct err *e)
{
	char names[sizeof(s->p.services)], copy[sizeof(s->now.services)];
	size_t n = (size_t)snprintf(names, sizeof(names), "%s", s->p.services);
	char *word, *rest;

	snprintf(copy, sizeof(copy), "%s", s->now.services);
	for (word = strtok_r(copy, ",", &rest); word != NULL;
	     word = strtok_r(NULL, ",", &rest))
		if (!has_word(s->was.services, word) &&
		    !has_word(names, word) && n < sizeof(names))
			n += (size_t)snprintf(names + n, sizeof(names) - n,
					      "%s%s", n > 0 ? "," : "", word);
	if (strcmp(names, s->p.services) == 0)
		return 0;
	memcpy(s->p.services, names, sizeof(names));
	return yaml_set(yaml, "service", "names", names, e);
}

/* ps.yaml as this version needs it; takes `text` over. */
static int want_yaml(struct steps *s, char *text, const struct conf *conf,
		     struct err *e)
{
	bool had = s->joins;
	int rc = 0;

	s->joins =
	    steps_is_cs(s) ? steps_own_joins(s, conf) : setup_can_join(false);
	s->p.joins = s->joins;
	setup_find_services(&s->p, steps_is_cs(s),
			    conf_get(conf, "vault") != NULL, s->now.services,
			    sizeof(s->now.services));
	if (steps_is_cs(s) && s->joins && !had)
		rc = steps_own_yaml(s, &text, e);
	if (rc == 0)
		rc = want_new_services(s, &text, e);
	if (rc == 0)
		return steps_file(s, "ps.yaml", text, 0644, e);
	free(text);
	return rc;
}

static int want_record(struct steps *s, struct err *e)
{
	char *yaml = doctor_read(s->yaml, YAML_SIZE, NULL);
	struct conf *conf = NULL;
	int rc = yaml == NULL ? err_sys(e, 0, "%s", s->yaml)
			      : conf_read(&conf, s->yaml, e);

	if (rc == 0) {
		if (strcmp(s->was.version, s->now.version) != 0)
			snprintf(s->now.former, sizeof(s->now.former), "%s",
				 s->was.version);
		rc = want_yaml(s, yaml, conf, e);
	} else {
		free(yaml);
	}
	if (rc == 0)
		rc = steps_file(s, RECORD_FILE, record_text(&s->now), 0644, e);
	conf_free(conf);
	return rc < 0 ? rc
		      : steps_want_files(
			    s,
			    "configuration: yours stays; the version is "
			    "written down",
			    e);
}

/* ---- steps ---- */

static int run_migrate(struct steps *s, struct err *e)
{
	const char *const argv[] = {"ps-config", "init", "--config", s->yaml,
				    NULL};
	/* MariaDB makes no tables in a transaction: all of it anew. */
	int rc = former_is_half(s) ? former_registry(s, e) : 0;

	if (rc >= 0)
		rc = former_begin_half(s, e);
	if (rc == 0)
		rc = steps_program(s, argv, e);
	return rc < 0 ? rc : former_end_half(s, e);
}

/* Other copies than those of the version before are of no use now. */
static int run_end(struct steps *s, struct err *e)
{
	char all[PLACE_SIZE], path[PLACE_SIZE + NAME_MAX + 1];
	const char *keep = strrchr(s->keep, '/') + 1;
	struct dirent *it;
	struct stat st;
	DIR *d;

	place_keep(s->p.c, "", all);
	d = opendir(all);
	while (d != NULL && (it = readdir(d)) != NULL) {
		if (it->d_name[0] == '.' || strcmp(it->d_name, keep) == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", all, it->d_name);
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			(void)setup_remove_tree(path);
	}
	if (d != NULL)
		closedir(d);
	s->doing.what[0] = '\0';
	return doing_end(s->p.c, e);
}

static int add_end(struct steps *s, step_fn *run, const char *words,
		   struct err *e)
{
	struct step *st = steps_add(s, run, NULL, "%s", words);

	if (st == NULL)
		return steps_full(e);
	st->final = true;
	return 0;
}

/* What it registers at has to run for that, and its certificate to be there
 * before what shows it. */
static int want_own_running(struct steps *s, struct err *e)
{
	int rc = steps_service(s, "start", "config", e);

	if (rc < 0)
		return rc;
	s->list[s->n - 1].final = true;
	rc = steps_want_registration(s, e);
	if (rc == 0)
		rc = steps_want_start(s, e);
	return rc < 0 ? rc : steps_want_heartbeat(s, e);
}

/* Both ways end like this. */
static int want_running(struct steps *s, struct err *e)
{
	int rc;

	if (steps_is_cs(s) && s->joins && setup_can_join(true))
		return want_own_running(s, e);
	rc = steps_want_start(s, e);
	if (rc == 0 && !steps_is_cs(s) && s->name[0] != '\0') {
		/* As before: with the key that it has. */
		s->host[0] = s->secret[0] = '\0';
		rc = steps_want_registration(s, e);
		if (rc == 0)
			rc = steps_want_heartbeat(s, e);
	}
	return rc;
}

static int want_exchange(struct steps *s, struct err *e)
{
	int rc = 0;

	if (steps_add(s, former_keep, former_forget,
		      "copies for the way back, in %s", s->keep) == NULL)
		return steps_full(e);
	rc = steps_want_stop(s, e);
	if (rc == 0 && steps_add(s, former_keep_registry, NULL, "%s",
				 steps_is_cs(s) ? "copy of the registry"
						: "copies complete") == NULL)
		rc = steps_full(e);
	if (rc == 0 && steps_is_cs(s) &&
	    steps_add(s, run_migrate, former_registry, "registry: tables of %s",
		      s->now.version) == NULL)
		rc = steps_full(e);
	return rc < 0 ? rc : want_record(s, e);
}

/*
 * The version stays, but the process server of a configuration server may be
 * one that does not register yet: installed where nothing started services, or
 * by a version that did not know how. A run that was cut off behind ps.yaml
 * left one without an identity.
 */
static int want_own(struct steps *s, struct err *e)
{
	bool joins = s->joins;
	struct conf *conf;
	int rc;

	if (!steps_is_cs(s))
		return 0;
	rc = conf_read(&conf, s->yaml, e);
	if (rc < 0)
		return rc;
	rc = joins ? site_identity(s, e) : -PS_NOINPUT;
	joins = steps_own_joins(s, conf);
	conf_free(conf);
	if (rc != -PS_NOINPUT || !joins)
		return rc;
	*e = (struct err){.code = 0};
	rc = steps_note(s, e,
			"version %s stays; its own process server registers",
			s->now.version);
	if (rc == 0)
		rc = steps_want_stop(s, e);
	if (rc == 0)
		rc = want_record(s, e);
	return rc < 0 ? rc : want_own_running(s, e);
}

/* Another way that was begun has to be gone first. */
static int check_begun(const struct steps *s, bool there, struct err *e)
{
	const struct doing *d = &s->doing;
	int rc = 0;

	if (strcmp(d->what, "rollback") == 0) {
		rc = err_set(e, PS_CONFIG, "going back to %s was begun", d->to);
		err_hint(e, "go on there: --rollback, by the programs of %s",
			 d->to);
	} else if (there && strcmp(d->what, "upgrade") == 0 &&
		   strcmp(d->to, s->now.version) != 0) {
		rc = err_set(e, PS_CONFIG, "going to %s was begun", d->to);
		err_hint(e,
			 "--rollback takes it back, --upgrade by the programs "
			 "of %s goes on",
			 d->to);
	}
	return rc;
}

int setup_upgrade(struct steps *s, bool yes, struct err *e)
{
	bool there = strcmp(s->was.version, s->now.version) == 0;
	int rc = check_order(s, e);

	if (rc == 0)
		rc = check_begun(s, there, e);
	/* What was begun may be all but the end. */
	if (rc == 0 && there && strcmp(s->doing.what, "upgrade") != 0)
		return want_own(s, e);
	if (rc < 0)
		return rc;
	former_dir(s->p.c, there ? s->was.former : s->was.version, s->keep);
	rc = steps_note(s, e,
			"%s -> %s; programs and units come with the package",
			there ? s->was.former : s->was.version, s->now.version);
	if (rc == 0)
		rc =
		    steps_is_cs(s) ? check_below(s, yes, e) : check_above(s, e);
	if (rc == 0 && steps_is_cs(s) && !there)
		rc = check_tables(s, yes, e);
	if (rc == 0 && !there)
		rc = want_exchange(s, e);
	if (rc == 0)
		rc = want_running(s, e);
	return rc < 0 ? rc : add_end(s, run_end, "upgraded", e);
}

/* ---- and back ---- */

/* An upgrade from here, or the way back to here, that was not finished. */
static bool is_half_way(const struct steps *s)
{
	const struct doing *d = &s->doing;

	return (strcmp(d->what, "upgrade") == 0 &&
		strcmp(d->from, s->now.version) == 0) ||
	       (strcmp(d->what, "rollback") == 0 &&
		strcmp(d->to, s->now.version) == 0);
}

static int check_way_back(const struct steps *s, struct err *e)
{
	int rc;

	if (is_half_way(s))
		return 0;
	if (s->was.former[0] == '\0')
		return err_set(e, PS_NO,
			       "%s is installed: there is nothing to go back "
			       "to",
			       s->was.version);
	if (strcmp(s->was.former, s->now.version) != 0) {
		rc = err_set(e, PS_CONFIG,
			     "%s is installed, and came from %s; this is %s",
			     s->was.version, s->was.former, s->now.version);
		err_hint(e,
			 "install the packages of %s, and call --rollback of "
			 "that one",
			 s->was.former);
		return rc;
	}
	if (!former_complete(s->p.c, s->now.version))
		return err_set(e, PS_NOINPUT,
			       "%s: there are no copies of %s (any more)",
			       s->keep, s->now.version);
	return 0;
}

static int check_newer(struct steps *s, bool yes, struct err *e)
{
	struct site_servers v;
	int rc = site_servers(s, s->now.version, &v, e);

	if (rc == -PS_CONFIG) { /* it is put back, then */
		*e = (struct err){.code = 0};
		return 0;
	}
	if (rc < 0 || v.bad == 0 || yes)
		return rc;
	rc = err_set(e, PS_CONFIG,
		     "%u servers cannot work with %s, the first is %s "
		     "with %s",
		     v.bad, s->now.version, v.first, v.its);
	err_hint(e, "they go back first; --yes goes on");
	return rc;
}

/* What is left may not be written down yet: then an upgrade was begun to it. */
static int run_begin_back(struct steps *s, struct err *e)
{
	struct doing d = {.what = "rollback"};
	const char *from =
	    strcmp(s->was.version, s->now.version) != 0 ? s->was.version
	    : strcmp(s->doing.what, "upgrade") == 0	? s->doing.to
							: s->doing.from;

	snprintf(d.from, sizeof(d.from), "%s", from);
	snprintf(d.to, sizeof(d.to), "%s", s->now.version);
	s->doing = d;
	return doing_write(s->p.c, &s->doing, e);
}

/* It stays when these programs can read it. */
static int run_registry(struct steps *s, struct err *e)
{
	bool half = former_is_half(s);
	struct site_servers v;
	int rc = half ? 0 : site_servers(s, s->now.version, &v, e);

	if (rc == 0 && !half)
		return 1;
	if (rc < 0 && rc != -PS_CONFIG)
		return rc;
	if (rc < 0 && !former_has_registry(s->p.c, s->now.version)) {
		err_hint(e, "there is no copy here: put back what was saved "
			    "of the database, then --rollback again");
		return rc;
	}
	*e = (struct err){.code = 0};
	rc = half ? 0 : former_set_aside(s, s->doing.from, e);
	if (rc >= 0)
		rc = former_registry(s, e);
	return rc;
}

static int back_registry(struct steps *s, struct err *e)
{
	return former_take_again(s, s->doing.from, e);
}

/* Else nobody will send a heartbeat, by the configuration as it was. */
static bool was_registered(const struct steps *s)
{
	char path[PLACE_SIZE + 16];
	struct conf *conf = NULL;
	bool is;

	snprintf(path, sizeof(path), "%s/ps.yaml", s->keep);
	is = conf_read(&conf, path, NULL) == 0 &&
	     conf_get(conf, "config.identity") != NULL;
	conf_free(conf);
	return is;
}

static int want_files_back(struct steps *s, struct err *e)
{
	char *yaml = former_file(s->p.c, s->now.version, "ps.yaml");
	char *record = former_file(s->p.c, s->now.version, RECORD_FILE);
	int rc = 0;

	s->joins &= yaml == NULL || was_registered(s);

	if (strcmp(s->was.version, s->now.version) != 0)
		s->now.former[0] = '\0';
	if (yaml != NULL)
		rc = steps_file(s, "ps.yaml", yaml, 0644, e);
	if (rc == 0)
		rc = steps_file(s, RECORD_FILE,
				record != NULL ? record : record_text(&s->now),
				0644, e);
	else
		free(record);
	return rc < 0 ? rc
		      : steps_want_files(
			    s,
			    "configuration as it was; what there is now "
			    "becomes ps.yaml.old",
			    e);
}

static int want_back(struct steps *s, struct err *e)
{
	int rc;

	if (steps_add(s, run_begin_back, steps_unbegin,
		      "back to %s, by the copies in %s", s->now.version,
		      s->keep) == NULL)
		return steps_full(e);
	rc = steps_want_stop(s, e);
	if (rc == 0 && steps_is_cs(s) &&
	    steps_add(s, run_registry, back_registry,
		      "registry as it was, unless %s can read it",
		      s->now.version) == NULL)
		rc = steps_full(e);
	if (rc == 0)
		rc = want_files_back(s, e);
	return rc < 0 ? rc : want_running(s, e);
}

int setup_rollback(struct steps *s, bool yes, struct err *e)
{
	int rc;

	former_dir(s->p.c, s->now.version, s->keep);
	rc = check_way_back(s, e);
	if (rc < 0)
		return rc;
	if (steps_is_cs(s))
		rc = check_newer(s, yes, e);
	else if (site_identity(s, e) < 0) {
		*e = (struct err){.code = 0};
		s->name[0] = '\0';
	}
	if (rc == 0)
		rc = want_back(s, e);
	return rc < 0 ? rc : add_end(s, former_forget, "rolled back", e);
}
