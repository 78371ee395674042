"""What config.json, and hf_quant_config.json beside it, say of how the weights are stored.

Each method of quantisation is read by one small function into a :class:`~llmcx.model.storage.Storage`; a method that is not known
is kept by its name, so that an answer can say that its bytes are not known. Sources: transformers/utils/quantization_config.py of
huggingface/transformers 5.23; compressed_tensors/quantization/quant_args.py of neuralmagic/compressed-tensors; modelopt's
hf_quant_config of NVIDIA/Model-Optimizer; mlx_lm/utils.py of ml-explore/mlx-lm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from llmcx.errors import InputError, shown
from llmcx.model.storage import Storage, StorageGroup

DTYPES = {
    **{"float32": "fp32", "float": "fp32", "bfloat16": "bf16", "float16": "fp16", "half": "fp16"},
    **{"float8_e4m3fn": "fp8", "float8_e5m2": "fp8", "float64": "fp32"},
}
"""torch's names of number formats, and llmcx's."""

Data = Mapping[str, Any]


def stored_of(*files: Data) -> Storage | None:
    """What the files say, the outermost first: a config.json, and the text_config in it. None where they say nothing.

    Raises InputError for a quantization_config that cannot be.
    """
    dtype = next((each for data in files for key in ("dtype", "torch_dtype") if isinstance(each := data.get(key), str)), "")
    plain = DTYPES.get(dtype.removeprefix("torch."), "bf16")
    for data in files:
        for key in ("quantization_config", "compression_config", "quantization"):
            found = data.get(key)
            if found is None or found == {}:
                continue
            if not isinstance(found, Mapping):
                raise InputError(f"{key} is {shown(found)}, but must be a mapping", field=key, value=shown(found))
            stored = quantised(found, plain)
            if stored is not None:
                return _with_experts(stored, data.get("expert_dtype", found.get("expert_dtype")))
    return None if plain == "bf16" else Storage(plain, plain)


def quantised(data: Data, plain: str) -> Storage | None:
    """What a quantization_config says; None where it quantises nothing."""
    inner = data.get("quantization")
    if isinstance(inner, Mapping):  # hf_quant_config.json
        data = inner
    method = data.get("quant_method")
    if method is None:
        method = _guessed(data)
    reader = METHODS.get(str(method).replace("-", "_").lower())
    if reader is None:
        return Storage(plain, plain, unsized=f"quant_method {shown(method)}")
    found = reader(data)
    return found and replace(found, plain=plain, format=plain if found.format == "bf16" else found.format)


def _with_experts(stored: Storage, dtype: Any) -> Storage:
    """With the experts in a format of their own: fp4 is MXFP4, beside which FP8's scales are E8M0 too, a byte each, and what
    compresses keys or weighs the indexer's heads is left alone.

    Source: the numbers of deepseek-ai/DeepSeek-V4-Pro by type, as the hub lists them: 49,150,268,416 of F8_E8M0, one for 32 of
    its experts' 1,572,763,336,704, and 1,414,144 for the blocks of 128 x 128 of all other matrices but those.
    """
    if dtype in (None, "fp8") and stored.format.startswith("fp8"):
        return stored
    if dtype == "fp4" and stored.format.startswith("fp8_block"):
        form = f"{stored.format}{',' if ':' in stored.format else ':'}scale=1"
        keep = (*stored.keep, "compressor", "weights_proj")
        return replace(stored, format=form, keep=keep, groups=(*stored.groups, StorageGroup("mxfp4", ("experts",))))
    return stored if dtype is None else replace(stored, unsized=f"experts in {shown(dtype)}")


def _guessed(data: Data) -> str:
    """The method of a config that does not name one, by its keys."""
    for key, method in (
        ("config_groups", "compressed_tensors"),
        ("quant_algo", "modelopt"),
        ("load_in_4bit", "bitsandbytes"),
        ("load_in_8bit", "bitsandbytes"),
        ("quant_config", "hqq"),
        ("weight_block_size", "fp8"),
    ):
        if key in data:
            return method
    return "mlx" if {"bits", "group_size"} <= data.keys() else f"without a name ({', '.join(sorted(map(str, data))[:4])})"


def _number(data: Data, key: str, default: int | None = None) -> int:
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= 10**6 or value == 0:
        problem = f"quantization_config.{key} is {shown(value)}, but must be a whole number"
        raise InputError(problem, field=f"quantization_config.{key}", value=shown(value))
    return value


def _names(data: Data, *keys: str) -> tuple[str, ...]:
    """The module names under the first of ``keys`` that has any."""
    for key in keys:
        found = data.get(key)
        if found is None:
            continue
        if not isinstance(found, (list, tuple)) or not all(isinstance(name, str) for name in found):
            problem = f"quantization_config.{key} is {shown(found)}, but must be a list of module names"
            raise InputError(problem, field=f"quantization_config.{key}", value=shown(found))
        return tuple(found)
    return ()


# --- a function a method ----------------------------------------------------------------------------------------------


def _fp8(data: Data) -> Storage:
    block = data.get("weight_block_size")
    keep = _names(data, "modules_to_not_convert", "ignored_layers")
    if block is None:
        return Storage("fp8_tensor", keep=keep)
    if not isinstance(block, (list, tuple)) or len(block) != 2 or not all(isinstance(n, int) and n > 0 for n in block):
        problem = f"quantization_config.weight_block_size is {shown(block)}, but must be two whole numbers"
        raise InputError(problem, field="quantization_config.weight_block_size", value=shown(block))
    rows, columns = block
    return Storage("fp8_block" if (rows, columns) == (128, 128) else f"fp8_block:rows={rows},columns={columns}", keep=keep)


def _fbgemm(data: Data) -> Storage:
    return Storage("fp8_channel", keep=_names(data, "modules_to_not_convert"))


def _mxfp4(data: Data) -> Storage:
    return Storage("mxfp4", keep=_names(data, "modules_to_not_convert"))


def _gptq(data: Data) -> Storage:
    bits, group = _number(data, "bits"), _number(data, "group_size", 128)
    keep: list[str] = []
    groups: list[StorageGroup] = []
    dynamic = data.get("dynamic")
    if isinstance(dynamic, Mapping):
        for pattern, what in dynamic.items():
            sign, name = (pattern[:2], pattern[2:]) if pattern[:2] in ("-:", "+:") else ("+:", pattern)
            if sign == "-:":
                keep.append(f"re:{name}")
            elif isinstance(what, Mapping) and {"bits", "group_size"} & what.keys():
                sizes = f"gptq:bits={_number(what, 'bits', bits)},group={_number(what, 'group_size', group)}"
                groups.append(StorageGroup(sizes, (f"re:{name}",)))
    return Storage(f"gptq:bits={bits},group={group}", keep=(*keep, *_names(data, "modules_to_not_convert")), groups=tuple(groups))


def _awq(data: Data) -> Storage:
    bits = _number(data, "bits", data.get("w_bit", 4))
    group = _number(data, "group_size", data.get("q_group_size", 128))
    keep = _names(data, "modules_to_not_convert")
    if bits != 4:
        return Storage("bf16", keep=keep, unsized=f"awq of {bits} bits")
    return Storage(f"awq:group={group}", keep=keep)


def _bitsandbytes(data: Data) -> Storage | None:
    keep = _names(data, "llm_int8_skip_modules")
    if (data.get("load_in_8bit") or data.get("_load_in_8bit")) and (data.get("load_in_4bit") or data.get("_load_in_4bit")):
        problem = "quantization_config asks for load_in_4bit and for load_in_8bit, and only one of them can be"
        raise InputError(problem, field="quantization_config.load_in_8bit")
    if data.get("load_in_8bit") or data.get("_load_in_8bit"):
        return Storage("llm_int8", keep=keep)
    if data.get("load_in_4bit") or data.get("_load_in_4bit"):
        return Storage("nf4_double" if data.get("bnb_4bit_use_double_quant") else "nf4", keep=keep)
    return None


def _scheme(weights: Any, form: str) -> str | None:
    """The format of one group of compressed-tensors or modelopt; None where its layout is not known; "" where weights stay."""
    if weights is None:
        return ""
    if not isinstance(weights, Mapping):
        raise InputError(f"weights is {shown(weights)}, but must be a mapping", field="quantization_config.config_groups")
    bits, kind = _number(weights, "num_bits", 8), weights.get("type", "int")
    group, strategy = weights.get("group_size"), weights.get("strategy")
    if kind == "float" and bits == 8:
        blocks = weights.get("block_structure")
        if strategy == "block" or (isinstance(blocks, (list, tuple)) and len(blocks) == 2):
            rows, columns = blocks or (128, 128)
            return "fp8_block" if (rows, columns) == (128, 128) else f"fp8_block:rows={rows},columns={columns}"
        if strategy in ("channel", "token"):
            return "fp8_channel"
        return "fp8_tensor" if group is None else "mxfp8" if group == 32 else None
    if kind == "float" and bits == 4:
        return {16: "nvfp4", 32: "mxfp4"}.get(group or 0)
    if kind == "int" and 2 <= bits <= 8:
        zero = "" if weights.get("symmetric", True) else ",zero=1"
        order = ",order=1" if weights.get("actorder") in ("group", True) else ""
        return f"int:bits={bits},group={group or -1}{zero}{order}"
    return None


def _compressed(data: Data, exact: bool = False) -> Storage:
    """compressed-tensors, whose names are whole ones (``exact``) or expressions, and modelopt where it lists groups."""
    groups = data.get("config_groups")
    keep = _names(data, "ignore", "exclude_modules")
    keep = tuple(name if name.startswith("re:") else f"={name}" for name in keep) if exact else keep
    cache = _cache(data.get("kv_cache_scheme"), data.get("kv_cache_quant_algo"))
    if not isinstance(groups, Mapping) or not groups:
        return _modelopt_algo(data, keep, cache)
    everywhere: str | None = None
    named: list[StorageGroup] = []
    for name, group in groups.items():
        if not isinstance(group, Mapping):
            raise InputError(f"config_groups.{name} is {shown(group)}, but must be a mapping", field=f"config_groups.{name}")
        found = _scheme(group.get("weights"), str(data.get("format")))
        if found is None:
            return Storage("bf16", keep=keep, cache=cache, unsized=f"{data.get('format') or 'a format'} of config_groups.{name}")
        targets = _names(group, "targets") or ("Linear",)
        if "Linear" in targets:
            everywhere = found or everywhere
        elif found:
            named.append(StorageGroup(found, targets))
    return Storage(everywhere or "bf16", keep=keep, groups=tuple(named), cache=cache)


def _cache(scheme: Any, algo: Any = None) -> str | None:
    if isinstance(scheme, Mapping):
        return {8: "fp8" if scheme.get("type", "float") == "float" else "int8", 4: "int4"}.get(scheme.get("num_bits", 8))
    return "fp8" if str(algo).upper() == "FP8" else None


ALGOS = {"FP8": "fp8_tensor", "NVFP4": "nvfp4", "W4A16_AWQ": "awq", "W4A8_AWQ": "awq", "FP8_PB_WO": "fp8_block", "MXFP4": "mxfp4"}
ALGOS |= {"FP8_PER_CHANNEL_PER_TOKEN": "fp8_channel", "W4A8_NVFP4_FP8": "nvfp4", "W4A16_NVFP4": "nvfp4", "MXFP8": "mxfp8"}


def _modelopt_algo(data: Data, keep: tuple[str, ...], cache: str | None) -> Storage:
    """modelopt's short form: one algorithm, or a list of modules each with its own."""
    algo = data.get("quant_algo")
    layers = data.get("quantized_layers")
    if algo == "MIXED_PRECISION" and isinstance(layers, Mapping):
        named: dict[str, list[str]] = {}
        for module, how in layers.items():
            form = ALGOS.get(str(how.get("quant_algo"))) if isinstance(how, Mapping) else None
            if form is None:
                return Storage("bf16", keep=keep, cache=cache, unsized=f"quantized_layers.{module}")
            named.setdefault(form, []).append(str(module))
        return Storage(
            "bf16", keep=keep, groups=tuple(StorageGroup(form, tuple(names)) for form, names in named.items()), cache=cache
        )
    if algo is None and cache is not None:
        return Storage("bf16", keep=keep, cache=cache)
    form = ALGOS.get(str(algo))
    if form is None:
        return Storage("bf16", keep=keep, cache=cache, unsized=f"quant_algo {shown(algo)}")
    return Storage(form, keep=keep, cache=cache)


