# Units of systemd as the table unit_texts of service/unit.h.
BEGIN {
	print "/* Made by texts.awk from packaging/systemd. */"
	print "#include \"service/unit.h\""
	print ""
	print "const struct unit_text unit_texts[] = {"
}
FNR == 1 {
	if (NR > 1)
		print "    },"
	n = split(FILENAME, path, "/")
	printf "    {\"%s\",\n", path[n]
}
{
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	printf "     \"%s\\n\"\n", $0
}
END {
	print "    },"
	print "    {NULL, NULL},"
	print "};"
}
