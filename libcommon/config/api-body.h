/* Private to config/api.c: what the body of a request says. */
#ifndef PS_CONFIG_API_BODY_H
#define PS_CONFIG_API_BODY_H

#include "config/api.h"

/*
 * The object, the caller's; NULL: it is none, or a member that is known has
 * another type than ps-config-api(5) says (null: it is not known).
 */
json_t *body_read(const struct api_ask *q, struct err *e);

/* A member, or "". */
const char *body_text(const json_t *o, const char *key);

/* Its name has to be that of the login: -PS_NOPERM; -PS_USAGE: it is none. */
int body_check_name(const struct api_ask *q, const json_t *o, struct err *e);

/*
 * How far its clock is ahead, in seconds. -PS_CONFIG: API_CLOCK_MAX_S or more,
 * *ret_s is set; -PS_DATA: "time" is none.
 */
int body_check_clock(const json_t *o, int64_t *ret_s, struct err *e);

/*
 * As published: not newer than the configuration server, and N-4: -PS_CONFIG.
 * -PS_DATA: it is no version.
 */
int body_check_version(const struct api_ask *q, const char *text,
		       struct err *e);

#endif
