# Manual pages.
dist_man_MANS += man/ps-scan.1
