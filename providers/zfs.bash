# Reads what `zstream dump -v` (OpenZFS 2.0 and newer) says of a send stream,
# cmd/zstream/zstream_dump.c there. For the provider zfs.
# shellcheck shell=bash

# Standard input: the dump of one incremental stream of a volume. Prints
# "w FROM LENGTH" for what was written and "z FROM LENGTH" for what is zeros
# now, LENGTH -1: to the end. The content of a volume is object 1. Fails when
# there is a line that is not known here, or an end that is not one: zstream
# itself is content with a stream that was cut.
records_of_dump() {
	awk '
		function value(name,   s) {
			if (!match($0, " " name " = -?[0-9]+")) bad()
			s = substr($0, RSTART, RLENGTH)
			sub(/.* /, "", s)
			return s
		}
		function bad() { failed = 1; exit 9 }
		ended && !/^SUMMARY:$/ && !summary { bad() }
		/^BEGIN record$/ { if (begun++) bad(); next }
		/^\t(hdrtype|features|magic|creation_time|type|flags|toguid|toname) = / {
			if (!begun || body) bad()
			next
		}
		/^\tpayloadlen = / { if ($3 != "0") bad(); next } # raw, redacted, resumed
		# From nothing: holes would not be named.
		/^\tfromguid = [0-9a-f]+$/ { if ($3 == "0") bad(); based = 1; next }
		/^$/ { if (!begun || body) bad(); next }
		/^SUMMARY:$/ { if (!ended) bad(); summary = 1; next }
		summary && /^\tTotal / { next }
		!based || summary { bad() }
		{ body = 1 }
		/^END checksum = [0-9a-f\/]+$/ { ended = 1; next }
		/^(OBJECT|FREEOBJECTS) / { next }
		/^SPILL block for object = / { next }
		!/^(WRITE|WRITE_EMBEDDED|WRITE_BYREF|FREE) object = [0-9]+ / { bad() }
		$4 != 1 { next }
		/^WRITE / { printf "w %s %s\n", value("offset"), value("logical_size"); next }
		/^FREE / { printf "z %s %s\n", value("offset"), value("length"); next }
		{ printf "w %s %s\n", value("offset"), value("length") }
		END { if (failed || !summary) exit 9 }'
}

# Standard input: records as above. Prints the change list of a disk of SIZE
# bytes. A stream names holes that have always been holes, too (as long as ZFS
# cannot tell the difference); what was known to be zeros in the base (OLD:
# "FROM LENGTH" lines) and is zeros again has not changed. What is known of
# this one is written to NEW.
changes_of_records() { # SIZE NEW OLD
	{
		cat
		sed 's/^/o /' "$3"
	} | awk -v size="$1" '
		NF != 3 || $2 !~ /^[0-9]+$/ || $3 !~ /^(-1|[0-9]+)$/ { exit 9 }
		{
			end = $3 == -1 ? size : $2 + $3
			if (end > size) end = size
			if ($2 + 0 >= end) next
			printf "%.0f %s 1\n%.0f %s -1\n", $2, $1, end, $1
		}' | sort -n | awk -v size="$1" -v new="$2.new" '
		function put(from, end) { printf "%.0f %.0f dirty\n", from, end - from }
		function keep(from, end) { printf "%.0f %.0f\n", from, end - from >new }
		BEGIN { printf "" >new; dirty = zeros = -1 }
		# What holds from here to the next place.
		function turn(at,   d, z) {
			d = n["w"] > 0 || (n["z"] > 0 && n["o"] == 0)
			z = n["w"] == 0 && n["z"] + n["o"] > 0
			if (d && dirty < 0) dirty = at
			if (!d && dirty >= 0) { put(dirty, at); dirty = -1; any = 1 }
			if (z && zeros < 0) zeros = at
			if (!z && zeros >= 0) { keep(zeros, at); zeros = -1 }
		}
		$1 != at && NR > 1 { turn(at) }
		{ at = $1; n[$2] += $3 }
		END {
			if (NR) turn(at)
			if (dirty >= 0 || zeros >= 0) exit 9
			if (!any) printf "0 %.0f clean\n", size
		}' && mv "$2.new" "$2"
}
