"""Writes the JSON Schemas (2020-12) of every command's output, through pydantic, from the types that hold the results.

A result's type says its fields once, where it is made: a dataclass, a NamedTuple or a TypedDict. Here each becomes a pydantic
model of the object that `llmcx.report.json.as_json` makes of it.
"""

from __future__ import annotations

import json
import re
import types
from dataclasses import MISSING, is_dataclass
from dataclasses import fields as dataclass_fields
from functools import cache
from typing import Any, Literal, TypedDict, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.json_schema import GenerateJsonSchema

from llmcx.answers.attention_compare import Comparison
from llmcx.answers.bounds import Bounds
from llmcx.answers.compare import Contrast
from llmcx.answers.flops import Flops
from llmcx.answers.memory import Memory
from llmcx.answers.moe import Experts
from llmcx.answers.params import Params
from llmcx.answers.plan import Trained
from llmcx.answers.serve import Serving
from llmcx.answers.shapes import Shapes
from llmcx.catalog.build import NESTED
from llmcx.catalog.presets import Summary
from llmcx.explain import Entry, Topic
from llmcx.huggingface.weights import Compared
from llmcx.machine.hardware import Hardware
from llmcx.machine.hardware import Summary as Accelerator
from llmcx.model.mixers import MIXERS, mixer_class
from llmcx.model.spec import ModelSpec
from llmcx.ops.fold import Line
from llmcx.scaling.fitting import Fitted
from llmcx.scaling.standing import Advice
from llmcx.schemas import HERE

RESULTS: dict[str, list[Any]] = {
    "params": [Params, Compared],
    "flops": [Flops],
    "memory": [Memory],
    "attention-compare": [Comparison],
    "compare": [Contrast],
    "moe": [Experts],
    "chinchilla": [Advice],
    "chinchilla-fit": [Fitted],
    "bounds": [Bounds],
    "shapes": [Shapes],
    "train": [Trained],
    "serve": [Serving],
    "presets": [list[Summary], ModelSpec],
    "hardware": [list[Accelerator], Hardware],
    "explain": [list[Entry], Topic],
}
"""By schema: what may stand under ``result``."""

ALWAYS_A_MODEL = ("flops", "memory", "attention-compare", "moe", "train", "serve")
NEVER_A_MODEL = ("compare", "bounds", "shapes", "chinchilla-fit", "hardware")

UNITS = (
    (r"(.*_)?bytes(_per_.*)?$", "bytes"),
    (r"(.*_)?flops$|compute(_min|_max)?$|.*_compute$", "FLOPs"),
    (r"(.*_)?(seconds|s)$", "seconds"),
    (r"days$", "days"),
    (r"(.*_)?(tokens|seq|context|seqs)$", "tokens"),
    (r"(.*_)?gb$", "GB, 10^9 bytes"),
    (r"(.*_)?gb_per_s$", "GB/s, 10^9 bytes a second"),
    (r"(.*_)?tokens_per_s(_.*)?$", "tokens per second"),
    (r"(.*_)?tflops$", "TFLOP/s, 10^12 a second"),
    (r"tdp_w$|watts$", "watts"),
    (r"usd(_.*)?$", "US dollars"),
    (r"energy_kwh$", "kWh"),
    (r"co2_kg$", "kg"),
    (r"(.*_)?kib$", "KiB"),
    (r"(.*_)?mib$", "MiB"),
    (r"(.*_)?loss$", "nats per token"),
    (r"(share|.*_fraction|relative|error)$", "a fraction of 1"),
)
"""What a number is counted in, by its name."""


class _Named(TypedDict):
    name: str
    family: str | None
    source: str | None


class Model(_Named, total=False):
    """The model that an answer is about."""

    title: str


class Schema(GenerateJsonSchema):
    """Without a title on every field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def said(kind: Any, name: str) -> str | None:
    """What a class's docstring says of a field: the clauses that name it, and the unit that its name tells."""
    text = " ".join((kind.__doc__ or "").split())
    clauses = [clause.strip(" ;:.") for clause in re.split(r"(?<=[.;:])\s+(?=[`A-Z*])|\.$", text)]
    told = [clause for clause in clauses if f"``{name}``" in clause]
    unit = next((unit for pattern, unit in UNITS if re.match(pattern, name)), None)
    out = ". ".join([*told, *([f"Unit: {unit}"] if unit else [])])
    return out.replace("``", "`") or None


def names_of(kind: Any) -> list[str] | None:
    """The fields of a result's type as `llmcx.report.json.as_json` writes them; None for a type that is no result's."""
    if is_dataclass(kind):
        return [field.name for field in dataclass_fields(kind) if field.name != "lines"]
    names = getattr(kind, "_fields", None) or (list(get_type_hints(kind)) if hasattr(kind, "__total__") else None)
    return None if names is None else list(names)


