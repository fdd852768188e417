# Manual pages.
dist_man_MANS += man/ps-pipeline.8
dist_man_MANS += man/ps.yaml.5
