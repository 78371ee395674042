"""Writes the JSON Schemas (2020-12) of every command's output, through pydantic, from the types that hold the results.

A result's type says its fields once, where it is made: a dataclass, a NamedTuple, a TypedDict, or a class of cached properties.
Here each becomes a pydantic model of the object that `llmcx.report.json.as_json` makes of it, described by its docstring.
"""

from __future__ import annotations

import json
from dataclasses import MISSING
from functools import cache, cached_property
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import ConfigDict, Field, TypeAdapter, create_model
from pydantic.json_schema import GenerateJsonSchema

from llmcx import explain
from llmcx.answers import (
    Line,
    attention_compare,
    bounds,
    budget,
    check,
    check_train,
    compare,
    fields_of,
    flops,
    log,
    memory,
    moe,
    params,
    plan,
    plan_finetune,
    plan_lifetime,
    plan_local,
    plan_serve,
    plan_train,
    serve,
    shapes,
)
from llmcx.catalog import presets
from llmcx.catalog.build import NESTED, STACKS, Pattern, defaults, senses
from llmcx.explain import tour
from llmcx.huggingface import weights
from llmcx.machine import hardware
from llmcx.model.mixers import MIXERS, mixer_class
from llmcx.model.spec import Layers, ModelSpec
from llmcx.report.json import VERSION
from llmcx.scaling import fitting, standing
from llmcx.schemas import HERE

RESULTS: dict[str, tuple[Any, ...]] = {
    "params": (params.Params, weights.Compared),
    "flops": (flops.Flops,),
    "memory": (memory.Memory,),
    "attention-compare": (attention_compare.Comparison,),
    "compare": (compare.Contrast,),
    "moe": (moe.Experts,),
    "chinchilla": (standing.Advice,),
    "chinchilla-fit": (fitting.Fitted,),
    "bounds": (bounds.Bounds,),
    "shapes": (shapes.Shapes,),
    "train": (plan.Trained,),
    "serve": (serve.Serving,),
    "plan": (plan_serve.ServePlan,),
    "plan-local": (plan_local.LocalPlan,),
    "plan-lifetime": (plan_lifetime.LifetimePlan,),
    "plan-train": (plan_train.TrainPlan,),
    "plan-finetune": (plan_finetune.FinetunePlan,),
    "presets": (list[presets.Summary], ModelSpec),
    "hardware": (list[hardware.Summary], hardware.Hardware),
    "explain-log": (log.Explained,),
    "explain": (list[explain.Entry], explain.Topic, tour.Tour),
    "check": (check.Check, check_train.TrainingCheck, budget.Budget),
}
"""By schema: what may stand under ``result``."""

ALWAYS_A_MODEL = ("flops", "memory", "attention-compare", "moe", "train", "serve", "plan", "plan-train", "plan-finetune")
NEVER_A_MODEL = ("plan-local", "plan-lifetime", "compare", "bounds", "shapes", "chinchilla-fit", "hardware")

Members = dict[str, tuple[Any, bool]]
"""Of an object, by name: the type, and whether it is always there."""


class Schema(GenerateJsonSchema):
    """Without titles that repeat a field's name, and without defaults: what may be left out is not null but not there."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"])


def made(name: str, doc: str | None, members: Members, module: str = __name__) -> Any:
    """The model of an object that has these members and no others."""
    fields: dict[str, Any] = {
        f"{key}_": (hint, Field(... if always else None, alias=key)) for key, (hint, always) in members.items()
    }
    text = " ".join((doc or "").replace("``", "`").split())
    return create_model(name, __config__=ConfigDict(extra="forbid"), __doc__=text, __module__=module, **fields)


def members_of(kind: Any) -> Members | None:
    """The members of a result's type, as `llmcx.report.json.as_json` writes them; None for a type that is no result's."""
    if is_typeddict(kind):
        return {name: (read(hint), name in kind.__required_keys__) for name, hint in get_type_hints(kind).items()}
    if not isinstance(kind, type):
        return None
    hints = get_type_hints(kind)

    def hint_of(name: str) -> Any:
        computed = getattr(kind, name, None)
        return get_type_hints(computed.func)["return"] if isinstance(computed, cached_property) else hints[name]

    names = fields_of(kind)
    return None if names is None else {name: (read(hint_of(name)), True) for name in names}


@cache
def read(hint: Any) -> Any:
    """A type hint with every result's type in it replaced by its model."""
    origin: Any = get_origin(hint)
    origin = list if isinstance(origin, type) and issubclass(origin, list) else origin
    if origin not in (None, Literal):
        return (Union if origin is UnionType else origin)[tuple(each if each is ... else read(each) for each in get_args(hint))]
    members = members_of(hint)
    return hint if members is None else made(hint.__name__.strip("_"), hint.__doc__, members, hint.__module__)


