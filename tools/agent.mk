# agent
bin_PROGRAMS += tools/ps-agent
tools_ps_agent_SOURCES = tools/ps-agent.c
