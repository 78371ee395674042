# bash completion for llmcx: source this file.
_llmcx() {
    local IFS=$'\n'
    COMPREPLY=($(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" _LLMCX_COMPLETE=complete_bash "$1" 2>/dev/null))
}
# Where llmcx has nothing to offer, as after --config, bash completes file names.
complete -o default -F _llmcx llmcx
