/*
 * The registry, the same tests on SQLite and on a real MariaDB server: what
 * may be entered, two writers, a database that is away, an answer that is
 * lost.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "config/accounts.h"
#include "config/backup.h"
#include "config/ca.h"
#include "config/contacts.h"
#include "config/jobs.h"
#include "config/machines.h"
#include "config/passphrase.h"
#include "config/policies.h"
#include "config/schema.h"
#include "config/servers.h"
#include "database.h"

static struct place place;
static struct reg *reg;

static int setup(void **state)
{
	bool mariadb = *(const bool *)*state;

	place_make(&place, mariadb);
	reg = place.reg;
	return 0;
}

static int heard(struct reg *r, const char *name, int64_t generation,
		 struct err *e)
{
	const struct contact_word w = {generation, "{}", "[]", 0, ""};
	struct contact_wish wish;

	return contact_heard(r, name, &w, &wish, e);
}

static int teardown(void **state)
{
	(void)state;
	place_remove(&place);
	return 0;
}

static int count(void *ctx, const struct reg_policy *p, struct err *e)
{
	(void)p;
	(void)e;
	(*(int *)ctx)++;
	return 0;
}

static int policies(struct reg *r)
{
	int n = 0;

	assert_int_equal(policy_each(r, count, &n, NULL), 0);
	return n;
}

static struct reg_policy gold(const char *name)
{
	struct reg_policy p = {.rpo_s = POLICY_RPO_S,
			       .retention_s = POLICY_RETENTION_S,
			       .app_s = POLICY_APP_S};

	snprintf(p.name, sizeof(p.name), "%s", name);
	return p;
}

static int add_policy(struct reg *r, const char *name, struct err *e)
{
	struct reg_policy p = gold(name);

	return policy_add(r, &p, e);
}

static int add_server(const char *name, const char *role, const char *id,
		      struct err *e)
{
	struct reg_server s = {.port = 9443};

	snprintf(s.name, sizeof(s.name), "%s", name);
	snprintf(s.role, sizeof(s.role), "%s", role);
	snprintf(s.machine_id, sizeof(s.machine_id), "%s", id);
	snprintf(s.address, sizeof(s.address), "%s.example", name);
	return server_register(reg, &s, e);
}

static int64_t number(struct reg *r, const char *text)
{
	int64_t n = -1;

	assert_int_equal(sql_number(r->db, text, SQL_NO_ARGS, -1, &n, NULL), 0);
	return n;
}

/* ---- what may be entered ---- */

static void opens_again(void **state)
{
	struct reg_where other = place.where;
	char key[200], kept[200];
	struct reg *r = NULL;
	struct err e = {0};
	struct seal seal;

	(void)state;
	assert_int_equal(add_policy(reg, "gold", NULL), 0);
	assert_int_equal(reg_init(&r, &other, "again", &e), 0);
	assert_int_equal(policies(r), 1);
	reg_close(r);
	/* Another key file: it could not open what is sealed. */
	snprintf(key, sizeof(key), "%s/config.key", place.dir);
	snprintf(kept, sizeof(kept), "%s/kept", place.dir);
	assert_int_equal(rename(key, kept), 0);
	assert_int_equal(reg_open(&r, &other, "test", &e), -PS_NOINPUT);
	assert_int_equal(reg_init(&r, &other, "test", &e), -PS_CONFIG);
	assert_non_null(strstr(e.msg, "a key file that is not here"));
	assert_int_equal(access(key, F_OK), -1);
	assert_int_equal(seal_load(&seal, key, true, &e), 0);
	assert_int_equal(reg_init(&r, &other, "test", &e), -PS_CONFIG);
	assert_non_null(strstr(e.msg, "another key file"));
	assert_int_equal(rename(kept, key), 0);
	r = place_open(&place);
	reg_close(r);
}

static void as_it_is(void *ctx, struct reg_policy *p)
{
	*p = *(const struct reg_policy *)ctx;
}

