"""What --explain prints beside an answer: each figure's formula, the numbers put in, and the source.

One module a command, whose ``rows`` takes the answer, and what was asked where the answer does not say it.
"""
