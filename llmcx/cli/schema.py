"""llmcx schema: the JSON Schemas of what the commands print."""

from typing import Annotated

import typer

from llmcx import schemas
from llmcx.cli.options import command, single

app = single()


def _names(incomplete: str) -> list[str]:
    return [name for name in schemas.names() if name.startswith(incomplete)]


@command(app)
def schema(
    name: Annotated[
        str | None, typer.Argument(metavar="COMMAND", help="Whose --json; error is what stderr holds.", autocompletion=_names)
    ] = None,
) -> None:
    """Print the JSON Schema (2020-12) of a command's --json; without a name, list them.

    \b
    llmcx schema
    llmcx schema flops
    llmcx schema error
    """
    typer.echo("\n".join(schemas.names()) if name is None else schemas.text(name).rstrip())
