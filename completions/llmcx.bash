# bash completion for llmcx: source this file.
_llmcx() {
    local IFS=$'\n' line breaks words
    words=("${COMP_WORDS[@]:0:COMP_CWORD+1}")
    line="${words[*]}"
    # bash cuts --preset=gpt3 into three words; llmcx knows it as one.
    line="${line//$'\n='/=}"
    line="${line//=$'\n'/=}"
    breaks="${line//[!$'\n']/}"
    COMPREPLY=($(env COMP_WORDS="$line" COMP_CWORD="${#breaks}" _LLMCX_COMPLETE=complete_bash "$1" 2>/dev/null))
}
# Where llmcx has nothing to offer, as after --config, bash completes file names.
complete -o default -F _llmcx llmcx
