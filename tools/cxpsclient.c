/*
 * cxpsclient: the source's end of the transport. Tests the way to a process
 * server, sends a stream of segments, shows what the server has.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/bytes.h"
#include "base/opt.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "config/client.h"
#include "cxpsclient-test.h"
#include "net/client.h"
#include "net/tls.h"
#include "segment/ack.h"

static const char *host, *port = "9443", *key_file, *machine, *disk, *ca;
static const char *derive, *out_file, *report_file;
static const char *share_file;
static uint64_t wait_s = 300, runs = 1, interval_s = 10;
static uint64_t rate; /* 0: no limit */
static bool put, status, list, map, json, nagios, where;
static const char *pin;

static const struct opt opts[] = {
    {'i', "host", OPT_TEXT, "HOST", &host, "the process server", 0,
     "client.host", 0, 0, 0},
    {'l', "port", OPT_TEXT, "PORT", &port, "its port (default 9443)", 0,
     "client.port", 0, 0, 0},
    {'y', "timeout", OPT_DURATION, "SECS", &wait_s,
     "time for the self-test, or longest wait for anything (default 300)", 0,
     "client.timeout", 0, 1, 86400},
    {'P', "passphrase", OPT_FILE, "KEYFILE", &key_file,
     "file with the passphrase or one machine's key", 0, "client.passphrase", 0,
     0, 0},
    {'m', "machine", OPT_TEXT, "M", &machine, "log in as this machine", 0,
     "machine", 0, 0, 0},
    {'d', "disk", OPT_TEXT, "D", &disk, "with --status, --map: this disk", 0, 0,
     0, 0, 0},
    {0, "ca", OPT_FILE, "FILE", &ca,
     "who must have signed the server's certificate (PEM)", 0, "client.ca", 0,
     0, 0},
    {0, "put", OPT_FLAG, NULL, &put, "send a stream of segments", 0, 0, 0, 0,
     0},
    {0, "status", OPT_FLAG, NULL, &status, "print the heads of disks", 0, 0, 0,
     0, 0},
    {0, "map", OPT_FLAG, NULL, &map, "fetch the digest map of a disk", 0, 0, 0,
     0, 0},
    {0, "list", OPT_FLAG, NULL, &list,
     "print the heads of all disks that may be seen", 0, 0, 0, 0, 0},
    {0, "where", OPT_FLAG, NULL, &where,
     "ask a configuration server for the machine's process server", 0, 0, 0, 0,
     0},
    {0, "pin", OPT_TEXT, "PIN", &pin,
     "with --where: of the configuration server's key", 0, 0, 0, 0, 0},
    {0, "derive-key", OPT_TEXT, "M", &derive,
     "make the key of one machine from the passphrase", 0, 0, 0, 0, 0},
    {'o', "output", OPT_FILE, "FILE", &out_file,
     "with --map, --derive-key: write it there, not to standard output", 0, 0,
     0, 0, 0},
    {0, "limit-rate", OPT_RATE, "RATE", &rate,
     "with --put: bytes per second at most: 20M, 100Mbit", 0,
     "client.limit-rate", 0, 0, 0},
    {0, "share", OPT_FILE, "FILE", &share_file,
     "with --put: share the rate with all that name this file", 0,
     "client.share", 0, 0, 0},
    {0, "report", OPT_FILE, "FILE", &report_file,
     "keep a small JSON file that says how it goes", 0, 0, 0, 0, 0},
    {0, "json", OPT_FLAG, NULL, &json, "print JSON", 0, 0, 0, 0, 0},
    {'n', "count", OPT_NUMBER, "N", &runs,
     "repeat the self-test; 0: until interrupted (default 1)", 0, 0, 0, 0, 0},
    {0, "interval", OPT_DURATION, "TIME", &interval_s,
     "with -n: pause between two runs (default 10s)", 0, 0, 0, 0, 86400},
    {0, "nagios", OPT_FLAG, NULL, &nagios,
     "self-test as a monitoring plugin: one line, exit codes 0 to 3", 0, 0, 0,
     0, 0},
    {0},
};

