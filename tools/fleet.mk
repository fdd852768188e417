# fleet
bin_PROGRAMS += tools/ps-balance tools/ps-plan
tools_ps_balance_SOURCES = tools/ps-balance.c tools/ps-balance.h \
	tools/ps-balance-move.c tools/ps-balance-plan.c tools/ps-balance-show.c tools/ps-balance-inventory.c tools/print-json.c tools/print-json.h
tools_ps_plan_SOURCES = tools/ps-plan.c tools/ps-plan.h tools/ps-plan-html.c \
	tools/ps-plan-measure.c tools/ps-plan-measure.h tools/ps-plan-report.c
