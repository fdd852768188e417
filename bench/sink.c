/*
 * sink: an Azure Blob that keeps nothing, to measure who uploads to it.
 *
 * usage: sink PREFIX	 (listens on a free port of 127.0.0.1, which it prints)
 *
 * Takes every PUT and forgets its body; remembers how long each blob was, so
 * that it can be asked. PREFIX/vault.json is always there: an empty vault. It
 * checks nothing and is no test of anything.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 16384
#define BLOBS_MAX 1024
#define MARKER                                                                 \
	"{\"format\": \"ps-vault\", \"version\": 1, \"single_writer\": false}"
#define EMPTY_LIST                                                             \
	"<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults>"       \
	"<Blobs/><NextMarker/></EnumerationResults>"
#define EMPTY_BLOCKS                                                           \
	"<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>"                \
	"<UncommittedBlocks/></BlockList>"

static const char *marker; /* its path */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct blob {
	char path[256];
	unsigned long long staged, size;
	int there;
} blobs[BLOBS_MAX];
static unsigned nblobs;

static struct blob *find(const char *path)
{
	unsigned i;

	for (i = 0; i < nblobs; i++)
		if (strcmp(blobs[i].path, path) == 0)
			return &blobs[i];
	if (nblobs == BLOBS_MAX)
		exit(70);
	snprintf(blobs[nblobs].path, sizeof(blobs[0].path), "%s", path);
	return &blobs[nblobs++];
}

static int send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, p, n);

		if (put <= 0)
			return -1;
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

static int answer(int fd, int status, unsigned long long len, const char *body)
{
	char text[1024], whole[64], date[64];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	strftime(date, sizeof(date), "%a, %d %b %Y %T GMT",
		 gmtime_r(&now, &tm));
	snprintf(whole, sizeof(whole), "Content-Range: bytes 0-%llu/%llu\r\n",
		 len - 1, len);
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 %d Told\r\nContent-Length: %llu\r\n"
		     "ETag: \"0x1\"\r\nx-ms-version: 2021-12-02\r\n"
		     "x-ms-blob-type: BlockBlob\r\n"
		     "x-ms-request-server-encrypted: true\r\n"
		     "Date: %s\r\n"
		     "Last-Modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
		     "%s\r\n%s",
		     status, len, date,
		     status == 404   ? "x-ms-error-code: BlobNotFound\r\n"
		     : status == 206 ? whole
				     : "",
		     body);

	return send_all(fd, text, (size_t)n);
}

static int put(int fd, const char *path, const char *query,
	       unsigned long long len)
{
	struct blob *b;

	pthread_mutex_lock(&lock);
	b = find(path);
	if (strstr(query, "comp=blocklist") != NULL) {
		b->size = b->staged;
		b->there = 1;
	} else if (strstr(query, "comp=block") != NULL) {
		b->staged += len;
	} else {
		b->size = len;
		b->there = 1;
	}
	pthread_mutex_unlock(&lock);
	return answer(fd, 201, 0, "");
}

static int get(int fd, const char *path, const char *query, int head)
{
	struct blob b;

	if (strcmp(path, marker) == 0)
		return answer(fd, head ? 200 : 206, strlen(MARKER),
			      head ? "" : MARKER);
	if (strstr(query, "comp=list") != NULL)
		return answer(fd, 200, strlen(EMPTY_LIST), EMPTY_LIST);
	if (strstr(query, "comp=blocklist") != NULL)
		return answer(fd, 200, strlen(EMPTY_BLOCKS), EMPTY_BLOCKS);
	if (strstr(query, "restype=") != NULL)
		return answer(fd, 200, 0, "");
	pthread_mutex_lock(&lock);
	b = *find(path);
	pthread_mutex_unlock(&lock);
	return b.there ? answer(fd, 200, b.size, "") : answer(fd, 404, 0, "");
}

static unsigned long long length_of(const char *head)
{
	const char *at = strcasestr(head, "\ncontent-length:");

	return at != NULL ? strtoull(at + 16, NULL, 10) : 0;
}

/* Reads a head into buf; *ret_len bytes are there in all. */
static char *read_head(int fd, char *buf, size_t *ret_len)
{
	char *end;

	for (;;) {
		ssize_t got;

		buf[*ret_len] = '\0';
		end = strstr(buf, "\r\n\r\n");
		if (end != NULL)
			return end + 4;
		if (*ret_len == HEAD_MAX)
			return NULL;
		got = read(fd, buf + *ret_len, HEAD_MAX - *ret_len);
		if (got <= 0)
			return NULL;
		*ret_len += (size_t)got;
	}
}

static int swallow(int fd, char *trash, size_t size, unsigned long long n)
{
	while (n > 0) {
		ssize_t got = read(fd, trash, n < size ? (size_t)n : size);

		if (got <= 0)
			return -1;
		n -= (unsigned long long)got;
	}
	return 0;
}

static int one(int fd, char *buf, size_t *have, char *trash, size_t size)
{
	char method[8], target[4096], *query, *end = read_head(fd, buf, have);
	unsigned long long len, here;
	size_t used;
	int rc;

	if (end == NULL || sscanf(buf, "%7s %4095s", method, target) != 2)
		return -1;
	len = length_of(buf);
	if (strcasestr(buf, "\nexpect: 100-continue") != NULL)
		send_all(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	used = (size_t)(end - buf);
	here = *have - used < len ? *have - used : len;
	memmove(buf, end + here, *have - used - (size_t)here);
	*have -= used + (size_t)here;
	if (swallow(fd, trash, size, len - here) < 0)
		return -1;
	query = strchr(target, '?');
	if (query != NULL)
		*query++ = '\0';
	else
		query = target + strlen(target);
	if (strcmp(method, "PUT") == 0)
		rc = put(fd, target, query, len);
	else if (strcmp(method, "DELETE") == 0)
		rc = answer(fd, 202, 0, "");
	else
		rc = get(fd, target, query, strcmp(method, "HEAD") == 0);
	return rc;
}

static void *serve(void *arg)
{
	static const size_t size = 1 << 20;
	int fd = (int)(long)arg;
	char *buf = malloc(HEAD_MAX + 1), *trash = malloc(size);
	size_t have = 0;

	while (buf != NULL && trash != NULL &&
	       one(fd, buf, &have, trash, size) == 0)
		;
	close(fd);
	free(buf);
	free(trash);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	static char path[256];
	int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (argc != 2)
		return 64;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	snprintf(path, sizeof(path), "%s/vault.json", argv[1]);
	marker = path;
	if (s < 0 || bind(s, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(s, 64) < 0 || getsockname(s, (struct sockaddr *)&at, &n) < 0)
		return 71;
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	for (;;) {
		pthread_t thread;
		int fd = accept(s, NULL, NULL);

		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (pthread_create(&thread, NULL, serve, (void *)(long)fd) == 0)
			pthread_detach(thread);
		else
			close(fd);
	}
}