static const struct opt_tool tool = {
    .name = "cxpsclient",
    .about = "Test the way to a process server, send segments to it, or show "
	     "what it has.",
    .synopsis =
	"-i HOST [-l PORT] [-y SECS] [-P KEYFILE] [-n N] [--json|--nagios]\n"
	"-i HOST [-l PORT] [-y SECS] -P KEYFILE --put [FILE|-]\n"
	"-i HOST [-l PORT] -P KEYFILE --status [-m M [-d D]] [--json]\n"
	"-i HOST [-l PORT] -P KEYFILE --map -m M -d D [-o FILE]\n"
	"-i HOST [-l PORT] -P KEYFILE --list [--json]\n"
	"-i HOST [-l PORT] -P KEYFILE --where -m M [--pin PIN] [--json]\n"
	"--derive-key M -P KEYFILE [-o FILE]",
    .opts = opts,
    .operands = "file",
};

static struct client_to to;
static struct report report;
static struct share share;

/* ---- self-test ---- */

static int self_test(const struct login_secret *secret)
{
	struct test_options o = {.to = &to,
				 .secret = secret,
				 .machine = machine,
				 .show = json	     ? TEST_JSON
					 : nagios    ? TEST_NAGIOS
					 : opt_quiet ? TEST_SHORT
						     : TEST_LINES,
				 .runs = runs,
				 .interval_s = interval_s};

	if (secret != NULL && o.machine == NULL)
		o.machine = secret->machine[0] != '\0' ? secret->machine
						       : LOGIN_OPERATOR;
	return test_run(&o);
}

/* ---- heads ---- */

/* Puts one acknowledgement line into the object of its disk. */
static void add_line(json_t *heads, const struct ack *a)
{
	size_t n = json_array_size(heads);
	json_t *it = n > 0 ? json_array_get(heads, n - 1) : NULL;
	char hex[SHA256_HEX];

	if (it == NULL ||
	    strcmp(json_string_value(json_object_get(it, "machine")),
		   a->machine) != 0 ||
	    strcmp(json_string_value(json_object_get(it, "disk")), a->disk) !=
		0) {
		it = json_pack("{s:s s:s s:b}", "machine", a->machine, "disk",
			       a->disk, "seated", a->level != ACK_REFUSED);
		json_array_append_new(heads, it);
	}
	if (a->level == ACK_REFUSED) {
		if (a->seq > 0)
			json_object_set_new(it, "held", json_string(a->reason));
		return;
	}
	hex_encode(a->digest, SHA256_LEN, hex);
	json_object_set_new(
	    it, ack_level_name(a->level),
	    json_pack("{s:I s:s}", "seq", (json_int_t)a->seq, "digest", hex));
}

