"""llmcx textbook: what theory says beside what is counted."""

from llmcx.cli.bounds import bounds
from llmcx.cli.options import command, single
from llmcx.cli.shapes import shapes

app = single()
command(app, "bounds", without=("plot", "detail"))(bounds)
command(app, "shapes", without=("detail",))(shapes)
