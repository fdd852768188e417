# Completions. Made by scripts/make-completions, as all in this folder.

ps_bashdir = $(bashcompdir)
dist_ps_bash_DATA = \
	completions/bash/cdpcli \
	completions/bash/cxpsclient \
	completions/bash/ps-agent \
	completions/bash/ps-balance \
	completions/bash/ps-cache \
	completions/bash/ps-compress \
	completions/bash/ps-config \
	completions/bash/ps-doctor \
	completions/bash/ps-encrypt \
	completions/bash/ps-health \
	completions/bash/ps-pipeline \
	completions/bash/ps-plan \
	completions/bash/ps-push \
	completions/bash/ps-receive \
	completions/bash/ps-restore \
	completions/bash/ps-scan \
	completions/bash/ps-service \
	completions/bash/ps-stream \
	completions/bash/ps-trace \
	completions/bash/ps-upload \
	completions/bash/ps-vault \
	completions/bash/unifiedsetup

ps_zshdir = $(zshcompdir)
dist_ps_zsh_DATA = \
	completions/zsh/_cdpcli \
	completions/zsh/_cxpsclient \
	completions/zsh/_ps-agent \
	completions/zsh/_ps-balance \
	completions/zsh/_ps-cache \
	completions/zsh/_ps-compress \
	completions/zsh/_ps-config \
	completions/zsh/_ps-doctor \
	completions/zsh/_ps-encrypt \
	completions/zsh/_ps-health \
	completions/zsh/_ps-pipeline \
	completions/zsh/_ps-plan \
	completions/zsh/_ps-push \
	completions/zsh/_ps-receive \
	completions/zsh/_ps-restore \
	completions/zsh/_ps-scan \
	completions/zsh/_ps-service \
	completions/zsh/_ps-stream \
	completions/zsh/_ps-trace \
	completions/zsh/_ps-upload \
	completions/zsh/_ps-vault \
	completions/zsh/_unifiedsetup

ps_fishdir = $(fishcompdir)
dist_ps_fish_DATA = \
	completions/fish/cdpcli.fish \
	completions/fish/cxpsclient.fish \
	completions/fish/ps-agent.fish \
	completions/fish/ps-balance.fish \
	completions/fish/ps-cache.fish \
	completions/fish/ps-compress.fish \
	completions/fish/ps-config.fish \
	completions/fish/ps-doctor.fish \
	completions/fish/ps-encrypt.fish \
	completions/fish/ps-health.fish \
	completions/fish/ps-pipeline.fish \
	completions/fish/ps-plan.fish \
	completions/fish/ps-push.fish \
	completions/fish/ps-receive.fish \
	completions/fish/ps-restore.fish \
	completions/fish/ps-scan.fish \
	completions/fish/ps-service.fish \
	completions/fish/ps-stream.fish \
	completions/fish/ps-trace.fish \
	completions/fish/ps-upload.fish \
	completions/fish/ps-vault.fish \
	completions/fish/unifiedsetup.fish
