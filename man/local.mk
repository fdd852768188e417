# Manual pages.
dist_man_MANS += man/ps-scan.1
dist_man_MANS += man/ps-restore.1
