"""Writes llmcx/api.py, the functions of the Python API, from the options that the commands declare: python -m llmcx.cli.api."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

from llmcx.answers.compare import FIGURES
from llmcx.cli.python import FUNCTIONS, Function, function

HERE = Path(__file__).resolve().parent.parent / "api.py"

ANSWERS = {
    "params": "llmcx.answers.params.Params",
    "flops": "llmcx.answers.flops.Flops",
    "memory": "llmcx.answers.memory.Memory",
    "attention_compare": "llmcx.answers.attention_compare.Comparison",
    "moe": "llmcx.answers.moe.Experts",
    "chinchilla": "llmcx.answers.chinchilla.Optima",
    "train": "llmcx.answers.plan.Trained",
    "serve": "llmcx.answers.serve.Serving",
    "plan_serve": "llmcx.answers.plan_serve.ServePlan",
    "plan_local": "llmcx.answers.plan_local.LocalPlan",
    "plan_lifetime": "llmcx.answers.plan_lifetime.LifetimePlan",
    "plan_train": "llmcx.answers.plan_train.TrainPlan",
    "plan_finetune": "llmcx.answers.plan_finetune.FinetunePlan",
    "compare": "llmcx.answers.compare.Contrast",
    "bounds": "llmcx.answers.bounds.Bounds",
    "shapes": "llmcx.answers.shapes.Shapes",
    "explain_log": "llmcx.answers.log.Explained",
    "check": "llmcx.answers.check.Check | llmcx.answers.check_train.TrainingCheck",
    "presets": "list[llmcx.catalog.presets.Summary]",
}
"""What each function returns."""

EXAMPLES = {
    "params": ('params("gpt3").total', "174604259328"),
    "flops": ('flops("gpt3", seq="2k").forward.total', "734804261732352"),
    "memory": ('memory("llama-3-8b", seq="8k", batch=16, hardware="h100").fits', "True"),
    "attention_compare": ('attention_compare("gpt3", seq=[1024, "2k"], variant="flash").rows[1].pairs', "4194304"),
    "moe": ('moe("mixtral-8x7b").active', "12879925248"),
    "chinchilla": ('round(chinchilla(compute="1e21", law="epoch").laws[0].tokens_per_param, 2)', "21.59"),
    "train": ('train("llama-2-7b", tokens="2T", hardware="512xa100", seq="4k").training.steps', "476838"),
    "serve": ('serve("llama-3-70b", hardware="4xh100", dtype="fp8").gpus', "4"),
    "plan_serve": ('plan_serve("llama-3-70b", gpus="1..8", tpot="10ms", dtype="fp8", disaggregated=False).best[0].tp', "8"),
    "plan_local": ('plan_local("qwen3-30b-a3b", hardware="2xrtx-3090").models[0].dtype', "'q8_0'"),
    "plan_lifetime": (
        'round(plan_lifetime(inference_tokens="2T", params="13B", law="hoffmann-3").choices[0].params / 1e9, 1)',
        "7.1",
    ),
    "plan_train": (
        'plan_train("llama-3.1-8b", tokens="1T", gpus="64", compute_dtype="bf16", engine="megatron").best[0].zero',
        "2",
    ),
    "plan_finetune": (
        '[one.method for one in plan_finetune("llama-3.1-8b", gpus="1", method="lora,qlora").fits]',
        "['lora', 'qlora']",
    ),
    "compare": ('compare("llama-3-8b", "llama-3-8b --kv-heads 32", with_="params").figures[0].change', "805306368"),
    "bounds": ('bounds(params="7B", examples="15T").generalization.vacuous', "False"),
    "shapes": ('[shape.d_model for shape in shapes(params="7B", depths=[32, 64]).shapes]', "[4224, 2944]"),
    "check": ('check(line="vllm serve Qwen/Qwen3-8B --max-model-len 8192", hardware="h100").fits', "True"),
    "explain_log": ('explain_log("docs/vllm.log").largest', "'weights'"),
    "presets": ('[row["name"] for row in presets(family="deepseek", at_most="20B")]', "['deepseek-v2-lite']"),
}
"""A call of each function, and what it gives."""

MODEL = "a preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``"
TEXTS = {"config", "hardware", "law", "log", "out", "weights"}
"""What may name a file."""
KINDS = {
    **dict.fromkeys(("count", "length", "size", "integer"), "Size"),
    **{"share": "Share", "number": "Number", "time": "Number", "flag": "bool"},
}
"""The type of what an option reads; of others it is a text."""

HEAD = '''"""The functions of the Python API. Written by python -m llmcx.cli.api from the options that the commands declare.

