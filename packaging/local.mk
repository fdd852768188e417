# What belongs around the tools: units of systemd and what goes with them.
# The units are also what ps-service reads.
unitdir = $(systemdsystemunitdir)
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
crondir = $(sysconfdir)/cron.d
logrotatedir = $(sysconfdir)/logrotate.d
dropindir = $(pkgdatadir)/ps-agent.d

nodist_unit_DATA = \
	packaging/systemd/ps-agent.service \
	packaging/systemd/ps-config.service \
	packaging/systemd/ps-health.service \
	packaging/systemd/ps-heartbeat.service \
	packaging/systemd/ps-pipeline.service \
	packaging/systemd/ps-receive.service \
	packaging/systemd/ps-renew.service \
	packaging/systemd/ps-verify.service
dist_unit_DATA = \
	packaging/systemd/ps-health.timer \
	packaging/systemd/ps-renew.timer \
	packaging/systemd/ps-verify.timer
dist_dropin_DATA = \
	packaging/ps-agent.d/cpu-limit.conf \
	packaging/ps-agent.d/hypervisor.conf \
	packaging/ps-agent.d/postgresql.conf
nodist_sysusers_DATA = packaging/sysusers.d/ps-toolkit.conf
nodist_tmpfiles_DATA = \
	packaging/tmpfiles.d/ps-agent.conf \
	packaging/tmpfiles.d/ps-toolkit.conf
nodist_cron_DATA = packaging/cron.d/ps-toolkit
nodist_logrotate_DATA = packaging/logrotate.d/ps-toolkit

packaging_made = $(nodist_unit_DATA) $(nodist_sysusers_DATA) \
	$(nodist_tmpfiles_DATA) $(nodist_cron_DATA) $(nodist_logrotate_DATA)
CLEANFILES += $(packaging_made)
EXTRA_DIST += packaging/systemd/hardening $(packaging_made:=.in)

# @hardening@ becomes what all services without privileges have in common.
$(packaging_made): %: %.in packaging/systemd/hardening Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed \
		-e '/^@hardening@$$/{r $(srcdir)/packaging/systemd/hardening' -e 'd;}' \
		-e 's,[@]bindir[@],$(bindir),g' -e 's,[@]sysconfdir[@],$(sysconfdir),g' \
		-e 's,[@]localstatedir[@],$(localstatedir),g' $< >$@.new && mv $@.new $@

# For scripts/package.
EXTRA_DIST += packaging/agent-tools packaging/sign packaging/split \
	packaging/agent/UnifiedAgentConfigurator.sh packaging/agent/common.bash \
	packaging/agent/install packaging/agent/make-tarball packaging/agent/uninstall \
	packaging/debian/control packaging/debian/copyright packaging/debian/rules \
	packaging/debian/source/format \
	packaging/debian/ps-toolkit.postinst packaging/debian/ps-toolkit.postrm \
	packaging/debian/ps-toolkit.prerm packaging/debian/ps-toolkit-agent.postinst \
	packaging/debian/ps-toolkit-agent.postrm packaging/debian/ps-toolkit-agent.prerm
