#include "config.h"

#include "setup/eula.h"

/* As the projects state them; in the order of their names. */
static const struct {
	const char *library, *licence, *url;
} libraries[] = {
    {"curl (libcurl)", "curl (MIT/X derivate)",
     "https://curl.se/docs/copyright.html"},
    {"Expat", "MIT", "https://github.com/libexpat/libexpat"},
#ifdef HAVE_ISAL
    {"ISA-L", "BSD 3-Clause", "https://github.com/intel/isa-l"},
#endif
    {"Jansson", "MIT", "https://github.com/akheron/jansson"},
    {"libarchive", "BSD 2-Clause", "https://www.libarchive.org"},
    {"libyaml", "MIT", "https://github.com/yaml/libyaml"},
#ifdef HAVE_MARIADB
    {"MariaDB Connector/C", "LGPL 2.1 or later",
     "https://github.com/mariadb-corporation/mariadb-connector-c"},
#endif
    {"OpenSSL 3", "Apache 2.0", "https://www.openssl.org/source/license.html"},
    {"SQLite", "public domain", "https://sqlite.org/copyright.html"},
    {"zlib", "zlib", "https://zlib.net/zlib_license.html"},
#ifdef HAVE_ZSTD
    {"Zstandard", "BSD 3-Clause", "https://github.com/facebook/zstd"},
#endif
};

void eula_print(FILE *f)
{
	size_t i;

	fputs("ps-toolkit is licensed under the Apache License, Version 2.0; "
	      "you may\n"
	      "obtain a copy of it at "
	      "https://www.apache.org/licenses/LICENSE-2.0 .\n"
	      "It is distributed \"as is\", without warranties or conditions "
	      "of any kind.\n"
	      "\n"
	      "It uses these libraries, each under a licence of its own:\n"
	      "\n",
	      f);
	for (i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
		fprintf(f, "  %-20s  %-22s  %s\n", libraries[i].library,
			libraries[i].licence, libraries[i].url);
	fputs("\nNone of them asks for consent before it is used, so none is "
	      "asked "
	      "for here.\n",
	      f);
}
