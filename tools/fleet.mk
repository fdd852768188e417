# fleet
bin_PROGRAMS += tools/ps-balance
tools_ps_balance_SOURCES = tools/ps-balance.c
