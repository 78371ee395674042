"""llmcx completions: the scripts in completions/.

They ask llmcx itself on every Tab, through Typer's completion protocol, so that they know every option, preset and variant
of the version that is installed.
"""

from pathlib import Path
from typing import Annotated

import typer

from llmcx.cli.options import command, single
from llmcx.core.errors import unknown_name

app = single()

BASH = r"""# bash completion for llmcx: source this file.
_llmcx() {
    local IFS=$'\n'
    COMPREPLY=($(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" _LLMCX_COMPLETE=complete_bash "$1" 2>/dev/null))
}
# Where llmcx has nothing to offer, as after --config, bash completes file names.
complete -o default -F _llmcx llmcx
"""

ZSH = r"""#compdef llmcx
# zsh completion for llmcx: put this file on your fpath before compinit, or source it after.
_llmcx() {
    # The answer is a call of _arguments, or of _files where llmcx has nothing to offer.
    eval "$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _LLMCX_COMPLETE=complete_zsh "${words[1]}" 2>/dev/null)"
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
    set -lx _LLMCX_COMPLETE complete_fish
    set -lx _TYPER_COMPLETE_FISH_ACTION $argv[1]
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    llmcx 2>/dev/null
end
# Where llmcx has nothing to offer, as after --config, fish completes file names.
complete --command llmcx --no-files --arguments "(__llmcx_ask get-args)" --condition "__llmcx_ask is-args"
"""

SCRIPTS = {"bash": ("llmcx.bash", BASH), "zsh": ("_llmcx", ZSH), "fish": ("llmcx.fish", FISH)}


def _shells(incomplete: str) -> list[str]:
    return [shell for shell in SCRIPTS if shell.startswith(incomplete)]


@command(app)
def completions(
    shell: Annotated[str | None, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", autocompletion=_shells)] = None,
    write: Annotated[str | None, typer.Option(metavar="DIR", help="Write all three files there instead.")] = None,
) -> None:
    """Print the completion script of a shell.

    \b
    source <(llmcx completions bash)
    llmcx completions zsh > ~/.zfunc/_llmcx
    llmcx completions fish > ~/.config/fish/completions/llmcx.fish
    """
    if write is not None:
        for name, script in SCRIPTS.values():
            Path(write, name).write_text(script, encoding="utf-8")
    elif shell is None or shell not in SCRIPTS:
        raise unknown_name("shell", shell or "", list(SCRIPTS), field="shell")
    else:
        typer.echo(SCRIPTS[shell][1], nl=False)
