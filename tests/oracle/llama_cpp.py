"""The buffers that llama.cpp reserves for a context, as its own log says them: llama_cpp.json.

    LLAMA_CPP=.../vendor/llama.cpp python tests/oracle/llama_cpp.py               ask and write
    LLAMA_CPP=.../vendor/llama.cpp python tests/oracle/llama_cpp.py NAME ...      ask those, and write them beside the others

Hollow files (ggml.py), which have shapes and no weights, are loaded without a GPU, and a context is made of each setting. A row
holds, in MiB as they are logged: each cache with its cells and layers, recurrent states, the compute buffer, the output buffer.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "llama_cpp.json"
spec = importlib.util.spec_from_file_location("oracle_ggml", HERE / "ggml.py")
assert spec is not None and spec.loader is not None
ggml = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ggml)
import llama_cpp  # noqa: E402

Json = dict[str, Any]
KINDS = {"f16": 1, "q8_0": 8, "q4_0": 2}
SETTINGS: tuple[Json, ...] = (
    {"ctx": 4096},
    {"ctx": 4096, "flash": False},
    {"ctx": 8192, "ubatch": 128},
    {"ctx": 8192, "ubatch": 2048, "kv": "q8_0"},
    {"ctx": 1000, "kv": "q4_0"},
    {"ctx": 8192, "seqs": 4},
    {"ctx": 8192, "seqs": 4, "flash": False},
    {"ctx": 8192, "swa_full": True},
    {"ctx": 4096, "ubatch": 256, "outputs": 0},
    {"ctx": 6000, "seqs": 3},
    {"ctx": 3000, "seqs": 5, "ubatch": 100, "kv": "q8_0"},
)
"""Tokens of all sequences together, of a physical batch (512), sequences (1), positions whose logits are made (one a sequence, as
llama-server asks; 0 all, as the library does).
"""
TABLE = """
llama 1024/2816/3/16/4/32000
llama:3-8b 4096/14336/4/32/8/128256
llama:wide 2048/4096/3/16/16/32000
mistral 1024/2816/3/16/4/32000
qwen2 896/4864/3/14/2/151936
qwen3 1024/3072/3/16/8/151936 head_dim=128
gemma 1024/4096/3/8/1/64000 head_dim=128
gemma2 1024/4096/4/8/4/64000 head_dim=128 sliding_window=1024
gemma3_text 1024/4096/12/4/1/64000 head_dim=256 sliding_window=512
phi3 1024/2816/3/16/16/32064
olmo2 1024/2816/3/16/16/50304
granite 1024/2816/3/16/4/49152
smollm3 1024/2816/4/16/4/49152 pad_token_id=0
stablelm 1024/2816/3/16/16/50304
starcoder2 1024/4096/3/16/4/49152
gpt2 n_embd=1024 n_head=16 n_layer=3 n_positions=1024 vocab_size=50257
gpt_neox 1024/4096/3/16/-/50432
phi 1024/4096/3/16/-/51200
bloom hidden_size=1024 n_head=16 n_layer=3 vocab_size=50432
nemotron 1024/4096/3/16/4/64000
glm4 1024/2816/3/16/4/64000 head_dim=64 pad_token_id=0
cohere 1024/2816/3/16/4/64000
cohere2 1024/2816/8/16/4/64000 sliding_window=1024
exaone4 512/1408/64/8/2/64000 sliding_window=1024 sliding_window_pattern=4
exaone4:8 1024/2816/8/16/4/64000 sliding_window=1024 sliding_window_pattern=4
olmo3 1024/2816/8/16/16/50304 sliding_window=1024
falcon hidden_size=1024 num_attention_heads=16 num_hidden_layers=3 vocab_size=65024 multi_query=true parallel_attn=true
    new_decoder_architecture=false alibi=false bias=false
mixtral 1024/2048/3/16/4/32000 num_local_experts=8 num_experts_per_tok=2
qwen2_moe 1024/2816/3/16/4/64000 num_experts=16 num_experts_per_tok=4 moe_intermediate_size=512
    shared_expert_intermediate_size=2048 decoder_sparse_step=1
qwen3_moe 1024/2816/3/16/4/64000 head_dim=128 num_experts=32 num_experts_per_tok=8 moe_intermediate_size=384
    decoder_sparse_step=1
olmoe 1024/1024/3/16/16/50304 num_experts=16 num_experts_per_tok=8
gpt_oss 1024/1024/4/16/4/64000 head_dim=64 sliding_window=128 num_local_experts=8 num_experts_per_tok=4
deepseek_v2 512/1408/27/4/4/32000 q_lora_rank=null kv_lora_rank=512 qk_nope_head_dim=128 qk_rope_head_dim=64 v_head_dim=128
    n_routed_experts=16 n_shared_experts=2 num_experts_per_tok=4 moe_intermediate_size=384 first_k_dense_replace=1
deepseek_v3 1024/2816/3/8/8/32000 q_lora_rank=384 kv_lora_rank=512 qk_nope_head_dim=128 qk_rope_head_dim=64 v_head_dim=128
    n_routed_experts=16 n_shared_experts=1 num_experts_per_tok=4 moe_intermediate_size=384 first_k_dense_replace=1 n_group=4
    topk_group=2
