/* Who comes in, and who makes room. */
#include "config.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "net/door.h"

static struct door_key key_of(uint32_t n)
{
	struct sockaddr_storage a = {.ss_family = AF_INET};
	struct door_key k;

	((struct sockaddr_in *)&a)->sin_addr.s_addr = htonl(n);
	door_key(&a, &k);
	return k;
}

static void test_key(void **state)
{
	struct sockaddr_storage a = {.ss_family = AF_INET6};
	uint8_t *b = ((struct sockaddr_in6 *)&a)->sin6_addr.s6_addr;
	struct door_key x, y, v4 = key_of(0x7f000001);

	(void)state;
	b[0] = 0x20;
	b[15] = 1;
	door_key(&a, &x);
	b[15] = 2; /* the same network of 64 bits */
	door_key(&a, &y);
	assert_memory_equal(&x, &y, sizeof(x));
	b[7] = 1;
	door_key(&a, &y);
	assert_memory_not_equal(&x, &y, sizeof(x));
	memset(b, 0, 16); /* IPv4 in IPv6 is IPv4 */
	b[10] = b[11] = 0xff;
	b[12] = 127;
	b[15] = 1;
	door_key(&a, &y);
	assert_memory_equal(&v4, &y, sizeof(y));
}

static unsigned let_in(struct door *d, const struct door_key *k, unsigned n,
		       int64_t now)
{
	unsigned in = 0;

	while (n-- > 0)
		in += door_may(d, k, now);
	return in;
}

static void test_rate(void **state)
{
	struct door_key a = key_of(1), b = key_of(2), c;
	int64_t now = 1000 * NS_PER_S;
	struct door *d;
	unsigned i, sum = 0;

	(void)state;
	assert_int_equal(door_open(&d, NULL), 0);
	assert_int_equal(let_in(d, &a, 1000, now), DOOR_BURST_ADDRESS);
	assert_int_equal(let_in(d, &a, 1000, now + NS_PER_S),
			 DOOR_RATE_ADDRESS);
	door_known(d, &b, now);
	/* All new addresses together have a limit, known ones do not mind. */
	for (i = 0; i < 10000; i++) {
		c = key_of(100 + i);
		sum += door_may(d, &c, now + NS_PER_S);
	}
	assert_true(sum <= DOOR_BURST_NEW);
	assert_int_equal(let_in(d, &b, 500, now + NS_PER_S), 500);
	door_close(d);
}

static void test_past(void **state)
{
	struct door_past *list = calloc(DOOR_PAST_MAX, sizeof(*list));
	struct door_key a = key_of(1), b = key_of(2), c = key_of(3);
	int64_t now = 1000 * NS_PER_S;
	struct door *d;
	unsigned i;

	(void)state;
	assert_int_equal(door_open(&d, NULL), 0);
	assert_false(door_has_news(d));
	door_known(d, &a, now);
	assert_true(door_may(d, &c, now)); /* a stranger */
	assert_true(door_has_news(d));
	assert_int_equal(door_past(d, list), 1);
	assert_memory_equal(&list[0].key, &a, sizeof(a));
	assert_false(door_has_news(d));
	door_known(d, &a, now + NS_PER_S); /* nothing to write for this */
	assert_false(door_has_news(d));
	door_known(d, &b, now);
	assert_true(door_has_news(d));
	door_close(d);
	/* Another process. */
	assert_int_equal(door_open(&d, NULL), 0);
	door_remember(d, &list[0], now);
	assert_false(door_has_news(d));
	assert_int_equal(let_in(d, &a, 500, now), 500);
	/* More than there is room for. */
	for (i = 0; i < 3 * DOOR_PAST_MAX; i++) {
		c = key_of(1000 + i);
		door_known(d, &c, now);
	}
	i = door_past(d, list);
	assert_true(i > DOOR_PAST_MAX / 2 && i <= DOOR_PAST_MAX);
	door_close(d);
	free(list);
}

