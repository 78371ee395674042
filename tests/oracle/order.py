"""Write down in which order transformers' layers run, and what each is: order.json.

    python tests/oracle/order.py            measure and write
    python tests/oracle/order.py --check    measure again; exit 1 and print what differs; --share K/N: of a share of the models

Needs torch and transformers, as measure.py does, and nothing of llmcx. Each case is a tiny model that runs once; a hook on every
layer notes its turn. A row is a run of layers that are alike: how many, the class of the mixer, its window (tokens, or null), the
feed-forward (dense, moe or null) and the parameters of one layer that no layer before it has.

`families` holds, of each model_type whose layers differ, the cases of cases.py that differ in their order; `presets` the layers
of released models, by the family's rule for as many layers or, where the released file lists them, by its list, at tiny widths.
"""

from __future__ import annotations

import json
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any
from zlib import crc32

import cases
import torch
import transformers
from measure import Json, build, inputs

GOLDEN = Path(__file__).resolve().parent / "order.json"
STACK = re.compile(r"(^|\.)(layers|layer|h|blocks?|albert_layers)$")
MIXER = re.compile(r"(Attention|Mixer|MambaLayer|DeltaNet|ShortConv|RecurrentBlock)$")
DENSE = re.compile(r"(MLP|Mlp|FFN|FeedForward|Intermediate|LayerFF)$")
EXPERTS = re.compile(r"(Experts|SparseMLP)$")
# Keys by which a variant may change the order.
SAYS_ORDER = re.compile(
    r"layers?_|_layers|window|pattern|types|interval|sparse|idxs|topk|groups|mlp_only|first_k|moe_|_step|widths"
)
# Keys of a tiny configuration that say the order, which a preset says anew.
ORDER = (
    "layer_types",
    "layers_block_type",
    "sliding_window_pattern",
    "attention_types",
    "full_attn_idxs",
    "mlp_layer_types",
    "linear_attn_config",
)


def layers_of(model: Any) -> dict[str, torch.nn.Module]:
    """The layers of all stacks by name: what the outermost lists of layers hold."""
    found: dict[str, torch.nn.Module] = {}
    for name, part in model.named_modules():
        if isinstance(part, torch.nn.ModuleList) and STACK.search(name) and not any(name.startswith(f"{at}.") for at in found):
            found |= {f"{name}.{i}": layer for i, layer in enumerate(part)}
    return found


def window(mixer: Any, config: Any, place: int) -> int | None:
    """How far a layer's attention looks, by whatever name its family has for that."""
    if getattr(mixer, "attention_type", None) in ("global", "local"):  # GPT-Neo
        return config.window_size if mixer.attention_type == "local" else None
    if config.model_type == "llama4_text":
        return config.attention_chunk_size if config.layer_types[place] == "chunked_attention" else None
    if config.model_type == "longformer" or type(mixer).__name__ == "LEDEncoderAttention":
        return config.attention_window[place]
    if config.model_type == "modernbert":  # sliding_window is what it sees to one side
        return config.local_attention if mixer.sliding_window else None
    if config.model_type in ("ultrabert", "neomme"):  # what it sees to one side, and itself
        return 2 * (mixer.sliding_window - 1) if mixer.sliding_window else None
    local = getattr(mixer, "is_sliding", getattr(mixer, "is_local_attention", True))
    return getattr(mixer, "sliding_window", None) if local else None


def what(layer: Any, config: Any, place: int, seen: set[int]) -> list[Any]:
    """A layer's row, without how many there are."""
    parts = [part for _, part in layer.named_modules()]
    classes = [type(part).__name__ for part in parts]
    mixer = next((part for part, name in zip(parts, classes, strict=True) if MIXER.search(name)), None)
    dense = any(DENSE.search(name) for name in classes) or any(hasattr(layer, name) for name in ("fc1", "ffn"))
    ffn = "moe" if any(EXPERTS.search(name) for name in classes) else "dense" if dense else None
    new = {id(weight): weight.numel() for weight in layer.parameters() if id(weight) not in seen}
    seen |= set(new)
    return [mixer and type(mixer).__name__, mixer and window(mixer, config, place), ffn, sum(new.values())]