deepseek_v32 1024/2816/3/8/8/32000 q_lora_rank=384 kv_lora_rank=512 qk_nope_head_dim=128 qk_rope_head_dim=64 v_head_dim=128
    n_routed_experts=16 n_shared_experts=1 num_experts_per_tok=4 moe_intermediate_size=384 first_k_dense_replace=1 n_group=4
    topk_group=2 index_head_dim=128 index_n_heads=8 index_topk=2048
llama4_text 1024/2048/4/16/4/64000 head_dim=64 intermediate_size_mlp=4096 num_local_experts=8 num_experts_per_tok=1
    attention_chunk_size=1024
mamba hidden_size=1024 num_hidden_layers=4 state_size=16 conv_kernel=4 expand=2 time_step_rank=64 vocab_size=50280
    intermediate_size=2048 use_bias=false use_conv_bias=true
mamba2 hidden_size=1024 num_hidden_layers=4 num_heads=32 head_dim=64 state_size=128 n_groups=1 conv_kernel=4 expand=2
    vocab_size=50280
falcon_h1 1024/2048/4/8/2/32000 head_dim=64 mamba_d_ssm=1536 mamba_n_heads=24 mamba_d_head=64 mamba_n_groups=1
    mamba_d_state=128 mamba_d_conv=4 mamba_expand=2
jamba 1024/2048/8/8/2/65536 attn_layer_period=4 attn_layer_offset=2 expert_layer_period=2 expert_layer_offset=1
    num_experts=4 num_experts_per_tok=2 mamba_d_state=16 mamba_d_conv=4 mamba_expand=2 mamba_dt_rank=64
granitemoehybrid 1024/2048/6/8/2/49152 layer_types=[mamba*2,attention,mamba*3] mamba_n_heads=32 mamba_n_groups=1
    mamba_d_state=128 mamba_d_head=64 mamba_d_conv=4 mamba_expand=2 num_local_experts=0 num_experts_per_tok=0
    shared_intermediate_size=2048
lfm2 1024/2816/6/16/4/65536 layer_types=[conv*2,full_attention,conv*2,full_attention] conv_L_cache=3
    block_multiple_of=256 block_ffn_dim_multiplier=1.0 block_auto_adjust_ff_dim=false
qwen3_next 1024/2816/8/8/2/64000 head_dim=128 linear_num_key_heads=8 linear_num_value_heads=16 linear_key_head_dim=128
    linear_value_head_dim=128 linear_conv_kernel_dim=4 num_experts=16 num_experts_per_tok=4 moe_intermediate_size=384
    shared_expert_intermediate_size=384
qwen3_5_text 1024/2816/8/8/2/64000 head_dim=128 linear_num_key_heads=8 linear_num_value_heads=16 linear_key_head_dim=128
    linear_value_head_dim=128 linear_conv_kernel_dim=4
gemma4_text 1024/4096/6/8/2/64000 head_dim=128 global_head_dim=256 sliding_window=512 vocab_size_per_layer_input=64000
    num_kv_shared_layers=0 layer_types=[sliding_attention*5,full_attention]
gemma4_text:moe 1024/4096/6/8/2/64000 head_dim=128 global_head_dim=256 sliding_window=512 hidden_size_per_layer_input=0
    num_kv_shared_layers=0 layer_types=[sliding_attention*5,full_attention] enable_moe_block=true num_experts=16
    top_k_experts=4 moe_intermediate_size=384
granitemoe 1024/512/3/16/4/49152 num_local_experts=16 num_experts_per_tok=4
hunyuan_v1_dense 1024/2816/3/16/4/64000 head_dim=64
minimax_m2 1024/1024/3/16/4/64000 num_local_experts=8 num_experts_per_tok=2 head_dim=64 scoring_func=sigmoid
seed_oss 1024/2816/3/16/4/64000 head_dim=64
ernie4_5_moe 1024/3072/4/16/4/64000 moe_num_experts=16 moe_k=4 moe_intermediate_size=384 moe_num_shared_experts=2
    moe_layer_start_index=1
glm4_moe 1024/2816/4/16/4/64000 head_dim=64 n_routed_experts=16 n_shared_experts=1 num_experts_per_tok=4
    moe_intermediate_size=384 first_k_dense_replace=1 pad_token_id=0
olmo 1024/2816/3/16/16/50304
mpt d_model=1024 n_heads=16 n_layers=3 vocab_size=50432 expansion_ratio=4
gpt_bigcode n_embd=1024 n_head=16 n_layer=3 n_positions=8192 vocab_size=49152 multi_query=true
phimoe 1024/1024/3/16/4/32064 lm_head_bias=true attention_bias=true num_local_experts=8 num_experts_per_tok=2
apertus 1024/2816/3/16/4/64000
falcon_mamba hidden_size=1024 num_hidden_layers=4 state_size=16 conv_kernel=4 expand=2 time_step_rank=64 vocab_size=50280
    intermediate_size=2048 use_bias=false use_conv_bias=true
