#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/secret.h"
#include "base/units.h"
#include "net/channel.h"
#include "net/keeper.h"
#include "net/tls.h"

enum what { ASK_SIGN = 1, ASK_NONCE, ASK_PROVE, ASK_END };

struct ask {
	uint32_t what;
	uint32_t md;	   /* sign */
	uint32_t hash_len; /* sign */
	uint8_t hash[KEEPER_HASH_MAX];
	char machine[NAME_SIZE]; /* prove */
	uint8_t nonce[LOGIN_NONCE_LEN], exporter[32];
	uint8_t proof[LOGIN_PROOF_LEN];
};

struct reply {
	int32_t rc; /* 1 and data; 0: no; < 0: failed */
	uint32_t len;
	uint8_t data[KEEPER_SIGNATURE_MAX];
};

struct line {
	int fd; /* first: what epoll gives back */
	uint64_t id;
	bool asked[ASK_END]; /* each once */
	uint8_t nonce[LOGIN_NONCE_LEN];
};

struct holder {
	EVP_PKEY *key;
	struct keeper_roots roots;
	int epoll, listener;
	int teller; /* who tells the roots; -1: nobody */
};

/* ---- answers ---- */

/* RFC 8446, 4.4.3: what a server signs, and nothing else can look like it. */
static size_t certificate_verify(const struct ask *a,
				 uint8_t out[160 + KEEPER_HASH_MAX])
{
	static const char context[] = "TLS 1.3, server CertificateVerify";

	memset(out, 0x20, 64);
	memcpy(out + 64, context, sizeof(context)); /* with its NUL */
	memcpy(out + 64 + sizeof(context), a->hash, a->hash_len);
	return 64 + sizeof(context) + a->hash_len;
}

static const char *digest_name(uint32_t md)
{
	return md == 256   ? "SHA256"
	       : md == 384 ? "SHA384"
	       : md == 512 ? "SHA512"
			   : NULL;
}

static int sign(const struct holder *h, const struct ask *a, struct reply *r)
{
	uint8_t text[160 + KEEPER_HASH_MAX];
	const char *md = digest_name(a->md);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL;
	size_t len = sizeof(r->data);
	bool ok;

	/* The hashes of the cipher suites of TLS 1.3. */
	ok = ctx != NULL && (a->hash_len == 32 || a->hash_len == 48) &&
	     (md != NULL || EVP_PKEY_is_a(h->key, "ED25519")) &&
	     EVP_DigestSignInit_ex(ctx, &p, md, NULL, NULL, h->key, NULL) == 1;
	if (ok && EVP_PKEY_is_a(h->key, "RSA"))
		ok = EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) ==
			 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(
			 p, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestSign(ctx, r->data, &len, text,
				  certificate_verify(a, text)) == 1;
	EVP_MD_CTX_free(ctx);
	r->len = ok ? (uint32_t)len : 0;
	return ok ? 1 : -1;
}

static int nonce(struct line *l, struct reply *r)
{
	if (login_nonce(l->nonce, NULL) < 0)
		return -1;
	memcpy(r->data, l->nonce, LOGIN_NONCE_LEN);
	r->len = LOGIN_NONCE_LEN;
	return 1;
}

/* With this root: 1 and both proofs, 0 another key, -1. */
static int prove_with(const struct keeper_root *root, struct login *l,
		      const uint8_t theirs[LOGIN_PROOF_LEN],
		      uint8_t ours[LOGIN_PROOF_LEN])
{
	uint8_t want[LOGIN_PROOF_LEN];
	struct login_secret secret = {.machine = ""};
	int rc = -1;

	memcpy(secret.key, root->key, LOGIN_KEY_LEN);
	if (login_key(&secret, l->machine, l->key, NULL) == 0 &&
	    login_proof(l, false, want, NULL) == 0)
		rc = login_proof_ok(theirs, want);
	if (rc == 1 && login_proof(l, true, ours, NULL) < 0)
		rc = -1;
	secret_wipe(&secret, sizeof(secret));
	secret_wipe(want, sizeof(want));
	return rc;
}

static int prove(const struct holder *h, const struct line *line,
		 const struct ask *a, struct reply *r)
{
	struct keeper_notice notice = {.id = line->id};
	struct login l = {0};
	int rc = 0;
	uint64_t i;

	if (memchr(a->machine, '\0', sizeof(a->machine)) == NULL ||
	    !login_name_ok(a->machine) || !line->asked[ASK_NONCE])
		return -1;
	memcpy(l.machine, a->machine, sizeof(l.machine));
	memcpy(l.client_nonce, a->nonce, LOGIN_NONCE_LEN);
	memcpy(l.server_nonce, line->nonce, LOGIN_NONCE_LEN);
	memcpy(l.exporter, a->exporter, sizeof(l.exporter));
	for (i = 0; i < h->roots.n && rc == 0; i++) {
		const struct keeper_root *root = &h->roots.list[i];

		if (root->until != 0 && root->until <= time_now_ns())
			continue;
		rc = prove_with(root, &l, a->proof, r->data);
		notice.generation = root->generation;
	}
	if (rc == 1) {
		memcpy(notice.machine, l.machine, sizeof(notice.machine));
		r->len = LOGIN_PROOF_LEN;
		/* The listener hears it before the connection does. */
		if (send(h->listener, &notice, sizeof(notice), MSG_NOSIGNAL) !=
		    sizeof(notice))
			rc = -1;
	}
	secret_wipe(&l, sizeof(l));
	return rc;
}

