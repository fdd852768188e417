# vault
bin_PROGRAMS += tools/ps-upload
tools_ps_upload_SOURCES = tools/ps-upload.c
