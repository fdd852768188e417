# Manual pages.
dist_man_MANS += man/ps-scan.1
dist_man_MANS += man/ps-restore.1
dist_man_MANS += man/ps-cache.1
dist_man_MANS += man/ps-upload.1
dist_man_MANS += man/ps-vault.1
dist_man_MANS += man/ps-vault.5
