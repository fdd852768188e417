# chain
bin_PROGRAMS += tools/ps-pipeline
tools_ps_pipeline_SOURCES = tools/ps-pipeline.c
