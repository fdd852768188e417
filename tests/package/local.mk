# Tests of units, packages and the installer.
EXTRA_DIST += tests/package/agent.bats tests/package/debian.bats tests/package/inside tests/package/listener.c tests/package/machines tests/package/real tests/package/real-faults tests/package/real-firewall tests/package/real-upgrade tests/package/real.bats tests/package/units.bats