def read(hint: Any) -> Any:
    """A type hint with every result's type in it replaced by its model."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(read(arg) for arg in args)]
    if origin is list or (origin is tuple and args[-1] is Ellipsis):
        inner: Any = read(args[0])
        return list[inner]
    if origin is not None and origin is not Literal:
        if len(args) != 2 or args[0] is not str:
            raise TypeError(f"{hint} has no JSON form here")
        value: Any = read(args[1])
        return dict[str, value]
    return hint if origin is Literal or names_of(hint) is None else model(hint)


def _field(text: str | None, required: bool = True, alias: str | None = None) -> Any:
    return Field(default=... if required else None, description=text, alias=alias)


def made(kind: Any, members: dict[str, Any]) -> type[BaseModel]:
    """A pydantic model with the name and the docstring of ``kind``, that allows no other fields."""
    doc = " ".join((kind.__doc__ or "").replace("``", "`").split())
    name = kind.__name__.strip("_")
    return create_model(name, __config__=ConfigDict(extra="forbid"), __module__=kind.__module__, __doc__=doc, **members)


@cache
def model(kind: Any) -> type[BaseModel]:
    """The model of the object that a result of ``kind`` becomes."""
    hints, required = get_type_hints(kind), getattr(kind, "__required_keys__", None)
    names = names_of(kind) or []
    return made(
        kind,
        {
            name: (
                read(hints[name]),
                _field(said(kind, name), required is None or name in required),
            )
            for name in names
        },
    )


@cache
def part(kind: Any) -> type[BaseModel]:
    """The model of a part of a preset file, in which what is at its default is left out."""
    hints = get_type_hints(kind)
    members: dict[str, Any] = {}
    for field in dataclass_fields(kind):
        hint = within(NESTED[field.name], hints[field.name]) if field.name in NESTED else read(hints[field.name])
        optional = field.name != "type" and not field.default is field.default_factory is MISSING
        members[field.name] = (hint, _field(said(kind, field.name), not optional))
    return made(kind, members)


def within(nested: Any, hint: Any) -> Any:
    """What a key of a preset holds that holds parts: one, one of several, or a list of them."""
    if isinstance(nested, list):
        inner: Any = within(nested[0], None)
        return list[inner]
    if isinstance(nested, dict):
        kinds = [mixer_class(name) for name in nested] if nested is MIXERS else [*nested.values()]
        found: Any = Union[tuple(part(kind) for kind in dict.fromkeys(kinds))]
    else:
        found = part(nested)
    also = [kind for kind in get_args(hint) if kind in (type(None), bool)]
    return Union[tuple(each for each in (found, *also))] if also else found


def envelope(name: str) -> dict[str, Any]:
    """The schema of a command's answers: one, or several under "results"."""
    results = [part(kind) if kind is ModelSpec else read(kind) for kind in RESULTS[name]]
    # "schema" is a method of pydantic's own models.
    field = _field("What this is; a change gets a new number.", alias="schema")
    several: dict[str, Any] = {"schema_": (Literal[f"llmcx.{name}/1"], field)}
    members = dict(several)
    if name not in NEVER_A_MODEL:
        members["model"] = (model(Model), _field("The model that this is about.", name in ALWAYS_A_MODEL))
    lines: Any = model(Line)
    members |= {
        "inputs": (dict[str, Any], _field("What was asked, defaults included.")),
        "result": (Union[tuple(results)], _field("The answer.")),
        "explain": (list[lines], _field("With --explain: each figure's formula.", False)),
        "notes": (list[str], _field("What to bear in mind.")),
    }
    answer: Any = create_model("Answer", __config__=ConfigDict(extra="forbid"), __doc__=f"One answer of llmcx {name}.", **members)
    both = create_model(
        "Answers",
        __config__=ConfigDict(extra="forbid"),
        __doc__="Several answers side by side; --format jsonl prints each on a line of its own instead.",
        **several,
        results=(list[answer], _field(None)),
    )
    return schema(name, Union[answer, both])


def error() -> dict[str, Any]:
    """The schema of what stderr holds with --json when a call is refused."""
    described = {
        "message": (str, "One sentence."),
        "field": (str, "The flag or key at fault."),
        "value": (Any, "What was given."),
        "allowed": (str, "What would do."),
        "nearest": (list[str], "Valid names closest to a misspelt one."),
        "bug": (bool, "True where the fault is llmcx's: exit 1. A refusal exits 2."),
    }
    members: dict[str, Any] = {name: (kind, _field(text, name == "message")) for name, (kind, text) in described.items()}
    config = ConfigDict(extra="forbid")
    inner = create_model("Error", __config__=config, __doc__="Why a call was refused, in one sentence and in parts.", **members)
    doc = "What stderr holds, on one line, when a call with --json is refused."
    return schema("error", create_model("Refusal", __config__=config, __doc__=doc, error=(inner, _field(None))))


def schema(name: str, kind: Any) -> dict[str, Any]:
    """As pydantic makes it, with its dialect and its name first."""
    body = TypeAdapter(kind).json_schema(mode="serialization", schema_generator=Schema)
    named = {"$schema": Schema.schema_dialect, "$id": f"urn:llmcx:{name}:1", "title": f"llmcx.{name}/1"}
    return {**named, **clean(body), **named}


def clean(body: Any) -> Any:
    """Without the default of a field that may be left out: it is not null, it is not there."""
    if isinstance(body, list):
        return [clean(each) for each in body]
    if not isinstance(body, dict):
        return body
    properties = body.get("properties")
    out = {key: clean(value) for key, value in body.items()}
    if isinstance(properties, dict) and body.get("type") == "object":
        out["properties"] = {key: {k: v for k, v in clean(value).items() if k != "default"} for key, value in properties.items()}
    return out


def files() -> dict[str, str]:
    """What llmcx/schemas should hold."""
    made = {name: envelope(name) for name in RESULTS} | {"error": error()}
    return {f"{name}.json": json.dumps(body, indent=1, ensure_ascii=False) + "\n" for name, body in made.items()}


def main() -> None:
    """Write them."""
    for name, text in files().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
