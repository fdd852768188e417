#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/channel.h"
#include "net/session.h"

struct probe *probe_find(struct probes *p, const char *id)
{
	unsigned i;

	for (i = 0; i < PROBES_MAX; i++)
		if (strcmp(p->items[i].id, id) == 0)
			return &p->items[i];
	return NULL;
}

struct probe *probe_new(struct probes *p, const char *id)
{
	struct probe *it = probe_find(p, "");

	if (it != NULL)
		snprintf(it->id, sizeof(it->id), "%s", id);
	return it;
}

void probe_delete(struct probes *p, struct probe *it)
{
	free(it->data);
	p->bytes -= it->len;
	*it = (struct probe){0};
}

void probes_free(struct probes *p)
{
	unsigned i;

	for (i = 0; i < PROBES_MAX; i++)
		probe_delete(p, &p->items[i]);
}

/* ---- requests ---- */

/* Makes room for more of the body: 0, or -CODE when there is none. */
static int grow_probe(struct session *s, struct probe *it, size_t *cap,
		      struct err *e)
{
	size_t room = SERVER_PROBE_MAX - (s->probes.bytes - it->len);
	size_t more = *cap == 0 ? 64 * 1024 : 2 * *cap;
	uint8_t *p;

	if (*cap >= room)
		return err_set(e, PS_DATA, "probes over %u bytes",
			       SERVER_PROBE_MAX);
	if (more > room)
		more = room;
	/* All connections together are bounded too, by the listener. */
	if (channel_ask(s->srv->log.channel, CHANNEL_PROBES,
			s->probes.bytes - it->len + more, "", e) < 0)
		return -e->code;
	p = realloc(it->data, more);
	if (p == NULL)
		return err_sys(e, PS_TEMPFAIL, "probe");
	it->data = p;
	*cap = more;
	return 0;
}

/* Reads the body into the probe, whose place was made by probe_new. */
static int read_probe(struct session *s, struct probe *it, struct err *e)
{
	size_t cap = 0;
	uint8_t byte;
	ssize_t got;

	/* One byte first: only a body that goes on needs more room. */
	while ((got = http_body_read(&s->body, &byte, 1, e)) > 0) {
		if (it->len == cap && grow_probe(s, it, &cap, e) < 0)
			return -e->code;
		it->data[it->len++] = byte;
		s->probes.bytes++;
		if (it->len == cap)
			continue;
		got = http_body_read(&s->body, it->data + it->len,
				     cap - it->len, e);
		if (got <= 0)
			break;
		it->len += (size_t)got;
		s->probes.bytes += (size_t)got;
	}
	return (int)got;
}

/* The others may have its memory. */
static void drop(struct session *s, struct probe *it)
{
	probe_delete(&s->probes, it);
	(void)channel_ask(s->srv->log.channel, CHANNEL_PROBES, s->probes.bytes,
			  "", NULL);
}

static void put(struct session *s, const char *id)
{
	struct probe *it = probe_find(&s->probes, id);
	struct err e = {0};
	int rc;

	if (it != NULL)
		drop(s, it);
	it = probe_new(&s->probes, id);
	if (it == NULL) {
		session_say(s, 507, "at most %u probes", PROBES_MAX);
		return;
	}
	rc = read_probe(s, it, &e);
	if (rc < 0) {
		drop(s, it);
		s->end = true;
		session_say(s,
			    e.code == PS_DATA	    ? 413
			    : e.code == PS_TEMPFAIL ? 507
						    : 400,
			    "%s", e.msg);
		return;
	}
	session_say(s, 201, "probe\t%s\t%zu", id, it->len);
}

static void list(struct session *s)
{
	char text[PROBES_MAX * (NAME_SIZE + 32)];
	size_t n = 0;
	unsigned i;

	for (i = 0; i < PROBES_MAX; i++) {
		const struct probe *it = &s->probes.items[i];

		if (it->id[0] != '\0')
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      "probe\t%s\t%zu\n", it->id,
					      it->len);
	}
	session_answer(s, &(struct answer){200, text, n, NULL, 0, NULL});
}

void session_probe(struct session *s)
{
	const char *method = s->head.method, *id = s->part[2];
	struct probe *it;

	if (s->nparts == 2 && strcmp(method, "GET") == 0) {
		list(s);
		return;
	}
	if (s->nparts != 3 || !name_ok(id)) {
		session_say(s, 404, "no such place");
		return;
	}
	if (strcmp(method, "PUT") == 0) {
		put(s, id);
		return;
	}
	it = probe_find(&s->probes, id);
	if (it == NULL) {
		session_say(s, 404, "no such probe");
	} else if (strcmp(method, "GET") == 0) {
		session_answer(s,
			       &(struct answer){200, it->data, it->len, NULL, 0,
						"application/octet-stream"});
	} else if (strcmp(method, "DELETE") == 0) {
		drop(s, it);
		session_say(s, 200, "deleted\t%s", id);
	} else {
		session_say(s, 405, "no such method");
	}
}