A ``Size`` is a whole number, or a text as on the command line: "8k", "70B", "80GB". A ``Share`` is a number, or a text: "90%".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

{imports}

    Model: TypeAlias = "str | os.PathLike[str] | ModelSpec | Mapping[str, Any]"
    Number: TypeAlias = "float | str"
    Share: TypeAlias = "float | str"
    Size: TypeAlias = "int | str"
    Text: TypeAlias = "str | os.PathLike[str]"


def _asked(name: str, given: dict[str, Any]) -> Any:
    from llmcx.cli.python import answer

    return answer(name, given)
'''


class Signature(NamedTuple):
    """A function: its parameters, those that may stand without their name first, each with annotation and default."""

    name: str
    first: dict[str, str]
    parameters: dict[str, str]
    returns: str

    def head(self) -> str:
        """Up to the colon."""
        named = [f"{name}: {rest}" for name, rest in self.parameters.items()]
        lines = [*(f"{name}: {rest}" for name, rest in self.first.items()), "*", *named]
        return f"def {self.name}(\n" + "".join(f"    {line},\n" for line in lines) + f") -> {self.returns}:"

    def overloads(self, option: str, returns: str, without: str) -> str:
        """For a type checker, what it returns where an ``option`` is left out, and where it stands ``without`` another."""
        given = self.parameters | {option: self.parameters[option].removesuffix(" | None = None")}
        given.pop(without)
        both = (
            self._replace(parameters=self.parameters | {option: "None = None"}),
            Signature(self.name, self.first, given, returns),
        )
        return "".join(f"@overload\n{each.head()} ...\n\n\n" for each in both)


OWN, GROUPED, SHARED = range(3)
"""Where a parameter stands: a command's own options, its groups of them, those of every command that takes a model."""


def standing(asked: Function, name: str) -> int:
    """Where a parameter stands."""
    groups = (group for group, kind in asked.question.groups.items() if asked.names[name] in kind.__dataclass_fields__)
    return {None: OWN, "models": SHARED}.get(next(groups, None), GROUPED)


def parameters(asked: Function, optional: bool = False) -> dict[str, str]:
    """Annotations and defaults, what must be given first; with ``optional`` nothing must, and flags alone have a default."""
    required, others = {}, {}
    for name in sorted(asked.names, key=lambda name: standing(asked, name)):
        option = asked.question.parameters[asked.names[name]]
        declared, default = asked.question.declared[option.name], asked.defaults[name]
        default = None if optional and default is not False else default
        kind = "Text" if name in TEXTS else KINDS.get(declared.reads, "str")
        kind = f"{kind} | Sequence[{kind}]" if declared.whole else kind
        if option.default is option.empty and not optional:
            required[name] = kind
        else:
            others[name] = f"{kind} | None = None" if default is None else f"{kind} = {_literal(default)}"
    return required | others


def _literal(default: Any) -> str:
    """A default as it is written."""
    return f"{default:_}" if isinstance(default, int) and default >= 10**5 else repr(default).replace("'", '"')


def described(asked: Function, names: list[str]) -> list[str]:
    """A line on each parameter: the option's help, in the words of Python."""
    out = []
    for name in names:
        declared = asked.question.declared[asked.names[name]]
        [info] = asked.question.parameters[asked.names[name]].annotation.__metadata__
        text = info.help.replace("; repeat.", ", or a list of them.").replace("in --json", "in the answer")
        if asked.defaults[name] is None and declared.default is not None:
            text += f" Default: {declared.default}."
        needed: dict[str, list[str]] = {"Needs": [], "Not with": []}
        for need in filter(None, declared.needs.split(",")):
            either = []
            for one in need.split(" or "):
                key, _, only = one.removeprefix("not ").partition("=")
                if key in asked.question.flags:  # a command may share options with one that has more
                    either.append(f"{asked.question.flags[key]} {only}".strip())
            if either:
                needed["Not with" if need.startswith("not ") else "Needs"].append(" or ".join(either))
        text += "".join(f" {how} {' and '.join(flags)}." for how, flags in needed.items() if flags)
        out.append(_filled(f"{name}: {_FLAG.sub(_parameter, text)}"))
    return out


_FLAG = re.compile(r"(?<!\w)--([a-z][a-z-]*)")


def _parameter(flag: re.Match[str]) -> str:
    return f"``{flag[1].replace('-', '_')}``"


def _filled(text: str) -> str:
    """Lines of a docstring."""
    return fill(text, 126, initial_indent="    ", subsequent_indent="        ")


def written(name: str) -> str:
    """A function."""
    asked = function(name)
    found = parameters(asked)
    returns = re.sub(r"llmcx[\w.]*\.(\w+)", r"\1", ANSWERS[name])
    first, lines, last = {}, [], ""
    if name == "compare":
        first, found = {"a": "Model", "b": "Model"}, {"with_": "str | Sequence[str] | None = None"}
        for each in map(function, FIGURES):
            both = parameters(each, optional=True)
            found |= {key: both[key] for key in both if key not in ("model", "preset", "config", "hf", "weights")}
        lines = [_filled(f'a, b: {MODEL.replace("a preset", "A preset")}. Or one with options: "llama-3-8b --kv-heads 32".')]
        lines += described(asked, ["with_"])
        last = "    The others are options of these functions, and hold for both sides."
    else:
        if "model" in found:
            first = {key: found.pop(key) for key in ("log",) if key in found}
            lines = described(asked, [*first])
            first["model"] = found.pop("model").replace("str", "Model")
            lines += [_filled(f"model: {MODEL.replace('a preset', 'A preset')}.")]
            last = "    The others name the model in another way, or change its shape: see :func:`params`."
        if "models" in found:
            first = {"models": found.pop("models")}
            lines = described(asked, [*first])
        if name == "params":
            last = ""
        lines += described(asked, [key for key in found if not last or standing(asked, key) != SHARED])
    summary = " ".join((asked.question.function.__doc__ or "").partition("\n\n")[0].split())
    call, gives = EXAMPLES[name]
    doc = "\n\n".join(filter(None, [summary, "\n".join(lines), last, f"    >>> {call}\n    {gives}\n    "]))
    one = Signature(name, first, found, returns)
    before = ""
    if name == "params":
        before, one = one.overloads("weights", "Weights", "dtype"), one._replace(returns="Params | Weights")
    body = f'    """{doc}"""\n    found: {one.returns} = _asked("{name}", locals())\n    return found\n'
    return f"{before}{one.head()}\n{body}"


def text() -> str:
    """What llmcx/api.py should hold."""
    paths = {path for each in ANSWERS.values() for path in re.findall(r"llmcx[\w.]*", each)}
    paths |= {"llmcx.answers.weights.Weights", "llmcx.model.spec.ModelSpec"}
    imports = [f"    from {module} import {name}" for module, _, name in (path.rpartition(".") for path in sorted(paths))]
    return "\n\n".join([HEAD.format(imports="\n".join(imports)), *map(written, FUNCTIONS)])


if __name__ == "__main__":
    HERE.write_text(text(), encoding="utf-8")
