#include "config.h"

#include <qrencode.h>
#include <stdbool.h>

#include "base/qr.h"
#include "base/secret.h"

#define QUIET 4 /* light modules around it, as the standard wants */

static int encode(const char *text, size_t n, QRcode **ret, struct err *e)
{
	*ret = QRcode_encodeData((int)n, (const unsigned char *)text, 0,
				 QR_ECLEVEL_Q);
	return *ret == NULL ? err_sys(e, 0, "QR code") : 0;
}

static void drop(QRcode *q)
{
	secret_wipe(q->data, (size_t)q->width * (size_t)q->width);
	QRcode_free(q);
}

/* Outside of the code it is light. */
static bool dark(const QRcode *q, int x, int y)
{
	return x >= 0 && y >= 0 && x < q->width && y < q->width &&
	       (q->data[y * q->width + x] & 1) != 0;
}

int qr_svg(const char *text, size_t n, const char *label, FILE *f,
	   struct err *e)
{
	QRcode *q;
	int rc = encode(text, n, &q, e), size;

	if (rc < 0)
		return rc;
	size = q->width + 2 * QUIET;
	fprintf(f,
		"<svg class=\"qr\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"%s\" shape-rendering=\"crispEdges\">"
		"<path fill=\"#fff\" d=\"M0 0h%dv%dh-%dz\"/>"
		"<path fill=\"#000\" d=\"",
		size, size, label, size, size, size);
	for (int y = 0; y < q->width; y++) {
		for (int x = 0, to; x < q->width; x = to + 1) {
			for (to = x; dark(q, to, y);)
				to++;
			if (to > x)
				fprintf(f, "M%d %dh%dv1h-%dz", x + QUIET,
					y + QUIET, to - x, to - x);
		}
	}
	fputs("\"/></svg>\n", f);
	drop(q);
	return 0;
}

int qr_text(const char *text, size_t n, FILE *f, struct err *e)
{
	static const char *const blocks[] = {" ", "\u2580", "\u2584", "\u2588"};
	QRcode *q;
	int rc = encode(text, n, &q, e);

	if (rc < 0)
		return rc;
	for (int y = -QUIET; y < q->width + QUIET; y += 2) {
		for (int x = -QUIET; x < q->width + QUIET; x++)
			fputs(blocks[dark(q, x, y) + 2 * dark(q, x, y + 1)], f);
		fputc('\n', f);
	}
	drop(q);
	return 0;
}
