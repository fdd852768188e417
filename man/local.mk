# Manual pages.
dist_man_MANS += man/ps-upload.1
dist_man_MANS += man/ps-vault.1
dist_man_MANS += man/ps-vault.5
