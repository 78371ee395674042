"""llmcx tools schema: the JSON Schemas of what the commands print."""

from typing import Annotated

import typer

from llmcx import schemas
from llmcx.cli.options import argument, command, single

app = single()


@command(app)
def schema(
    name: Annotated[str | None, argument("Whose --json; error is what stderr holds.", "COMMAND", offers="schemas:names")] = None,
) -> None:
    """Print the JSON Schema (2020-12) of a command's --json; without a name, list them.

    \b
    llmcx tools schema
    llmcx tools schema flops
    llmcx tools schema error
    """
    typer.echo("\n".join(schemas.names()) if name is None else schemas.text(name).rstrip())
