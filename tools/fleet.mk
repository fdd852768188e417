# fleet
bin_PROGRAMS += tools/ps-balance tools/ps-plan
tools_ps_balance_SOURCES = tools/ps-balance.c
tools_ps_plan_SOURCES = tools/ps-plan.c tools/ps-plan.h tools/ps-plan-html.c \
	tools/ps-plan-measure.c tools/ps-plan-measure.h tools/ps-plan-report.c
