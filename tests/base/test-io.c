/* All the bytes or an error; sources and sinks. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"

#define BIG (3u << 20)

static uint8_t *pattern(void)
{
	uint8_t *p = malloc(BIG);
	size_t i;

	assert_non_null(p);
	for (i = 0; i < BIG; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 12));
	return p;
}

/* Writes in pieces of odd sizes, slower than the reader reads. */
struct feeder {
	int fd;
	const uint8_t *p;
};

static void *feed(void *arg)
{
	struct feeder *f = arg;
	size_t at = 0, n = 1;

	while (at < BIG) {
		size_t take = BIG - at < n ? BIG - at : n;

		assert_int_equal(io_write_full(f->fd, f->p + at, take), 0);
		at += take;
		n = n * 3 % 70001 + 1;
	}
	close(f->fd);
	return NULL;
}

static void a_pipe_in_pieces_gives_the_whole(void **state)
{
	uint8_t *p = pattern(), *got = malloc(BIG + 10);
	struct feeder f = {.p = p};
	pthread_t t;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	f.fd = fds[1];
	assert_int_equal(pthread_create(&t, NULL, feed, &f), 0);
	assert_int_equal(io_read_full(fds[0], got, BIG + 10), BIG);
	assert_memory_equal(p, got, BIG);
	pthread_join(t, NULL);
	close(fds[0]);
	free(p);
	free(got);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* A handler without SA_RESTART interrupts read and write all the time. */
static void signals_do_not_disturb(void **state)
{
	struct sigaction sa = {.sa_handler = on_alarm}, old;
	uint8_t *p = pattern(), *got = malloc(BIG);
	struct feeder f = {.p = p};
	pthread_t t;
	int fds[2], i;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &sa, &old), 0);
	assert_int_equal(pipe(fds), 0);
	f.fd = fds[1];
	assert_int_equal(pthread_create(&t, NULL, feed, &f), 0);
	for (i = 0; i < 200; i++) {
		pthread_kill(t, SIGUSR1);
		assert_int_equal(io_read_full(fds[0], got + i * 1000, 1000),
				 1000);
	}
	assert_int_equal(io_read_full(fds[0], got + 200000, BIG - 200000),
			 BIG - 200000);
	assert_true(alarms > 0);
	assert_memory_equal(p, got, BIG);
	pthread_join(t, NULL);
	sigaction(SIGUSR1, &old, NULL);
	close(fds[0]);
	free(p);
	free(got);
}

static void a_file_is_read_and_written_at_an_offset(void **state)
{
	char name[] = "/tmp/test-io.XXXXXX";
	int fd = mkstemp(name);
	char buf[8];

	(void)state;
	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(io_pwrite_full(fd, "hello", 5, 1000), 0);
	assert_int_equal(io_pread_full(fd, buf, 8, 998), 7);
	assert_memory_equal(buf, "\0\0hello", 7);
	assert_int_equal(io_pread_full(fd, buf, 8, 5000), 0);
	close(fd);
}