def run(config: Json) -> list[list[Any]]:
    """The layers of a model in the order in which they run, as rows."""
    model = build(config, "cpu")
    turns: list[torch.nn.Module] = []
    for layer in layers_of(model).values():
        layer.register_forward_pre_hook(lambda layer, *_: turns.append(layer))
    case = {"batch": 1, "seq": 8, "decoder_seq": 8}
    with torch.no_grad():
        model(**inputs(model, case, 0))
    seen: set[int] = set()
    rows = [what(layer, model.config.get_text_config(), i, seen) for i, layer in enumerate(turns)]
    return [[len([*alike]), *row] for row, alike in groupby(rows)]


APART = {"rwkv", "blt", "encoder-decoder", "evolla"}
"""Families whose modules are cut in another way than llmcx's layers: a first block that holds the norm after the embedding,
patches that cross within a layer, an encoder that is counted as a tower, adapters within a layer. golden.json has their counts.
"""


def families(which: int, shares: int) -> Json:
    """The cases whose layers differ, and whose order no other case of the family has; of a share of the families."""
    found: Json = {}
    for name in sorted(cases.FAMILIES.keys() - APART):
        if crc32(name.encode()) % shares != which:
            continue
        orders: set[str] = set()
        for case in cases.of(name):
            if case["kind"] != "flops" or not (case["id"].endswith("/tiny") or SAYS_ORDER.search(case["id"])):
                continue
            try:
                rows = run(case["config"])
            except Exception:  # what transformers refuses, golden.json says
                continue
            order = json.dumps([[n, mixer, size is not None, ffn] for n, mixer, size, ffn, _ in rows])
            if len(rows) > 1 and order not in orders:
                orders.add(order)
                found[case["id"]] = rows
    return found


def spread(kinds: str, n: int, *at: int) -> list[str]:
    """``n`` layers of the first of two kinds, of the second in the places ``at``."""
    usual, other = kinds.split()
    return [other if i in at else usual for i in range(n)]


def compressed(*rates: int) -> Json:
    """DeepSeek-V4's layers by how many tokens become one; the first three choose experts by a table."""
    names = {0: "sliding_attention", 4: "compressed_sparse_attention", 128: "heavily_compressed_attention"}
    experts = ["hash_moe"] * 3 + ["moe"] * (len(rates) - 3)
    return {"num_hidden_layers": len(rates), "layer_types": [names[rate] for rate in rates], "mlp_layer_types": experts}


