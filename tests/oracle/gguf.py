"""The type that llama.cpp's quantize gives to every tensor of every model that its converter knows.

    LLAMA_CPP=.../vendor/llama.cpp python tests/oracle/gguf.py [FAMILY ...]     ask and merge into gguf.json
    LLAMA_CPP=.../vendor/llama.cpp python tests/oracle/gguf.py --show FAMILY    the tensors of one, with their types

A dry run of llama_model_quantize, over hollow files of released shapes (ggml.py). gguf.json holds for each case its config, and
for each mixture the elements of each type. Mixtures that need an importance matrix are asked with one.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "gguf.json"
spec = importlib.util.spec_from_file_location("oracle_ggml", HERE / "ggml.py")
assert spec is not None and spec.loader is not None
ggml = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ggml)
import llama_cpp  # noqa: E402

Json = dict[str, Any]
MIXES = """q4_0 q8_0 q2_k q3_k_m q3_k_l q4_k_s q4_k_m q5_k_m q6_k
iq2_xxs iq2_m iq3_xxs iq3_xs iq3_m iq4_xs mxfp4_moe"""
WITH_IMATRIX = ("iq2_xxs", "iq2_m", "iq3_xxs", "iq3_xs")
LINE = re.compile(r"\] +(\S+) +- \[ *([\d, ]+)\], type = +(\S+), size = .*?(?:-> .*\((\w+)\))?$", re.M)

# Shapes that cases.py does not have, or that would take long: a config's changes, by model_type.
FURTHER = """
SMALL hidden_size=512 intermediate_size=1280 num_hidden_layers=20 num_attention_heads=8 num_key_value_heads=2 vocab_size=1000
EXPERTS num_experts=16 num_experts_per_tok=2 moe_intermediate_size=256
ROTARY rope_parameters={"rope_type":"default","rope_theta":10000.0,"mrope_section":[16,24,24]}
LATENT num_key_value_heads=8 q_lora_rank=256 kv_lora_rank=512 qk_nope_head_dim=128 qk_rope_head_dim=64 v_head_dim=128
DEEP n_routed_experts=16 n_shared_experts=2 num_experts_per_tok=2 moe_intermediate_size=256 first_k_dense_replace=3
MIXED layer_types=[sliding_attention*9,full_attention,sliding_attention*9,full_attention]
afmoe SMALL EXPERTS head_dim=64 num_shared_experts=1 num_dense_layers=2
camembert hidden_size=768 num_hidden_layers=12 num_attention_heads=12 intermediate_size=3072 vocab_size=1000
deepseek_v32 SMALL LATENT DEEP index_head_dim=128 index_n_heads=8
distilbert dim=768 n_layers=6 n_heads=12 hidden_dim=3072 vocab_size=1000
exaone_moe SMALL EXPERTS head_dim=64 num_shared_experts=1 first_k_dense_replace=1 n_group=1 topk_group=1
gemma3n_text SMALL MIXED vocab_size=512 vocab_size_per_layer_input=512 num_kv_shared_layers=5 activation_sparsity_pattern=null
gemma4_text SMALL MIXED vocab_size_per_layer_input=1000 num_kv_shared_layers=0
glm4_moe_lite SMALL LATENT DEEP mlp_layer_types=null
glm4v_text SMALL ROTARY head_dim=64 pad_token_id=0
granitemoeshared SMALL num_local_experts=8 num_experts_per_tok=2 shared_intermediate_size=768
ministral3 SMALL
minimax_m2 SMALL num_local_experts=8 num_experts_per_tok=2 head_dim=64
qwen2_vl_text SMALL ROTARY
qwen2_5_vl_text 3584/18944/28/28/4/152064 ROTARY
qwen3_vl_text 4096/12288/36/32/8/151936 ROTARY
qwen3_vl_moe_text SMALL ROTARY EXPERTS head_dim=128
qwen3_5_text SMALL head_dim=256
qwen3_5_moe_text hidden_size=512 num_hidden_layers=20 num_attention_heads=8 num_key_value_heads=2 vocab_size=1000 EXPERTS
    head_dim=256 shared_expert_intermediate_size=256