nemotron_h 1024/2816/8/16/4/64000 head_dim=64 hybrid_override_pattern=M-M*M-M-
    layers_block_type=[mamba,mlp,mamba,attention,mamba,mlp,mamba,mlp]
    mamba_num_heads=32 mamba_head_dim=64 n_groups=2 ssm_state_size=128 conv_kernel=4 expand=2
qwen3_5_moe_text hidden_size=1024 num_hidden_layers=8 num_attention_heads=8 num_key_value_heads=2 vocab_size=64000 head_dim=128
    linear_num_key_heads=8 linear_num_value_heads=16 linear_key_head_dim=128 linear_value_head_dim=128
    linear_conv_kernel_dim=4 num_experts=16 num_experts_per_tok=4 moe_intermediate_size=384
    shared_expert_intermediate_size=384
hunyuan_v1_moe 1024/1024/3/16/4/64000 head_dim=64 num_experts=8 moe_topk=2
afmoe 1024/2816/8/16/4/64000 num_experts=16 num_experts_per_tok=4 moe_intermediate_size=384 head_dim=64 num_shared_experts=1
    num_dense_layers=2 sliding_window=1024
exaone_moe 1024/2816/8/16/4/64000 num_experts=16 num_experts_per_tok=4 moe_intermediate_size=384 head_dim=64
    num_shared_experts=1 first_k_dense_replace=1 n_group=1 topk_group=1 sliding_window=1024
arcee 1024/2816/3/16/4/64000
"""


def cases() -> dict[str, Json]:
    """A name and the words of a config each line, which goes on in an indented one."""
    of = ggml.cases()
    found = {}
    for line in re.split(r"\n(?! )", TABLE.strip()):
        name, *words = line.split()
        family = name.partition(":")[0]
        architecture = of.FAMILIES[family].architecture
        found[name] = {"model_type": family, "architectures": [architecture], **of.config(words)}
        if family not in ("gpt2", "bloom", "mamba", "mamba2", "falcon", "falcon_mamba", "mpt", "gpt_bigcode"):
            found[name].setdefault("max_position_embeddings", 8192)
    return found


def load(path: Path) -> Any:
    asked = llama_cpp.llama_model_default_params()
    asked.use_extra_bufts = False
    model = llama_cpp.llama_model_load_from_file(bytes(path), asked)
    if not model:
        raise RuntimeError(ggml.said()[-500:])
    return model


CACHE = re.compile(r"llama_kv_cache: size = +([\d.]+) MiB \( *(\d+) cells, +(\d+) layers")
STATES = re.compile(r" RS buffer size = +([\d.]+) MiB")
COMPUTE = re.compile(r"compute buffer size is +([\d.]+) MiB")
OUTPUT = re.compile(r"output buffer size = +([\d.]+) MiB")


def buffers(model: Any, setting: Json) -> Json:
    """What is logged of a context of ``setting``."""
    asked = llama_cpp.llama_context_default_params()
    asked.n_ctx, asked.n_batch, asked.n_ubatch = setting["ctx"], 2048, setting.get("ubatch", 512)
    asked.n_seq_max = setting.get("seqs", 1)
    asked.kv_unified = False
    asked.flash_attn_type = int(setting.get("flash", True))
    asked.type_k = asked.type_v = KINDS[setting.get("kv", "f16")]
    asked.n_outputs_max = setting.get("outputs", asked.n_seq_max)
    asked.swa_full = setting.get("swa_full", False)
    ggml.said()
    context = llama_cpp.llama_init_from_model(model, asked)
    if context:
        llama_cpp.llama_free(context)  # which says the compute buffer to four digits
    text = ggml.said()
    if not context:
        raise RuntimeError(text[-300:])
    found: Json = {"kv": [[int(cells), int(layers), float(size)] for size, cells, layers in CACHE.findall(text)]}
    found["states"] = sum(float(size) for size in STATES.findall(text))
    [found["compute"]] = map(float, COMPUTE.findall(text))
    [found["output"]] = map(float, OUTPUT.findall(text))
    return found


def ask(config: Json) -> list[Json]:
    """A row of each setting."""
    with ggml.file(config) as path:
        model = load(path)
        try:
            return [buffers(model, setting) for setting in SETTINGS]
        finally:
            llama_cpp.llama_model_free(model)


def main() -> None:
    logging.disable(logging.CRITICAL)
    ggml.start()
    kept = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    rows: Json = kept.get("cases", {})
    for name, config in cases().items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        try:
            rows[name] = {"config": config, "rows": ask(config)}
        except Exception as error:
            print(name, type(error).__name__, str(error)[-400:], file=sys.stderr, flush=True)
            continue
        print(name, [row["compute"] for row in rows[name]["rows"]], flush=True)
        lines = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in sorted(rows.items()))
        head = f'{{"versions": {json.dumps(ggml.versions())},\n"settings": {json.dumps(SETTINGS)},\n'
        GOLDEN.write_text(head + f'"cases": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main()