def _hqq(data: Data) -> Storage:
    weights = data.get("quant_config", data)
    weights = weights.get("weight_quant_params", weights) if isinstance(weights, Mapping) else {}
    bits, group = _number(weights, "nbits", 4), _number(weights, "group_size", 64)
    return Storage(f"hqq:bits={bits},group={group}", keep=_names(data, "skip_modules"))


def _mlx(data: Data) -> Storage:
    bits, group = _number(data, "bits"), _number(data, "group_size")
    if data.get("mode", "affine") not in ("affine", None):
        form = {"mxfp4": "mxfp4", "nvfp4": "nvfp4", "mxfp8": "mxfp8"}.get(str(data["mode"]))
        return Storage(form or "bf16", tables=True, unsized=None if form else f"MLX's mode {shown(data['mode'])}")
    keep, groups = [], []
    for name, what in data.items():
        if what is False:
            keep.append(str(name))
        elif isinstance(what, Mapping) and {"bits", "group_size"} & what.keys():
            sizes = f"mlx:bits={_number(what, 'bits', bits)},group={_number(what, 'group_size', group)}"
            groups.append(StorageGroup(sizes, (str(name),)))
    return Storage(f"mlx:bits={bits},group={group}", keep=tuple(keep), groups=tuple(groups), tables=True)


