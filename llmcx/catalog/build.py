"""Plain data -> ModelSpec, and back.

One walk builds the parts from the leaves up. ``build`` trusts its data (the built-in presets, which tests validate);
``validate`` checks every part of a user's file: values that are plainly of their fields' types pass, and the rest is for pydantic
to judge, which takes longer to import than the whole command runs. Both end in the same dataclasses, whose own checks always run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import lru_cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from llmcx.errors import InputError, shown, unknown_name
from llmcx.model import cores, extras
from llmcx.model import spec as parts
from llmcx.model.extras import EXTRAS
from llmcx.model.mixers import MIXERS, Mixer, mixer_class
from llmcx.model.spec import ModelSpec

FFN: dict[str, Any] = {"plain": parts.Plain, "gated": parts.Gated, "moe": parts.MoE}
DENSE: dict[str, Any] = {"plain": parts.Plain, "gated": parts.Gated}

# What a key holds when it holds a part: a class, classes told apart by "type", or a list of a class.
NESTED: dict[str, Any] = {
    "embedding": parts.Embedding,
    "norm": parts.Norm,
    "head": parts.Head,
    "encoder": [parts.Layers],
    "decoder": [parts.Layers],
    "mixer": MIXERS,
    "beside": MIXERS,
    "cross": {"attention": parts.Attention},
    "qk_norm_type": parts.Norm,
    "core": parts.CORES,
    "ffn": FFN,
    "expert": DENSE,
    "shared": DENSE,
    "extras": [EXTRAS],
}

Make = Callable[[Any, dict[str, Any], str], Any]


def _walk(kind: Any, data: Any, path: str, make: Make) -> Any:
    """Build ``data`` as ``kind``, its nested parts first, each by ``make(class, fields, path)``."""
    if data is None:
        return None
    if isinstance(kind, list):
        if not isinstance(data, (list, tuple)):
            raise InputError(f"{path} is {shown(data)}, but must be a list", field=path)
        return tuple(_walk(kind[0], item, f"{path}[{index}]", make) for index, item in enumerate(data))
    if not isinstance(data, Mapping):
        raise InputError(f"{path or 'the model'} is {shown(data)}, but must be a mapping of keys to values", field=path)
    if isinstance(kind, dict):
        name = data.get("type")
        if not isinstance(name, str):
            raise InputError(f"{path}.type is missing; it is one of {', '.join(kind)}", field=f"{path}.type")
        if name not in kind:
            from llmcx import plugins

            more = plugins.names("mixers") if kind is MIXERS else []
            if name not in more:
                raise unknown_name(f"{path}.type", name, [*kind, *more], field=f"{path}.type")
        kind = mixer_class(name) if kind is MIXERS else kind[name]
    fields = {
        key: _walk(NESTED[key], value, f"{path}.{key}".lstrip("."), make)
        if key in NESTED and not isinstance(value, bool)
        else value
        for key, value in data.items()
    }
    return make(kind, fields, path)


def build(data: Mapping[str, Any]) -> ModelSpec:
    """A spec from data known to be well formed."""

    def trusting(kind: Any, fields: dict[str, Any], path: str) -> Any:
        for names in ("aliases", "assumes", "norms"):
            if isinstance(fields.get(names), list):
                fields[names] = tuple(fields[names])
        return kind(**fields)

    spec: ModelSpec = _walk(ModelSpec, data, "", trusting)
    return spec


def validate(data: Mapping[str, Any], source: str) -> ModelSpec:
    """A spec from anybody's data.

    Raises InputError, one sentence with the file, the field, the value, what is allowed, and the nearest valid key.
    """

    def checking(kind: Any, fields: dict[str, Any], path: str) -> Any:
        hints = _hints(kind)
        for key, value in fields.items():
            if key not in hints:
                raise unknown_name(f"key of {path or 'the model'}", str(key), list(hints), field=_join(path, key))
            for text in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(text, str):
                    _check_text(_join(path, key), text, one_line=key in ("name", "aliases", "norms"))
        plain = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
        if not (_required(kind) <= plain.keys() and all(_plainly(value, hints[key]) for key, value in plain.items())):
            plain = _checked(kind, plain, path)
        try:
            part = kind(**plain)
            if kind in parts.CORES.values():
                cores.check(part)
            elif kind in EXTRAS.values():
                extras.check(part)
            return part
        except InputError as error:
            raise InputError(
                f"{path}: {error.message}" if path else error.message,
                field=_join(path, error.field or ""),
                value=error.value,
                allowed=error.allowed,
            ) from None

    try:
        spec: ModelSpec = _walk(ModelSpec, data, "", checking)
    except InputError as error:
        raise InputError(
            f"{source}: {error.message}", field=error.field, value=error.value, allowed=error.allowed, nearest=error.nearest
        ) from None
    return spec


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


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
    field = _join(path, ".".join(map(str, error["loc"])))
    if error["type"].startswith("missing"):
        return InputError(f"{field} is missing", field=field)
    if error["type"] in ("is_instance_of", "dataclass_exact_type", "named_tuple_type"):
        # A part, perhaps one of several: loc ends in its class.
        field = _join(path, error["loc"][0])
        problem = f"{field} is {shown(error['input'])}, but must be a mapping of keys to values"
        return InputError(problem, field=field, value=shown(error["input"]))
    message = error["msg"][0].lower() + error["msg"][1:]
    return InputError(f"{field} is {shown(error['input'])}, but {message}", field=field, value=shown(error["input"]))


def _join(path: str, key: object) -> str:
    return f"{path}.{key}".strip(".")


def as_data(value: Any) -> Any:
    """A spec as plain data, fields at their defaults left out: what a preset file holds."""
    if not (hasattr(value, "__dataclass_fields__") or hasattr(value, "_fields")):
        return [as_data(item) for item in value] if isinstance(value, (list, tuple)) else value
    kind: Any = type(value)
    out = {}
    for name, default in defaults(kind).items():
        item = getattr(value, name)
        if name == "type" or item != default:
            out[name] = as_data(item)
    return out


def to_yaml(spec: ModelSpec) -> str:
    """A spec as the text of a preset file."""
    import yaml

    return yaml.safe_dump(as_data(spec), sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
