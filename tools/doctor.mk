# doctor
bin_PROGRAMS += tools/ps-doctor
tools_ps_doctor_SOURCES = tools/ps-doctor.c tools/store-opts.h
