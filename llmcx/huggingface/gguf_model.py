"""GGUF metadata -> ModelSpec: the keys of an architecture as the config.json of a family, held to the file's own tensors.

A file lists every tensor with its shape. So whatever its keys say, the model that is read must have just as many numbers, or the
file is refused. The keys are those of gguf-py/gguf/constants.py in ggml-org/llama.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmcx.costs.params import count
from llmcx.errors import InputError, shown
from llmcx.huggingface import from_config
from llmcx.huggingface.config import Config
from llmcx.huggingface.gguf import Header, Tensor, header
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage, StorageType

Data = dict[str, Any]

KEYS = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
}
"""What a key of any architecture is called in a config.json; a family's own names for these stand in :data:`ARCHITECTURES`."""

MLA = {
    **{
        f"attention.{leaf}": f"attention.{leaf}" for leaf in ("q_lora_rank", "kv_lora_rank", "key_length_mla", "value_length_mla")
    },
    "rope.dimension_count": "qk_rope_head_dim",
}
ROUTED = {"num_experts": "n_routed_experts"}
LOCAL = {"num_experts": "num_local_experts"}

ARCHITECTURES: dict[str, tuple[str, dict[str, str]]] = {
    "llama": ("llama", {}),
    "mistral3": ("ministral3", {}),
    "qwen2": ("qwen2", {}),
    "qwen2vl": ("qwen2_vl_text", {}),
    "qwen2moe": ("qwen2_moe", {}),
    "qwen3": ("qwen3", {}),
    "qwen3vl": ("qwen3_vl_text", {}),
    "qwen3moe": ("qwen3_moe", {}),
    "qwen3vlmoe": ("qwen3_vl_moe_text", {}),
    "gemma": ("gemma", {}),
    "gemma2": ("gemma2", {}),
    "gemma3": ("gemma3_text", {}),
    "phi3": ("phi3", {}),
    "phimoe": ("phimoe", LOCAL),
    "deepseek2": ("deepseek_v3", ROUTED),
    "gpt-oss": ("gpt_oss", LOCAL | {"moe_intermediate_size": "intermediate_size"}),
    "starcoder2": ("starcoder2", {}),
    "stablelm": ("stablelm", {}),
    "command-r": ("cohere", {}),
    "cohere2": ("cohere2", {}),
    "olmo2": ("olmo2", {}),
    "olmoe": ("olmoe", {}),
    "granite": ("granite", {}),
    "granitemoe": ("granitemoe", LOCAL),
    "glm4": ("glm4", {}),
    "glm4moe": ("glm4_moe", ROUTED),
    "smollm3": ("smollm3", {}),
    "seed_oss": ("seed_oss", {}),
    "exaone4": ("exaone4", {}),
    "ernie4_5": ("ernie4_5", {}),
    "hunyuan-dense": ("hunyuan_v1_dense", {}),
    "arcee": ("arcee", {}),
    "nemotron": ("nemotron", {}),
}
"""general.architecture -> the family that it is, and that family's names for keys."""

# Keys of an architecture whose values change no count; what they scale, rotate or weigh stands in the tensors or costs nothing.
HARMLESS = re.compile(
    r"""vocab_size|rope\..*|attention\.layer_norm(_rms)?_epsilon|attention\.(scale|temperature.*|clamp_kqv|causal|value_length)"""
    r"""|(attn|final|router)_logit_softcapping|logit_scale|(embedding|residual|attention)[._]scale|expert_(weights.*|gating_func)"""
    r"""|expert_group.*|tensor_data_layout|swiglu_clamp.*|use_parallel_residual|expert_shared_count|leading_dense_block_count"""
    r"""|nextn_predict_layers|expert_shared_feed_forward_length|n_deepstack_layers|attention\.max_alibi_bias|interleave_moe_layer_step"""
    r"""|attention\.sliding_window_pattern|decoder_sparse_step"""
)
BUFFERS = re.compile(r"rope_(freqs|factors_(long|short))\.weight")
"""Tables that llama.cpp stores and transformers computes."""
CORRECTION = re.compile(r"blk\.\d+\.exp_probs_b(\.bias)?")
"""A number per expert that steers the choice: a buffer in most families of transformers."""
LAYER = re.compile(r"blk\.(\d+)\.")
_SHARD = re.compile(r"(.*)-00001-of-(\d{5})\.gguf", re.IGNORECASE)


