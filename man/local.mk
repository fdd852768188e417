# Manual pages.
dist_man_MANS += man/ps-restore.1