/* One question: false when the channel has to end. */
static bool answer(const struct holder *h, struct line *l)
{
	struct reply r = {.rc = -1};
	struct ask a;
	ssize_t n = recv(l->fd, &a, sizeof(a), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n != (ssize_t)sizeof(a) || a.what == 0 || a.what >= ASK_END ||
	    l->asked[a.what])
		return false;
	l->asked[a.what] = true;
	if (a.what == ASK_SIGN)
		r.rc = sign(h, &a, &r);
	else if (a.what == ASK_NONCE)
		r.rc = nonce(l, &r);
	else
		r.rc = prove(h, l, &a, &r);
	return send(l->fd, &r, sizeof(r), MSG_DONTWAIT | MSG_NOSIGNAL) ==
		   sizeof(r) &&
	       !l->asked[ASK_PROVE];
}

/* ---- the process ---- */

/* A new channel from the listener: false when the listener is gone. */
static bool take_line(const struct holder *h)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct line *l;
	uint64_t id = 0;
	int fd, rc = channel_taken(h->listener, &id, sizeof(id), &fd);

	if (rc <= 0)
		return rc == 0;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return false;
	l->id = id;
	l->fd = fd;
	ev.data.ptr = l;
	if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, l->fd, &ev) < 0) {
		close(l->fd);
		free(l);
	}
	return true;
}

/* The roots as they are now: false when nobody tells them any more. */
static bool take_roots(struct holder *h)
{
	struct keeper_roots new;
	ssize_t n = recv(h->teller, &new, sizeof(new), MSG_TRUNC);
	bool ok = n == (ssize_t)sizeof(new) && new.n <= KEEPER_ROOTS_MAX;

	if (n < 0 && errno == EINTR)
		return true;
	if (ok)
		h->roots = new;
	secret_wipe(&new, sizeof(new));
	return ok;
}

static void serve(struct holder *h)
{
	struct epoll_event ev = {.events = EPOLLIN}, got;

	if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->listener, &ev) < 0)
		return;
	ev.data.ptr = &h->teller;
	if (h->teller >= 0 &&
	    epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->teller, &ev) < 0)
		return;
	for (;;) {
		struct line *l;
		int n = epoll_wait(h->epoll, &got, 1, -1);

		if (n < 0 && errno != EINTR)
			return;
		if (n <= 0)
			continue;
		l = got.data.ptr;
		if (l == NULL) {
			if (!take_line(h))
				return;
		} else if (got.data.ptr == &h->teller) {
			if (!take_roots(h))
				return;
		} else if (!answer(h, l)) {
			close(l->fd);
			secret_wipe(l, sizeof(*l));
			free(l);
		}
	}
}

/* The root of a passphrase that lies in a file. */
static int read_root(struct holder *h, const char *path, struct err *e)
{
	struct login_secret s;
	int rc = login_secret_read(&s, path, e);

	if (rc == 0 && s.machine[0] != '\0')
		rc = err_set(e, PS_CONFIG,
			     "%s: a server needs the passphrase, this is the "
			     "key of '%s'",
			     path, s.machine);
	if (rc == 0) {
		h->roots.n = 1;
		memcpy(h->roots.list[0].key, s.key, LOGIN_KEY_LEN);
	}
	secret_wipe(&s, sizeof(s));
	return rc;
}

static int read_files(struct holder *h, const struct keeper_files *f,
		      struct err *e)
{
	SSL_CTX *ctx;
	int rc = tls_server(&ctx, f->cert, f->key, e);

	if (rc < 0)
		return rc;
	h->key = SSL_CTX_get0_privatekey(ctx);
	if (EVP_PKEY_up_ref(h->key) != 1)
		h->key = NULL;
	SSL_CTX_free(ctx);
	if (f->passphrase != NULL)
		return read_root(h, f->passphrase, e);
	return take_roots(h) ? 0
			     : err_set(e, PS_SOFTWARE,
				       "nobody tells the roots of the logins");
}