static void a_full_device_is_an_error(void **state)
{
	int fd = open("/dev/full", O_WRONLY);
	struct io_out out;
	struct err e = {0};

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(io_write_full(fd, "x", 1), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(io_out_open_fd(&out, fd, "the output", &e), 0);
	assert_int_equal(io_out_write(&out, "x", 1, &e), 0); /* gathered */
	assert_int_equal(io_out_flush(&out, &e), -PS_TEMPFAIL);
	assert_string_equal(e.msg, "the output: No space left on device");
	io_out_close(&out);
	close(fd);
}

/* A source that gives one byte, then two, three ... of `left`. */
struct drip {
	size_t left, step;
	int fail;
	bool called_after_end, ended;
};

static ssize_t drip_read(void *ctx, void *buf, size_t n, struct err *e)
{
	struct drip *d = ctx;
	size_t take = ++d->step < n ? d->step : n;

	d->called_after_end |= d->ended;
	if (take > d->left)
		take = d->left;
	if (take == 0) {
		d->ended = true;
		return d->fail ? err_set(e, d->fail, "broken") : 0;
	}
	memset(buf, 'x', take);
	d->left -= take;
	return (ssize_t)take;
}

static void a_source_ends_between_pieces_or_in_the_middle(void **state)
{
	struct drip d = {.left = 1000};
	struct io_in in;
	struct err e = {0};
	char buf[600];

	(void)state;
	assert_int_equal(io_in_open(&in, drip_read, &d, "drip", &e), 0);
	assert_false(io_in_buffered(&in));
	assert_int_equal(io_in_read(&in, buf, 500, &e), 1);
	assert_true(in.consumed == 500);
	assert_int_equal(io_in_read(&in, buf, 500, &e), 1);
	assert_int_equal(io_in_read(&in, buf, 1, &e), 0);
	assert_int_equal(io_in_read(&in, buf, 1, &e), 0);
	assert_false(d.called_after_end);
	io_in_close(&in);

	d = (struct drip){.left = 1000};
	assert_int_equal(io_in_open(&in, drip_read, &d, "drip", &e), 0);
	assert_int_equal(io_in_read(&in, buf, 600, &e), 1);
	assert_int_equal(io_in_read(&in, buf, 600, &e), -PS_DATA);
	assert_string_equal(e.msg, "drip: ends in the middle, at byte 1000");
	io_in_close(&in);
	io_in_close(&in); /* harmless */
}

static void a_source_that_fails_says_so_and_is_left_alone(void **state)
{
	struct drip d = {.left = 10, .fail = PS_UNAVAILABLE};
	struct io_in in;
	struct err e = {0};
	char buf[20];

	(void)state;
	assert_int_equal(io_in_open(&in, drip_read, &d, "drip", &e), 0);
	assert_int_equal(io_in_read(&in, buf, 20, &e), -PS_UNAVAILABLE);
	assert_string_equal(e.msg, "broken");
	assert_true(io_in_read(&in, buf, 20, &e) <= 0);
	assert_false(d.called_after_end);
	io_in_close(&in);
}

static void pieces_over_the_buffer_take_the_straight_way(void **state)
{
	struct drip d = {.left = BIG, .step = 100000};
	uint8_t *buf = malloc(BIG);
	struct io_in in;
	struct err e = {0};

	(void)state;
	assert_int_equal(io_in_open(&in, drip_read, &d, "drip", &e), 0);
	assert_int_equal(io_in_read(&in, buf, 10, &e), 1);
	assert_true(io_in_buffered(&in));
	assert_int_equal(io_in_read(&in, buf, BIG - 10, &e), 1);
	assert_int_equal(io_in_read(&in, buf, 1, &e), 0);
	io_in_close(&in);
	free(buf);
}

struct sink {
	uint8_t *p;
	size_t n;
	unsigned calls;
};

static int sink_write(void *ctx, const void *buf, size_t n, struct err *e)
{
	struct sink *s = ctx;

	(void)e;
	memcpy(s->p + s->n, buf, n);
	s->n += n;
	s->calls++;
	return 0;
}

static void a_sink_gathers_small_writes_in_order(void **state)
{
	struct sink s = {.p = malloc(BIG)};
	uint8_t *p = pattern();
	struct io_out out;
	struct err e = {0};
	size_t at = 0, n = 1;

	(void)state;
	assert_int_equal(io_out_open(&out, sink_write, &s, "sink", &e), 0);
	while (at < BIG) {
		size_t take = BIG - at < n ? BIG - at : n;

		assert_int_equal(io_out_write(&out, p + at, take, &e), 0);
		at += take;
		n = n * 5 % 99991 + 1;
	}
	assert_true(out.written == BIG);
	assert_int_equal(io_out_flush(&out, &e), 0);
	assert_int_equal(io_out_flush(&out, &e), 0);
	assert_int_equal(s.n, BIG);
	assert_memory_equal(s.p, p, BIG);
	io_out_close(&out);
	free(p);
	free(s.p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_pipe_in_pieces_gives_the_whole),
	    cmocka_unit_test(signals_do_not_disturb),
	    cmocka_unit_test(a_file_is_read_and_written_at_an_offset),
	    cmocka_unit_test(a_full_device_is_an_error),
	    cmocka_unit_test(a_source_ends_between_pieces_or_in_the_middle),
	    cmocka_unit_test(a_source_that_fails_says_so_and_is_left_alone),
	    cmocka_unit_test(pieces_over_the_buffer_take_the_straight_way),
	    cmocka_unit_test(a_sink_gathers_small_writes_in_order),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
