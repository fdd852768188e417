# Tests of the room net.