static _Noreturn void be_keeper(int fd, const struct keeper_files *files,
				const struct sandbox_user *user)
{
	struct holder h = {.listener = fd, .teller = -1};
	int fds[2] = {fd, files->roots};
	struct err e = {0};
	int rc;

	sandbox_serve_parent("ps-keeper");
	rc =
	    sandbox_descriptors(fds, files->passphrase == NULL ? 2 : 1, -1, &e);
	h.listener = fds[0];
	if (files->passphrase == NULL)
		h.teller = fds[1];
	if (rc == 0)
		rc = read_files(&h, files, &e);
	if (rc == 0)
		rc = sandbox_drop(user, &e);
	sandbox_serve_parent("ps-keeper");
	h.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (rc == 0 && h.epoll < 0)
		rc = err_sys(&e, PS_TEMPFAIL, "keeper");
	if (rc == 0)
		rc = sandbox_enter(SANDBOX_KEEPER, -1, &e);
	e.code = rc < 0 ? -rc : 0;
	if (send(h.listener, &e, sizeof(e), MSG_NOSIGNAL) == sizeof(e) &&
	    rc == 0)
		serve(&h);
	secret_wipe(&h.roots, sizeof(h.roots));
	EVP_PKEY_free(h.key);
	_exit(0);
}

int keeper_start(struct keeper *ret, const struct keeper_files *files,
		 const struct sandbox_user *user, struct err *e)
{
	struct err theirs = {0};
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, PS_TEMPFAIL, "keeper");
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		be_keeper(pair[1], files, user);
	close(pair[1]);
	if (files->passphrase == NULL)
		close(files->roots);
	if (pid < 0) {
		close(pair[0]);
		return err_sys(e, PS_TEMPFAIL, "keeper");
	}
	if (recv(pair[0], &theirs, sizeof(theirs), 0) != sizeof(theirs))
		theirs = (struct err){.code = PS_SOFTWARE,
				      .msg = "the keeper of the keys did not "
					     "start"};
	if (theirs.code != 0) {
		close(pair[0]);
		if (e != NULL)
			*e = theirs;
		return -theirs.code;
	}
	*ret = (struct keeper){pid, pair[0]};
	return 0;
}

int keeper_channel(const struct keeper *k, uint64_t id, struct err *e)
{
	int fd = channel_pass(k->fd, SOCK_SEQPACKET, &id, sizeof(id), e);

	return fd < 0 ? err_prefix(e, "keeper") : fd;
}

int keeper_heard(const struct keeper *k, struct keeper_notice *ret,
		 struct err *e)
{
	ssize_t n = recv(k->fd, ret, sizeof(*ret), MSG_DONTWAIT);

	if (n == (ssize_t)sizeof(*ret))
		return 1;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return err_set(e, PS_SOFTWARE, "the keeper of the keys has ended");
}

/* ---- in a connection ---- */

static int ask(int fd, const struct ask *a, struct reply *r, struct err *e)
{
	if (send(fd, a, sizeof(*a), MSG_NOSIGNAL) != sizeof(*a) ||
	    recv(fd, r, sizeof(*r), 0) != sizeof(*r) || r->rc < 0 ||
	    r->len > sizeof(r->data))
		return err_set(e, PS_SOFTWARE,
			       "the keeper of the keys says "
			       "no");
	return r->rc;
}

int keeper_sign(int fd, unsigned md, const uint8_t *hash, size_t n,
		uint8_t out[KEEPER_SIGNATURE_MAX], struct err *e)
{
	struct ask a = {.what = ASK_SIGN, .md = md, .hash_len = (uint32_t)n};
	struct reply r;
	int rc;

	if (n > sizeof(a.hash))
		return err_set(e, PS_SOFTWARE, "hash of %zu bytes", n);
	memcpy(a.hash, hash, n);
	rc = ask(fd, &a, &r, e);
	if (rc < 0)
		return rc;
	memcpy(out, r.data, r.len);
	return (int)r.len;
}

int keeper_nonce(int fd, uint8_t out[LOGIN_NONCE_LEN], struct err *e)
{
	struct ask a = {.what = ASK_NONCE};
	struct reply r;
	int rc = ask(fd, &a, &r, e);

	if (rc < 0)
		return rc;
	memcpy(out, r.data, LOGIN_NONCE_LEN);
	return 0;
}

int keeper_prove(int fd, const struct login *l,
		 const uint8_t theirs[LOGIN_PROOF_LEN],
		 uint8_t ours[LOGIN_PROOF_LEN], struct err *e)
{
	struct ask a = {.what = ASK_PROVE};
	struct reply r;
	int rc;

	memcpy(a.machine, l->machine, sizeof(a.machine));
	memcpy(a.nonce, l->client_nonce, LOGIN_NONCE_LEN);
	memcpy(a.exporter, l->exporter, sizeof(a.exporter));
	memcpy(a.proof, theirs, LOGIN_PROOF_LEN);
	rc = ask(fd, &a, &r, e);
	if (rc == 1)
		memcpy(ours, r.data, LOGIN_PROOF_LEN);
	return rc;
}
