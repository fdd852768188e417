# Completions.
