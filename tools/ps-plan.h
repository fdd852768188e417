/* What the files of ps-plan share. */
#ifndef PS_PLAN_H
#define PS_PLAN_H

#include <stdio.h>

#include "fleet/sizing.h"

/* The same churn by the other generation of published tables. */
struct plan_beside {
	struct sizing s;
	struct sizing_opts o;
};

/* ---- report: one structure, three views ---- */

/* For people. */
void plan_text(const struct sizing *s, const struct churn *c,
	       const struct sizing_opts *o, const struct plan_beside *b,
	       FILE *f);
/* For programs: one object, documented in ps-plan(1). */
void plan_json(const struct sizing *s, const struct churn *c,
	       const struct sizing_opts *o, const struct plan_beside *b,
	       FILE *f);
/* The same as the text, with curves: one page. */
int plan_html(const struct sizing *s, const struct churn *c,
	      const struct sizing_opts *o, const struct plan_beside *b, FILE *f,
	      struct err *e);

/* The text in parts: one line for each finding. */
void plan_findings(const struct sizing *s, const struct churn *c,
		   const struct sizing_opts *o, const struct plan_beside *b,
		   FILE *f);

/* The table of machines, cell by cell; the heading for m NULL. */
#define PLAN_CELLS 8
#define PLAN_CELL 176
void plan_cells(const struct machine_sizing *m, const struct machine_churn *c,
		const struct sizing_opts *o, char cells[PLAN_CELLS][PLAN_CELL]);

#endif