static void longer_rpo(void *ctx, struct reg_policy *p)
{
	(void)ctx;
	p->rpo_s = 1800; /* what another has set stays */
}

static void policy_rules(void **state)
{
	struct reg_policy p = gold("gold"), got;
	struct err e = {0};

	(void)state;
	p.multi_vm = true;
	assert_int_equal(policy_add(reg, &p, &e), 0);
	assert_int_equal(policy_add(reg, &p, &e), -PS_NO);
	assert_int_equal(policy_change(reg, "gold", longer_rpo, NULL, &e), 0);
	assert_int_equal(policy_change(reg, "gold", longer_rpo, NULL, &e), 0);
	assert_int_equal(policy_get(reg, "gold", &got, &e), 0);
	assert_int_equal(got.rpo_s, 1800);
	assert_true(got.multi_vm);
	assert_int_equal(policy_get(reg, "Gold", &got, &e), -PS_NO);
	p.app_s = 1799; /* not under an hour, */
	assert_int_equal(policy_change(reg, "gold", as_it_is, &p, &e),
			 -PS_USAGE);
	p.app_s = p.retention_s = 4 * 3600; /* shorter than the retention */
	assert_int_equal(policy_change(reg, "gold", as_it_is, &p, &e),
			 -PS_USAGE);
	p.app_s = 0;
	p.retention_s = 0; /* only the latest is kept */
	assert_int_equal(policy_change(reg, "gold", as_it_is, &p, &e), 0);
	assert_int_equal(policy_delete(reg, "gold", &e), 0);
	assert_int_equal(policy_delete(reg, "gold", &e), -PS_NO);
	assert_int_equal(policies(reg), 0);
}

static void name_rules(void **state)
{
	static const char *const bad[] = {
	    "",
	    "-a",
	    "a-",
	    "a_b",
	    "a.b",
	    "a b",
	    "ä",
	    "a/b",
	    "a'b",
	    "a\nb",
	    "a123456789012345678901234567890123456789012345678901234567890123"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(reg_name_check("machine", bad[i], NULL),
				 -PS_USAGE);
	assert_int_equal(reg_name_check("machine",
					"a12345678901234567890123456789012345"
					"678901234567890123456789012",
					NULL),
			 0);
	assert_int_equal(reg_name_check("machine", "7", NULL), 0);
}

static void cut_text(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {"ab", "ab"},
	    {"a\xc3\xa4", "a\xc3\xa4"},
	    {"a\xc3", "a"},
	    {"a\xe2\x82", "a"},
	    {"a\xf0\x9f\x98", "a"},
	    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}};
	char text[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "%s", cases[i][0]);
		reg_text_cut(text);
		assert_string_equal(text, cases[i][1]);
	}
}

static void server_rules(void **state)
{
	struct reg_server s;
	struct err e = {0};
	int64_t n;

	(void)state;
	assert_int_equal(add_server("ps1", SERVER_PS, "id-1", &e), 0);
	n = number(reg, "SELECT COUNT(*) FROM audit");
	assert_int_equal(add_server("ps1", SERVER_PS, "id-1", &e), 0);
	assert_int_equal(add_server("ps1", SERVER_PS, "", &e), 0);
	assert_int_equal(number(reg, "SELECT COUNT(*) FROM audit"), n);
	assert_int_equal(number(reg, "SELECT COUNT(*) FROM servers"), 1);
	assert_int_equal(add_server("ps1", SERVER_PS, "id-2", &e), -PS_NO);
	assert_non_null(strstr(e.msg, "another machine has this name"));
	assert_int_equal(add_server("ps2", SERVER_PS, "id-1", &e), -PS_NO);
	assert_non_null(strstr(e.hint, "cloned"));
	assert_int_equal(add_server("ps2", "x", "id-2", &e), -PS_USAGE);
	assert_int_equal(server_get(reg, "ps1", &s, &e), 0);
	assert_string_equal(s.machine_id, "id-1"); /* kept when not told */
	assert_string_equal(server_state(&s, INT64_MAX), "never");
	s.registered = time_now_ns() - 900 * NS_PER_S;
	s.version[0] = '1'; /* one that was added by hand has none */
	assert_string_equal(server_state(&s, time_now_ns()), "silent");
	assert_int_equal(heard(reg, "ps1", 3, &e), 0);
	assert_int_equal(heard(reg, "ps9", 3, &e), -PS_NO);
	assert_int_equal(server_get(reg, "ps1", &s, &e), 0);
	assert_int_equal(s.generation, 3);
	assert_string_equal(server_state(&s, s.contact + 899 * NS_PER_S), "ok");
	assert_string_equal(server_state(&s, s.contact + 900 * NS_PER_S),
			    "silent");
	assert_int_equal(server_delete(reg, "ps1", false, &n, &e), 0);
	assert_int_equal(server_delete(reg, "ps1", false, &n, &e), -PS_NO);
}

