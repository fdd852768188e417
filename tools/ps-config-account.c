/* ps-config account: add, edit, list, secret, delete. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"
#include "base/secret.h"
#include "base/tool.h"
#include "config/accounts.h"
#include "ps-config.h"

/* ---- where a secret comes from: a file, or the terminal ---- */

/* One line of the terminal, not shown. */
static int prompt(int tty, const char *words, char out[ACCOUNT_SECRET_SIZE],
		  struct err *e)
{
	struct termios shown, hidden;
	ssize_t n;

	if (tcgetattr(tty, &shown) < 0)
		return err_sys(e, 0, "terminal");
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	/* Before the words: who answers them at once loses nothing. */
	if (tcsetattr(tty, TCSAFLUSH, &hidden) < 0)
		return err_sys(e, 0, "terminal");
	n = io_write_full(tty, words, strlen(words));
	if (n == 0)
		n = read(tty, out, ACCOUNT_SECRET_SIZE - 1);
	tcsetattr(tty, TCSADRAIN, &shown);
	(void)io_write_full(tty, "\n", 1);
	if (n < 0)
		return err_sys(e, 0, "terminal");
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

static int ask_twice(char out[ACCOUNT_SECRET_SIZE], struct err *e)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), rc;
	char again[ACCOUNT_SECRET_SIZE];

	if (tty < 0)
		opt_misuse("no terminal to ask for the secret: give "
			   "--secret-file");
	rc = prompt(tty, "Secret: ", out, e);
	if (rc == 0)
		rc = prompt(tty, "Once more: ", again, e);
	if (rc == 0 && strcmp(out, again) != 0)
		rc = err_set(e, PS_USAGE, "the two are not the same");
	secret_wipe(again, sizeof(again));
	close(tty);
	return rc;
}

static int get_secret(char out[ACCOUNT_SECRET_SIZE], struct err *e)
{
	size_t n;
	int rc;

	if (ask.secret_file == NULL)
		return ask_twice(out, e);
	rc = secret_read(ask.secret_file, out, ACCOUNT_SECRET_SIZE, &n, e);
	if (rc == 0 && strlen(out) != n)
		rc = err_set(e, PS_DATA, "%s: has a byte of zero in it",
			     ask.secret_file);
	if (rc == 0) /* what an editor puts at the end */
		out[strcspn(out, "\r\n")] = '\0';
	return rc;
}

/* ---- actions ---- */

static int cmd_add(struct reg *r, char **operands, struct err *e)
{
	char secret[ACCOUNT_SECRET_SIZE];
	int rc;

	if (ask.login == NULL)
		opt_misuse("account add needs --login");
	rc = get_secret(secret, e);
	if (rc == 0)
		rc = account_add(r, operands[0], ask.login, secret, e);
	secret_wipe(secret, sizeof(secret));
	return rc;
}

static int cmd_edit(struct reg *r, char **operands, struct err *e)
{
	char secret[ACCOUNT_SECRET_SIZE];
	/* Only another login: its secret stays. */
	bool stays = ask.login != NULL && ask.secret_file == NULL;
	int rc = stays ? 0 : get_secret(secret, e);

	if (rc == 0)
		rc = account_change(r, operands[0], ask.login,
				    stays ? NULL : secret, e);
	secret_wipe(secret, sizeof(secret));
	return rc;
}

static int cmd_delete(struct reg *r, char **operands, struct err *e)
{
	return account_delete(r, operands[0], e);
}

static int secret_json(const char *name, const char *secret, struct err *e)
{
	json_t *o = json_pack("{s:s, s:s}", "name", name, "secret", secret);

	if (o == NULL)
		return err_set(e, PS_DATA,
			       "account '%s': its secret is no UTF-8, as JSON "
			       "wants it",
			       name);
	return print_json(o, e);
}

static int cmd_secret(struct reg *r, char **operands, struct err *e)
{
	char secret[ACCOUNT_SECRET_SIZE];
	int rc = account_secret(r, operands[0], secret, e);

	if (rc == 0 && ask.json)
		rc = secret_json(operands[0], secret, e);
	else if (rc == 0)
		puts(secret);
	secret_wipe(secret, sizeof(secret));
	return rc;
}

static int give(void *ctx, const struct reg_account *a, struct err *e)
{
	struct listing *l = ctx;
	char when[40];

	if (!listing_line(l, "ACCOUNT           LOGIN             CHANGED"))
		return listing_add(l,
				   json_pack("{s:s, s:s, s:o, s:o}", "name",
					     a->name, "login", a->login,
					     "added", json_when(a->added),
					     "changed", json_when(a->changed)),
				   e);
	when_text(a->changed, when);
	printf("%-16s  %-16s  %s\n", a->name, a->login, when);
	return 0;
}

static int cmd_list(struct reg *r, char **operands, struct err *e)
{
	struct listing l;

	(void)operands;
	listing_begin(&l);
	return listing_end(&l, account_each(r, give, &l, e), e);
}

const struct action account_actions[] = {
    {"add", 1, " NAME --login USER [--secret-file FILE]", cmd_add},
    {"edit", 1, " NAME [--login USER] [--secret-file FILE]", cmd_edit},
    {"list", 0, "", cmd_list},
    {"secret", 1, " NAME", cmd_secret},
    {"delete", 1, " NAME", cmd_delete},
    {0},
};
