# Tests of the room push.
EXTRA_DIST += tests/push/machines.bash tests/push/push.bats
