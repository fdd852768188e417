# Made by scripts/make-completions from the option table of ps-upload.
complete -c ps-upload -l vault -x -d 'the vault when no operand names one'
complete -c ps-upload -l limit-rate -x -d 'bytes per second at most: 20M, 100Mbit'
complete -c ps-upload -s h -l help -d 'print this help'
complete -c ps-upload -s V -l version -d 'print the version'
complete -c ps-upload -s q -l quiet -d 'say only what failed'
complete -c ps-upload -s v -l verbose -d 'say more'
complete -c ps-upload -l config -r -F -d 'configuration, see ps.yaml(5)'
