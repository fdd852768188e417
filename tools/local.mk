# Installed programs: one file for each, options, checks, one call, exit code.
include $(srcdir)/tools/segment.mk
include $(srcdir)/tools/disk.mk
include $(srcdir)/tools/vault.mk
include $(srcdir)/tools/restore.mk
include $(srcdir)/tools/cache.mk
include $(srcdir)/tools/net.mk
include $(srcdir)/tools/chain.mk
include $(srcdir)/tools/agent.mk
include $(srcdir)/tools/health.mk
include $(srcdir)/tools/trace.mk
include $(srcdir)/tools/fleet.mk
include $(srcdir)/tools/doctor.mk
include $(srcdir)/tools/config.mk
include $(srcdir)/tools/setup.mk
include $(srcdir)/tools/service.mk
include $(srcdir)/tools/push.mk
