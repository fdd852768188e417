# Tests of the room doctor.
EXTRA_DIST += tests/doctor/bundle.bats tests/doctor/doctor.bash tests/doctor/doctor.bats tests/doctor/faults.bats tests/doctor/firewall.bats tests/doctor/firewalld.nft tests/doctor/systemd.bats tests/doctor/vaults.bats
