#include "config.h"

#include "base/html.h"

static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\"/>\n";

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;"
    "--line:#d1d9e0;--a:#0b61c4;--b:#a04900;--ok:#166b2d;--warn:#8a5300;"
    "--bad:#b3181f}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e6e9ed;"
    "--dim:#9aa4af;--line:#353c45;--a:#6cb2ff;--b:#ffa657;--ok:#5fd07f;"
    "--warn:#f0b44c;--bad:#ff7b72}}\n"
    "body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--bg);"
    "color:var(--fg);font:16px/1.45 system-ui,sans-serif}\n"
    "h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;"
    "margin:1.6rem 0 .4rem}p{margin:.3rem 0}.dim,figcaption,svg text{"
    "color:var(--dim);fill:var(--dim)}\n"
    ".ok{color:var(--ok)}.notice,.warning{color:var(--warn)}.critical,"
    ".unknown{color:var(--bad)}code{overflow-wrap:anywhere}\n"
    ".alert{border-left:4px solid;padding:.1rem .7rem;margin:.7rem 0}"
    ".alert>*{color:var(--fg)}.alert>b{color:inherit}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px "
    "solid var(--line);white-space:nowrap}td.n,th.n{text-align:right}\n"
    "figure{margin:.8rem 0}svg{width:100%;height:auto;display:block}"
    "svg text{font-size:12px}.grid{stroke:var(--line)}polyline{fill:none;"
    "stroke-width:2;stroke-linejoin:round}.c0{stroke:var(--a)}"
    ".c1{stroke:var(--b)}.k0{color:var(--a)}.k1{color:var(--b)}"
    ".k0:before,.k1:before{content:\"\\25a0  \"}\n"
    "@media(min-width:48rem){.plots{display:grid;grid-template-columns:1fr "
    "1fr;gap:0 1.5rem}}\n"
    "@media(max-width:47.9rem){svg text{font-size:18px}.more{display:none}}"
    "\n";

void html_begin(const char *title, const char *css, FILE *f)
{
	fprintf(f, "%s<title>%s</title>\n<style>\n%s%s</style></head><body>\n",
		head, title, style, css);
}

void html_end(FILE *f)
{
	fputs("</body></html>\n", f);
}

void html_text(const char *t, FILE *f)
{
	for (; *t != '\0'; t++) {
		if (*t == '<')
			fputs("&lt;", f);
		else if (*t == '&')
			fputs("&amp;", f);
		else if (*t == '>')
			fputs("&gt;", f);
		else if ((unsigned char)*t < ' ' || (unsigned char)*t > '~')
			fputc('?', f);
		else
			fputc(*t, f);
	}
}
