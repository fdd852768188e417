# Completions. Made by scripts/make-completions, as all in this folder.

ps_bashdir = $(bashcompdir)
dist_ps_bash_DATA =

ps_zshdir = $(zshcompdir)
dist_ps_zsh_DATA =

ps_fishdir = $(fishcompdir)
dist_ps_fish_DATA =
