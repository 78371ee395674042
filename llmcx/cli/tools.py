"""llmcx tools: for scripts and shells."""

from llmcx.cli.completions import completions
from llmcx.cli.options import command, single
from llmcx.cli.schema import schema

app = single()
command(app)(schema)
command(app)(completions)
