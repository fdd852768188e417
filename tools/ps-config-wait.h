/* Private to ps-config: what waits for servers. */
#ifndef PS_TOOLS_PS_CONFIG_WAIT_H
#define PS_TOOLS_PS_CONFIG_WAIT_H

#include <time.h>

#define WAIT_HEARD_S 70 /* a server with older manners comes each 60 s */

static inline void wait_a_bit(void)
{
	const struct timespec t = {0, 200000000L};

	nanosleep(&t, NULL);
}

#endif