def _torchao(data: Data) -> Storage:
    kind = data.get("quant_type")
    name = str(kind if isinstance(kind, str) else next(iter(kind), "") if isinstance(kind, Mapping) else "")
    options = data.get("quant_type_kwargs")
    group = options.get("group_size", 128) if isinstance(options, Mapping) else 128
    keep = _names(data, "modules_to_not_convert")
    form = {
        "int8_weight_only": "llm_int8",
        "int8_dynamic_activation_int8_weight": "llm_int8",
        "int4_weight_only": f"hqq:bits=4,group={group}",
        "float8_weight_only": "fp8_channel",
        "float8_dynamic_activation_float8_weight": "fp8_channel",
    }.get(name)
    return Storage(form or "bf16", keep=keep, unsized=None if form else f"torchao's {name or 'quant_type'}")


def _aqlm(data: Data) -> Storage:
    books, bits = _number(data, "num_codebooks", 1), _number(data, "nbits_per_codebook", 16)
    group = _number(data, "in_group_size", 8)
    return Storage(f"aqlm:books={books},bits={bits},group={group}", keep=_names(data, "linear_weights_not_to_quantize"))


def _quark(data: Data) -> Storage:
    how = data.get("global_quant_config")
    weight = how.get("weight") if isinstance(how, Mapping) else None
    weight = weight[0] if isinstance(weight, list) and weight else weight
    keep = _names(data, "exclude")
    if not isinstance(weight, Mapping):
        return Storage("bf16", keep=keep, unsized="quark without a global weight format")
    dtype, scheme, group = str(weight.get("dtype")), weight.get("qscheme"), weight.get("group_size")
    form = {"fp8_e4m3": {"per_channel": "fp8_channel"}.get(str(scheme), "fp8_tensor"), "int8": "llm_int8"}.get(dtype)
    if dtype in ("int4", "uint4"):
        form = f"int:bits=4,group={group if isinstance(group, int) and group > 0 else -1}" + (
            ",zero=1" if dtype == "uint4" else ""
        )
    if dtype == "fp4":
        form = "mxfp4" if group == 32 else None
    return Storage(form or "bf16", keep=keep, unsized=None if form else f"quark's {dtype}")


METHODS: dict[str, Callable[[Data], Storage | None]] = {
    "fp8": _fp8,
    "fbgemm_fp8": _fbgemm,
    "mxfp4": _mxfp4,
    "gptq": _gptq,
    "gptqmodel": _gptq,
    "awq": _awq,
    "bitsandbytes": _bitsandbytes,
    "compressed_tensors": lambda data: _compressed(data, exact=True),
    "modelopt": _compressed,
    "modelopt_fp4": _compressed,
    "nvfp4": _compressed,
    "hqq": _hqq,
    "mlx": _mlx,
    "torchao": _torchao,
    "eetq": lambda data: Storage("llm_int8", keep=_names(data, "modules_to_not_convert")),
    "aqlm": _aqlm,
    "quark": _quark,
    "auto_round": _gptq,
    "intel/auto_round": _gptq,
}
"""quant_method, with underscores -> what reads it."""
