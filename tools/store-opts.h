/* Private to the tools that open a vault: the options that say how. */
#ifndef PS_TOOLS_STORE_OPTS_H
#define PS_TOOLS_STORE_OPTS_H

#include "vault/settings.h"

/* Entries of a struct opt table. */
#define STORE_OPTIONS                                                          \
	{0,                                                                    \
	 "endpoint",                                                           \
	 OPT_TEXT,                                                             \
	 "URL",                                                                \
	 &store_settings.endpoint,                                             \
	 "where the store's service is, instead of the public one",            \
	 NULL,                                                                 \
	 "store.endpoint",                                                     \
	 0,                                                                    \
	 0,                                                                    \
	 0},                                                                   \
	    {0,                                                                \
	     "credentials",                                                    \
	     OPT_FILE,                                                         \
	     "FILE",                                                           \
	     &store_settings.credentials,                                      \
	     "file with the store's credentials, NAME=VALUE",                  \
	     "PS_CREDENTIALS",                                                 \
	     "store.credentials",                                              \
	     0,                                                                \
	     0,                                                                \
	     0},                                                               \
	    {0,                                                                \
	     "ca-file",                                                        \
	     OPT_FILE,                                                         \
	     "FILE",                                                           \
	     &store_settings.ca_file,                                          \
	     "certificates of the authorities to trust",                       \
	     NULL,                                                             \
	     "store.ca-file",                                                  \
	     0,                                                                \
	     0,                                                                \
	     0},                                                               \
	    {0,                                                                \
	     "proxy",                                                          \
	     OPT_TEXT,                                                         \
	     "URL",                                                            \
	     &store_settings.proxy,                                            \
	     "proxy, instead of that of https_proxy",                          \
	     NULL,                                                             \
	     "proxy",                                                          \
	     0,                                                                \
	     0,                                                                \
	     0},                                                               \
	    {0,                                                                \
	     "proxy-auth",                                                     \
	     OPT_FILE,                                                         \
	     "FILE",                                                           \
	     &store_settings.proxy_auth,                                       \
	     "file with USER:PASSWORD for the proxy",                          \
	     NULL,                                                             \
	     "proxy-auth",                                                     \
	     0,                                                                \
	     0,                                                                \
	     0},                                                               \
	    {0,                                                                \
	     "list-cache",                                                     \
	     OPT_FILE,                                                         \
	     "DIR",                                                            \
	     &store_settings.list_cache,                                       \
	     "where lists keep what they have read of a store",                \
	     "PS_LIST_CACHE",                                                  \
	     "store.list-cache",                                               \
	     0,                                                                \
	     0,                                                                \
	     0},                                                               \
	{                                                                      \
		0, "retry-for", OPT_DURATION, "TIME",                          \
		    &store_settings.retry_for,                                 \
		    "how long a request is tried again (2m)", NULL,            \
		    "store.retry-for", 0, 1, 86400                             \
	}

#endif
