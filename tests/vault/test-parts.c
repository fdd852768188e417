/* Parts that are sent in parallel: memory, order of events, failures. */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault/parts.h"

#define SIZE PART_SIZE
#define OBJECTS 12

/* An object that is put: what was sent of it. */
struct object {
	struct part_set set;
	struct parts *parts;
	pthread_mutex_t lock;
	size_t sent, largest;
	unsigned parts_sent;
	int fails; /* the code of each part */
};

static int send(void *ctx, const struct part *part, struct err *e)
{
	struct object *o = ctx;

	if (o->fails != 0)
		return err_set(e, o->fails, "as planned");
	pthread_mutex_lock(&o->lock);
	o->sent += part->len;
	o->parts_sent++;
	if (part->size > o->largest)
		o->largest = part->size;
	pthread_mutex_unlock(&o->lock);
	return 0;
}

static int full(void *ctx, struct err *e)
{
	struct object *o = ctx;
	struct part *part = o->set.part;

	o->set.part = NULL;
	part->index = o->set.count++;
	return part_send(o->parts, part, e);
}

static size_t size_of(uint32_t index)
{
	(void)index;
	return SIZE;
}

static void begin(struct object *o, struct parts *p)
{
	*o = (struct object){.parts = p};
	pthread_mutex_init(&o->lock, NULL);
	o->set.send = send;
	o->set.full = full;
	o->set.size = size_of;
	o->set.ctx = o;
}

static int finish(struct object *o)
{
	int rc = o->set.part != NULL ? full(o, NULL) : 0;

	if (rc == 0)
		rc = part_wait(o->parts, &o->set, false, NULL);
	pthread_mutex_destroy(&o->lock);
	return rc;
}

/*
 * More objects than the memory has parts, filled in turn by one thread, each
 * with a part that nobody but this thread can hand on.
 */
static void many_objects_in_one_thread_go_on(void **state)
{
	static uint8_t piece[SIZE / 2];
	struct object o[OBJECTS];
	struct parts *p;
	unsigned i, k;

	(void)state;
	alarm(60);
	assert_int_equal(parts_open(&p, 1, SIZE, NULL), 0);
	for (i = 0; i < OBJECTS; i++)
		begin(&o[i], p);
	for (k = 0; k < 5; k++)
		for (i = 0; i < OBJECTS; i++)
			assert_int_equal(part_write(p, &o[i].set, piece,
						    sizeof(piece), NULL),
					 0);
	for (i = 0; i < OBJECTS; i++) {
		assert_int_equal(finish(&o[i]), 0);
		assert_int_equal(o[i].sent, 5 * sizeof(piece));
		assert_int_equal(o[i].parts_sent, 3);
	}
	parts_close(p);
	alarm(0);
}

/* What a short object does not use is there for others. */
static void a_trimmed_part_holds_its_bytes_and_no_more(void **state)
{
	struct object o;
	struct parts *p;

	(void)state;
	assert_int_equal(parts_open(&p, 1, SIZE, NULL), 0);
	begin(&o, p);
	assert_int_equal(part_write(p, &o.set, "hello", 5, NULL), 0);
	assert_int_equal(o.set.part->size, SIZE);
	part_trim(p, &o.set);
	assert_int_equal(o.set.part->size, 5);
	assert_memory_equal(o.set.part->data, "hello", 5);
	part_trim(p, &o.set);
	assert_int_equal(finish(&o), 0);
	assert_int_equal(o.largest, 5);
	parts_close(p);
}

static void a_failure_ends_the_object_and_no_other(void **state)
{
	static uint8_t piece[SIZE];
	struct object bad, good;
	struct parts *p;
	struct err e = {0};
	int i, rc = 0;

	(void)state;
	assert_int_equal(parts_open(&p, 2, SIZE, NULL), 0);
	begin(&bad, p);
	begin(&good, p);
	bad.fails = PS_NOPERM;
	for (i = 0; rc == 0 && i < 100000; i++)
		rc = part_write(p, &bad.set, piece, sizeof(piece), &e);
	assert_int_equal(rc, -PS_NOPERM);
	assert_string_equal(e.msg, "as planned");
	for (i = 0; i < 8; i++)
		assert_int_equal(
		    part_write(p, &good.set, piece, sizeof(piece), NULL), 0);
	part_drop(p, bad.set.part);
	bad.set.part = NULL;
	assert_int_equal(finish(&bad), -PS_NOPERM);
	assert_int_equal(finish(&good), 0);
	assert_int_equal(good.sent, 8 * sizeof(piece));
	parts_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many_objects_in_one_thread_go_on),
	    cmocka_unit_test(a_trimmed_part_holds_its_bytes_and_no_more),
	    cmocka_unit_test(a_failure_ends_the_object_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