static int print_json(char *text, struct err *e)
{
	json_t *heads = json_array();
	char *line, *save = NULL;
	struct ack a;
	int rc = 0;

	for (line = strtok_r(text, "\n", &save); line != NULL && rc == 0;
	     line = strtok_r(NULL, "\n", &save)) {
		rc = ack_parse(&a, line, e);
		if (rc == 0)
			add_line(heads, &a);
	}
	if (rc == 0) {
		json_dumpf(heads, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	}
	json_decref(heads);
	return rc;
}

/* Prints the lines only when each of them is an acknowledgement. */
static int print_lines(const char *text, struct err *e)
{
	const char *line, *end;
	struct ack a;

	for (line = text; *line != '\0'; line = end) {
		int rc = ack_parse(&a, line, e);

		if (rc < 0)
			return rc;
		end = strchrnul(line, '\n');
		end += *end == '\n';
	}
	fputs(text, stdout);
	return 0;
}

/* What is asked for, by the options and the kind of secret. */
static void status_path(const struct login_secret *secret, char *path,
			size_t size)
{
	const char *m = machine;

	if (m == NULL && secret->machine[0] != '\0' &&
	    strcmp(secret->machine, LOGIN_OPERATOR) != 0)
		m = secret->machine;
	if (disk != NULL && m == NULL)
		opt_misuse("--disk needs --machine");
	if (m == NULL || list)
		snprintf(path, size, "/v1/machines");
	else if (disk == NULL)
		snprintf(path, size, "/v1/machines/%s", m);
	else
		snprintf(path, size, "/v1/machines/%s/disks/%s", m, disk);
}

static int open_as(struct client *c, const struct login_secret *secret,
		   const char *as, struct err *e)
{
	uint8_t key[LOGIN_KEY_LEN];
	int rc = login_key(secret, as, key, e);

	report_state(&report, REPORT_CONNECTING);
	if (rc == 0)
		rc = client_open(c, &to, e);
	if (rc == 0)
		rc = client_login(c, as, key, e);
	secret_wipe(key, sizeof(key));
	return rc;
}

/* Closes it; the report tells why it went wrong, if it did. */
static int close_with(struct client *c, int rc)
{
	if (rc < 0)
		report_cause(&report, client_cause(c, -rc), c->retry_s);
	client_close(c);
	return rc;
}

static int show_heads(const struct login_secret *secret, struct err *e)
{
	struct client_answer a;
	const char *as = machine;
	struct client c = {.fd = -1};
	char path[256];
	int rc;

	if (as == NULL)
		as = secret->machine[0] != '\0' ? secret->machine
						: LOGIN_OPERATOR;
	status_path(secret, path, sizeof(path));
	rc = open_as(&c, secret, as, e);
	if (rc == 0) {
		rc = client_ask(&c, "GET", path, NULL, 0, &a, e);
		if (rc == 0) {
			rc = client_judge(&c, &a, e);
			if (rc == 0)
				rc = json ? print_json(a.body, e)
					  : print_lines(a.body, e);
			client_answer_free(&a);
		}
	}
	return close_with(&c, rc);
}

/* ---- the others ---- */

static int fetch_map(const struct login_secret *secret, struct err *e)
{
	bool to_file = out_file != NULL && strcmp(out_file, "-") != 0;
	struct client c = {.fd = -1};
	int rc;

	if (!to_file)
		tool_no_terminal(STDOUT_FILENO, "a digest map");
	rc = open_as(&c, secret, machine, e);
	if (rc == 0)
		rc =
		    client_map(&c, machine, disk, to_file ? out_file : NULL, e);
	return close_with(&c, rc);
}

/*
 * "server NAME ADDRESS PORT", "app SECONDS" of its policy, and "disabled" when
 * the machine is not to be protected any more; or the whole answer as JSON.
 */
static int print_where(const json_t *o, struct err *e)
{
	const char *state = json_string_value(json_object_get(o, "state"));
	const char *name, *address;
	json_int_t server_port;
	const json_t *app;
	json_t *server = json_object_get(o, "server");

	if (json) {
		json_dumpf(o, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else if (json_is_null(server)) {
		puts("server\t-\t-\t-");
	} else if (json_unpack(server, "{s:s, s:s, s:I}", "name", &name,
			       "address", &address, "port", &server_port) < 0) {
		return err_set(e, PS_PROTOCOL,
			       "%s: the answer names no process server", host);
	} else {
		printf("server\t%s\t%s\t%lld\n", name, address,
		       (long long)server_port);
	}
	app = json_object_get(json_object_get(o, "policy"),
			      "app_consistent_seconds");
	if (!json && json_is_integer(app))
		printf("app\t%lld\n", (long long)json_integer_value(app));
	if (!json && state != NULL && strcmp(state, "disabled") == 0)
		puts("disabled");
	return 0;
}

static int show_where(const struct login_secret *secret, struct err *e)
{
	uint8_t key[LOGIN_KEY_LEN];
	struct cs_to cs = {.host = host,
			   .port = port,
			   .name = machine,
			   .key = key,
			   .authority = ca,
			   .pin = pin,
			   .wait_ns = to.wait_ns};
	json_t *o = NULL;
	int rc = login_key(secret, machine, key, e);

	if (rc == 0)
		rc = cs_machine(&cs, machine, &o, e);
	secret_wipe(key, sizeof(key));
	if (rc == 0)
		rc = print_where(o, e);
	json_decref(o);
	return rc;
}

static int put_stream(const struct login_secret *secret, const char *path,
		      struct err *e)
{
	struct client_put_totals totals;
	struct client_put o = {.to = &to,
			       .secret = secret,
			       .machine = machine,
			       .in_fd = STDIN_FILENO,
			       .in_name = "standard input",
			       .acks = stdout,
			       .report = &report,
			       .share = &share};
	int rc = share_open(&share, share_file, rate, e);

	if (rc < 0)
		return rc;

	if (path != NULL && strcmp(path, "-") != 0) {
		o.in_fd = open(path, O_RDONLY | O_CLOEXEC);
		o.in_name = path;
		if (o.in_fd < 0)
			return err_sys(e, 0, "%s", path);
	}
	rc = client_put_stream(&o, &totals, e);
	tool_note("%llu segments sent, %llu bytes, %llu durable, %llu stored, "
		  "%llu refused",
		  (unsigned long long)totals.segments,
		  (unsigned long long)totals.bytes,
		  (unsigned long long)totals.durable,
		  (unsigned long long)totals.stored,
		  (unsigned long long)totals.refused);
	if (o.in_fd != STDIN_FILENO)
		close(o.in_fd);
	share_close(&share);
	return rc;
}

static int derive_key(const struct login_secret *secret, struct err *e)
{
	char line[LOGIN_LINE_SIZE];
	uint8_t key[LOGIN_KEY_LEN];
	int fd, rc;

	if (!login_name_ok(derive))
		return err_set(e, PS_USAGE, "'%s' is not the name of a machine",
			       derive);
	rc = login_key(secret, derive, key, e);
	if (rc < 0)
		return rc;
	login_key_line(derive, key, line);
	if (out_file == NULL || strcmp(out_file, "-") == 0) {
		fputs(line, stdout);
	} else {
		fd = open(out_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600);
		if (fd < 0 || dprintf(fd, "%s", line) < 0 || fsync(fd) < 0)
			rc = err_sys(e, 0, "%s", out_file);
		if (fd >= 0 && close(fd) < 0 && rc == 0)
			rc = err_sys(e, 0, "%s", out_file);
	}
	secret_wipe(line, sizeof(line));
	secret_wipe(key, sizeof(key));
	return rc;
}

static void check_options(void)
{
	bool one = put || status || list || map || where || derive != NULL;

	if (put + status + list + map + where + (derive != NULL) > 1)
		opt_misuse("--put, --status, --list, --map, --where and "
			   "--derive-key exclude one another");
	if (where && machine == NULL)
		opt_misuse("--where needs --machine");
	if (pin != NULL && !where)
		opt_misuse("--pin is for --where");
	if (pin != NULL && !tls_pin_ok(pin))
		opt_misuse("--pin: '%s' is no pin (sha256//...)", pin);
	if (map && (machine == NULL || disk == NULL))
		opt_misuse("--map needs --machine and --disk");
	if (derive == NULL && host == NULL)
		opt_misuse("-i HOST is missing");
	if (one && key_file == NULL)
		opt_misuse("-P KEYFILE is missing");
	if (one && (nagios || runs != 1))
		opt_misuse("-n and --nagios are for the self-test");
	if (nagios && (json || runs != 1))
		opt_misuse("--nagios goes without --json and -n");
	if (machine != NULL && !login_name_ok(machine))
		opt_misuse("'%s' is not the name of a machine", machine);
	if (disk != NULL && !name_ok(disk))
		opt_misuse("'%s' is not the name of a disk", disk);
	if (disk != NULL)
		snprintf(report.disk, sizeof(report.disk), "%s", disk);
	if (machine != NULL)
		snprintf(report.machine, sizeof(report.machine), "%s", machine);
	report.file.path = report_file;
	to = (struct client_to){host, port, (int64_t)wait_s * NS_PER_S, ca};
}

int main(int argc, char **argv)
{
	struct login_secret secret = {0};
	struct err e = {0};
	int first, rc = 0;

	tool_init("cxpsclient");
	first = opt_parse(&tool, argc, argv);
	if (argc - first > (put ? 1 : 0))
		opt_misuse("too many arguments");
	check_options();
	secret_harden_process();
	if (key_file != NULL)
		rc = login_secret_read(&secret, key_file, &e);
	if (rc == 0 && derive != NULL)
		rc = derive_key(&secret, &e);
	else if (rc == 0 && (status || list))
		rc = show_heads(&secret, &e);
	else if (rc == 0 && map)
		rc = fetch_map(&secret, &e);
	else if (rc == 0 && where)
		rc = show_where(&secret, &e);
	else if (rc == 0 && put)
		rc = put_stream(&secret, argv[first], &e);
	else if (rc == 0)
		rc = self_test(key_file != NULL ? &secret : NULL);
	secret_wipe(&secret, sizeof(secret));
	report_end(&report, rc, &e);
	if (rc < 0)
		rc = nagios ? (tool_fail(&e), NAGIOS_UNKNOWN) : tool_fail(&e);
	return tool_finish(rc);
}