static struct reg_machine web(void)
{
	return (struct reg_machine){.name = "web01",
				    .policy = "gold",
				    .server = "ps1",
				    .target = "mt1",
				    .vault = "s3://bucket/site",
				    .recovered_name = "web01-dr",
				    .recovered_size = "4 vCPU, 16 GiB",
				    .recovered_network = "grün 10.2.0.0/16"};
}

static void add_web(void)
{
	struct reg_machine m = web();
	struct reg_disk d = {"root", 1LL << 40};
	struct err e = {0};

	assert_int_equal(add_policy(reg, "gold", &e), 0);
	assert_int_equal(add_server("ps1", SERVER_PS, "", &e), 0);
	assert_int_equal(add_server("mt1", SERVER_MT, "", &e), 0);
	assert_int_equal(machine_add(reg, &m, &e), 0);
	assert_int_equal(machine_disk_put(reg, "web01", &d, &e), 0);
}

static void machine_rules(void **state)
{
	struct reg_machine m = web(), got;
	struct err e = {0};
	int64_t n;

	(void)state;
	assert_int_equal(machine_add(reg, &m, &e), -PS_NO); /* no policy yet */
	assert_int_equal(number(reg, "SELECT COUNT(*) FROM machines"), 0);
	assert_int_equal(number(reg, "SELECT COUNT(*) FROM audit"), 0);
	add_web();
	assert_int_equal(machine_get(reg, "web01", &got, &e), 0);
	assert_string_equal(got.recovered_network, m.recovered_network);
	assert_string_equal(got.state, MACHINE_NEW);
	assert_int_equal(got.disks, 1);
	snprintf(m.server, sizeof(m.server), "mt1");
	assert_int_equal(machine_change(reg, &m, &e), -PS_NO);
	assert_non_null(strstr(e.msg, "is no process server"));
	/* Somebody else was quicker: a move must not be written over. */
	m = got;
	assert_int_equal(machine_change(reg, &got, &e), 0);
	assert_int_equal(machine_change(reg, &m, &e), -PS_TEMPFAIL);
	assert_non_null(strstr(e.msg, "by somebody else just now"));
	m = web();
	snprintf(m.vault, sizeof(m.vault), "two\nlines");
	assert_int_equal(machine_change(reg, &m, &e), -PS_USAGE);

	assert_int_equal(policy_delete(reg, "gold", &e), -PS_NO);
	assert_int_equal(server_delete(reg, "ps1", false, &n, &e), -PS_NO);
	assert_int_equal(server_delete(reg, "ps1", true, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(machine_enable(reg, "web01", &e), -PS_CONFIG);
	assert_non_null(strstr(e.msg, "no process server (78253)"));
}

static void disk_rules(void **state)
{
	struct reg_disk d = {"", 4096};
	struct err e = {0};
	int i;

	(void)state;
	add_web();
	for (i = 2; i <= 32; i++) {
		snprintf(d.name, sizeof(d.name), "d%d", i);
		assert_int_equal(machine_disk_put(reg, "web01", &d, &e),
				 i <= 31 ? 0 : -PS_NO);
	}
	assert_non_null(strstr(e.msg, "31 disks"));
	d.size = 8192; /* one that is there may still be changed */
	snprintf(d.name, sizeof(d.name), "d31");
	assert_int_equal(machine_disk_put(reg, "web01", &d, &e), 0);
	assert_int_equal(
	    number(reg, "SELECT size FROM disks WHERE name = 'd31'"), 8192);
	assert_int_equal(machine_disk_delete(reg, "web01", "d31", &e), 0);
	assert_int_equal(machine_disk_delete(reg, "web01", "d31", &e), -PS_NO);
	assert_int_equal(machine_delete(reg, "web01", &e), 0);
	assert_int_equal(number(reg, "SELECT COUNT(*) FROM disks"), 0);
}

static void protection(void **state)
{
	struct err e = {0};
	struct reg_job j;
	int64_t job = -1, other;

	(void)state;
	add_web();
	assert_int_equal(machine_disable(reg, "web01", false, &job, &e),
			 -PS_NO);
	assert_int_equal(machine_enable(reg, "web01", &e), 0);
	assert_int_equal(machine_enable(reg, "web01", &e), -PS_NO);
	assert_int_equal(machine_delete(reg, "web01", &e), -PS_NO);
	assert_int_equal(machine_disable(reg, "web01", false, &job, &e), 0);
	assert_int_equal(job, 0);
	assert_int_equal(machine_enable(reg, "web01", &e), 0);
	assert_int_equal(machine_disable(reg, "web01", true, &job, &e), 0);
	assert_true(job > 0);
	assert_int_equal(machine_enable(reg, "web01", &e), -PS_NO);
	assert_int_equal(machine_delete(reg, "web01", &e), -PS_NO);

	assert_int_equal(job_progress(reg, job, 1, 100, "", &e), 0);
	assert_int_equal(job_progress(reg, job, 2, 40, "4 of 10", &e), 0);
	assert_int_equal(job_progress(reg, job, 3, 1, "", &e), -PS_NO);
	assert_int_equal(job_get(reg, job, &j, &e), 0);
	assert_string_equal(j.state, "running");
	assert_int_equal(j.steps, 2);
	assert_int_equal(j.steps_done, 1);
	assert_true(j.begun != 0 && j.ended == 0);
	assert_int_equal(job_end(reg, job, "done", "10 deleted", &e), 0);
	assert_int_equal(job_end(reg, job, "failed", "", &e), -PS_NO);
	assert_int_equal(job_progress(reg, job, 2, 50, "", &e), -PS_NO);
	assert_int_equal(job_open(reg, "purge", "web01", &other, &e), 0);
	assert_int_equal(other, 0);
	assert_int_equal(machine_delete(reg, "web01", &e), 0);
}

static int last_line(void *ctx, const struct reg_audit_line *l, struct err *e)
{
	(void)e;
	snprintf(ctx, 300, "%s %s %s: %s", l->who, l->what, l->object,
		 l->detail);
	return 0;
}

static void audit_log(void **state)
{
	char line[300] = "";
	struct err e = {0};

	(void)state;
	add_web();
	assert_int_equal(number(reg, "SELECT COUNT(*) FROM audit"), 5);
	assert_int_equal(reg_audit_each(reg, NULL, 1, last_line, line, &e), 0);
	assert_string_equal(line,
			    "test disk-put web01: root, 1099511627776 bytes");
	assert_int_equal(reg_audit_each(reg, "gold", 0, last_line, line, &e),
			 0);
	assert_string_equal(line, "test policy-add gold: rpo 900s retention "
				  "86400s app 3600s multi-vm off");
}

/* ---- secrets, and all of it from one database into the other ---- */

static void secrets(void **state)
{
	char out[ACCOUNT_SECRET_SIZE], pem[CA_PEM_SIZE], again[CA_PEM_SIZE];
	char first[LOGIN_PASSPHRASE_SIZE], second[LOGIN_PASSPHRASE_SIZE];
	char longest[ACCOUNT_SECRET_SIZE + 1];
	struct login_secret s = {.machine = ""};
	struct err e = {0};

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[ACCOUNT_SECRET_SIZE] = '\0';
	assert_int_equal(account_add(reg, "vc", "root", longest, &e),
			 -PS_USAGE);
	longest[ACCOUNT_SECRET_SIZE - 1] = '\0';
	assert_int_equal(account_add(reg, "vc", "root", longest, &e), 0);
	assert_int_equal(account_secret(reg, "vc", out, &e), 0);
	assert_string_equal(out, longest);
	assert_int_equal(account_add(reg, "b", "a\xff", "x", &e), -PS_USAGE);

	assert_int_equal(passphrase_check(reg, &s, &e), -PS_NO);
	assert_int_equal(passphrase_make(reg, false, 0, first, &e), 0);
	assert_int_equal(passphrase_make(reg, true, 3600, second, &e), 0);
	assert_int_equal(login_root(first, s.key, &e), 0);
	assert_int_equal(passphrase_check(reg, &s, &e), 1);
	assert_int_equal(login_root(second, s.key, &e), 0);
	assert_int_equal(passphrase_check(reg, &s, &e), 2);
	s.key[31] ^= 1;
	assert_int_equal(passphrase_check(reg, &s, &e), -PS_NOPERM);

	assert_int_equal(ca_certificate(reg, pem, &e), -PS_NO);
	assert_int_equal(ca_init(reg, &e), 0);
	assert_int_equal(ca_certificate(reg, pem, &e), 0);
	assert_int_equal(ca_init(reg, &e), 0);
	assert_int_equal(ca_certificate(reg, again, &e), 0);
	assert_string_equal(pem, again);
}

static void write_backup(struct reg *r, const char *path)
{
	struct err e = {0};
	struct io_out out;
	uint64_t rows;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(io_out_open_fd(&out, fileno(f), path, &e), 0);
	if (backup_write(r, &out, &rows, &e) < 0)
		fail_msg("%s", e.msg);
	io_out_close(&out);
	assert_int_equal(fclose(f), 0);
}

/* The rows of two backups without the head, the audit log and the end. */
static bool same_rows(const char *a, const char *b)
{
	char command[2048];

	snprintf(command, sizeof(command),
		 "only() { grep '^{\"table\"' $1 | grep -v '\"audit\"'; }; "
		 "only %s >%s.rows; only %s >%s.rows; cmp %s.rows %s.rows && "
		 "[ $(wc -l <%s.rows) -ge 10 ]",
		 a, a, b, b, a, b, a);
	return system(command) == 0;
}

static void moves(void **state)
{
	char from[200], to[200], passphrase[LOGIN_PASSPHRASE_SIZE];
	char command[512], secret[ACCOUNT_SECRET_SIZE];
	struct place other;
	uint64_t rows = 0;
	int64_t job;
	struct err e = {0};

	(void)state;
	add_web();
	assert_int_equal(account_add(reg, "vc", "root", "secret", &e), 0);
	assert_int_equal(passphrase_make(reg, false, 0, passphrase, &e), 0);
	assert_int_equal(ca_init(reg, &e), 0);
	assert_int_equal(machine_enable(reg, "web01", &e), 0);
	assert_int_equal(machine_disable(reg, "web01", true, &job, &e), 0);
	snprintf(from, sizeof(from), "%s/backup", place.dir);
	write_backup(reg, from);

	/* The other kind of database, when there is one here. */
	place_make(&other, !place.mariadb && server_installed());
	assert_int_equal(backup_restore(other.reg, from, false, &rows, &e),
			 -PS_CONFIG);
	reg_close(other.reg);
	snprintf(command, sizeof(command),
		 "cp %s/config.key %s; rm -f "
		 "%s/registry.db*",
		 place.dir, other.dir, other.dir);
	assert_int_equal(system(command), 0);
	snprintf(other.name, sizeof(other.name), "moved_%d_%d", (int)getpid(),
		 (int)place.mariadb);
	if (reg_init(&other.reg, &other.where, "test", &e) < 0 ||
	    backup_restore(other.reg, from, false, &rows, &e) < 0)
		fail_msg("%s", e.msg);
	snprintf(to, sizeof(to), "%s/backup", other.dir);
	write_backup(other.reg, to);
	assert_true(same_rows(from, to));
	assert_int_equal(account_secret(other.reg, "vc", secret, &e), 0);
	assert_string_equal(secret, "secret");
	assert_int_equal(backup_restore(other.reg, from, false, &rows, &e),
			 -PS_NO);
	assert_int_equal(backup_restore(other.reg, from, true, &rows, &e), 0);
	place_remove(&other);
}

/* ---- two at once, and trouble ---- */

#define WRITERS 2
#define EACH 25

static void two_writers(void **state)
{
	int64_t before = number(reg, "SELECT revision FROM state");
	pid_t pids[WRITERS];
	int w, i, status;

	(void)state;
	assert_int_equal(add_server("ps1", SERVER_PS, "", NULL), 0);
	for (w = 0; w < WRITERS; w++) {
		pids[w] = fork();
		assert_true(pids[w] >= 0);
		if (pids[w] != 0)
			continue;
		reg = place_open(&place);
		for (i = 0; i < EACH; i++) {
			char name[32];

			/* Every third name is wanted by both. */
			snprintf(name, sizeof(name), "p%d-%d",
				 i % 3 == 0 ? 0 : w + 1, i);
			status = add_policy(reg, name, NULL);
			if (status != 0 && !(status == -PS_NO && i % 3 == 0))
				_exit(1);
			if (heard(reg, "ps1", 1, NULL) != 0)
				_exit(2);
		}
		reg_close(reg);
		_exit(0);
	}
	for (w = 0; w < WRITERS; w++) {
		assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(policies(reg), EACH + EACH * 2 / 3);
	/* Changes that were refused left no trace. */
	assert_int_equal(number(reg, "SELECT revision FROM state") - before,
			 1 + EACH + EACH * 2 / 3 + WRITERS * EACH);
}

static void schema_steps(void **state)
{
	static const char *const broken[] = {
	    "CREATE TABLE a (n {int} NOT NULL) {end}",
	    "CREATE TABLE b (n {int} NOT NULL) {end}; NO SUCH STATEMENT"};
	static const char *const mended[] = {
	    "CREATE TABLE a (n {int} NOT NULL) {end}",
	    "CREATE TABLE b (n {int} NOT NULL) {end};"
	    "CREATE TABLE c (n {int} NOT NULL) {end}"};
	unsigned version = 9;
	struct err e = {0};

	(void)state;
	sql_make(reg->db, "DROP TABLE schema_at", NULL);
	assert_true(schema_migrate(reg->db, broken, 2, &e) < 0);
	assert_non_null(strstr(e.msg, "making version 2"));
	assert_int_equal(schema_version(reg->db, &version, &e), 0);
	assert_int_equal(version, place.mariadb ? 1 : 0);
	assert_int_equal(schema_migrate(reg->db, mended, 2, &e), 0);
	assert_int_equal(number(reg, "SELECT COUNT(*) FROM c"), 0);
	assert_int_equal(schema_migrate(reg->db, mended, 1, &e), -PS_CONFIG);
	assert_non_null(strstr(e.msg, "newer program"));
}

/* A lock that somebody holds: an end to waiting, and nothing changed. */
static void locked(void **state)
{
	struct reg *other;
	struct err e = {0};

	(void)state;
	other = place_open(&place);
	assert_int_equal(sql_begin(other->db, SQL_WRITE, &e), 0);
	assert_int_equal(
	    reg_run(other, "UPDATE state SET revision = 0", SQL_NO_ARGS, &e),
	    0);
	place.where.wait_s = 1;
	reg_close(reg);
	reg = place.reg = place_open(&place);
	assert_int_equal(add_policy(reg, "gold", &e), -PS_TEMPFAIL);
	assert_int_equal(policies(reg), 0); /* readers do not wait */
	sql_rollback(other->db);
	reg_close(other);
	assert_int_equal(add_policy(reg, "gold", &e), 0);
}

/* ---- MariaDB alone ---- */

static void away(void **state)
{
	struct reg *patient;
	struct err e = {0};
	int64_t begun;

	(void)state;
	place.where.wait_s = 1;
	patient = place.reg;
	reg = place_open(&place);
	server_stop();
	begun = mono_now_ns();
	assert_int_equal(add_policy(reg, "gold", &e), -PS_TEMPFAIL);
	assert_true(mono_now_ns() - begun >= NS_PER_S);
	assert_non_null(strstr(e.hint, "nothing was changed"));
	reg_close(reg);
	assert_int_equal(reg_open(&reg, &place.where, "test", &e),
			 -PS_TEMPFAIL);
	/* It comes back while somebody waits for it. */
	server_begin();
	assert_int_equal(add_policy(patient, "gold", &e), 0);
	assert_int_equal(policies(patient), 1);
}

static void encrypted(void **state)
{
	struct reg_where w = place.where;
	char host[64], ca[200];
	struct reg *r = NULL;
	struct err e = {0};

	(void)state;
	assert_null(sql_cipher(reg->db)); /* a socket needs none */
	snprintf(host, sizeof(host), "127.0.0.1:%d", server.port);
	w.host = host;
	if (reg_init(&r, &w, "test", &e) < 0)
		fail_msg("%s", e.msg);
	assert_non_null(sql_cipher(r->db));
	reg_close(r);
	snprintf(ca, sizeof(ca), "%s/cert", server.dir);
	w.ca = ca; /* 127.0.0.1 is not the name in it */
	assert_int_equal(reg_open(&r, &w, "test", &e), -PS_PROTOCOL);
	snprintf(host, sizeof(host), "localhost:%d", server.port);
	if (reg_open(&r, &w, "test", &e) < 0)
		fail_msg("%s", e.msg);
	reg_close(r);
}

/* ---- both ---- */

static bool no = false, yes = true;

#define ON_SQLITE(f)                                                           \
	{                                                                      \
		"sqlite: " #f, f, setup, teardown, &no                         \
	}
#define ON_MARIADB(f)                                                          \
	{                                                                      \
		"mariadb: " #f, f, setup, teardown, &yes                       \
	}

#define ALL(ON)                                                                \
	ON(opens_again), ON(policy_rules), ON(name_rules), ON(cut_text),       \
	    ON(server_rules), ON(machine_rules), ON(disk_rules),               \
	    ON(protection), ON(audit_log), ON(secrets), ON(moves),             \
	    ON(two_writers), ON(schema_steps), ON(locked)

int main(void)
{
	const struct CMUnitTest sqlite[] = {ALL(ON_SQLITE)};
	const struct CMUnitTest both[] = {ALL(ON_SQLITE), ALL(ON_MARIADB),
					  ON_MARIADB(encrypted),
					  ON_MARIADB(away)};
	int rc;

	if (server_installed()) {
		rc = cmocka_run_group_tests(both, NULL, NULL);
		server_remove();
		return rc;
	}
	rc = cmocka_run_group_tests(sqlite, NULL, NULL);
	return rc;
}