static void test_machine(void **state)
{
	struct door_key a = key_of(1), b = key_of(2);
	int64_t now = 1000 * NS_PER_S;
	struct door *d;
	unsigned i, in = 0;

	(void)state;
	assert_int_equal(door_open(&d, NULL), 0);
	door_known(d, &a, now);
	door_known(d, &b, now);
	for (i = 0; i < 1000; i++)
		in += door_login(d, &a, "evil", now);
	assert_int_equal(in, DOOR_BURST_MACHINE);
	/* Its address has nothing left for a moment, the others have. */
	assert_int_equal(let_in(d, &a, 100, now), 0);
	assert_int_equal(let_in(d, &b, 100, now), 100);
	assert_true(door_login(d, &b, "good", now));
	assert_true(let_in(d, &a, 1000, now + 3 * NS_PER_S) > 0);
	assert_true(door_login(d, &a, "evil", now + NS_PER_S));
	door_close(d);
}

static unsigned tell_to(struct door *d, const char *machine, unsigned n,
			int64_t now)
{
	unsigned told = 0;

	while (n-- > 0)
		told += door_tell(d, machine, now);
	return told;
}

/* What one machine does not hear is not missing to another. */
static void test_tell(void **state)
{
	int64_t now = 1000 * NS_PER_S;
	unsigned i, sum = 0, all = 0;
	struct door *d;
	char name[16];

	(void)state;
	assert_int_equal(door_open(&d, NULL), 0);
	for (i = 0; i < 100; i++) {
		sum += tell_to(d, "evil", 100, now);
		now += NS_PER_S / 100;
	}
	assert_true(sum > 0 && sum <= DOOR_BURST_TOLD + DOOR_RATE_TOLD);
	assert_int_equal(tell_to(d, "evil", 100, now + 10 * NS_PER_S),
			 DOOR_BURST_TOLD);
	/* Two names may meet in one place of the table: not many do. */
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "good%u", i);
		all += tell_to(d, name, DOOR_BURST_TOLD, now);
	}
	assert_true(all >= 17 * DOOR_BURST_TOLD);
	assert_true(door_login(d, &(struct door_key){{1}}, "evil", now));
	door_close(d);
}

static void test_victim(void **state)
{
	struct door_key keys[4] = {key_of(1), key_of(2), key_of(3), key_of(4)};
	struct door_guest g[DOOR_STRANGERS];
	struct door *d;
	unsigned i;

	(void)state;
	assert_int_equal(door_open(&d, NULL), 0);
	door_known(d, &keys[3], NS_PER_S);
	/* One with many, one with few, one known. */
	for (i = 0; i < 8; i++)
		g[i] = (struct door_guest){&keys[i == 0	 ? 3
						 : i < 3 ? 1
							 : 0],
					   100 - i};
	assert_int_equal(door_victim(d, g, 8, 9, &keys[2]), -1);
	assert_int_equal(door_victim(d, g, 8, 8, &keys[2]), 7);
	assert_int_equal(door_victim(d, g, 3, 3, &keys[2]), 2);
	/* Known ones alone: only for a known one. */
	assert_int_equal(door_victim(d, g, 1, 1, &keys[2]), -2);
	assert_int_equal(door_victim(d, g, 1, 1, &keys[3]), 0);
	/* Who has his share makes room among his own. */
	for (i = 0; i < DOOR_PER_ADDRESS; i++)
		g[i] = (struct door_guest){&keys[0], i == 5 ? 1 : 10 + i};
	assert_int_equal(
	    door_victim(d, g, DOOR_PER_ADDRESS, DOOR_STRANGERS, &keys[0]), 5);
	assert_int_equal(
	    door_victim(d, g, DOOR_PER_ADDRESS, DOOR_STRANGERS, &keys[1]), -1);
	door_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_key),	 cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_past), cmocka_unit_test(test_machine),
	    cmocka_unit_test(test_tell), cmocka_unit_test(test_victim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
