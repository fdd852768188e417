# vault
bin_PROGRAMS += tools/ps-upload
tools_ps_upload_SOURCES = tools/ps-upload.c tools/store-opts.h \
	tools/upload-rates.c tools/upload-rates.h
bin_PROGRAMS += tools/ps-vault
tools_ps_vault_SOURCES = tools/ps-vault.c tools/ps-vault.h tools/store-opts.h \
	tools/print-json.c tools/print-json.h \
	tools/ps-vault-copy.c tools/ps-vault-kit.c tools/ps-vault-list.c tools/ps-vault-show.c tools/ps-vault-stat.c \
	tools/ps-vault-verify.c
