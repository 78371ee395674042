"""`python -m llmcx`."""

from llmcx.cli import main

main()