umt5 vocab_size=1000 d_model=512 d_kv=64 d_ff=1024 num_layers=8 num_heads=8
"""


def all_cases() -> Iterator[tuple[str, str, Json]]:
    """Family, name, config: the released shapes of cases.py, and tiny ones of families without."""
    cases = ggml.cases()
    further: dict[str, Json] = {}
    for (family, *words), *_ in cases.entries(FURTHER):
        further[family] = cases.config(words)
        if family.isupper():
            cases.SHARED[family] = further[family]
    for family, known in cases.FAMILIES.items():
        architecture = known.architecture
        if re.search("MaskedLM$", architecture):  # llama.cpp has no such heads
            architecture = architecture.replace("ForMaskedLM", "Model")
        shapes = {"further": further[family]} if family in further else known.released or {"tiny": known.tiny}
        for name, config in shapes.items():
            if list(shapes).index(name) > 1 and config.get("num_hidden_layers") != 80:  # which some call a 70B
                continue
            sizes = {key: value for key, value in config.items() if not key.startswith("@")}
            yield family, name, {"model_type": family, "architectures": [architecture], **sizes}


def types(path: Path, mix: str) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape and type of each tensor."""
    asked = llama_cpp.llama_model_quantize_default_params()
    asked.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{mix.upper()}")
    asked.dry_run, asked.nthread = True, 1
    if mix in WITH_IMATRIX:
        kind = dict(llama_cpp.llama_model_quantize_params._fields_)["imatrix"]
        none = (ctypes.c_char * 64)()
        asked.imatrix = ctypes.cast(none, kind) if kind is not ctypes.c_void_p else ctypes.addressof(none)
    ggml.said()
    if llama_cpp.llama_model_quantize(bytes(path), bytes(path.with_suffix(".out")), ctypes.byref(asked)):
        raise RuntimeError(f"{mix}: {' '.join(line for line in ggml.said().splitlines() if 'fail' in line or 'rror' in line)}")
    found = LINE.findall(ggml.said())
    rows = [(name, tuple(map(int, shape.split(","))), (made or was).upper()) for name, shape, was, made in found]
    return [row for row in rows if not row[0].startswith("rope_")]  # tables of rotary factors


def ask(config: Json) -> Json:
    """Elements of each type, by mixture."""
    found: Json = {}
    with ggml.file(config) as path:
        for mix in MIXES.split():
            try:
                elements: Counter[str] = Counter()
                for _, shape, kind in types(path, mix):
                    size = 1
                    for n in shape:
                        size *= n
                    elements[kind] += size
                found[mix] = dict(sorted(elements.items()))
            except RuntimeError as error:
                return {"error": str(error)}
    return found


def show(config: Json, mix: str) -> None:
    with ggml.file(config) as path:
        rows: dict[tuple[Any, ...], list[str]] = {}
        for name, shape, kind in types(path, mix):
            bare = re.sub(r"blk\.(\d+)\.", "", name)
            rows.setdefault((bare, shape, kind), []).append("".join(re.findall(r"blk\.(\d+)\.", name)))
    for (bare, shape, kind), layers in rows.items():
        print(f"{bare:36} {kind:7} {shape!s:32} {','.join(layers)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--show", default=None)
    parser.add_argument("--mix", default="q4_k_m")
    parser.add_argument("families", nargs="*")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    ggml.start()
    if given.show:
        config = next(config for family, name, config in all_cases() if given.show in (family, name))
        return show(config, given.mix)
    kept = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    golden: Json = {"versions": ggml.versions(), "cases": kept.get("cases", {})}
    for family, name, config in all_cases():
        if given.families and family not in given.families:
            continue
        try:
            entry: Json = {"config": config, "types": ask(config)}
        except NotImplementedError as error:
            entry = {"config": config, "unknown": str(error)}
        except Exception as error:
            print(family, name, type(error).__name__, str(error)[:200], file=sys.stderr)
            continue
        if "error" in entry.get("types", {}):
            print(family, name, entry["types"]["error"], file=sys.stderr)
            continue
        golden["cases"][f"{family}/{name}"] = entry
        print(family, name, "unknown" if "unknown" in entry else len(entry["types"]["q4_k_m"]), flush=True)
    lines = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in sorted(golden["cases"].items()))
    GOLDEN.write_text(f'{{"versions": {json.dumps(golden["versions"])},\n"cases": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main()
