"""Plain data -> ModelSpec, and back.

One walk builds the parts from the leaves up. ``build`` trusts its data (the built-in presets, which tests validate);
``validate`` checks every part of a user's file: values that are plainly of their fields' types pass, and the rest is for pydantic
to judge, which takes longer to import than the whole command runs. Both end in the same dataclasses, whose own checks always run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache, lru_cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from llmcx.errors import InputError, check_sizes, shown, unknown_name
from llmcx.model import cores, extras
from llmcx.model import spec as parts
from llmcx.model.extras import EXTRAS
from llmcx.model.mixers import MIXERS, Mixer, mixer_class
from llmcx.model.spec import Layers, ModelSpec, runs_of
from llmcx.model.storage import Storage, StorageGroup, StorageType

DENSE: dict[str, Any] = {"plain": parts.Plain, "gated": parts.Gated}
FFN = DENSE | {"moe": parts.MoE}

# What a key holds when it holds a part: a class, classes told apart by "type", or a list of a class.
NESTED: dict[str, Any] = {
    "embedding": parts.Embedding,
    "norm": parts.Norm,
    "final_norm_type": parts.Norm,
    "head": parts.Head,
    "labels": parts.Labels,
    "mixer": MIXERS,
    "beside": MIXERS,
    "cross": {"attention": parts.Attention},
    "qk_norm_type": parts.Norm,
    "index_norm": parts.Norm,
    "core": parts.CORES,
    "ffn": FFN,
    "expert": DENSE,
    "shared": DENSE,
    "extras": [EXTRAS],
    "stored": Storage,
    "groups": [StorageGroup],
    "releases": [parts.Release],
    "tensors": [StorageType],
}

SENSES = ("towers", "sight", "hearing", "before", "after", "inside")


@cache
def senses() -> dict[str, Any]:
    """The nested parts of :data:`SENSES`, whose modules only a model that sees or hears needs."""
    from llmcx.model.pictures import HEARINGS, SIGHTS
    from llmcx.model.tower import PIECES, Tower

    return {"towers": [Tower], "sight": SIGHTS, "hearing": HEARINGS} | {key: [PIECES] for key in ("before", "after", "inside")}


STACKS = ("encoder", "decoder")
NAME = re.compile(r"[A-Za-z][\w.-]*")
RUN = re.compile(rf"(?:(\d{{1,15}}) )?({NAME.pattern})")
MAX_RUNS = 10_000  # as many as the layers that a reader of a config.json looks at one by one


@dataclass(frozen=True)
class Pattern:
    """``layers`` in their order, ``repeat`` times over: a model of 62 layers is 10 times five local ones and a full one, then two
    local ones.
    """

    repeat: int
    layers: tuple[Layers, ...]

    def __post_init__(self) -> None:
        check_sizes(self, "repeat")
        if not self.layers:
            raise InputError("layers is empty, but a pattern has at least one entry", field="layers")

    def runs(self) -> tuple[Layers, ...]:
        """All its layers. Raises InputError where they are too many runs."""
        if len(self.layers) == 1:
            return (replace(self.layers[0], repeat=self.repeat * self.layers[0].repeat),)
        if self.repeat * len(self.layers) > MAX_RUNS:
            allowed = f"at most {MAX_RUNS:,} runs of layers in all"
            problem = f"repeat is {self.repeat}, but must leave {allowed}"
            raise InputError(problem, field="repeat", value=self.repeat, allowed=allowed)
        return self.layers * self.repeat


Make = Callable[[Any, dict[str, Any], str], Any]
Built = TypeVar("Built")


class _Walk:
    """One walk through a file's data: each part built by ``make(class, fields, path)``, its nested parts first."""

    def __init__(self, make: Make) -> None:
        self.make, self.kinds, self.used = make, dict[str, Layers](), set[str]()

    def model(self, data: Mapping[str, Any]) -> Any:
        """The model: its kinds of layers, then the rest, which names them."""
        kinds = data.get("kinds", {})
        if not isinstance(kinds, Mapping):
            raise InputError(f"kinds is {shown(kinds)}, but must be a mapping of names to layers", field="kinds")
        for name, layers in kinds.items():
            path = f"kinds.{name}"
            if not isinstance(name, str) or not NAME.fullmatch(name):
                problem = "but must be a word, so that a stack can say: 5 local"
                raise InputError(f"kinds has the name {shown(name)}, {problem}", field="kinds", value=shown(name))
            if isinstance(layers, Mapping) and "repeat" in layers:
                problem = f"how many follow one another is said in {' or '.join(STACKS)}, as in: 5 {name}"
                raise InputError(f"{path}.repeat does not belong there; {problem}", field=f"{path}.repeat")
            self.kinds[name] = self.part(Layers, {"repeat": 1, **layers} if isinstance(layers, Mapping) else layers, path)
        spec = self.part(ModelSpec, {key: value for key, value in data.items() if key != "kinds"}, "")
        idle = next((name for name in self.kinds if name not in self.used), None)
        if idle is not None:
            raise InputError(f"kinds.{idle} is a kind of layer that neither stack has", field=f"kinds.{idle}", value=idle)
        return spec

    def part(self, kind: Any, data: Any, path: str) -> Any:
        """``data`` as a part of class ``kind``, one of several classes that "type" tells apart, or a list of a class."""
        if data is None:
            return None
        if isinstance(kind, list):
            return tuple(self.part(kind[0], item, f"{path}[{index}]") for index, item in enumerate(_listed(data, path)))
        if not isinstance(data, Mapping):
            raise InputError(f"{path or 'the model'} is {shown(data)}, but must be a mapping of keys to values", field=path)
        if isinstance(kind, dict):
            kind = _class(kind, data, path)
        return self.make(kind, {key: self.field(key, value, f"{path}.{key}".lstrip(".")) for key, value in data.items()}, path)

    def field(self, key: str, value: Any, path: str) -> Any:
        """What a key holds: layers in order, a part, or a plain value."""
        if key in STACKS or key == "layers":
            return self.stack(value, path)
        if isinstance(value, bool) or (key not in NESTED and key not in SENSES):
            return value
        return self.part(NESTED[key] if key in NESTED else senses()[key], value, path)

    def stack(self, data: Any, path: str) -> tuple[Layers, ...] | None:
        """Layers in their order. An entry is layers, a pattern of entries, or the name of a kind, after how many there are."""
        if data is None:
            return None
        found: list[Layers] = []
        for index, entry in enumerate(_listed(data, path)):
            at = f"{path}[{index}]"
            if isinstance(entry, str):
                found.append(self.run(entry, at))
            elif isinstance(entry, Mapping) and "layers" in entry:
                found += _within(at, self.part(Pattern, entry, at).runs)
            else:
                found.append(self.part(Layers, entry, at))
        return runs_of(found)

    def run(self, text: str, path: str) -> Layers:
        """The layers that "local" or "5 local" says."""
        said = RUN.fullmatch(text)
        if said is None:
            allowed = "the name of a kind, or a number and the name: 5 local"
            raise InputError(f"{path} is {shown(text)}, but must be {allowed}", field=path, value=text[:200], allowed=allowed)
        count, name = said.groups()
        if not self.kinds:
            problem = f"{path} names the kind {shown(name)}, but the model has no kinds to name"
            raise InputError(problem, field=path, value=name)
        if name not in self.kinds:
            raise unknown_name(f"{path}: kind", name, [*self.kinds], field=path)
        self.used.add(name)
        kind = self.kinds[name]
        return kind if count is None else _within(path, lambda: replace(kind, repeat=int(count)))


