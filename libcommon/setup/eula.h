/* Licences: ours, and those of the libraries that are used. */
#ifndef PS_SETUP_EULA_H
#define PS_SETUP_EULA_H

#include <stdio.h>

void eula_print(FILE *f);

#endif
