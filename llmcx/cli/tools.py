"""llmcx tools: for scripts, shells and agents."""

from llmcx.cli.completions import completions
from llmcx.cli.options import command, single
from llmcx.cli.schema import schema

app = single()
command(app)(schema)
command(app)(completions)


@command(app)
def mcp() -> None:
    """Serve the commands to an agent, by the Model Context Protocol over stdin and stdout (extra llmcx[mcp]).

    Its tools are the commands, with their options as JSON Schemas; an answer is what --json prints.

    \b
    llmcx tools mcp
    """
    from llmcx.cli.mcp import serve

    serve()