def _within(path: str, made: Callable[[], Built]) -> Built:
    """What ``made`` builds; its refusal says where in the file that is."""
    try:
        return made()
    except InputError as error:
        message, field = f"{path}: {error.message}" if path else error.message, _join(path, error.field or "")
        raise InputError(message, field=field, value=error.value, allowed=error.allowed) from None


def _listed(data: Any, path: str) -> list[Any] | tuple[Any, ...]:
    if not isinstance(data, (list, tuple)):
        raise InputError(f"{path} is {shown(data)}, but must be a list", field=path)
    return data


def _class(kinds: dict[str, Any], data: Mapping[str, Any], path: str) -> Any:
    """The class that "type" names, of llmcx or, among mixers, of a plugin."""
    name = data.get("type")
    if not isinstance(name, str):
        raise InputError(f"{path}.type is missing; it is one of {', '.join(kinds)}", field=f"{path}.type")
    if name not in kinds:
        from llmcx import plugins

        more = plugins.names("mixers") if kinds is MIXERS else []
        if name not in more:
            raise unknown_name(f"{path}.type", name, [*kinds, *more], field=f"{path}.type")
    return mixer_class(name) if kinds is MIXERS else kinds[name]


def build(data: Mapping[str, Any]) -> ModelSpec:
    """A spec from data known to be well formed."""

    def trusting(kind: Any, fields: dict[str, Any], path: str) -> Any:
        return kind(**_with_tuples(fields))

    spec: ModelSpec = _Walk(trusting).model(data)
    return spec


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}


