# fish completion for llmcx: put this file in ~/.config/fish/completions.
function __llmcx_ask
    set -lx _LLMCX_COMPLETE complete_fish
    set -lx _TYPER_COMPLETE_FISH_ACTION $argv[1]
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    llmcx 2>/dev/null
end
# Where llmcx has nothing to offer, as after --config, fish completes file names.
complete --command llmcx --no-files --arguments "(__llmcx_ask get-args)" --condition "__llmcx_ask is-args"
