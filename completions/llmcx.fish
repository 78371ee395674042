# fish completion for llmcx: put this file in ~/.config/fish/completions.
function __llmcx_ask
    set -lx COLUMNS 999 # help stays on one line
    set -lx _LLMCX_COMPLETE complete_fish
    set -lx _TYPER_COMPLETE_FISH_ACTION get-args
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    # Of --preset=gpt3, llmcx answers only what follows the =; fish wants the whole word.
    set -l option (commandline -ct | string match -r '^--[^=]+=')
    set -g __llmcx_answers "$option"(llmcx 2>/dev/null)
    test (count $__llmcx_answers) -gt 0
end
# Where llmcx has nothing to offer, as after --config, fish completes file names.
complete --command llmcx --no-files --condition __llmcx_ask --arguments '$__llmcx_answers'