def validate(data: Mapping[str, Any], source: str) -> ModelSpec:
    """A spec from anybody's data.

    Raises InputError, one sentence with the file, the field, the value, what is allowed, and the nearest valid key.
    """

    def checking(kind: Any, fields: dict[str, Any], path: str) -> Any:
        hints = _hints(kind)
        for key, value in fields.items():
            if key not in hints:
                known = [*hints, "kinds"] if kind is ModelSpec else list(hints)
                raise unknown_name(f"key of {path or 'the model'}", str(key), known, field=_join(path, key))
            for text in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(text, str):
                    _check_text(_join(path, key), text, one_line=key in ("name", "names", "aliases", "norms"))
        plain = _with_tuples(fields)
        if not (_required(kind) <= plain.keys() and all(_plainly(value, hints[key]) for key, value in plain.items())):
            plain = _checked(kind, plain, path)

        def build_part() -> Any:
            part = kind(**plain)
            if kind in parts.CORES.values():
                cores.check(part)
            elif kind in EXTRAS.values():
                extras.check(part)
            elif kind.__module__ == "llmcx.model.pictures":
                from llmcx.model.pictures import check as check_rule

                check_rule(part)
            return part

        return _within(path, build_part)

    try:
        spec: ModelSpec = _Walk(checking).model(data)
    except InputError as error:
        raise InputError(
            f"{source}: {error.message}", field=error.field, value=error.value, allowed=error.allowed, nearest=error.nearest
        ) from None
    return spec


_hints = lru_cache(maxsize=64)(get_type_hints)


@lru_cache(maxsize=64)
def defaults(kind: Any) -> dict[str, Any]:
    """Each field of a part (a dataclass or a NamedTuple) and what it is unless stated; MISSING where it has to be."""
    if hasattr(kind, "_fields"):
        return {name: kind._field_defaults.get(name, MISSING) for name in kind._fields}
    return {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(kind)}


def _required(kind: Any) -> set[str]:
    return {name for name, default in defaults(kind).items() if default is MISSING}


def _plainly(value: Any, hint: Any) -> bool:
    """Whether ``value`` is of the type ``hint`` beyond doubt, and nothing has to be said or converted."""
    of = get_origin(hint)
    if of is Union or of is UnionType:
        return any(_plainly(value, each) for each in get_args(hint))
    if of is Literal:
        return type(value) is str and value in get_args(hint)
    if of is tuple:
        each, *rest = get_args(hint)
        return type(value) is tuple and rest == [...] and all(_plainly(item, each) for item in value)
    return type(value) is hint or (hint is Mixer and isinstance(value, Mixer))


