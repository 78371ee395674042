"""Ask llama.cpp itself which type each tensor gets, and bitsandbytes how many bytes it keeps; the answers go to quantized.json.

    python tests/oracle/quantized.py [ID ...]

Needs torch, transformers, gguf, bitsandbytes and llama-cpp-python (a build of libllama), and nothing of llmcx.

- "gguf": transformers builds the model of a config on the meta device; gguf's own table gives its tensors llama.cpp's names; a
  GGUF file of those names and shapes, its data a hole in the file, goes through llama_model_quantize with dry_run. `types` holds
  elements and bytes by type for each mixture (an importance matrix is there for the mixtures that need one, and only for them);
  `refused` the mixtures that libllama refuses.
- "bitsandbytes": random matrices through bitsandbytes' own functions on the CPU, and the bytes of every tensor that comes back.
"""

from __future__ import annotations

import ctypes
import json
import math
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import bitsandbytes
import bitsandbytes.functional as bnb
import gguf
import llama_cpp
import torch
import transformers
from measure import build

HERE = Path(__file__).parent
FTYPES = {ftype.name.removeprefix("MOSTLY_").lower(): ftype.value for ftype in gguf.LlamaFileType}
MIXES = [
    "q4_0",
    "q4_1",
    "q5_0",
    "q5_1",
    "q8_0",
    "q2_k",
    "q2_k_s",
    "q3_k_s",
    "q3_k_m",
    "q3_k_l",
    "q4_k_s",
    "q4_k_m",
    "q5_k_s",
    "q5_k_m",
    "q6_k",
    "iq1_s",
    "iq1_m",
    "iq2_xxs",
    "iq2_xs",
    "iq2_s",
    "iq2_m",
    "iq3_xxs",
    "iq3_xs",
    "iq3_s",
    "iq3_m",
    "iq4_nl",
    "iq4_xs",
    "tq1_0",
    "tq2_0",
    "mxfp4_moe",
]
NEEDS_IMATRIX = {"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq3_xxs", "iq3_xs", "q2_k_s"}
ARCHS = {"mistral": "llama", "mixtral": "llama", "gemma3_text": "gemma3", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe"}
ARCHS |= {"gpt_oss": "gpt-oss"}


def config(
    model_type: str, cls: str, d: int, ff: int, layers: int, heads: int, kv: int, vocab: int, **more: Any
) -> dict[str, Any]:
    sizes = {"hidden_size": d, "intermediate_size": ff, "num_hidden_layers": layers, "vocab_size": vocab}
    sizes |= {"num_attention_heads": heads, "num_key_value_heads": kv, "max_position_embeddings": 4096}
    return {"model_type": model_type, "architectures": [f"{cls}ForCausalLM"], **sizes, "tie_word_embeddings": False, **more}


EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 768}
GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
TIED = {"tie_word_embeddings": True}
CONFIGS = {
    "llama-3.1-8b": config("llama", "Llama", 4096, 14336, 32, 32, 8, 128256),
    "llama-2-7b": config("llama", "Llama", 4096, 11008, 32, 32, 32, 32000),
    "llama-3-70b": config("llama", "Llama", 8192, 28672, 80, 64, 8, 128256),
    "llama-65b": config("llama", "Llama", 8192, 22016, 80, 64, 64, 32000),
    "llama-3.2-1b": config("llama", "Llama", 2048, 8192, 16, 32, 8, 128256, **TIED),
    "llama-13-layers": config("llama", "Llama", 1024, 2816, 13, 16, 4, 5000, attention_bias=True, mlp_bias=True),
    "open-llama-3b": config("llama", "Llama", 3200, 8640, 26, 32, 32, 32000),
    "odd-rows": config("llama", "Llama", 96, 200, 3, 3, 3, 500),
    "mistral-7b": config("mistral", "Mistral", 4096, 14336, 32, 32, 8, 32000),
    "mixtral-8x7b": config("mixtral", "Mixtral", 4096, 14336, 32, 32, 8, 32000, num_local_experts=8, num_experts_per_tok=2),
    "mixtral-4x": config("mixtral", "Mixtral", 1024, 2048, 17, 16, 16, 32000, num_local_experts=4, num_experts_per_tok=2),
    "qwen2-0.5b": config("qwen2", "Qwen2", 896, 4864, 24, 14, 2, 151936, **TIED),
    "qwen2.5-72b": config("qwen2", "Qwen2", 8192, 29568, 80, 64, 8, 152064),
    "qwen3-0.6b": config("qwen3", "Qwen3", 1024, 3072, 28, 16, 8, 151936, head_dim=128, **TIED),
    "qwen3-30b-a3b": config("qwen3_moe", "Qwen3Moe", 2048, 6144, 48, 32, 4, 151936, num_experts=128, head_dim=128, **EXPERTS),
    "qwen1.5-moe-a2.7b": config(
        *("qwen2_moe", "Qwen2Moe", 2048, 5632, 24, 16, 16, 151936),
        **{**EXPERTS, "num_experts": 60, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632},
    ),
    "gemma-2b": config("gemma", "Gemma", 2048, 16384, 18, 8, 1, 256000, head_dim=256, **TIED),
    "gemma-2-9b": config("gemma2", "Gemma2", 3584, 14336, 42, 16, 8, 256000, head_dim=256, **TIED),
    "gemma-3-1b": config("gemma3_text", "Gemma3", 1152, 6912, 26, 4, 1, 262144, head_dim=256, **TIED),
    "phi-3-mini": config("phi3", "Phi3", 3072, 8192, 32, 32, 32, 32064, pad_token_id=0),
    "olmo-2-7b": config("olmo2", "Olmo2", 4096, 11008, 32, 32, 32, 100352),
    "smollm3-3b": config("smollm3", "SmolLM3", 2048, 11008, 36, 16, 4, 128256, pad_token_id=0, **TIED),
    "granite-3-2b": config("granite", "Granite", 2048, 8192, 40, 32, 8, 49155, **TIED),
    "starcoder2-3b": config("starcoder2", "Starcoder2", 3072, 12288, 30, 24, 2, 49152, **TIED),
    "gpt-oss-20b": config("gpt_oss", "GptOss", 2880, 2880, 24, 64, 8, 201088, num_local_experts=32, head_dim=64),
    "gpt2": GPT2 | {"n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257, "n_positions": 1024},
    "gpt2-xl": GPT2 | {"n_embd": 1600, "n_layer": 48, "n_head": 25, "vocab_size": 50257, "n_positions": 1024},
}


def tensors(case: dict[str, Any], arch: str) -> dict[str, tuple[int, ...]]:
    """The names and shapes that llama.cpp's converter writes: gguf's table of names, experts stacked, gate and up apart."""
    model = build(case, "meta")
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, arch.upper().replace("-", "_")), 200)
    found: dict[str, tuple[int, ...]] = {}
    for name, parameter in model.named_parameters():  # a tied head is not among them
        shape = tuple(parameter.shape)
        if case["model_type"] == "gpt2" and re.search(r"\.c_(attn|proj|fc)\.weight$", name):
            shape = shape[::-1]  # transformers' Conv1D is transposed
        layer = re.match(r"model\.layers\.(\d+)\.(.*)", name)
        at, leaf = (f"blk.{layer[1]}.", layer[2]) if layer else ("", "")
        if expert := re.fullmatch(r"mlp\.experts\.(gate_up|down)_proj(_bias)?", leaf):
            end = ".bias" if expert[2] else ".weight"
            if case["model_type"] == "gpt_oss" and not expert[2]:
                shape = (shape[0], shape[2], shape[1])  # kept as inputs x outputs
            if expert[1] == "down":
                found[f"{at}ffn_down_exps{end}"] = shape
            else:
                half = (shape[0], shape[1] // 2, *shape[2:])
                found |= {f"{at}ffn_gate_exps{end}": half, f"{at}ffn_up_exps{end}": half}
        elif leaf in ("mlp.gate.weight", "mlp.router.weight", "mlp.router.bias"):
            found[f"{at}ffn_gate_inp.{leaf.rpartition('.')[2]}"] = shape
        elif leaf == "self_attn.sinks":
            found[f"{at}attn_sinks.weight"] = shape
        else:
            new = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if new is None:
                raise KeyError(name)
            found[new] = shape
    return found


def stored(name: str, shape: tuple[int, ...]) -> gguf.GGMLQuantizationType:
    """What the converter writes in F32 (conversion/base.py of llama.cpp): vectors, norms, routers, positions, biases."""
    plain = len([n for n in shape if n > 1]) < 2 or not name.endswith(".weight") or name.endswith("_norm.weight")
    special = any(part in name for part in ("ffn_gate_inp", "position_embd", "token_types"))
    return gguf.GGMLQuantizationType.F32 if plain or special else gguf.GGMLQuantizationType.F16


def write(path: Path, arch: str, case: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    get = {**case, **transformers.AutoConfig.for_model(**case).to_dict()}.get
    writer = gguf.GGUFWriter(path, arch)
    layers, heads = get("num_hidden_layers") or get("n_layer"), get("num_attention_heads") or get("n_head")
    width = get("hidden_size") or get("n_embd")
    writer.add_block_count(layers)
    writer.add_context_length(1024)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(get("intermediate_size") or 4 * width)
    writer.add_head_count(heads)
    writer.add_head_count_kv(get("num_key_value_heads") or heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(get("vocab_size"))
    writer.add_sliding_window(512)
    writer.add_key_length(get("head_dim") or width // heads)
    writer.add_value_length(get("head_dim") or width // heads)
    count = get("num_local_experts") or get("num_experts")
    if count:
        writer.add_expert_count(count)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(get("moe_intermediate_size") or get("intermediate_size"))
    size = 0
    for name, shape in shapes.items():
        kind = stored(name, shape)
        bytes_ = math.prod(shape) * gguf.GGML_QUANT_SIZES[kind][1]
        writer.add_tensor_info(name, shape, torch.float16, bytes_, raw_dtype=kind)  # the dtype is not read beside raw_dtype
        size += -(-bytes_ // 32) * 32
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        start = file.seek(0, 2)
        file.truncate(-(-start // 32) * 32 + size)


class Llama:
    """libllama's quantize, its log caught."""

    def __init__(self) -> None:
        self.log = ""

        @llama_cpp.llama_log_callback
        def heard(level: int, text: bytes, data: Any) -> None:
            self.log += text.decode()

        self.heard = heard  # held: C does not
        llama_cpp.llama_log_set(heard, ctypes.c_void_p(0))

    def types(self, path: Path, mix: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, list[int]] | None:
        """Elements and bytes by type; None where libllama refuses."""
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype, params.dry_run, params.nthread = FTYPES[mix], True, 1
        empty = ctypes.create_string_buffer(64)  # an importance matrix of no entries: zeros end the list
        params.imatrix = ctypes.addressof(empty) if mix in NEEDS_IMATRIX else None
        self.log = ""
        if llama_cpp.llama_model_quantize(str(path).encode(), b"/dev/null", ctypes.byref(params)):
            assert "no tensor type fallback is defined" in self.log, self.log[-2000:]
            return None
        found: dict[str, list[int]] = {}
        seen = 0
        for line in self.log.splitlines():
            said = re.match(r"\[\s*\d+/\s*\d+\]\s+(\S+)\s+- .*type = +(\w+),(.*)", line)
            if not said:
                continue
            seen += 1
            new = re.search(r"\((\w+)\)", said[3].split("->")[-1]) if "->" in said[3] else None
            kind = gguf.GGMLQuantizationType[(new[1] if new else said[2]).upper()]
            block, size = gguf.GGML_QUANT_SIZES[kind]
            elements = math.prod(shapes[said[1]])
            row = found.setdefault(kind.name, [0, 0])
            row[0] += elements
            row[1] += elements // block * size
        assert seen == len(shapes), (seen, len(shapes), self.log[:3000])
        return dict(sorted(found.items()))


def measure_gguf(case: dict[str, Any], llama: Llama) -> dict[str, Any]:
    arch = ARCHS.get(case["model_type"], case["model_type"])
    shapes = tensors(case, arch)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        write(path, arch, case, shapes)
        types = {mix: llama.types(path, mix, shapes) for mix in MIXES}
    refused = [mix for mix, found in types.items() if found is None]
    return {"config": case, "types": {mix: found for mix, found in types.items() if found}, "refused": refused}


def measure_bitsandbytes() -> list[dict[str, Any]]:
    """Bytes of the quantised matrix and of the other tensors of its state, as safetensors would save them, less the JSON blob."""
    rows = []
    for d_out, d_in in ((128, 256), (300, 100), (7, 13), (4096, 1024), (11, 64)):
        for double in (False, True):
            quants, state = bnb.quantize_4bit(torch.randn(d_out, d_in), quant_type="nf4", compress_statistics=double)
            saved = {name: value.nbytes for name, value in state.as_dict(packed=True).items() if "bitsandbytes__" not in name}
            name = "nf4_double" if double else "nf4"
            rows.append({"format": name, "d_in": d_in, "d_out": d_out, "payload": quants.nbytes, "scales": sum(saved.values())})
        quants, scales, _ = bnb.int8_vectorwise_quant(torch.randn(d_out, d_in, dtype=torch.float16))
        rows.append({"format": "llm_int8", "d_in": d_in, "d_out": d_out, "payload": quants.nbytes, "scales": scales.nbytes})
    return rows


def main() -> None:
    path = HERE / "quantized.json"
    golden: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"gguf": {}}
    llama = Llama()
    golden["made_with"] = {module.__name__: module.__version__ for module in (llama_cpp, bitsandbytes, transformers)}
    golden["bitsandbytes"] = measure_bitsandbytes()
    for name in sys.argv[1:] or CONFIGS:
        print(name, file=sys.stderr)
        golden["gguf"][name] = measure_gguf(CONFIGS[name], llama)
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
