# target.sh as push_target_text of push/target.h; comments and indents stay on
# this side.
BEGIN {
	print "/* Made by text.awk from target.sh. */"
	print "#include \"push/target.h\""
	print ""
	print "const char push_target_text[] ="
}
/^[ \t]*(#|$)/ {
	next
}
{
	sub(/^\t+/, "")
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	printf "    \"%s\\n\"\n", $0
}
END {
	print "    ;"
}