def _checked(kind: Any, fields: dict[str, Any], path: str) -> dict[str, Any]:
    """``fields`` as pydantic's strict mode reads them; InputError where it refuses."""
    from pydantic import ValidationError, create_model

    hints, required = _hints(kind), _required(kind)
    types: dict[str, Any] = {name: (hints[name], ... if name in required else None) for name in defaults(kind)}
    checker = create_model(kind.__name__, __config__={"strict": True, "arbitrary_types_allowed": True}, **types)
    try:
        checked = checker.model_validate(fields)
    except ValidationError as failure:
        raise _sentence(failure.errors()[0], path) from None
    return {key: getattr(checked, key) for key in fields}


def _check_text(field: str, text: str, one_line: bool) -> None:
    """Refuse what would steer a terminal or cannot be written at all: these texts are printed as they are."""
    plain = text if one_line else " ".join(text.split())
    if not plain.isprintable() or (one_line and not text.strip()):
        what = "printable text on one line" if one_line else "printable text"
        raise InputError(f"{field} is {shown(text)}, but must be {what}", field=field, value=text[:200], allowed=what)


def _sentence(error: Any, path: str) -> InputError:
    """One of pydantic's errors in our words."""
    field, given = _join(path, ".".join(map(str, error["loc"]))), shown(error["input"])
    if error["type"].startswith("missing"):
        return InputError(f"{field} is missing", field=field)
    message = error["msg"][0].lower() + error["msg"][1:]
    if error["type"] in ("is_instance_of", "dataclass_exact_type", "named_tuple_type"):
        # A part, perhaps one of several: loc ends in its class.
        field, message = _join(path, error["loc"][0]), "must be a mapping of keys to values"
    return InputError(f"{field} is {given}, but {message}", field=field, value=given)


def _join(path: str, key: object) -> str:
    return f"{path}.{key}".strip(".")


def as_data(value: Any) -> Any:
    """A part as plain data, fields at their defaults left out: of a spec, what a preset file holds."""
    if not (hasattr(value, "__dataclass_fields__") or hasattr(value, "_fields")):
        return [as_data(item) for item in value] if isinstance(value, (list, tuple)) else value
    kind: Any = type(value)
    items = [(name, getattr(value, name), default) for name, default in defaults(kind).items()]
    out = {name: as_data(item) for name, item, default in items if name == "type" or item != default}
    return _with_order(value, out) if isinstance(value, ModelSpec) else out


def _with_order(spec: ModelSpec, data: dict[str, Any]) -> dict[str, Any]:
    """``data`` of ``spec`` with its layers as one writes them: kinds that come in several places once, under a name."""
    from llmcx.model.order import Entry, labels, repeated, shorten

    stacks = {stack: shorten([run for run in spec.runs if run[0].startswith(stack)]) for stack in STACKS}
    names: dict[str, str] = {}
    for stack, entries in stacks.items():
        several = repeated(entries)
        kinds = {name: layers for name, layers in spec.kinds.items() if name.startswith(stack)}
        found = labels(kinds if len(several) == 1 else {name: kinds[name] for name in kinds if name in several})
        names |= {name: found[name] for name in kinds if name in several}
    if len({*names.values()}) < len(names):  # both stacks have layers of one description
        names = {name: f"{name.partition('.')[0]}_{label}" for name, label in names.items()}

    def written(entry: Entry) -> Any:
        count, what = entry
        if not isinstance(what, str):
            return InLine(repeat=count, layers=[written(each) for each in what])
        if what not in names:
            return as_data(replace(spec.kinds[what], repeat=count))
        return names[what] if count == 1 else f"{count} {names[what]}"

    named = {label: as_data(spec.kinds[name]) for name, label in names.items()}
    for layers in named.values():
        del layers["repeat"]
    out: dict[str, Any] = {}
    for key, value in data.items():
        if key in STACKS and named:
            out.setdefault("kinds", named)
        out[key] = [written(entry) for entry in stacks[key]] if key in STACKS else value
    return out


class InLine(dict[str, Any]):
    """A pattern, which a file has in one line."""


def to_yaml(spec: ModelSpec) -> str:
    """A spec as the text of a preset file."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """The safe one, with patterns in a line."""

    Dumper.add_representer(InLine, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True))
    return yaml.dump(as_data(spec), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
