# Manual pages.
dist_man_MANS += man/ps-scan.1
dist_man_MANS += man/ps-restore.1
dist_man_MANS += man/ps-cache.1
dist_man_MANS += man/ps-compress.1
dist_man_MANS += man/ps-encrypt.1
dist_man_MANS += man/ps-stream.1
dist_man_MANS += man/ps-segment.5
