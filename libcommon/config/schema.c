#include "config.h"

#include <string.h>

#include "config/schema.h"

/* Times are nanoseconds since 1970 UTC; NULL: has not been. */
static const char version_1[] =
    /* "revision" goes up with each change, and is the lock of writers. */
    "CREATE TABLE state ("
    " one {int} NOT NULL PRIMARY KEY,"
    " revision {int} NOT NULL,"
    " key_id {name}" /* of the key file that everything is sealed with */
    ") {end};"
    "INSERT INTO state (one, revision) VALUES (1, 0);"
    /* Was a change whose answer was lost made? Kept for a while. */
    "CREATE TABLE changes ("
    " id {word} NOT NULL PRIMARY KEY,"
    " time {int} NOT NULL"
    ") {end};"
    /* Process servers (ps) and master targets (mt). */
    "CREATE TABLE servers ("
    " name {name} NOT NULL PRIMARY KEY,"
    " role {name} NOT NULL,"
    " machine_id {word},"
    " address {word} NOT NULL,"
    " port {int} NOT NULL,"
    " version {word},"
    " generation {int} NOT NULL," /* of the passphrase it last used */
    " registered {int} NOT NULL,"
    " contact {int},"
    " health {text}"
    ") {end};"
    "CREATE TABLE policies ("
    " name {name} NOT NULL PRIMARY KEY,"
    " rpo_s {int} NOT NULL,"
    " retention_s {int} NOT NULL,"
    " app_s {int} NOT NULL," /* 0: no application-consistent points */
    " multi_vm {int} NOT NULL"
    ") {end};"
    "CREATE TABLE machines ("
    " name {name} NOT NULL PRIMARY KEY,"
    " machine_id {word},"
    " state {name} NOT NULL,"
    " policy {name},"
    " server {name},"
    " target {name}," /* the master target */
    " vault {text},"
    " recovered_name {name},"
    " recovered_size {word},"
    " recovered_network {word},"
    " added {int} NOT NULL,"
    " changed {int} NOT NULL,"
    " FOREIGN KEY (policy) REFERENCES policies (name),"
    " FOREIGN KEY (server) REFERENCES servers (name),"
    " FOREIGN KEY (target) REFERENCES servers (name)"
    ") {end};"
    "CREATE TABLE disks ("
    " machine {name} NOT NULL,"
    " name {name} NOT NULL,"
    " size {int}," /* bytes */
    " PRIMARY KEY (machine, name),"
    " FOREIGN KEY (machine) REFERENCES machines (name) ON DELETE CASCADE"
    ") {end};"
    /* Everything in a column `sealed` is useless without the key file. */
    "CREATE TABLE accounts ("
    " name {name} NOT NULL PRIMARY KEY,"
    " login {word} NOT NULL,"
    " sealed {blob} NOT NULL,"
    " added {int} NOT NULL,"
    " changed {int} NOT NULL"
    ") {end};"
    "CREATE TABLE passphrases ("
    " generation {int} NOT NULL PRIMARY KEY,"
    " sealed {blob} NOT NULL," /* the root, not the passphrase */
    " made {int} NOT NULL,"
    " until {int}" /* NULL: the one that is current */
    ") {end};"
    "CREATE TABLE authorities ("
    " generation {int} NOT NULL PRIMARY KEY,"
    " pem {text} NOT NULL,"
    " sealed {blob} NOT NULL,"
    " made {int} NOT NULL"
    ") {end};"
    "CREATE TABLE certificates ("
    " serial {name} NOT NULL PRIMARY KEY,"
    " authority {int} NOT NULL,"
    " subject {name} NOT NULL,"
    " alt {text} NOT NULL," /* DNS:..., IP:... with commas */
    " begins {int} NOT NULL,"
    " ends {int} NOT NULL,"
    " pin {word} NOT NULL,"
    " pem {text} NOT NULL,"
    " replaced {name}," /* the serial of its successor */
    " FOREIGN KEY (authority) REFERENCES authorities (generation)"
    ") {end};"
    "CREATE INDEX certificates_subject ON certificates (subject);"
    "CREATE TABLE jobs ("
    " id {id},"
    " kind {name} NOT NULL,"
    " object {name} NOT NULL,"
    " state {name} NOT NULL,"
    " who {word} NOT NULL,"
    " made {int} NOT NULL,"
    " begun {int},"
    " ended {int},"
    " result {text}"
    ") {end};"
    "CREATE TABLE job_steps ("
    " job {int} NOT NULL,"
    " n {int} NOT NULL,"
    " what {word} NOT NULL,"
    " state {name} NOT NULL,"
    " percent {int} NOT NULL,"
    " begun {int},"
    " ended {int},"
    " note {text},"
    " PRIMARY KEY (job, n),"
    " FOREIGN KEY (job) REFERENCES jobs (id) ON DELETE CASCADE"
    ") {end};"
    "CREATE TABLE audit ("
    " id {id},"
    " time {int} NOT NULL,"
    " who {word} NOT NULL,"
    " what {name} NOT NULL,"
    " object {word} NOT NULL,"
    " detail {text}"
    ") {end};"
    "CREATE INDEX audit_object ON audit (object);";

