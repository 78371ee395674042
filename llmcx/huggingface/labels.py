"""Heads of labels: what `architectures` may ask for in place of a head over the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmcx.huggingface.config import Config, table
from llmcx.model.spec import Labels

SEQUENCE, TOKEN, ANSWER = "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"
CHOICE, NEXT = "ForMultipleChoice", "ForNextSentencePrediction"
LABELLED = (SEQUENCE, TOKEN, ANSWER, CHOICE, NEXT)


def first_named(c: Config) -> str:
    """The class that `architectures` names first, "" where it names none."""
    named = c.data.get("architectures")
    return named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""


def asked(c: Config) -> str:
    """How the class that `architectures` names ends, where transformers has one with a head of labels for the family; else ""."""
    return next((end for end in LABELLED if end in known_heads(c) and first_named(c).endswith(end)), "")


def known_heads(c: Config) -> list[str]:
    """How the family's classes end that have a head, where these are more than the causal ones."""
    found: list[str] = table()["families"].get(c.model_type, {}).get("heads", [])
    return found


def label_count(c: Config) -> int:
    """As many as id2label lists, else num_labels, else two."""
    listed, stated = c.data.get("id2label"), c.data.get("num_labels", 2)
    if listed is None:
        if isinstance(stated, bool) or not isinstance(stated, int) or not 1 <= stated <= 10**9:
            raise c.wrong("num_labels", stated, "a whole number from 1 to 10^9")
        return stated
    try:
        numbers = {int(key) for key in listed} if isinstance(listed, Mapping) else set()
    except (TypeError, ValueError):
        numbers = set()
    if not numbers:
        raise c.wrong("id2label", listed, "a mapping of numbers to labels")
    return len(numbers)


def labels(c: Config) -> Labels | None:
    """A decoder's: one matrix over all tokens, whichever are looked at after it; of whole sequences without a bias."""
    kind = asked(c)
    if not kind:
        return None
    if kind == ANSWER:
        return _answer(c) if c.model_type == "gptj" else Labels(2)
    if kind == TOKEN:
        return Labels(label_count(c), bias=c.flag("token_classification_bias", True))
    return Labels(label_count(c), bias=False)


def encoder_labels(c: Config, **before: Any) -> Labels | None:
    """An encoder's, or an encoder-decoder's; ``before`` (Labels' fields) stands before what is said of a whole sequence."""
    kind = asked(c)
    if kind in (SEQUENCE, CHOICE, NEXT):
        if kind == CHOICE:
            c.notes.append("each choice is a sequence of its own, and counted as one")
        return Labels({CHOICE: 1, NEXT: 2}.get(kind) or label_count(c), once=True, **before)
    if kind == ANSWER:
        return _answer(c)
    return Labels(label_count(c)) if kind else None


def _answer(c: Config) -> Labels:
    """Where the answer begins and where it ends, which transformers takes from as many labels."""
    if (found := label_count(c)) != 2:
        raise c.wrong("num_labels", found, "2 for question answering, which splits them into begin and end")
    return Labels(2)
