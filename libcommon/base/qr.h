/*
 * QR codes (ISO/IEC 18004) of short texts, by libqrencode: error correction
 * level Q, so that a quarter of a code may be stained. Of a secret: the code is
 * wiped, the text is the caller's to wipe; copies that libqrencode makes inside
 * it frees as they are, so this is for programs that leave no core file
 * (secret_harden_process) and end soon.
 */
#ifndef PS_BASE_QR_H
#define PS_BASE_QR_H

#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

/* As inline SVG, black on white whatever the page's colours are. */
int qr_svg(const char *text, size_t n, const char *label, FILE *f,
	   struct err *e);
/* In UTF-8 half blocks, for dark ink on light paper. */
int qr_text(const char *text, size_t n, FILE *f, struct err *e);

#endif