/* What process servers are to do, and the moves of machines among them. */
static const char version_2[] =
    "CREATE TABLE moves ("
    " job {int} NOT NULL PRIMARY KEY,"
    " machine {name} NOT NULL,"
    " source {name},"
    " dest {name} NOT NULL,"
    " dead {int} NOT NULL," /* the source is given up */
    " FOREIGN KEY (job) REFERENCES jobs (id) ON DELETE CASCADE"
    ") {end};"
    /* Not bound to `servers`: who was removed may come back. */
    "CREATE TABLE orders ("
    " id {id},"
    " server {name} NOT NULL,"
    " what {name} NOT NULL,"
    " machine {name} NOT NULL,"
    " dest {name},"
    " job {int},"
    " state {name} NOT NULL,"
    " note {text},"
    " made {int} NOT NULL,"
    " changed {int} NOT NULL,"
    " FOREIGN KEY (job) REFERENCES jobs (id) ON DELETE CASCADE"
    ") {end};"
    "CREATE INDEX orders_server ON orders (server, state);";

/* What servers say of themselves; nothing that people entered. */
static const char version_3[] =
    "CREATE TABLE contacts ("
    " server {name} NOT NULL PRIMARY KEY,"
    " wanted {int},"	       /* it shall be heard now: asked for then */
    " leaving {int},"	       /* it shall unregister itself: asked for then */
    " clock_s {int} NOT NULL," /* its clock is ahead by so much */
    " machines {text},"	       /* JSON, as the heartbeat has it */
    " FOREIGN KEY (server) REFERENCES servers (name) ON DELETE CASCADE"
    ") {end};";

const char *const schema_texts[] = {version_1, version_2, version_3};
const unsigned schema_newest = sizeof(schema_texts) / sizeof(schema_texts[0]);

const char *const schema_tables[] = {
    "servers",	   "policies",	  "machines",	  "disks", "accounts",
    "passphrases", "authorities", "certificates", "jobs",  "job_steps",
    "moves",	   "orders",	  "audit",	  NULL,
};

static int has_schema(struct sql *s, int64_t *ret, struct err *e)
{
	if (sql_is_mariadb(s))
		return sql_number(
		    s,
		    "SELECT COUNT(*) FROM information_schema.tables WHERE "
		    "table_schema = DATABASE() AND table_name = 'schema_at'",
		    SQL_NO_ARGS, 0, ret, e);
	return sql_number(s,
			  "SELECT COUNT(*) FROM sqlite_schema WHERE type = "
			  "'table' AND name = 'schema_at'",
			  SQL_NO_ARGS, 0, ret, e);
}

int schema_check_foreign(struct sql *s, struct err *e)
{
	int64_t tables = 0, ours = 0;
	/* In this order: whoever makes ours now makes schema_at first. */
	int rc =
	    sql_number(s,
		       sql_is_mariadb(s) ? "SELECT COUNT(*) FROM "
					   "information_schema.tables WHERE "
					   "table_schema = DATABASE()"
					 : "SELECT COUNT(*) FROM sqlite_schema",
		       SQL_NO_ARGS, 0, &tables, e);

	if (rc == 0)
		rc = has_schema(s, &ours, e);
	if (rc < 0 || tables == 0 || ours > 0)
		return rc;
	rc = err_set(e, PS_CONFIG, "%s: has tables of something else",
		     sql_where(s));
	err_hint(e, sql_is_mariadb(s) ? "take another one: --database-name"
				      : "take another folder: --dir");
	return rc;
}

int schema_version(struct sql *s, unsigned *ret, struct err *e)
{
	int64_t n;
	int rc = has_schema(s, &n, e);

	if (rc == 0 && n > 0)
		rc = sql_number(s, "SELECT version FROM schema_at", SQL_NO_ARGS,
				0, &n, e);
	if (rc == 0)
		*ret = (unsigned)n;
	return rc;
}

static int set_version(struct sql *s, unsigned version, struct err *e)
{
	int64_t rc = sql_run(s, "UPDATE schema_at SET version = ?",
			     SQL_ARGS(sql_int(version)), e);

	if (rc == 0)
		rc = sql_run(s, "INSERT INTO schema_at (version) VALUES (?)",
			     SQL_ARGS(sql_int(version)), e);
	return rc < 0 ? (int)rc : 0;
}

static int migrate(struct sql *s, const char *const *texts, unsigned n,
		   struct err *e)
{
	unsigned at;
	int rc = schema_version(s, &at, e);

	if (rc < 0)
		return rc;
	if (at > n) {
		rc = err_set(e, PS_CONFIG,
			     "%s: made by a newer program: schema %u, this one "
			     "knows %u",
			     sql_where(s), at, n);
		err_hint(e, "upgrade this program");
		return rc;
	}
	if (at == 0)
		rc = sql_make(
		    s, "CREATE TABLE schema_at (version {int} NOT NULL) {end}",
		    e);
	for (; rc == 0 && at < n; at++) {
		rc = sql_make(s, texts[at], e);
		if (rc == 0)
			rc = set_version(s, at + 1, e);
		if (rc < 0)
			err_prefix(e, "making version %u of the tables",
				   at + 1);
	}
	return rc;
}

int schema_migrate(struct sql *s, const char *const *texts, unsigned n,
		   struct err *e)
{
	unsigned at;
	int rc = schema_version(s, &at, e), end;

	if (rc < 0 || at == n)
		return rc;
	rc = sql_make_begin(s, e);
	if (rc < 0)
		return rc;
	rc = migrate(s, texts, n, e);
	end = sql_make_end(s, rc == 0, rc == 0 ? e : NULL);
	return rc < 0 ? rc : end;
}
