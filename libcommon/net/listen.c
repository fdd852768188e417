#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/units.h"
#include "net/server.h"

#define BACKLOG 1024 /* the kernel may take less */

/* Cuts "[ADDR:]PORT"; addr is empty when there is none. */
static int split_address(const char *where, char *addr, size_t size,
			 const char **ret_port, struct err *e)
{
	const char *colon = strrchr(where, ':');
	const char *port = colon != NULL ? colon + 1 : where;
	size_t n = colon != NULL ? (size_t)(colon - where) : 0;
	uint64_t number;

	if (n >= 2 && where[0] == '[' && where[n - 1] == ']') {
		where++;
		n -= 2;
	}
	if (!parse_u64(port, 65535, &number) || n >= size ||
	    (colon != NULL && n == 0))
		return err_set(e, PS_USAGE, "'%s' is not [ADDR:]PORT", where);
	memcpy(addr, where, n);
	addr[n] = '\0';
	*ret_port = port;
	return 0;
}

static int listen_on(const struct addrinfo *a, bool both)
{
	int fd =
	    socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, off = 0;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both ? &off : &on,
			   sizeof(on));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	on = errno;
	close(fd);
	errno = on;
	return -1;
}

/* Without an address: IPv6 that takes IPv4 too, else IPv4 alone. */
static int listen_any(const char *port, struct err *e)
{
	static const int families[] = {AF_INET6, AF_INET};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list;
	int fd = -1;
	unsigned i;

	for (i = 0; i < 2 && fd < 0; i++) {
		hints.ai_family = families[i];
		if (getaddrinfo(NULL, port, &hints, &list) != 0)
			continue;
		fd = listen_on(list, true);
		freeaddrinfo(list);
	}
	return fd >= 0 ? fd : err_sys(e, PS_UNAVAILABLE, "port %s", port);
}

static int listen_addr(const char *addr, const char *port, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list, *a;
	int fd = -1, rc = getaddrinfo(addr, port, &hints, &list);

	if (rc != 0)
		return err_set(e, PS_UNAVAILABLE, "%s: %s", addr,
			       gai_strerror(rc));
	for (a = list; a != NULL && fd < 0; a = a->ai_next)
		fd = listen_on(a, false);
	if (fd < 0)
		fd = err_sys(e, PS_UNAVAILABLE, "%s port %s", addr, port);
	freeaddrinfo(list);
	return fd;
}

int server_listen(const char *where, int *ret_fd, unsigned *ret_port,
		  struct err *e)
{
	struct sockaddr_storage own = {0};
	socklen_t len = sizeof(own);
	const char *port = "";
	char addr[256];
	int fd, rc = split_address(where, addr, sizeof(addr), &port, e);

	if (rc < 0)
		return rc;
	fd = addr[0] == '\0' ? listen_any(port, e) : listen_addr(addr, port, e);
	if (fd < 0)
		return fd;
	if (getsockname(fd, (struct sockaddr *)&own, &len) < 0) {
		rc = err_sys(e, 0, "%s", where);
		close(fd);
		return rc;
	}
	/* The port stands at the same place for both families. */
	*ret_port = ntohs(own.ss_family == AF_INET6
			      ? ((struct sockaddr_in6 *)&own)->sin6_port
			      : ((struct sockaddr_in *)&own)->sin_port);
	*ret_fd = fd;
	return 0;
}