HYBRID = "linear_attention full_attention"
NEMOTRON_H = "M-M-M-M*-{}M-M-M-M-M-"
NANO = "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME"
# Of the config.json of nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8.
SUPER = "MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*EMEMEMEME"
# Of the config.json of nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16.
ULTRA = "MEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME"
# Of the config.json of moonshotai/Kimi-Linear-48B-A3B-Instruct: layers counted from 1.
FULL = [4, 8, 12, 16, 20, 24, 27]
KIMI_LINEAR = {
    "full_attn_layers": FULL,
    "kda_layers": [at for at in range(1, 28) if at not in FULL],
    "head_dim": 10,
    "num_heads": 3,
    "short_conv_kernel_size": 3,
}
PRESETS: dict[str, tuple[str, Json]] = {
    "bamba-9b": ("bamba", {"num_hidden_layers": 32, "attn_layer_indices": [9, 18, 27]}),
    "deepseek-v2-lite": ("deepseek_v2", {"num_hidden_layers": 27, "first_k_dense_replace": 1}),
    "deepseek-v2": ("deepseek_v2", {"num_hidden_layers": 60, "first_k_dense_replace": 1}),
    "deepseek-v3": ("deepseek_v3", {"num_hidden_layers": 61, "first_k_dense_replace": 3}),
    "deepseek-v4-flash": ("deepseek_v4", compressed(0, 0, *(4, 128) * 20, 4)),
    "deepseek-v4-pro": ("deepseek_v4", compressed(128, 128, *(4, 128) * 29, 4)),
    "deepseek-v3.2": ("deepseek_v32", {"num_hidden_layers": 61, "first_k_dense_replace": 3}),
    "ernie-4.5-21b-a3b": ("ernie4_5_moe", {"num_hidden_layers": 28, "moe_layer_start_index": 1, "moe_layer_end_index": -1}),
    "exaone-4.0-32b": ("exaone4", {"num_hidden_layers": 64, "sliding_window_pattern": 4}),
    "gemma-2-2b": ("gemma2", {"num_hidden_layers": 26}),
    "gemma-2-9b": ("gemma2", {"num_hidden_layers": 42}),
    "gemma-2-27b": ("gemma2", {"num_hidden_layers": 46}),
    "gemma-3-1b": ("gemma3_text", {"num_hidden_layers": 26}),
    "gemma-3-4b": ("gemma3_text", {"num_hidden_layers": 34}),
    "gemma-3-12b": ("gemma3_text", {"num_hidden_layers": 48}),
    "gemma-3-27b": ("gemma3_text", {"num_hidden_layers": 62}),
    "gemma-4-26b-a4b": (
        "gemma4_text",
        {"num_hidden_layers": 30, "enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 20},
    ),
    "gemma-4-31b": ("gemma4_text", {"num_hidden_layers": 60}),
    "glm-4.5": ("glm4_moe", {"num_hidden_layers": 92, "first_k_dense_replace": 3}),
    "glm-4.5-air": ("glm4_moe", {"num_hidden_layers": 46, "first_k_dense_replace": 1}),
    "glm-5": ("glm_moe_dsa", {"num_hidden_layers": 78, "first_k_dense_replace": 3}),
    "glm-5.2": (
        "glm_moe_dsa",
        {"num_hidden_layers": 78, "first_k_dense_replace": 3}
        | {"indexer_types": spread("shared full", 78, 0, 1, *range(2, 78, 4))},
    ),
    "gpt-neo-2.7b": ("gpt_neo", {"num_layers": 32, "attention_types": [[["global", "local"], 16]]}),
    "gpt-oss-20b": ("gpt_oss", {"num_hidden_layers": 24}),
    "gpt-oss-120b": ("gpt_oss", {"num_hidden_layers": 36}),
    "granite-4.0-h-tiny": (
        "granitemoehybrid",
        {"num_hidden_layers": 40, "layer_types": spread(HYBRID, 40, 5, 15, 25, 35)},
    ),
    "jamba-1.5-mini": (
        "jamba",
        {"num_hidden_layers": 32, "attn_layer_period": 8, "attn_layer_offset": 4}
        | {"expert_layer_period": 2, "expert_layer_offset": 1},
    ),
    "kimi-k2": ("deepseek_v3", {"num_hidden_layers": 61, "first_k_dense_replace": 1}),
    "kimi-k2.5": ("deepseek_v3", {"num_hidden_layers": 61, "first_k_dense_replace": 1}),
    "kimi-linear-48b-a3b": ("kimi_linear", {"num_hidden_layers": 27, "linear_attn_config": KIMI_LINEAR}),
    "lfm2-2.6b": (
        "lfm2",
        {"num_hidden_layers": 30, "layer_types": spread("conv full_attention", 30, 2, 5, 9, 13, 17, 21, 24, 27)},
    ),
    "llama-4-scout": ("llama4_text", {"num_hidden_layers": 48, "interleave_moe_layer_step": 1}),
    "llama-4-maverick": ("llama4_text", {"num_hidden_layers": 48, "interleave_moe_layer_step": 2}),
    "minimax-text-01": ("minimax", {"num_hidden_layers": 80, "layer_types": spread(HYBRID, 80, *range(7, 80, 8))}),
    "mt5-xxl": ("mt5", {"num_layers": 24, "num_decoder_layers": 24}),
    "nemotron-3-nano-30b": ("nemotron_h", {"hybrid_override_pattern": NANO}),
    "nemotron-3-super-120b": ("nemotron_h", {"hybrid_override_pattern": SUPER}),
    "nemotron-3-ultra-550b": ("nemotron_h", {"hybrid_override_pattern": ULTRA}),
    "nemotron-h-8b": ("nemotron_h", {"hybrid_override_pattern": NEMOTRON_H.format(3 * "M-M-M-M-M*-")}),
    "nemotron-h-56b": ("nemotron_h", {"hybrid_override_pattern": NEMOTRON_H.format(9 * "M-M-M-M-M*-")}),
    "olmo-3-7b": ("olmo3", {"num_hidden_layers": 32}),
    "olmo-3-32b": ("olmo3", {"num_hidden_layers": 64}),
    "qwen3-next-80b-a3b": ("qwen3_next", {"num_hidden_layers": 48, "full_attention_interval": 4}),
    "qwen3.5-0.8b": ("qwen3_5_text", {"num_hidden_layers": 24, "full_attention_interval": 4}),
    "qwen3.5-2b": ("qwen3_5_text", {"num_hidden_layers": 24, "full_attention_interval": 4}),
    "qwen3.5-4b": ("qwen3_5_text", {"num_hidden_layers": 32, "full_attention_interval": 4}),
    "qwen3.5-9b": ("qwen3_5_text", {"num_hidden_layers": 32, "full_attention_interval": 4}),
    "qwen3.5-27b": ("qwen3_5_text", {"num_hidden_layers": 64, "full_attention_interval": 4}),
    "qwen3.5-35b-a3b": ("qwen3_5_moe_text", {"num_hidden_layers": 40, "full_attention_interval": 4}),
    "qwen3.5-122b-a10b": ("qwen3_5_moe_text", {"num_hidden_layers": 48, "full_attention_interval": 4}),
    "qwen3.5-397b-a17b": ("qwen3_5_moe_text", {"num_hidden_layers": 60, "full_attention_interval": 4}),
    "recurrentgemma-9b": ("recurrent_gemma", {"num_hidden_layers": 38, "block_types": ["recurrent", "recurrent", "attention"]}),
    "switch-base-128": (
        "switch_transformers",
        {"num_layers": 12, "num_decoder_layers": 12, "num_sparse_encoder_layers": 6, "num_sparse_decoder_layers": 6},
    ),
    "switch-large-128": (
        "switch_transformers",
        {"num_layers": 24, "num_decoder_layers": 24, "num_sparse_encoder_layers": 12, "num_sparse_decoder_layers": 12},
    ),
    "switch-xxl": (
        "switch_transformers",
        {"num_layers": 24, "num_decoder_layers": 24, "num_sparse_encoder_layers": 12, "num_sparse_decoder_layers": 12},
    ),
    "switch-c": (
        "switch_transformers",
        {"num_layers": 15, "num_decoder_layers": 15, "num_sparse_encoder_layers": 15, "num_sparse_decoder_layers": 15},
    ),
    "t5-11b": ("t5", {"num_layers": 24, "num_decoder_layers": 24}),
    "t5-base": ("t5", {"num_layers": 12, "num_decoder_layers": 12}),
    "t5-large": ("t5", {"num_layers": 24, "num_decoder_layers": 24}),
    "zamba2-7b": (
        "zamba2",
        {"num_hidden_layers": 81, "num_mem_blocks": 2} | {"layers_block_type": spread("mamba hybrid", 81, 6, *range(11, 78, 6))},
    ),
}


def preset(model_type: str, order: Json) -> list[list[Any]]:
    """The layers of a released model, in tiny."""
    family = cases.FAMILIES[model_type]
    tiny = {key: value for key, value in family.tiny.items() if key not in ORDER and not key.startswith("@")}
    return run({"model_type": model_type, "architectures": [family.architecture]} | tiny | order)


def measured(which: int, shares: int) -> Json:
    """What order.json should hold, or the ``which``-th of ``shares`` of it."""
    versions = {"torch": torch.__version__.partition("+")[0], "transformers": transformers.__version__}
    presets = {name: preset(*rule) for name, rule in PRESETS.items() if crc32(name.encode()) % shares == which}
    return versions | {"families": families(which, shares), "presets": presets}


def text(found: Json) -> str:
    """It as JSON, a model a line."""
    parts = []
    for key, value in found.items():
        if isinstance(value, dict):
            rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows, separators=(',', ':'))}" for name, rows in value.items())
            parts.append(f"{json.dumps(key)}: {{\n{rows}\n}}")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> int:
    """Write order.json, or compare with it."""
    which, shares = map(int, sys.argv[sys.argv.index("--share") + 1].split("/")) if "--share" in sys.argv else (0, 1)
    new = text(measured(which, shares))
    if "--check" not in sys.argv:
        GOLDEN.write_text(new, encoding="utf-8")
        return 0
    old = GOLDEN.read_text(encoding="utf-8")
    if shares > 1:  # of families by the name before the label
        golden = json.loads(old)
        for part in ("families", "presets"):
            golden[part] = {
                name: rows for name, rows in golden[part].items() if crc32(name.partition("/")[0].encode()) % shares == which
            }
        old = text(golden)
    differing = sorted({*new.splitlines()} ^ {*old.splitlines()})
    print("\n".join(line[:300] for line in differing) or "order.json is current")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
