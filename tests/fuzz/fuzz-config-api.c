/*
 * libFuzzer target for the bodies that a configuration server is sent: one
 * request after another against a registry in SQLite with a server, a machine
 * and an order. The first byte chooses what is asked; in the rest "@T" becomes
 * the time, so that a heartbeat gets through. Built by hand:
 *
 *	clang -g -fsanitize=fuzzer,address,undefined -std=gnu11 -D_GNU_SOURCE \
 *	  -DHAVE_CONFIG_H -I. -I../libcommon ../tests/fuzz/fuzz-config-api.c \
 *	  libcommon/libpscommon.a $(the libraries of tools/ps-config)
 *
 * with the library made by the same compiler and -fsanitize=fuzzer-no-link.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "config/api.h"
#include "config/ca.h"
#include "config/machines.h"
#include "config/orders.h"
#include "config/servers.h"
#include "config/status.h"

static struct reg *reg;

static void must(int rc, const struct err *e)
{
	if (rc < 0) {
		fprintf(stderr, "%s\n", e->msg);
		abort();
	}
}

static void make_registry(void)
{
	static char dir[] = "/tmp/fuzz-config.XXXXXX";
	const struct reg_server ps1 = {
	    .name = "ps1", .role = "ps", .address = "ps1", .port = 9443};
	const struct reg_machine web01 = {.name = "web01", .server = "ps1"};
	struct reg_where w = {.wait_s = 1};
	struct err e = {0};
	int64_t id;

	w.dir = mkdtemp(dir);
	must(w.dir != NULL ? 0 : -1, &e);
	must(reg_init(&reg, &w, "fuzz", &e), &e);
	must(ca_init(reg, &e), &e);
	must(server_register(reg, &ps1, &e), &e);
	must(machine_add(reg, &web01, &e), &e);
	must(order_add(reg, "ps1", ORDER_MOVE_OUT, "web01", "ps2", 0, &id, &e),
	     &e);
}

/* "@T" becomes the time; returns the length. */
static size_t with_time(const uint8_t *data, size_t n, char *out, size_t size)
{
	char now[TIME_TEXT];
	size_t i, at = 0;

	format_time(time_now_ns(), now);
	for (i = 0; i < n && at + sizeof(now) < size; i++) {
		if (data[i] == '@' && i + 1 < n && data[i + 1] == 'T') {
			at += (size_t)snprintf(out + at, size - at, "%s", now);
			i++;
		} else {
			out[at++] = (char)data[i];
		}
	}
	out[at] = '\0';
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char body[1 << 17];
	struct api_ask q = {.login = "ps1",
			    .generation = 1,
			    .name = "web01",
			    .body = body,
			    .version = "1.2.3",
			    .pin = "sha256//x",
			    .interval = 60,
			    .cert_s = 86400};
	struct api_answer a;
	struct err e = {0};
	json_t *status = NULL;

	if (n < 1)
		return 0;
	if (reg == NULL)
		make_registry();
	q.what = 1 + data[0] % (DESK_END - 1);
	q.len = with_time(data + 1, n - 1, body, sizeof(body));
	(void)api_answer(reg, &q, &a);
	if (!a.held && (a.status < 200 || a.status == 500 || a.status > 507))
		abort();
	json_decref(a.body);
	/* What it has left must not stand in anybody's way. */
	must(status_make(reg, time_now_ns(), &status, &e), &e);
	json_decref(status);
	return 0;
}
