"""Writes names.txt."""

from llmcx.explain import NAMES
from llmcx.explain.collect import drafts, synonyms


def text() -> str:
    """What the list should hold: topics, then their other names."""
    return "\n".join(["chapter", *drafts(), *synonyms()]) + "\n"


if __name__ == "__main__":
    NAMES.write_text(text(), encoding="utf-8")