def model_of(path: str) -> ModelSpec:
    """The model in a GGUF file, or in all the files of it where this is the first.

    Raises InputError for an architecture or a key that is not understood, and where the tensors are not those of the model.
    """
    first = header(Path(path))
    tensors = [*first.tensors, *_others(path, first)]
    config = as_config(first.keys, tensors, path)
    spec = from_config(config, path)
    _check(spec, config, tensors, path)
    title = first.keys.get("general.name")
    spec = replace(spec, stored=_storage(tensors, count(spec)))
    return replace(spec, title=title[:80]) if isinstance(title, str) and title.isprintable() and title else spec


def _storage(tensors: list[Tensor], counted: int) -> Storage:
    """The elements and bytes of each type of tensor."""
    types: dict[str, tuple[int, int]] = {}
    for tensor in tensors:
        elements, size = types.get(tensor.dtype, (0, 0))
        types[tensor.dtype] = elements + tensor.elements, size + tensor.bytes
    return Storage("gguf", tensors=tuple(StorageType(name, *sizes) for name, sizes in sorted(types.items())), counted=counted)


def _others(path: str, first: Header) -> list[Tensor]:
    """The tensors of the other files of a model in several. Raises InputError where one is missing, or this is not the first."""
    files, number = first.keys.get("split.count") or 1, first.keys.get("split.no") or 0
    found = _SHARD.fullmatch(path)
    if files == 1:
        return []
    if number != 0 or found is None or int(found[2]) != files:
        raise InputError(f"{path} is one of {files} files of a model; name the first of them", field="config", value=path)
    names = [f"{found[1]}-{i:05}-of-{found[2]}.gguf" for i in range(2, files + 1)]
    missing = next((name for name in names if not Path(name).is_file()), None)
    if missing is not None:
        raise InputError(f"{path} is the first of {files} files, of which {missing} is missing", field="config", value=path)
    return [tensor for name in names for tensor in header(Path(name)).tensors]


def as_config(keys: Mapping[str, Any], tensors: list[Tensor], source: str) -> Data:
    """The config.json that says what the keys of a GGUF file do."""
    name = keys.get("general.architecture")
    if not isinstance(name, str) or name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        problem = f"{source}: general.architecture is {shown(name)}, but must be one of {known}"
        raise InputError(problem, field="general.architecture", value=shown(name), allowed=known)
    family, names = ARCHITECTURES[name]
    own = {key[len(name) + 1 :]: value for key, value in keys.items() if key.startswith(f"{name}.")}
    c = Config(own, f"{name} in GGUF", source, known={})
    c.ignorable = False
    shapes = {tensor.name: tensor.dims for tensor in tensors}
    if not tensors:
        raise InputError(f"{source} lists no tensors, only keys and a vocabulary", field="config", value=source)
    config = {}
    for key, theirs in KEYS.items():
        if c.data.get(key) is not None:
            config[names.get(theirs, theirs)] = _same(c, key)
    config |= {"model_type": family, "architectures": None, "tie_word_embeddings": "output.weight" not in shapes}
    config |= _vocabulary(shapes, source)
    config |= _biases(family, shapes)
    if (extra := OF.get(name)) is not None:
        config |= extra(c, config, shapes)
    if (later := c.optional("nextn_predict_layers", 0)) is not None and later:
        config |= {"num_hidden_layers": config["num_hidden_layers"] - later, "num_nextn_predict_layers": later}
    c.ignore(*(key for key in own if HARMLESS.fullmatch(key)), *MLA, *KEYS)
    c.check_leftovers()
    return {
        key: value
        for key, value in config.items()
        if value is not None or key in ("architectures", "sliding_window", "q_lora_rank")
    }


def _same(c: Config, key: str) -> Any:
    """A value, or the one that all layers have. Raises InputError where they differ."""
    value = c.get(key)
    if isinstance(value, list) and value:
        if any(each != value[0] for each in value):
            raise c.wrong(key, value, "one number for all layers")
        return value[0]
    return value


def _vocabulary(shapes: dict[str, tuple[int, ...]], source: str) -> Data:
    table = shapes.get("token_embd.weight", ())
    if len(table) != 2:
        raise InputError(f"{source} has no token_embd.weight of two dims, the token table", field="config", value=source)
    return {"vocab_size": table[1]}


