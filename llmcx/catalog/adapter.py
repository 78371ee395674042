"""Adapters: an adapter_config.json of PEFT, on the model that it names.

LoRA only (Hu et al. 2021, arXiv:2106.09685): rank (d_in + d_out) numbers beside each matrix, and copies of the modules that are
saved whole. The model stays its base; how many numbers the adapter has is said beside it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from llmcx.errors import InputError
from llmcx.huggingface.config import Config
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, in_layers

ATTENTION: dict[str, tuple[str, ...]] = {"q_proj": ("q",), "k_proj": ("k",), "v_proj": ("v",), "o_proj": ("out",)}
FEED = {"gate_proj": ("gate",), "up_proj": ("up",), "down_proj": ("down",)}
HALVES = {"gate_up_proj": ("gate", "up"), "down_proj": ("down",)}
LLAMAS = """llama mistral ministral ministral3 qwen2 qwen3 olmo olmo2 olmo3 cohere cohere2 granite smollm3 seed_oss exaone4 arcee
    hunyuan_v1_dense apertus ernie4_5 nemotron gemma gemma2 gemma3_text mixtral qwen2_moe qwen3_moe olmoe gpt_oss"""
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "phi3": {"qkv_proj": ("q", "k", "v"), "o_proj": ("out",), **HALVES},
    "glm": ATTENTION | HALVES,
    "glm4": ATTENTION | HALVES,
}
"""What a family calls a matrix that may be adapted, and which of llmcx's it is, where not all are as LLaMA calls them."""
WHOLE = {"embed_tokens": "embedding", "lm_head": "head"}
"""Modules outside the layers, and their roles."""
IDLE = """alpha_pattern arrow_config auto_mapping corda_config ensure_weight_tying eva_config fan_in_fan_out inference_mode
    init_lora_weights layers_pattern loftq_config lora_alpha lora_dropout megatron_config megatron_core parent_library
    peft_version qalora_group_size revision runtime_config task_type use_rslora base_model_name_or_path peft_type
    lora_ga_config"""
"""Keys that change no count."""
NONE = """exclude_modules layer_replication layers_to_transform target_parameters trainable_token_indices alora_invocation_tokens
    use_qalora lora_bias use_bdlora"""
"""Keys that would change one, and are understood only where they say nothing."""


def adapted(data: Mapping[str, Any], path: str, as_type: str | None = None, ignore: Collection[str] = ()) -> ModelSpec:
    """The base of the adapter that ``data`` describes, with a note of the adapter's own parameters.

    Raises InputError for a base that is neither a preset nor beside the file, and for adapters other than LoRA on known matrices.
    """
    c = Config(data, "adapter_config.json", "stdin" if path == "-" else path, known={})
    c.ignorable = False
    c.text("peft_type", ("LORA",))
    base = _base(c, path, as_type, ignore)
    count, targets = _count(c, base)
    c.ignore(*IDLE.split())
    for key in NONE.split():
        if c.data.get(key) in (None, False, []):
            c.ignore(key)
    c.check_leftovers()
    note = f"{c.source} is LoRA of rank {c.get('r')} on {', '.join(targets)}: {count:,} parameters of its own beside the base's"
    return replace(base, assumes=(note, *base.assumes))


def _base(c: Config, path: str, as_type: str | None, ignore: Collection[str]) -> ModelSpec:
    """The model that base_model_name_or_path names: a directory beside the adapter, or a preset."""
    from llmcx.catalog.load import load_config, load_preset
    from llmcx.catalog.presets import aliases, names

    name = c.text("base_model_name_or_path")
    beside = os.path.join(os.path.dirname(path), name)
    if "\x00" not in name and any(os.path.isfile(os.path.join(beside, file)) for file in ("config.json", "params.json")):
        return load_config(beside, as_type, ignore)
    if name.lower() in {*names(), *aliases()}:
        return load_preset(name)
    raise c.wrong("base_model_name_or_path", name, "a preset's name, or a directory beside the adapter that has a config.json")


def _count(c: Config, base: ModelSpec) -> tuple[int, list[str]]:
    """The adapter's parameters, and the modules that it names."""
    known = {**ATTENTION, **FEED} if base.family in LLAMAS.split() else NAMES.get(str(base.family))
    if known is None or any(getattr(layers.mixer, "type", "") != "attention" for layers in base.groups):
        problem = (
            f"{c.source}: what the modules of {base.name} are called, a {base.family}, is not known, nor what LoRA adds to it"
        )
        raise InputError(problem, field="base_model_name_or_path", value=base.family)
    if base.mixtures:  # whose experts are no linear modules
        known = {name: parts for name, parts in known.items() if name in ATTENTION}
    if any(layers.ffn is not None and layers.ffn.type == "plain" for layers in base.groups):
        known = {name: parts for name, parts in known.items() if name != "gate_proj"}
    known = {**known, **dict.fromkeys(WHOLE, ())}
    targets = c.get("target_modules")
    if targets == "all-linear" and not base.mixtures:
        targets = [name for name in known if name not in WHOLE]
    if not isinstance(targets, list) or not targets:
        raise c.wrong("target_modules", targets, f"a list of {', '.join(known)}, or all-linear")
    ops = lower(base, Run())
    ranks, dora = _ranks(c, known), c.flag("use_dora")
    c.expect("bias", "none")
    total = 0
    named = [target.rpartition(".")[2] if isinstance(target, str) else "" for target in targets]
    for target, name in zip(targets, named, strict=True):
        if name not in known or any(letter.isdigit() for letter in target):  # of one layer
            raise c.wrong("target_modules", target, f"one of {', '.join(known)}")
    for name in dict.fromkeys(named):
        total += sum(
            times * (ranks[name] * (d_in + d_out) + (d_out if dora else 0))
            for d_in, d_out, times in _shapes(base, ops, name, known)
        )
    saved = c.list("modules_to_save") or []
    for name in saved:
        if name not in WHOLE:
            raise c.wrong("modules_to_save", name, f"one of {', '.join(WHOLE)}")
        total += sum(d_in * d_out * times for d_in, d_out, times in _shapes(base, ops, name, known))
    return total, [*dict.fromkeys(named), *(f"{name} (whole)" for name in saved)]


def _ranks(c: Config, known: Mapping[str, Any]) -> dict[str, int]:
    """The rank of each module."""
    ranks = dict.fromkeys(known, c.size("r"))
    pattern = c.get("rank_pattern") if c.has("rank_pattern") else None
    for name, rank in pattern.items() if isinstance(pattern, Mapping) else [] if pattern is None else [("", pattern)]:
        if name not in known or isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
            raise c.wrong("rank_pattern", pattern, f"ranks of {', '.join(known)}")
        ranks[name] = rank
    return ranks


def _shapes(base: ModelSpec, ops: list[Op], name: str, known: Mapping[str, tuple[str, ...]]) -> list[tuple[int, int, int]]:
    """Inputs, outputs and number of a module's matrices; a fused one has the outputs of all its parts."""
    if name in WHOLE:
        return [(base.embedding.width or base.d_model, base.embedding.vocab, 1)]
    found: dict[str, list[int]] = {}
    for op in ops:
        if op.kind == "linear" and in_layers(op) and op.role in ("mixer", "ffn") and op.module in known[name]:
            shape = found.setdefault(op.group, [op.dims["d_in"], 0, op.times])
            shape[1] += op.dims["d_out"]
    return [(d_in, d_out, times) for d_in, d_out, times in found.values()]