@cache
def part(kind: Any) -> Any:
    """The model of a part of a preset file, in which what is at its default is left out."""
    members = parts_of(kind)
    if kind is ModelSpec:
        one: Any = made("Kind", "A kind of layer.", {name: of for name, of in parts_of(Layers).items() if name != "repeat"})
        many = made("Pattern", Pattern.__doc__, {"repeat": (int, True), "layers": (list[Any], True)})
        entry: Any = Union[str, part(Layers), many]
        members |= {"kinds": (dict[str, one], False)} | dict.fromkeys(STACKS, (list[entry], False))
    return made(kind.__name__, kind.__doc__, members, kind.__module__)


def parts_of(kind: Any) -> Members:
    """What a part holds."""
    hints, nested = get_type_hints(kind), {**NESTED, **senses(), "layers": [Layers]}
    return {
        name: (within(nested[name], hints[name]) if name in nested else hints[name], name == "type" or default is MISSING)
        for name, default in defaults(kind).items()
        if name not in STACKS
    }


def within(nested: Any, hint: Any) -> Any:
    """What a key of a preset holds that holds parts: one, one of several, or a list of them."""
    if isinstance(nested, list):
        inner: Any = within(nested[0], None)
        return list[inner]
    one_of = (
        [mixer_class(name) for name in nested] if nested is MIXERS else nested.values() if isinstance(nested, dict) else [nested]
    )
    also = [kind for kind in get_args(hint) if kind in (type(None), bool)]
    return Union[tuple([part(kind) for kind in dict.fromkeys(one_of)] + also)]


def answers(name: str) -> Any:
    """What a command prints: one answer, or several under "results"."""
    about: Members = {"name": (str, True), "family": (str | None, True), "source": (str | None, True), "title": (str, False)}
    lines: Any = read(Line)
    what: Members = {"schema": (Literal[f"llmcx.{name}/{VERSION}"], True)}
    text = dict.fromkeys(("options", "gives"), (str, True))
    change: Any = made("Remedy", "Options that would turn a no into a yes, and what then comes out.", text)
    members: Members = {
        "model": (made("Model", "The model that an answer is about.", about), name in ALWAYS_A_MODEL),
        "inputs": (dict[str, Any], True),
        "asked": (str, False),
        "verdict": (str, False),
        "changes": (list[change], False),
        "result": (Union[tuple(part(kind) if kind is ModelSpec else read(kind) for kind in RESULTS[name])], True),
        "explain": (list[lines], False),
        "notes": (list[str], True),
    }
    if name in NEVER_A_MODEL:
        del members["model"]
    doc = "`inputs` is what was asked, defaults included; `explain` each figure's formula, with --explain."
    doc += " `asked` and `verdict` are the first lines that a reader gets, `changes` what would turn a no into a yes."
    one: Any = made("Answer", f"One answer of llmcx {name}, as --format jsonl prints it on a line. {doc}", what | members)
    doc = "All answers; where it is one, its parts stand at the top too, as .result."
    alone: Members = {key: (hint, False) for key, (hint, _) in members.items()}
    return Union[made("Answers", doc, what | alone | {"results": (list[one], True)}), one]


def refusal() -> Any:
    """What stderr holds, on one line, when a call with --json is refused."""
    doc = "In one sentence, and in parts: what is at fault, what was given, what would do, valid names near a misspelt one."
    kinds = {"message": str, "field": str, "value": Any, "allowed": str, "nearest": list[str], "bug": bool}
    error = made("Error", doc, {name: (kind, name == "message") for name, kind in kinds.items()})
    return made("Refusal", refusal.__doc__, {"error": (error, True)})


def files() -> dict[str, str]:
    """What llmcx/schemas should hold."""
    out = {}
    for name, kind in [*((name, answers(name)) for name in RESULTS), ("error", refusal())]:
        body = TypeAdapter(kind).json_schema(mode="serialization", schema_generator=Schema)
        head = {"$schema": Schema.schema_dialect, "$id": f"urn:llmcx:{name}:{VERSION}", "title": f"llmcx.{name}/{VERSION}"}
        out[f"{name}.json"] = json.dumps(head | body | head, indent=1, ensure_ascii=False) + "\n"
    return out


if __name__ == "__main__":
    for file, text in files().items():
        (HERE / file).write_text(text, encoding="utf-8")
