"""llmcx tools completions: the scripts in completions/.

They ask llmcx itself on every Tab, through Typer's completion protocol, so that they know every option, preset and variant
of the version that is installed.
"""

from pathlib import Path
from typing import Annotated

import typer

from llmcx.cli.options import argument, command, option, single
from llmcx.errors import InputError, unknown_name

app = single()

BASH = r"""# bash completion for llmcx: source this file.
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
"""

ZSH = r"""#compdef llmcx
# zsh completion for llmcx: put this file on your fpath before compinit, or source it after.
_llmcx() {
    local typed="${words[1,$CURRENT]}"
    # Of --preset=gpt3, only what follows the = is completed.
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    # The answer is a call of _arguments, or of _files where llmcx has nothing to offer. COLUMNS: help stays on one line.
    eval "$(env COLUMNS=999 _TYPER_COMPLETE_ARGS="$typed" _LLMCX_COMPLETE=complete_zsh "${words[1]}" 2>/dev/null)"
}
# Autoloaded, this file is the function's own body and has to answer the first Tab too.
if [[ "${funcstack[1]}" == _llmcx ]]; then
    _llmcx "$@"
else
    compdef _llmcx llmcx
fi
"""

FISH = r"""# fish completion for llmcx: put this file in ~/.config/fish/completions.
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
"""

SCRIPTS = {"bash": ("llmcx.bash", BASH), "zsh": ("_llmcx", ZSH), "fish": ("llmcx.fish", FISH)}


@command(app)
def completions(
    shell: Annotated[str | None, argument("bash, zsh or fish.", "SHELL", offers=" ".join(SCRIPTS))] = None,
    write: Annotated[str | None, option("Write all three files there instead.", metavar="DIR")] = None,
) -> None:
    """Print the completion script of a shell.

    \b
    source <(llmcx tools completions bash)
    llmcx tools completions zsh > ~/.zfunc/_llmcx
    llmcx tools completions fish > ~/.config/fish/completions/llmcx.fish
    """
    if shell is not None and shell not in SCRIPTS:
        raise unknown_name("shell", shell, list(SCRIPTS), field="shell")
    if write is not None:
        for name, script in SCRIPTS.values():
            try:
                Path(write, name).write_text(script, encoding="utf-8", newline="\n")
            except OSError as error:
                problem = f"--write {write}: {name} cannot be written: {error.strerror}"
                raise InputError(problem, field="write", value=write) from None
    elif shell is None:
        raise InputError("give a shell (bash, zsh or fish) or --write DIR", field="shell", allowed="bash, zsh or fish")
    else:
        typer.echo(SCRIPTS[shell][1], nl=False)