def _biases(family: str, shapes: dict[str, tuple[int, ...]]) -> Data:
    """Options of a family that its tensors say and its keys do not."""
    attention = "blk.0.attn_q.bias" in shapes or "blk.0.attn_qkv.bias" in shapes
    if family == "stablelm":
        return {"use_qkv_bias": attention, "qk_layernorm": "blk.0.attn_q_norm.weight" in shapes}
    if family in ("starcoder2", "ernie4_5"):
        return {"use_bias": attention}
    if family == "cohere":
        return {"use_qk_norm": "blk.0.attn_q_norm.weight" in shapes}
    if family == "glm4_moe":
        return {"use_qk_norm": "blk.0.attn_q_norm.weight" in shapes, "attention_bias": attention}
    return {"attention_bias": attention} if family in ("llama", "glm4", "seed_oss", "qwen3", "granite", "gpt_oss") else {}


# --- what an architecture has of its own --------------------------------------------------------------------------------


def _llama(c: Config, config: Data, shapes: dict[str, tuple[int, ...]]) -> Data:
    """Mixtral where there are experts, Mistral where there is a window."""
    if config.pop("num_experts", 0):
        return {
            "model_type": "mixtral",
            "num_local_experts": c.get("expert_count"),
            "sliding_window": config.get("sliding_window"),
        }
    config.pop("num_experts_per_tok", None)
    if config.get("sliding_window") is not None:
        return {"model_type": "mistral"}
    return {"mlp_bias": "blk.0.ffn_up.bias" in shapes}


def _qwen2moe(c: Config, config: Data, shapes: dict[str, tuple[int, ...]]) -> Data:
    shared = c.optional("expert_shared_feed_forward_length", 0)
    return {} if shared is None else {"shared_expert_intermediate_size": shared}


def _windows(c: Config, config: Data, shapes: dict[str, tuple[int, ...]]) -> Data:
    """Families with windows in some layers, which are those that transformers gives them unless the file lists them."""
    listed, size = c.data.get("attention.sliding_window_pattern"), config.get("sliding_window")
    if isinstance(listed, list) and size is not None:
        kinds = ["sliding_attention" if local else "full_attention" for local in listed]
        return {"layer_types": kinds[: config.get("num_hidden_layers")]}
    return {}


def _deepseek2(c: Config, config: Data, shapes: dict[str, tuple[int, ...]]) -> Data:
    """Latent attention; its keys are stored apart (key_length_mla) or as each head has them (key_length)."""
    rope = c.size("rope.dimension_count")
    length = c.size("attention.key_length_mla" if c.has("attention.key_length_mla") else "attention.key_length")
    width = c.size("attention.value_length_mla" if c.has("attention.value_length_mla") else "attention.value_length")
    config.pop("head_dim", None)
    correction = any(CORRECTION.match(name) for name in shapes)
    return {
        "model_type": "deepseek_v3" if correction else "deepseek_v2",
        "num_key_value_heads": config["num_attention_heads"],
        "kv_lora_rank": c.size("attention.kv_lora_rank"),
        "q_lora_rank": c.optional("attention.q_lora_rank"),
        "qk_nope_head_dim": length - rope,
        "qk_rope_head_dim": rope,
        "v_head_dim": width,
        **_dense_first(c, config, shapes),
    }


def _dense_first(c: Config, config: Data, shapes: dict[str, tuple[int, ...]]) -> Data:
    shared = c.optional("expert_shared_count", 0) or 0
    return {"first_k_dense_replace": c.optional("leading_dense_block_count", 0) or 0, "n_shared_experts": shared}


def _exaone4(c: Config, config: Data, shapes: dict[str, tuple[int, ...]]) -> Data:
    return {} if config.get("sliding_window") is not None else {"sliding_window": None}


OF = {
    "llama": _llama,
    "qwen2moe": _qwen2moe,
    "gemma2": _windows,
    "gemma3": _windows,
    "cohere2": _windows,
    "gpt-oss": _windows,
    "deepseek2": _deepseek2,
    "glm4moe": _dense_first,
    "exaone4": _exaone4,
}


def _check(spec: ModelSpec, config: Data, tensors: list[Tensor], source: str) -> None:
    """Refuse a file whose tensors are not as many numbers as the model that its keys describe."""
    layers = int(config["num_hidden_layers"])
    found = steering = 0
    for tensor in tensors:
        layer = LAYER.match(tensor.name)
        if BUFFERS.fullmatch(tensor.name) or (layer is not None and int(layer[1]) >= layers):  # multi-token layers come last
            continue
        if CORRECTION.fullmatch(tensor.name):
            steering += tensor.elements
        else:
            found += tensor.elements
    counted = count(spec)
    if counted not in (found, found + steering):
        problem = f"{source}: its tensors hold {found:,} numbers, but its keys describe a {spec.family} of {counted:,}"
        raise InputError(f"{problem}, so it is none that llmcx knows", field="config", value=found)
