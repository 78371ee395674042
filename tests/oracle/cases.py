"""What measure.py measures: for each model_type a tiny base config, its options varied one at a time, and released shapes.

TABLE has an entry for each family, which begins with its model_type, its class, and a tiny config with odd sizes (so that no two
dimensions are equal by accident and every window is shorter than the sequence). Below it stand:

    vary     the changes to the tiny config, one case each: every key that changes a count
    kept     those for which the bytes kept for backward are measured; without the line, the tiny config alone
    built    of a multimodal model: those that are built, and not run
    sees     of a multimodal model: those that are run, on images or sounds
    NAME:    the config of a released model

A config is words: `key=value` (JSON, or a bare word, also in lists, where `word*3` is three of them), the name of a config in
SHARED, or `hidden/ffn/layers/heads/kv/vocab`, the sizes that most decoders have (`-` for no key). A change is such words joined
by `+`; `key=a|b` is two changes, `tiny` none, and the names in CHANGES stand for several. A later word overrides an earlier one.
Keys that begin with "@" set the run, not the config: @batch, @seq, @decoder_seq.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import towers

Config = dict[str, Any]
RUN = {"batch": 2, "seq": 19, "decoder_seq": 13}
SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size")
ORDER = (SIZES[-1], *SIZES[:-1])


@dataclass
class Family:
    """The cases of one model_type."""

    architecture: str
    tiny: Config
    vary: tuple[Config, ...] = ()
    released: dict[str, Config] = field(default_factory=dict)
    kept: tuple[Config, ...] = ({},)
    built: tuple[Config, ...] = ()
    sees: tuple[Config, ...] = ()
    whole: bool = False


def value(text: str) -> Any:
    """A value as the table writes it."""
    try:
        return json.loads(text)
    except ValueError:
        if not text.startswith("["):
            return text
    inside, _, times = text[1:].rpartition("]")
    words = (word.partition("*") for word in inside.split(","))
    return [word for word, _, many in words for _ in range(int(many or 1))] * int(times[1:] or 1)


def config(words: list[str]) -> Config:
    """The config that some words make."""
    made: Config = {}
    for word in words:
        key, is_set, text = word.partition("=")
        if is_set:
            made[key] = value(text)
        elif "/" in word:
            sizes = dict(zip(SIZES, word.split("/"), strict=True))
            made |= {name: int(sizes[name]) for name in ORDER if sizes[name] != "-"}
        else:
            made |= SHARED[word]
    return made


def changes(words: list[str]) -> tuple[Config, ...]:
    """The changes that some words stand for."""
    made: list[Config] = []
    for word in words:
        key, is_set, text = word.partition("=")
        if not is_set and "+" not in word:
            made += CHANGES.get(word) or (SHARED[word],)
        elif "|" in text:
            made += [{key: value(one)} for one in text.split("|")]
        else:
            made.append(config(word.split("+")))
    return tuple(made)


def entries(table: str) -> Iterator[list[list[str]]]:
    """The lines of each entry, as words; a line that is indented by four continues the one above."""
    plain = re.sub(r"\n {4,}", " ", re.sub(r"^ *#.*\n", "", table, flags=re.M))
    for entry in re.split(r"\n(?=\S)", plain.strip()):
        yield [line.split() for line in entry.split("\n")]


def families(table: str) -> dict[str, Family]:
    found = {}
    for (name, architecture, *words), *rest in entries(table):
        found[name] = family = Family(architecture, config(words))
        for what, *words in rest:
            if what.endswith(":"):
                family.released[what[:-1]] = config(words)
            else:
                setattr(family, what, changes(words))
    return found


SHARED: dict[str, Config] = {
    "BYTES": {
        f"{part}_config": {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
        | {"intermediate_size": ffn, **more}
        for part, width, layers, heads, ffn, more in (
            ("encoder", 24, 2, 4, 44, {"vocab_size": 101, "cross_attn_k": 3}),
            ("decoder", 24, 3, 4, 52, {"hidden_size_global": 48, "cross_attn_k": 3}),
            ("global", 48, 2, 4, 76, {}),
            ("patcher", 20, 2, 2, 28, {"vocab_size": 101, "sliding_window": 7}),
        )
    },
    "T5GEMMA": {
        stack: {"hidden_size": 48, "intermediate_size": ffn, "num_hidden_layers": layers, "num_attention_heads": 4}
        | {"num_key_value_heads": kv, "head_dim": dim, "sliding_window": 7, "vocab_size": 101}
        for stack, ffn, layers, kv, dim in (("encoder", 76, 3, 2, 20), ("decoder", 60, 2, 1, 14))
    },
    "KIMI": {
        "linear_attn_config": {"head_dim": 128, "num_heads": 32, "short_conv_kernel_size": 4}
        | {"full_attn_layers": [4, 8, 12, 16, 20, 24, 27], "kda_layers": [i for i in range(1, 27) if i % 4]}
    },
    "ZAMBA": {"layers_block_type": ["hybrid" if i in (6, 11, *range(17, 78, 6)) else "mamba" for i in range(81)]},
    "COMPASS": {
        "layer_types": ["sliding_attention", "full_attention", "full_attention"],
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]},
            "full_attention": None,
        },
    },
    "BERTS": {"encoder": towers.WRITERS["bert"] | {"vocab_size": 101}, "decoder": towers.WRITERS["bert"] | towers.CROSSED},
    "LFM": {"layer_types": ["full_attention" if i in (2, 6, 10, 14, 18, 21) else "conv" for i in range(24)]},
}
for found in entries(
    towers.SHARED
    + """
dense 48/76/3/4/2/101
# A Gated DeltaNet, a Mamba-2, attention with a latent, and mixture layers as DeepSeek has them, all tiny.
DELTA linear_conv_kernel_dim=3 linear_key_head_dim=10 linear_value_head_dim=14 linear_num_key_heads=2 linear_num_value_heads=4
MAMBA mamba_n_heads=8 mamba_n_groups=2 mamba_d_state=10 mamba_d_head=12 mamba_d_conv=3 mamba_chunk_size=8
MLA q_lora_rank=20 kv_lora_rank=14 qk_nope_head_dim=10 qk_rope_head_dim=6 v_head_dim=12
DEEP n_routed_experts=5 n_shared_experts=2 num_experts_per_tok=2 moe_intermediate_size=28 first_k_dense_replace=1
# Rotary positions of three kinds, as many pairs of a head of 12 each.
MROPE rope_parameters={"rope_type":"default","rope_theta":10000.0,"mrope_section":[2,2,2]}
T5 vocab_size=97 d_model=24 d_kv=10 d_ff=44 num_layers=3 num_heads=4
BART vocab_size=97 d_model=24 encoder_layers=2 decoder_layers=3 encoder_ffn_dim=44 decoder_ffn_dim=52 encoder_attention_heads=4
    decoder_attention_heads=4 max_position_embeddings=40
SEAMLESS vocab_size=97 hidden_size=24 encoder_layers=2 decoder_layers=3 encoder_ffn_dim=44 decoder_ffn_dim=52
    encoder_attention_heads=4 decoder_attention_heads=4 max_position_embeddings=40
BLT cross_attn_k=3 encoder_hash_byte_group_vocab=30 BYTES
BLT_TWO encoder_config={"cross_attn_k":2} decoder_config={"cross_attn_k":2}
BERT vocab_size=97 hidden_size=24 num_hidden_layers=2 num_attention_heads=4 intermediate_size=44 max_position_embeddings=40
BERT_BASE hidden_size=768 num_hidden_layers=12 num_attention_heads=12 intermediate_size=3072
"""
):
    SHARED[found[0][0]] = config(found[0][1:])

CHANGES: dict[str, tuple[Config, ...]] = {"tiny": ({},)}
for found in entries("""
GQA num_key_value_heads=1|4
TIED tie_word_embeddings=true
UNTIED tie_word_embeddings=false
LENGTHS @batch=1 @seq=1|38
WINDOW use_sliding_window=true+sliding_window=7
# With one sequence and one key-value head there is nothing to repeat or to lay side by side.
SIZES tiny LENGTHS GQA @batch=1+num_key_value_heads=1 num_hidden_layers=4 intermediate_size=80 vocab_size=103
    tie_word_embeddings=true|false
"""):
    CHANGES[found[0][0]] = changes(found[0][1:])

TABLE = r"""
# The GPT line.
gpt2 GPT2LMHeadModel vocab_size=97 n_positions=40 n_embd=24 n_layer=3 n_head=4
  vary n_inner=40 n_positions=64 n_head=3 reorder_and_upcast_attn=true scale_attn_by_inverse_layer_idx=true
    architectures=GPT2Model|GPT2ForTokenClassification|GPT2ForQuestionAnswering
    architectures=GPT2ForSequenceClassification+pad_token_id=0+num_labels=3 add_cross_attention=true activation_function=relu
    UNTIED LENGTHS
  kept tiny LENGTHS UNTIED n_layer=4 n_head=3 n_inner=40 vocab_size=103 activation_function=gelu|relu
  gpt2-medium: n_embd=1024 n_layer=24 n_head=16
  gpt2-large: n_embd=1280 n_layer=36 n_head=20
  gpt2-xl: n_embd=1600 n_layer=48 n_head=25
gpt_neo GPTNeoForCausalLM vocab_size=97 max_position_embeddings=40 hidden_size=24 num_layers=4 num_heads=4 window_size=7
    attention_types=[[["global","local"],2]]
  vary intermediate_size=40 attention_types=[[["global"],4]] UNTIED
  gpt-neo-125m: hidden_size=768 num_layers=12 num_heads=12 attention_types=[[["global","local"],6]]
  gpt-neo-2.7B: hidden_size=2560 num_layers=32 num_heads=20 attention_types=[[["global","local"],16]]
gptj GPTJForCausalLM vocab_size=97 n_positions=40 n_embd=48 n_layer=3 n_head=4 rotary_dim=4
  vary architectures=GPTJForQuestionAnswering n_inner=40 rotary_dim=8 TIED
  gpt-j-6b: n_embd=4096 n_layer=28 n_head=16 rotary_dim=64 vocab_size=50400
codegen CodeGenForCausalLM vocab_size=97 n_positions=40 n_embd=48 n_layer=3 n_head=4 rotary_dim=4
  vary n_inner=40 rotary_dim=8 TIED
  codegen-2B: n_embd=2560 n_layer=32 n_head=32 rotary_dim=64 vocab_size=51200
gpt_neox GPTNeoXForCausalLM 48/76/3/4/-/101
  vary attention_bias=false use_parallel_residual=false rotary_pct=0.5 TIED
  gpt-neox-20b: 6144/24576/44/64/-/50432 rotary_pct=0.25
  pythia-70m: 512/2048/6/8/-/50304
  pythia-1.4b: 2048/8192/24/16/-/50304
gpt_bigcode GPTBigCodeForCausalLM vocab_size=97 n_positions=40 n_embd=24 n_layer=3 n_head=4
  vary n_inner=40 multi_query=false add_cross_attention=true UNTIED
  starcoderbase: vocab_size=49152 n_positions=8192 n_embd=6144 n_layer=40 n_head=48 n_inner=24576
  santacoder: vocab_size=49280 n_positions=2048 n_embd=2048 n_layer=24 n_head=16 n_inner=8192
opt OPTForCausalLM vocab_size=97 max_position_embeddings=40 hidden_size=24 word_embed_proj_dim=24 ffn_dim=40 num_hidden_layers=3
    num_attention_heads=4
  vary word_embed_proj_dim=16 do_layer_norm_before=false enable_bias=false layer_norm_elementwise_affine=false
    _remove_final_layer_norm=true word_embed_proj_dim=16+do_layer_norm_before=false UNTIED
    architectures=OPTForQuestionAnswering architectures=OPTForSequenceClassification+pad_token_id=0
    architectures=OPTModel+word_embed_proj_dim=16
  opt-350m: hidden_size=1024 word_embed_proj_dim=512 ffn_dim=4096 num_hidden_layers=24 num_attention_heads=16
    do_layer_norm_before=false
  opt-6.7b: hidden_size=4096 word_embed_proj_dim=4096 ffn_dim=16384 num_hidden_layers=32 num_attention_heads=32
  opt-66b: hidden_size=9216 word_embed_proj_dim=9216 ffn_dim=36864 num_hidden_layers=64 num_attention_heads=72
bloom BloomForCausalLM vocab_size=97 hidden_size=24 n_layer=3 n_head=4
  vary apply_residual_connection_post_layernorm=true slow_but_exact=true n_head=3 UNTIED
  bloom-560m: hidden_size=1024 n_layer=24 n_head=16
  bloom-7b1: hidden_size=4096 n_layer=30 n_head=32
  bloom: hidden_size=14336 n_layer=70 n_head=112
mpt MptForCausalLM vocab_size=97 d_model=24 n_heads=4 n_layers=3 max_seq_len=40
  vary expansion_ratio=3 no_bias=false learned_pos_emb=false attn_config={"alibi":false}|{"qk_ln":true} UNTIED
  mpt-7b: d_model=4096 n_heads=32 n_layers=32 vocab_size=50432 attn_config={"alibi":true}
  mpt-30b: d_model=7168 n_heads=64 n_layers=48 vocab_size=50432 max_seq_len=8192 attn_config={"alibi":true}
falcon FalconForCausalLM vocab_size=97 hidden_size=48 num_hidden_layers=3 num_attention_heads=4
  vary multi_query=false parallel_attn=false alibi=true bias=true ffn_hidden_size=80 num_ln_in_parallel_attn=2
    new_decoder_architecture=true+num_kv_heads=2 new_decoder_architecture=true
    new_decoder_architecture=true+num_kv_heads=2+bias=true new_decoder_architecture=true+num_kv_heads=2+num_ln_in_parallel_attn=1
    multi_query=false+parallel_attn=false+alibi=true+bias=true num_kv_heads=2 num_kv_heads=2+multi_query=false UNTIED
  falcon-7b: hidden_size=4544 num_hidden_layers=32 num_attention_heads=71 vocab_size=65024
  falcon-40b: hidden_size=8192 num_hidden_layers=60 num_attention_heads=128 num_kv_heads=8 new_decoder_architecture=true
    vocab_size=65024
  falcon-rw-1b: hidden_size=2048 num_hidden_layers=24 num_attention_heads=32 vocab_size=50304 alibi=true bias=true
    multi_query=false parallel_attn=false
# The Llama line.
llama LlamaForCausalLM dense
  vary attention_bias=true mlp_bias=true head_dim=20
    architectures=LlamaModel|LlamaForTokenClassification|LlamaForQuestionAnswering
    architectures=LlamaForSequenceClassification+pad_token_id=0+num_labels=1 pretraining_tp=2
    architectures=LlamaForTokenClassification+token_classification_bias=false GQA TIED LENGTHS
  kept SIZES head_dim=20 attention_bias=true mlp_bias=true hidden_act=gelu
    @seq=64+hidden_size=128+intermediate_size=352+num_attention_heads=8+vocab_size=1000
  Llama-2-70b: 8192/28672/80/64/8/32000
  Llama-3-8B: 4096/14336/32/32/8/128256
  Llama-3.1-405B: 16384/53248/126/128/8/128256
  Llama-3.2-1B: 2048/8192/16/32/8/128256 head_dim=64 tie_word_embeddings=true
  SmolLM2-135M: 576/1536/30/9/3/49152 tie_word_embeddings=true
  TinyLlama-1.1B: 2048/5632/22/32/4/32000
mistral MistralForCausalLM dense sliding_window=7
  vary head_dim=20 sliding_window=null GQA TIED
  kept tiny sliding_window=null LENGTHS
  Mistral-7B: 4096/14336/32/32/8/32000 sliding_window=4096
  Mistral-Nemo: 5120/14336/40/32/8/131072 head_dim=128 sliding_window=null
  Mistral-Small-24B: 5120/32768/40/32/8/131072 head_dim=128 sliding_window=null
ministral MinistralForCausalLM dense sliding_window=7 head_dim=12
  vary head_dim=20|null GQA TIED
ministral3 Ministral3ForCausalLM dense head_dim=12
  vary head_dim=20 sliding_window=7 GQA TIED
mixtral MixtralForCausalLM dense num_local_experts=5 num_experts_per_tok=2
  vary num_experts_per_tok=1|3 num_local_experts=4 head_dim=20 sliding_window=7 GQA TIED
  Mixtral-8x7B: 4096/14336/32/32/8/32000 num_local_experts=8 num_experts_per_tok=2
  Mixtral-8x22B: 6144/16384/56/48/8/32000 num_local_experts=8 num_experts_per_tok=2
gemma GemmaForCausalLM dense head_dim=20
  vary head_dim=12 attention_bias=true use_bidirectional_attention=true GQA UNTIED
  kept tiny LENGTHS
  gemma-2b: 2048/16384/18/8/1/256000 head_dim=256
  gemma-7b: 3072/24576/28/16/16/256000 head_dim=256
gemma2 Gemma2ForCausalLM dense head_dim=20 sliding_window=7
  vary head_dim=12 attention_bias=true final_logit_softcapping=null attn_logit_softcapping=null query_pre_attn_scalar=20 GQA
    UNTIED
  kept tiny LENGTHS final_logit_softcapping=null attn_logit_softcapping=null
  gemma-2-2b: 2304/9216/26/8/4/256000 head_dim=256
  gemma-2-9b: 3584/14336/42/16/8/256000 head_dim=256
  gemma-2-27b: 4608/36864/46/32/16/256000 head_dim=128
qwen2 Qwen2ForCausalLM dense
  vary use_sliding_window=true+sliding_window=7+max_window_layers=1 GQA TIED
  kept tiny LENGTHS GQA
  Qwen2.5-0.5B: 896/4864/24/14/2/151936 tie_word_embeddings=true
  Qwen2.5-7B: 3584/18944/28/28/4/152064
  Qwen2.5-72B: 8192/29568/80/64/8/152064
qwen3 Qwen3ForCausalLM dense head_dim=20
  vary head_dim=12 attention_bias=true use_sliding_window=true+sliding_window=7+max_window_layers=1 GQA TIED
    architectures=Qwen3Model architectures=Qwen3ForSequenceClassification+pad_token_id=0+id2label={"0":"no","1":"yes","2":"?"}
  kept tiny LENGTHS
  Qwen3-0.6B: 1024/3072/28/16/8/151936 head_dim=128 tie_word_embeddings=true
  Qwen3-Embedding-8B: 4096/12288/36/32/8/151665 head_dim=128 architectures=["Qwen3Model"]
  Qwen3-8B: 4096/12288/36/32/8/151936 head_dim=128
  Qwen3-32B: 5120/25600/64/64/8/151936 head_dim=128
gemma3_text Gemma3ForCausalLM dense head_dim=20 sliding_window=7 sliding_window_pattern=2
  vary head_dim=12 attention_bias=true final_logit_softcapping=30.0 attn_logit_softcapping=50.0 sliding_window_pattern=3
    use_bidirectional_attention=true num_hidden_layers=5 GQA UNTIED
  gemma-3-270m: 640/2048/18/4/1/262144 head_dim=256 sliding_window=512
  gemma-3-1b: 1152/6912/26/4/1/262144 head_dim=256 sliding_window=512
  gemma-3-27b-text: 5376/21504/62/32/16/262208 head_dim=128 sliding_window=1024
gemma3n_text Gemma3nForCausalLM dense num_hidden_layers=6 head_dim=20 sliding_window=7 vocab_size_per_layer_input=89
    hidden_size_per_layer_input=10 layer_types=[sliding_attention*2,full_attention]*2 num_kv_shared_layers=3 laurel_rank=6
    altup_num_inputs=3 altup_active_idx=0
  vary num_kv_shared_layers=0|2 laurel_rank=8 altup_num_inputs=2|4 vocab_size_per_layer_input=101 hidden_size_per_layer_input=14
    head_dim=12 attention_bias=true altup_correct_scale=false intermediate_size=[76,76,60,60,80,80]
    activation_sparsity_pattern=[0.9,0.9,0.0,0.0,0.0,0.0] GQA UNTIED
  gemma-3n-E2B-text: 2048/8192/30/8/2/262400 head_dim=256 num_kv_shared_layers=10
  gemma-3n-E4B-text: 2048/16384/35/8/2/262400 head_dim=256 num_kv_shared_layers=15
gemma4_text Gemma4ForCausalLM dense num_hidden_layers=6 head_dim=20 sliding_window=7 vocab_size_per_layer_input=89
    hidden_size_per_layer_input=10 layer_types=[sliding_attention*2,full_attention]*2 global_head_dim=28
  vary hidden_size_per_layer_input=0 vocab_size_per_layer_input=101 global_head_dim=20 head_dim=12 attention_k_eq_v=true
    num_global_key_value_heads=1 attention_bias=true num_kv_shared_layers=2|3 attention_k_eq_v=true+num_global_key_value_heads=1
    num_kv_shared_layers=3+use_double_wide_mlp=true use_double_wide_mlp=true
    enable_moe_block=true+num_experts=5+top_k_experts=2+moe_intermediate_size=14 layer_types=[full_attention,sliding_attention*5]
    final_logit_softcapping=30.0 GQA UNTIED
  large: 1536/6144/35/8/1/262144 head_dim=256 global_head_dim=512 num_kv_shared_layers=20 use_double_wide_mlp=true
    sliding_window=512 layer_types=[sliding_attention*4,full_attention]*7
gemma4_unified_text Gemma4UnifiedForCausalLM dense num_hidden_layers=6 head_dim=20 sliding_window=7 global_head_dim=28
    layer_types=[sliding_attention*2,full_attention]*2
  vary head_dim=12 global_head_dim=20 attention_k_eq_v=true+num_global_key_value_heads=1 num_kv_shared_layers=3
    num_kv_shared_layers=3+use_double_wide_mlp=true GQA UNTIED
phi PhiForCausalLM dense partial_rotary_factor=0.5
  vary qk_layernorm=true partial_rotary_factor=1.0 GQA TIED
  phi-1_5: 2048/8192/24/32/32/51200
  phi-2: 2560/10240/32/32/32/51200 partial_rotary_factor=0.4
phi3 Phi3ForCausalLM dense pad_token_id=0
  vary sliding_window=7 partial_rotary_factor=0.5 GQA TIED
  Phi-3-mini: 3072/8192/32/32/32/32064 sliding_window=2047
  Phi-3-medium: 5120/17920/40/40/10/32064
  phi-4: 5120/17920/40/40/10/100352
phimoe PhimoeForCausalLM dense num_local_experts=5 num_experts_per_tok=2 sliding_window=7
  vary num_local_experts=4 num_experts_per_tok=1|3 attention_bias=true lm_head_bias=true head_dim=20 GQA TIED
  Phi-3.5-MoE: 4096/6400/32/32/8/32064 num_local_experts=16 attention_bias=true lm_head_bias=true
qwen2_moe Qwen2MoeForCausalLM dense num_experts=5 num_experts_per_tok=2 moe_intermediate_size=28
    shared_expert_intermediate_size=36
  vary num_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 shared_expert_intermediate_size=44|0 decoder_sparse_step=2|3
    mlp_only_layers=[1]|[0,2] qkv_bias=false norm_topk_prob=true use_sliding_window=true+sliding_window=7+max_window_layers=2 GQA
    TIED
  Qwen1.5-MoE-A2.7B: 2048/5632/24/16/16/151936 num_experts=60 num_experts_per_tok=4 moe_intermediate_size=1408
    shared_expert_intermediate_size=5632
  Qwen2-57B-A14B: 3584/18944/28/28/4/151936 num_experts=64 num_experts_per_tok=8 moe_intermediate_size=2560
    shared_expert_intermediate_size=20480
qwen3_moe Qwen3MoeForCausalLM dense head_dim=20 num_experts=5 num_experts_per_tok=2 moe_intermediate_size=28
  vary num_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 head_dim=12 attention_bias=true decoder_sparse_step=2|3
    mlp_only_layers=[1]|[0,2] norm_topk_prob=true WINDOW GQA TIED
  Qwen3-30B-A3B: 2048/6144/48/32/4/151936 head_dim=128 num_experts=128 num_experts_per_tok=8 moe_intermediate_size=768
  Qwen3-235B-A22B: 4096/12288/94/64/4/151936 head_dim=128 num_experts=128 num_experts_per_tok=8 moe_intermediate_size=1536
qwen3_next Qwen3NextForCausalLM dense num_hidden_layers=4 head_dim=20 full_attention_interval=2 num_experts=5
    num_experts_per_tok=2 moe_intermediate_size=28 shared_expert_intermediate_size=36 DELTA
  vary num_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 shared_expert_intermediate_size=44 head_dim=12
    attention_bias=true decoder_sparse_step=2 mlp_only_layers=[1] full_attention_interval=1|4 linear_conv_kernel_dim=4
    linear_key_head_dim=12 linear_value_head_dim=12 linear_num_key_heads=1 linear_num_value_heads=2 @seq=38|70|131 @batch=1 GQA
    TIED
  Qwen3-Next-80B-A3B: 2048/5120/48/16/2/151936 head_dim=256 num_experts=512 num_experts_per_tok=10 moe_intermediate_size=512
    shared_expert_intermediate_size=512 full_attention_interval=4 linear_key_head_dim=128 linear_value_head_dim=128
    linear_num_key_heads=16 linear_num_value_heads=32
qwen3_5_text Qwen3_5ForCausalLM dense num_hidden_layers=4 head_dim=20 full_attention_interval=2 DELTA
  vary head_dim=12 attention_bias=true full_attention_interval=1|4 linear_num_value_heads=2 linear_conv_kernel_dim=4
    linear_key_head_dim=12 linear_value_head_dim=12 linear_num_key_heads=1 @seq=38|70 GQA TIED
qwen3_5_moe_text Qwen3_5MoeForCausalLM vocab_size=101 hidden_size=48 num_hidden_layers=4 num_attention_heads=4
    num_key_value_heads=2 head_dim=20 full_attention_interval=2 num_experts=5 num_experts_per_tok=2 moe_intermediate_size=28
    shared_expert_intermediate_size=36 DELTA
  vary num_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 shared_expert_intermediate_size=44 attention_bias=true GQA
    TIED
deepseek_v2 DeepseekV2ForCausalLM dense num_key_value_heads=4 MLA DEEP
  vary q_lora_rank=null kv_lora_rank=18 qk_nope_head_dim=12 qk_rope_head_dim=8 v_head_dim=16 first_k_dense_replace=0|2
    n_routed_experts=6 n_shared_experts=1 num_experts_per_tok=3 moe_intermediate_size=32 attention_bias=true mlp_bias=true
    num_key_value_heads=2 topk_method=group_limited_greedy+n_group=2+topk_group=1+n_routed_experts=6 TIED
  unrouted: num_experts_per_tok=null n_routed_experts=6
  DeepSeek-V2-Lite: 2048/10944/27/16/16/102400 q_lora_rank=null n_routed_experts=64 n_shared_experts=2 moe_intermediate_size=1408
    num_experts_per_tok=6 first_k_dense_replace=1
  DeepSeek-V2: 5120/12288/60/128/128/102400 q_lora_rank=1536 n_routed_experts=160 n_shared_experts=2 moe_intermediate_size=1536
    num_experts_per_tok=6 first_k_dense_replace=1 topk_method=group_limited_greedy n_group=8 topk_group=3
mistral4 Mistral4ForCausalLM dense num_key_value_heads=4 MLA DEEP
  vary first_k_dense_replace=0|2 n_routed_experts=4 n_shared_experts=1 num_experts_per_tok=3 moe_intermediate_size=32
    q_lora_rank=null kv_lora_rank=18 qk_nope_head_dim=12 v_head_dim=14 attention_bias=true TIED
deepseek_v3 DeepseekV3ForCausalLM dense num_key_value_heads=4 MLA DEEP n_routed_experts=6 n_group=2 topk_group=1
  vary q_lora_rank=null kv_lora_rank=18 qk_nope_head_dim=12 qk_rope_head_dim=8 v_head_dim=16 first_k_dense_replace=0|2
    n_routed_experts=8 n_shared_experts=1 num_experts_per_tok=3 moe_intermediate_size=32 attention_bias=true num_key_value_heads=2
    num_nextn_predict_layers=2 TIED
  DeepSeek-V3: 7168/18432/61/128/128/129280 q_lora_rank=1536 n_routed_experts=256 n_shared_experts=1 moe_intermediate_size=2048
    num_experts_per_tok=8 first_k_dense_replace=3 n_group=8 topk_group=4
  Kimi-K2: 7168/18432/61/64/64/163840 q_lora_rank=1536 n_routed_experts=384 n_shared_experts=1 moe_intermediate_size=2048
    num_experts_per_tok=8 first_k_dense_replace=1 n_group=1 topk_group=1
  Moonlight-16B-A3B: 2048/11264/27/16/16/163840 q_lora_rank=null n_routed_experts=64 n_shared_experts=2 moe_intermediate_size=1408
    num_experts_per_tok=6 first_k_dense_replace=1 n_group=1 topk_group=1
deepseek_v32 DeepseekV32ForCausalLM dense num_key_value_heads=4 MLA DEEP n_routed_experts=6 n_group=2 topk_group=1 index_topk=5
    index_head_dim=8 index_n_heads=3
  vary kv_lora_rank=18 qk_nope_head_dim=12 qk_rope_head_dim=8 v_head_dim=16 q_lora_rank=24 first_k_dense_replace=0|2
    n_routed_experts=8 n_shared_experts=1 num_experts_per_tok=3 moe_intermediate_size=32 attention_bias=true mlp_bias=true
    index_topk=9|64 index_head_dim=12 index_n_heads=2 TIED
glm_moe_dsa GlmMoeDsaForCausalLM dense num_key_value_heads=4 MLA DEEP n_routed_experts=6 n_group=2 topk_group=1 index_topk=5
    index_head_dim=8 index_n_heads=3
  vary kv_lora_rank=18 qk_nope_head_dim=12 qk_rope_head_dim=8 v_head_dim=16 q_lora_rank=24 first_k_dense_replace=0|2
    n_routed_experts=8 n_shared_experts=1 num_experts_per_tok=3 moe_intermediate_size=32 attention_bias=true
    index_topk=9|64 index_head_dim=12 index_n_heads=2 index_topk_freq=2|3 index_topk_freq=2+index_skip_topk_offset=1
    indexer_types=["full","shared","shared"] TIED
  GLM-5: 6144/12288/78/64/64/154880 q_lora_rank=2048 qk_nope_head_dim=192 v_head_dim=256 n_routed_experts=256 n_shared_experts=1
    moe_intermediate_size=2048 num_experts_per_tok=8 first_k_dense_replace=3 n_group=1 topk_group=1
kimi_linear KimiLinearForCausalLM dense num_hidden_layers=4 num_key_value_heads=4 pad_token_id=0 kv_lora_rank=14
    qk_nope_head_dim=10 qk_rope_head_dim=6 v_head_dim=12 num_experts=6 num_experts_per_token=2 num_shared_experts=1
    moe_intermediate_size=28 num_expert_group=1 topk_group=1 first_k_dense_replace=1
    linear_attn_config={"head_dim":10,"num_heads":3,"short_conv_kernel_size":3,"kda_layers":[1,2,4],"full_attn_layers":[3]}
  # Both names of a key, at the end: the one that the class does not declare wins.
  vary num_experts=8 num_experts_per_token=3 num_shared_experts=2 moe_intermediate_size=32 first_k_dense_replace=2 q_lora_rank=20
    kv_lora_rank=18 v_head_dim=16 attention_bias=true
    linear_attn_config={"head_dim":14}|{"num_heads":4}|{"short_conv_kernel_size":4}|{"kda_layers":[1,3],"full_attn_layers":[2,4]}
    n_shared_experts=2 num_experts_per_tok=3 num_local_experts=8 @seq=38|70 TIED
  Kimi-Linear-48B-A3B: 2304/9216/27/32/32/163840 num_experts=256 num_experts_per_token=8 num_shared_experts=1
    moe_intermediate_size=1024 first_k_dense_replace=1 q_lora_rank=null KIMI
gpt_oss GptOssForCausalLM dense head_dim=20 num_local_experts=5 num_experts_per_tok=2 sliding_window=7
  vary num_local_experts=4 num_experts_per_tok=3 head_dim=12 attention_bias=false GQA TIED
  gpt-oss-20b: 2880/2880/24/64/8/201088 head_dim=64 num_local_experts=32 num_experts_per_tok=4
  gpt-oss-120b: 2880/2880/36/64/8/201088 head_dim=64 num_local_experts=128 num_experts_per_tok=4
olmo OlmoForCausalLM dense
  vary attention_bias=true clip_qkv=8.0 GQA TIED
  OLMo-1B: 2048/8192/16/16/16/50304 tie_word_embeddings=true
  OLMo-7B: 4096/11008/32/32/32/50304
olmo2 Olmo2ForCausalLM dense
  vary attention_bias=true GQA TIED
  OLMo-2-1B: 2048/8192/16/16/16/100352
  OLMo-2-7B: 4096/11008/32/32/32/100352
  OLMo-2-32B: 5120/27648/64/40/8/100352
olmo3 Olmo3ForCausalLM dense num_hidden_layers=5 sliding_window=7
  vary attention_bias=true layer_types=[full_attention]*5 GQA TIED
  Olmo-3-7B: 4096/11008/32/32/32/100278
  Olmo-3-32B: 5120/27648/64/40/8/100278
olmoe OlmoeForCausalLM dense num_experts=5 num_experts_per_tok=2
  vary num_experts=4 num_experts_per_tok=3 attention_bias=true clip_qkv=8.0 norm_topk_prob=true GQA TIED
  OLMoE-1B-7B: 2048/1024/16/16/16/50304 num_experts=64 num_experts_per_tok=8
flex_olmo FlexOlmoForCausalLM dense pad_token_id=0 num_experts=5 num_experts_per_tok=2
  vary num_experts=4 num_experts_per_tok=3 attention_bias=true GQA TIED
stablelm StableLmForCausalLM dense hidden_size=64
  vary use_qkv_bias=true qk_layernorm=true use_parallel_residual=true partial_rotary_factor=0.5 GQA TIED
  stablelm-3b-4e1t: 2560/6912/32/32/32/50304
  stablelm-2-1_6b: 2048/5632/24/32/32/100352 use_qkv_bias=true
  stablelm-2-12b: 5120/13824/40/32/8/100352 qk_layernorm=true use_parallel_residual=true
starcoder2 Starcoder2ForCausalLM dense
  vary use_bias=false sliding_window=7 head_dim=20 GQA UNTIED
  starcoder2-3b: 3072/12288/30/24/2/49152
  starcoder2-7b: 4608/18432/32/36/4/49152
cohere CohereForCausalLM dense
  vary attention_bias=true use_qk_norm=true GQA UNTIED
  c4ai-command-r-v01: 8192/22528/40/64/64/256000
  c4ai-command-r-plus: 12288/33792/64/96/8/256000 use_qk_norm=true
cohere2 Cohere2ForCausalLM dense sliding_window=7 sliding_window_pattern=2
  vary attention_bias=true sliding_window_pattern=4 GQA UNTIED
  c4ai-command-r7b-12-2024: 4096/14336/32/32/8/256000 sliding_window=4096 sliding_window_pattern=4
granite GraniteForCausalLM dense
  vary attention_bias=true mlp_bias=true GQA TIED
  granite-3.0-2b: 2048/8192/40/32/8/49155 tie_word_embeddings=true
  granite-3.0-8b: 4096/12800/40/32/8/49155 tie_word_embeddings=true
granitemoe GraniteMoeForCausalLM dense num_local_experts=5 num_experts_per_tok=2
  vary num_local_experts=4 num_experts_per_tok=3 attention_bias=true GQA TIED
  granite-3.0-1b-a400m: 1024/512/24/16/8/49155 num_local_experts=32 num_experts_per_tok=8 tie_word_embeddings=true
  granite-3.0-3b-a800m: 1536/512/32/24/8/49155 num_local_experts=40 num_experts_per_tok=8 tie_word_embeddings=true
granitemoeshared GraniteMoeSharedForCausalLM dense num_local_experts=5 num_experts_per_tok=2 shared_intermediate_size=36
  vary num_local_experts=4 num_experts_per_tok=3 attention_bias=true shared_intermediate_size=0 GQA TIED
granitemoehybrid GraniteMoeHybridForCausalLM dense num_hidden_layers=4 num_local_experts=5 num_experts_per_tok=2
    shared_intermediate_size=36 layer_types=[mamba,attention]*2 MAMBA
  vary num_local_experts=0|4 num_experts_per_tok=3 attention_bias=true shared_intermediate_size=44 position_embedding_type=rope
    layer_types=[mamba]*4|[attention]*4 mamba_n_groups=1|4 mamba_d_state=14 mamba_d_conv=4 mamba_chunk_size=5|32
    mamba_conv_bias=false mamba_proj_bias=true mamba_n_heads=6+mamba_d_head=16 mamba_expand=3+mamba_d_head=18 @seq=38 GQA TIED
  granite-4.0-h-tiny: 1536/512/40/12/4/100352 num_local_experts=64 num_experts_per_tok=6 shared_intermediate_size=1024
    mamba_n_heads=48 mamba_d_head=64 mamba_d_state=128 tie_word_embeddings=true layer_types=[mamba*5,attention,mamba*4]*4
glm GlmForCausalLM dense head_dim=12 pad_token_id=0
  vary head_dim=20 attention_bias=false GQA TIED
  glm-4-9b: 4096/13696/40/32/2/151552 head_dim=128
# The language models of multimodal files, without a head: transformers builds that in the whole model only.
qwen2_vl_text Qwen2VLTextModel dense MROPE
  vary GQA
qwen2_5_vl_text Qwen2_5_VLTextModel dense MROPE
  vary use_sliding_window=true+sliding_window=7+max_window_layers=1 GQA
  Qwen2.5-VL-7B: 3584/18944/28/28/4/152064
qwen3_vl_text Qwen3VLTextModel dense head_dim=20
  vary head_dim=12 attention_bias=true GQA
  Qwen3-VL-8B: 4096/12288/36/32/8/151936 head_dim=128
qwen3_vl_moe_text Qwen3VLMoeTextModel dense head_dim=20 num_experts=5 num_experts_per_tok=2 moe_intermediate_size=28
  vary num_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 head_dim=12 attention_bias=true decoder_sparse_step=2
    mlp_only_layers=[0,2] GQA
  Qwen3-VL-30B-A3B: 2048/6144/48/32/4/151936 head_dim=128 num_experts=128 num_experts_per_tok=8 moe_intermediate_size=768
glm4v_text Glm4vTextModel dense pad_token_id=0 MROPE
  vary GQA
glm4v_moe_text Glm4vMoeTextModel dense n_routed_experts=6 n_shared_experts=1 num_experts_per_tok=2 moe_intermediate_size=28
    pad_token_id=0 rope_parameters={"rope_type":"default","rope_theta":10000.0,"mrope_section":[1,1,1]}
  vary attention_bias=false n_routed_experts=5 n_shared_experts=2 first_k_dense_replace=0|2 GQA
glm4 Glm4ForCausalLM dense head_dim=12 pad_token_id=0
  vary head_dim=20 attention_bias=false GQA TIED
  GLM-4-9B-0414: 4096/13696/40/32/2/151552 head_dim=128
  GLM-4-32B-0414: 6144/23040/61/48/2/151552 head_dim=128 attention_bias=false
glm4_moe Glm4MoeForCausalLM dense head_dim=12 n_routed_experts=6 n_shared_experts=1 num_experts_per_tok=2 moe_intermediate_size=28
  vary head_dim=20 attention_bias=true use_qk_norm=true n_routed_experts=5 n_shared_experts=2 num_experts_per_tok=3
    first_k_dense_replace=0|2 moe_intermediate_size=32 num_nextn_predict_layers=2 n_group=2+topk_group=1 GQA TIED
  GLM-4.5: 5120/12288/92/96/8/151552 head_dim=128 n_routed_experts=160 n_shared_experts=1 num_experts_per_tok=8
    moe_intermediate_size=1536 first_k_dense_replace=3 attention_bias=true use_qk_norm=true
  GLM-4.5-Air: 4096/10944/46/96/8/151552 head_dim=128 n_routed_experts=128 n_shared_experts=1 num_experts_per_tok=8
    moe_intermediate_size=1408 first_k_dense_replace=1 attention_bias=true
glm4_moe_lite Glm4MoeLiteForCausalLM dense num_key_value_heads=4 MLA n_routed_experts=6 n_shared_experts=1 num_experts_per_tok=2
    moe_intermediate_size=28
  vary q_lora_rank=null kv_lora_rank=18 n_shared_experts=2 num_experts_per_tok=3 attention_bias=true
    mlp_layer_types=[dense*2,sparse] first_k_dense_replace=2 TIED
smollm3 SmolLM3ForCausalLM dense pad_token_id=0
  vary attention_bias=true mlp_bias=true no_rope_layers=[1,0,1] use_sliding_window=true+sliding_window=7+no_rope_layers=[1,0,1]
    GQA UNTIED
  SmolLM3-3B: 2048/11008/36/16/4/128256 tie_word_embeddings=true
minicpm3 MiniCPM3ForCausalLM dense num_key_value_heads=4 MLA
  vary q_lora_rank=24 kv_lora_rank=18 qk_nope_head_dim=12 qk_rope_head_dim=8 v_head_dim=16 attention_bias=true mlp_bias=true
    num_key_value_heads=2 UNTIED
  MiniCPM3-4B: 2560/6400/62/40/40/73448 q_lora_rank=768 kv_lora_rank=256 qk_nope_head_dim=64 qk_rope_head_dim=32
minimax MiniMaxForCausalLM dense num_hidden_layers=4 num_local_experts=5 num_experts_per_tok=2 block_size=8
    layer_types=[linear_attention,full_attention,linear_attention*2]
  vary num_local_experts=4 num_experts_per_tok=3 head_dim=20 block_size=5|32 layer_types=[full_attention]*4|null @seq=38 GQA TIED
  MiniMax-Text-01: 6144/9216/80/64/8/200064 head_dim=128 num_local_experts=32 num_experts_per_tok=2
    layer_types=[linear_attention*7,full_attention]*10
minimax_m2 MiniMaxM2ForCausalLM dense num_local_experts=5 num_experts_per_tok=2 head_dim=20
  vary num_local_experts=4 num_experts_per_tok=3 head_dim=12 use_qk_norm=false num_mtp_modules=3 GQA TIED
nemotron NemotronForCausalLM dense head_dim=12
  vary head_dim=20 attention_bias=true mlp_bias=true GQA TIED
  Minitron-4B: 3072/9216/32/24/8/256000 head_dim=128
  Minitron-8B: 4096/16384/32/48/8/256000 head_dim=128
nemotron_h NemotronHForCausalLM vocab_size=101 hidden_size=48 intermediate_size=76 num_attention_heads=4 num_key_value_heads=2
    head_dim=20 hybrid_override_pattern=M-M*E- num_hidden_layers=6 ssm_state_size=10 mamba_num_heads=6 mamba_head_dim=12
    n_groups=2 conv_kernel=3 chunk_size=8 n_routed_experts=4 n_shared_experts=1 moe_intermediate_size=28
    moe_shared_expert_intermediate_size=36
  vary head_dim=12 attention_bias=true mlp_bias=true use_bias=true mamba_proj_bias=true use_conv_bias=false
    hybrid_override_pattern=MMM-*- ssm_state_size=14 mamba_num_heads=8 mamba_head_dim=16 n_groups=1 conv_kernel=4 chunk_size=5|32
    n_routed_experts=5 n_shared_experts=2 num_experts_per_tok=3 moe_intermediate_size=32 moe_shared_expert_intermediate_size=44
    moe_latent_size=20 num_nextn_predict_layers=1 @seq=38 GQA TIED
  Nemotron-H-8B: vocab_size=131072 hidden_size=4096 intermediate_size=21504 num_attention_heads=32 num_key_value_heads=8
    head_dim=128 ssm_state_size=128 mamba_num_heads=128 mamba_head_dim=64 n_groups=8
    hybrid_override_pattern=M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-
dbrx DbrxForCausalLM vocab_size=101 d_model=48 n_heads=4 n_layers=3 max_seq_len=40
    attn_config={"kv_n_heads":2,"rope_theta":10000.0,"clip_qkv":8.0}
    ffn_config={"hidden_size":48,"ffn_hidden_size":28,"moe_num_experts":5,"moe_top_k":2}
  vary attn_config={"kv_n_heads":1}|{"clip_qkv":null}
    ffn_config={"ffn_hidden_size":32}|{"moe_num_experts":4}|{"moe_top_k":3}|{"hidden_size":6144} TIED
  dbrx-base: vocab_size=100352 d_model=6144 n_heads=48 n_layers=40 attn_config={"kv_n_heads":8,"rope_theta":500000.0}
    ffn_config={"hidden_size":6144,"ffn_hidden_size":10752,"moe_num_experts":16,"moe_top_k":4}
jamba JambaForCausalLM dense num_hidden_layers=4 num_experts=5 num_experts_per_tok=2 attn_layer_period=4 attn_layer_offset=2
    mamba_d_state=10 mamba_d_conv=3 mamba_dt_rank=5
  vary num_experts=1|4 num_experts_per_tok=3 expert_layer_period=4 expert_layer_offset=0 attn_layer_period=1|3 attn_layer_offset=0
    mamba_d_state=14 mamba_d_conv=4 mamba_expand=3 mamba_dt_rank=auto|7 mamba_conv_bias=false mamba_proj_bias=true
    attn_layer_period=1+attn_layer_offset=0 @seq=38 GQA TIED
  Jamba-v0.1: 4096/14336/32/32/8/65536 mamba_dt_rank=256
bamba BambaForCausalLM dense num_hidden_layers=4 attn_layer_indices=[2] MAMBA
  vary attn_layer_indices=null|[0,3] attention_bias=true mlp_bias=true mamba_n_groups=1|4 mamba_d_state=14 mamba_d_conv=4
    mamba_chunk_size=5|32 mamba_conv_bias=false mamba_proj_bias=true mamba_n_heads=6+mamba_d_head=16
    mamba_expand=3+mamba_d_head=18 @seq=38 GQA TIED
  Bamba-9B: 4096/14336/32/32/8/128256 attn_layer_indices=[9,18,27] mamba_d_state=128
falcon_h1 FalconH1ForCausalLM dense head_dim=20 mamba_d_ssm=60 MAMBA mamba_n_heads=6 mamba_d_head=10
  vary head_dim=12 attention_bias=true mlp_bias=true projectors_bias=true mamba_n_groups=1|3 mamba_d_state=14 mamba_d_conv=4
    mamba_chunk_size=5|32 mamba_conv_bias=false mamba_proj_bias=true mamba_rms_norm=true mamba_norm_before_gate=false
    mamba_n_heads=4+mamba_d_head=15 mamba_d_ssm=null+mamba_d_head=16 @seq=38 GQA TIED
  Falcon-H1-0.5B: 1024/2048/36/8/2/32784 head_dim=64 mamba_d_ssm=1536 mamba_n_heads=24 mamba_d_head=64 mamba_d_state=128
    mamba_n_groups=1 mamba_norm_before_gate=false mamba_rms_norm=false
zamba2 Zamba2ForCausalLM vocab_size=101 hidden_size=48 intermediate_size=76 num_attention_heads=4 num_key_value_heads=4
    num_hidden_layers=5 layers_block_type=[mamba,hybrid,mamba,hybrid*2] adapter_rank=6 mamba_d_state=10 mamba_d_conv=3
    mamba_ngroups=2 n_mamba_heads=6 chunk_size=8
  vary num_mem_blocks=2 use_shared_attention_adapter=true use_mem_rope=true add_bias_linear=true use_conv_bias=false
    mamba_d_state=14 mamba_d_conv=4 mamba_ngroups=1 n_mamba_heads=4 chunk_size=5|32 mamba_expand=3 adapter_rank=8
    num_mem_blocks=2+use_shared_attention_adapter=true @seq=38 layers_block_type=[mamba*4,hybrid]|[mamba]*5 UNTIED
  Zamba2-7B: 3584/14336/81/32/32/32000 num_mem_blocks=2 use_mem_rope=true adapter_rank=128 mamba_d_state=64 mamba_ngroups=2
    n_mamba_heads=112 ZAMBA
mamba MambaForCausalLM vocab_size=101 hidden_size=24 state_size=5 num_hidden_layers=3 conv_kernel=3 time_step_rank=4
  vary expand=3 use_bias=true use_conv_bias=false time_step_rank=auto state_size=6 conv_kernel=4 intermediate_size=40 UNTIED
    LENGTHS
  mamba-130m: vocab_size=50280 hidden_size=768 num_hidden_layers=24 time_step_rank=48
  mamba-2.8b: vocab_size=50280 hidden_size=2560 num_hidden_layers=64 time_step_rank=160
mamba2 Mamba2ForCausalLM vocab_size=101 hidden_size=24 state_size=5 num_hidden_layers=3 conv_kernel=3 num_heads=4 head_dim=12
    n_groups=2 chunk_size=8
  vary use_bias=true use_conv_bias=false time_step_rank=9 state_size=6 conv_kernel=4 n_groups=1|4 chunk_size=5|32
    num_heads=6+head_dim=8 expand=3+num_heads=6 TIED LENGTHS
  mamba2-2.7b: vocab_size=50288 hidden_size=2560 num_hidden_layers=64 num_heads=80 head_dim=64 n_groups=1 state_size=128
    tie_word_embeddings=true
falcon_mamba FalconMambaForCausalLM vocab_size=101 hidden_size=24 state_size=5 num_hidden_layers=3 conv_kernel=3 time_step_rank=4
  vary expand=3 use_bias=true use_conv_bias=false time_step_rank=auto state_size=6 conv_kernel=4 intermediate_size=40 UNTIED
  falcon-mamba-7b: vocab_size=65024 hidden_size=4096 num_hidden_layers=64 time_step_rank=256 intermediate_size=8192
    tie_word_embeddings=false
recurrent_gemma RecurrentGemmaForCausalLM dense num_hidden_layers=4 num_key_value_heads=1 lru_width=40 attention_window_size=7
    conv1d_width=3
  vary num_key_value_heads=4 lru_width=48|null conv1d_width=4 attention_bias=true num_hidden_layers=3
    block_types=[recurrent,attention] attention_window_size=64 @seq=38 UNTIED
  recurrentgemma-9b: hidden_size=4096 intermediate_size=24576 num_hidden_layers=38 num_attention_heads=16 num_key_value_heads=1
    lru_width=4096 vocab_size=256000
rwkv RwkvForCausalLM vocab_size=101 context_length=64 hidden_size=24 num_hidden_layers=3
  vary attention_hidden_size=32 intermediate_size=40 TIED @seq=38
  rwkv-4-169m: vocab_size=50277 hidden_size=768 num_hidden_layers=12
  rwkv-4-14b: vocab_size=50277 hidden_size=5120 num_hidden_layers=40
lfm2 Lfm2ForCausalLM dense num_hidden_layers=4 full_attn_idxs=[1,3] conv_L_cache=3 block_multiple_of=16
  vary full_attn_idxs=null|[2] conv_L_cache=4 conv_bias=true block_auto_adjust_ff_dim=false block_multiple_of=256
    block_ffn_dim_multiplier=1.3 block_ff_dim=100 GQA UNTIED
  LFM2-350M: 1024/6656/16/16/8/65536 full_attn_idxs=[2,5,8,10,12,14]
  LFM2-1.2B: 2048/12288/16/32/8/65536 full_attn_idxs=[2,5,8,10,12,14]
lfm2_moe Lfm2MoeForCausalLM dense num_hidden_layers=4 conv_L_cache=3 layer_types=[conv,full_attention]*2 num_experts=5
    num_experts_per_tok=2 moe_intermediate_size=28 num_dense_layers=1
  vary num_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 num_dense_layers=0|2 use_expert_bias=false conv_bias=true
    conv_L_cache=4 GQA UNTIED
  LFM2-8B-A1B: 2048/7168/24/32/8/65536 moe_intermediate_size=1792 num_experts=32 num_experts_per_tok=4 num_dense_layers=2
    LFM
ernie4_5 Ernie4_5ForCausalLM dense head_dim=20
  vary head_dim=12 use_bias=true GQA UNTIED
  ERNIE-4.5-0.3B: 1024/3072/18/16/2/103424 head_dim=128 tie_word_embeddings=true
ernie4_5_moe Ernie4_5_MoeForCausalLM dense num_hidden_layers=5 moe_num_experts=5 moe_k=2 moe_num_shared_experts=2
    moe_intermediate_size=28 moe_layer_start_index=1 moe_layer_end_index=4
  vary moe_num_experts=4 moe_k=3 moe_num_shared_experts=0|1 moe_intermediate_size=32 moe_layer_interval=2 moe_layer_start_index=2
    moe_layer_end_index=3|-1 use_bias=true head_dim=20 GQA UNTIED
  ERNIE-4.5-21B-A3B: 2560/12288/28/20/4/103424 moe_num_experts=64 moe_k=6 moe_num_shared_experts=2 moe_intermediate_size=1536
    moe_layer_start_index=1 moe_layer_end_index=27 tie_word_embeddings=true
exaone4 Exaone4ForCausalLM dense sliding_window=7 sliding_window_pattern=2 head_dim=12
  vary sliding_window=null head_dim=20 layer_types=[full_attention]*3 GQA TIED
  EXAONE-4.0-1.2B: 2048/4096/30/32/8/102400 head_dim=64 sliding_window=null tie_word_embeddings=true
    layer_types=[full_attention]*30
  EXAONE-4.0-32B: 5120/27392/64/40/8/102400 head_dim=128 sliding_window=4096 sliding_window_pattern=4
seed_oss SeedOssForCausalLM dense head_dim=20
  vary head_dim=12 attention_bias=false attention_out_bias=true mlp_bias=true GQA TIED
  Seed-OSS-36B: 5120/27648/64/80/8/155136 head_dim=128
llama4_text Llama4ForCausalLM dense intermediate_size=28 num_hidden_layers=4 head_dim=20 intermediate_size_mlp=60
    num_local_experts=5 num_experts_per_tok=1 interleave_moe_layer_step=2 attention_chunk_size=7
  vary num_experts_per_tok=2 num_local_experts=4 interleave_moe_layer_step=1|3 moe_layers=[0] head_dim=12 attention_bias=true
    use_qk_norm=false no_rope_layer_interval=2 GQA TIED
  Llama-4-Scout-text: 5120/8192/48/40/8/202048 intermediate_size_mlp=16384 num_local_experts=16 interleave_moe_layer_step=1
    head_dim=128
  Llama-4-Maverick-text: 5120/8192/48/40/8/202048 intermediate_size_mlp=16384 num_local_experts=128 interleave_moe_layer_step=2
    head_dim=128 use_qk_norm=false
hunyuan_v1_dense HunYuanDenseV1ForCausalLM dense head_dim=12
  vary head_dim=20 attention_bias=true use_qk_norm=true|false GQA TIED
  Hunyuan-7B: 4096/14336/32/32/8/128167 head_dim=128 tie_word_embeddings=true
hunyuan_v1_moe HunYuanMoEV1ForCausalLM dense head_dim=12 num_experts=5 moe_topk=2
  vary head_dim=20 attention_bias=true num_experts=4 moe_topk=3 num_shared_expert=2 moe_intermediate_size=28 GQA TIED
  Hunyuan-A13B: 4096/3072/32/32/8/128167 head_dim=128 num_experts=64 moe_topk=8 tie_word_embeddings=true
exaone_moe ExaoneMoeForCausalLM dense num_hidden_layers=5 head_dim=12 sliding_window=7 sliding_window_pattern=4 num_experts=5
    num_experts_per_tok=2 moe_intermediate_size=28 num_shared_experts=1 first_k_dense_replace=1 n_group=1 topk_group=1
  vary num_shared_experts=2 num_experts_per_tok=3 first_k_dense_replace=2 head_dim=20 GQA TIED
afmoe AfmoeForCausalLM dense num_hidden_layers=5 head_dim=12 sliding_window=7 global_attn_every_n_layers=4 num_experts=5
    num_experts_per_tok=2 moe_intermediate_size=28 num_shared_experts=1 num_dense_layers=1
  vary num_shared_experts=2 num_experts_per_tok=3 num_dense_layers=2 head_dim=20 attention_bias=true GQA TIED
arcee ArceeForCausalLM dense
  vary head_dim=20 attention_bias=true mlp_bias=true GQA TIED
  AFM-4.5B: 2560/18432/36/20/4/128000 head_dim=128
apertus ApertusForCausalLM dense
  vary head_dim=20 attention_bias=true mlp_bias=true hidden_act=relu2 qk_norm=false GQA TIED
  Apertus-8B: 4096/21504/32/32/8/131072
  Apertus-70B: 8192/43008/80/64/8/131072
deepseek_v4 DeepseekV4ForCausalLM 48/-/5/4/1/101 head_dim=20 q_lora_rank=18 o_groups=2 o_lora_rank=14 index_n_heads=3
    index_head_dim=10 index_topk=3 sliding_window=7 n_routed_experts=5 num_experts_per_tok=2 moe_intermediate_size=28 hc_mult=3
    partial_rotary_factor=0.5 compress_rates={"compressed_sparse_attention":2,"heavily_compressed_attention":5}
    layer_types=[sliding_attention,compressed_sparse_attention*2,heavily_compressed_attention*2]
  # A sequence shorter than an entry sends nothing backward through the compressor.
  vary head_dim=24+partial_rotary_factor=0.25 q_lora_rank=22 o_groups=4 o_lora_rank=16 index_n_heads=2 index_head_dim=12
    n_routed_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 hc_mult=2 mlp_bias=true n_shared_experts=2
    mlp_layer_types=[hash_moe*2,moe*3]
    layer_types=[heavily_compressed_attention*5]|[sliding_attention*5] compress_rate_csa=4 compress_rate_hca=64 @seq=4|38|1 TIED
hy_v4 HYV4ForCausalLM dense num_key_value_heads=4 MLA num_hidden_layers=4 n_routed_experts=6 num_experts_per_tok=2
    moe_intermediate_size=28 hc_mult=3 index_n_heads=3 index_head_dim=8 index_topk=5 pad_token_id=0
  vary q_lora_rank=24 kv_lora_rank=18 qk_nope_head_dim=12 qk_rope_head_dim=8 v_head_dim=16 n_shared_experts=2
    num_experts_per_tok=3 n_routed_experts=5 attention_bias=true hc_mult=2 index_n_heads=2 index_head_dim=12
    mlp_layer_types=[dense*2,sparse*2] indexer_types=[full,shared*3] TIED
longcat_flash LongcatFlashForCausalLM vocab_size=101 hidden_size=48 num_layers=2 num_attention_heads=4 MLA ffn_hidden_size=76
    expert_ffn_hidden_size=28 n_routed_experts=5 moe_topk=2 zero_expert_num=0 head_dim=6
  vary num_layers=3 q_lora_rank=24 kv_lora_rank=18 qk_nope_head_dim=12 qk_rope_head_dim=8+head_dim=8 v_head_dim=16
    ffn_hidden_size=80
    expert_ffn_hidden_size=32 n_routed_experts=6 moe_topk=3 zero_expert_num=3 attention_bias=true TIED
minimax_m3_vl_text MiniMaxM3VLForCausalLM dense head_dim=20 num_local_experts=5 num_experts_per_tok=2 dense_intermediate_size=60
    shared_intermediate_size=36 rotary_dim=8 index_n_heads=2 index_head_dim=10 index_block_size=4 index_topk_blocks=2
    layer_types=[full_attention,minimax_m3_sparse*2] mlp_layer_types=[dense,sparse*2]
  vary head_dim=12 num_local_experts=4 num_experts_per_tok=3 dense_intermediate_size=64 shared_intermediate_size=40
    index_n_heads=1 index_head_dim=12 index_topk_blocks=1 layer_types=[full_attention*3] mlp_layer_types=null
    sparse_attention_config={"sparse_num_index_heads":1,"sparse_index_dim":12} GQA TIED
diffllama DiffLlamaForCausalLM dense
  vary attention_bias=true num_key_value_heads=4 head_dim=20 TIED
doge DogeForCausalLM dense
  vary attention_bias=true mlp_bias=true keep_window_size=5 head_dim=20 sliding_window=7 GQA TIED
jetmoe JetMoeForCausalLM vocab_size=101 hidden_size=48 num_hidden_layers=2 num_key_value_heads=3 kv_channels=10
    intermediate_size=28 num_local_experts=5
  vary num_key_value_heads=2 kv_channels=12 num_local_experts=4 num_experts_per_tok=3 UNTIED
  jetmoe-8b: num_hidden_layers=24
olmo_hybrid OlmoHybridForCausalLM dense num_hidden_layers=5 linear_num_key_heads=2 linear_num_value_heads=4 linear_key_head_dim=10
    linear_value_head_dim=14 linear_conv_kernel_dim=3 pad_token_id=0
  vary linear_num_key_heads=4 linear_num_key_heads=null linear_key_head_dim=null linear_value_head_dim=null
    linear_num_value_heads=null linear_conv_kernel_dim=4 attention_bias=true num_hidden_layers=3
    layer_types=[full_attention*2,linear_attention*3] @seq=70 GQA TIED
lfm3 Lfm3ForCausalLM dense num_hidden_layers=6 head_dim=20 conv_L_cache=3 sliding_window=7 pad_token_id=0
  vary head_dim=12 conv_L_cache=4 conv_bias=true use_sandwich_norm=false use_attention_gate=false attention_bias=true
    layer_types=[full_attention,conv*4,sliding_attention] GQA UNTIED
bailing_hybrid BailingHybridForCausalLM dense num_hidden_layers=4 num_key_value_heads=4 kv_lora_rank=14 qk_nope_head_dim=10
    qk_rope_head_dim=6 v_head_dim=12 head_dim=10 short_conv_kernel_size=3 layer_group_size=2 num_experts=6 num_experts_per_tok=2
    num_shared_experts=1 moe_intermediate_size=28 n_group=2 topk_group=1 first_k_dense_replace=1 pad_token_id=0
  vary num_experts=8 num_experts_per_token=3 num_shared_experts=2 moe_intermediate_size=32 first_k_dense_replace=2 kv_lora_rank=18
    v_head_dim=16 head_dim=14 short_conv_kernel_size=4 layer_group_size=3 attention_bias=true
    layer_types=[full_attention,linear_attention*3] mlp_layer_types=[sparse*2,dense*2] @seq=70 TIED
step3p5 Step3p7TextModel dense num_hidden_layers=4 head_dim=20 sliding_window=7 num_sliding_attention_heads=6 n_routed_experts=5
    num_experts_per_tok=2 moe_intermediate_size=28 share_expert_dim=36
    layer_types=[full_attention,sliding_attention*2,full_attention]
  vary n_routed_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 share_expert_dim=44 head_dim=12 attention_bias=true
    mlp_bias=true num_sliding_attention_heads=null
    num_sliding_attention_heads=null+attention_other_setting={"num_attention_heads":8}
    moe_layers_enum=1,3 mlp_layer_types=[dense,sparse*3] num_nextn_predict_layers=2 num_key_value_heads=1
dots3_note_text Dots3NoteForCausalLM pad_token_id=0 dense num_key_value_heads=4 num_hidden_layers=5 MLA head_dim=16
    n_routed_experts=6
    num_experts_per_tok=2 moe_intermediate_size=28 shared_experts_intermediate_size=36 index_n_heads=3 index_head_dim=8
    index_topk=5
    sliding_window=7 swa_num_attention_heads=3 swa_num_key_value_heads=3 swa_q_lora_rank=22 swa_kv_lora_rank=18 swa_head_dim=14
    swa_qk_nope_head_dim=8 swa_v_head_dim=10
  vary q_lora_rank=24 kv_lora_rank=18 qk_nope_head_dim=12+head_dim=18 v_head_dim=16 n_shared_experts=2 num_experts_per_tok=3
    shared_experts_intermediate_size=40 moe_shared_expert_intermediate_size=40 index_n_heads=2 index_head_dim=12
    attention_bias=true
    swa_q_lora_rank=20 swa_kv_lora_rank=14 swa_v_head_dim=12 swa_qk_rope_head_dim=8+swa_head_dim=16 first_k_dense_replace=2
    moe_layer_freq=2|[0,1,0,1,1] use_dsa=false use_sliding_window=false layer_types=[full_attention*3,sliding_attention*2] TIED
inkling_text InklingForCausalLM dense num_hidden_layers=3 head_dim=20 swa_num_attention_heads=6 swa_num_key_value_heads=3
    swa_head_dim=10 sliding_window_size=7 d_rel=6 rel_extent=11 conv_kernel_size=3 moe_intermediate_size=28 n_routed_experts=5
    num_experts_per_tok=2 local_layer_ids=[0,2]
  vary head_dim=12 swa_num_key_value_heads=2 swa_head_dim=14 d_rel=8 rel_extent=30 conv_kernel_size=4 moe_intermediate_size=32
    n_routed_experts=4 num_experts_per_tok=3 n_shared_experts=1 dense_mlp_idx=1 dense_mlp_idx=1+dense_intermediate_size=60
    layer_types=[hybrid*2,hybrid_sliding] unpadded_vocab_size=97 @seq=38 GQA TIED
inkling2_text Inkling2ForCausalLM 48/-/4/4/2/101 head_dim=20 swa_num_attention_heads=6 swa_num_key_value_heads=3 swa_head_dim=10
    sliding_window_size=7 d_rel=6 rel_extent=11 conv_kernel_size=3 moe_intermediate_size=28 n_routed_experts=5
    num_experts_per_tok=2 layer_types=[hybrid_sliding,hybrid,hybrid_sliding,hybrid] n_layers_per_attn_res_block=2
    unpadded_vocab_size=99
  vary head_dim=12 swa_num_key_value_heads=2 swa_head_dim=14 d_rel=8 rel_extent=30 conv_kernel_size=4 moe_intermediate_size=32
    n_routed_experts=4 num_experts_per_tok=3 layer_types=[hybrid*2,hybrid_sliding*2] n_layers_per_attn_res_block=1|3
    unpadded_vocab_size=97 @seq=38 @batch=1+@seq=1 GQA TIED
  kept
qwen4_exp_text Qwen4ExpForCausalLM vocab_size=101 hidden_size=48 num_hidden_layers=4 num_attention_heads=4 num_key_value_heads=2
    head_dim=20 DELTA full_attention_interval=2 num_experts=5 num_experts_per_tok=2 moe_intermediate_size=28
    shared_expert_intermediate_size=36 hc_count=3 hc_lowrank=10 indexer_n_heads=3 indexer_kv_heads=1 indexer_head_dim=22
    indexer_budget=4 indexer_compress_ratio=2 pad_token_id=0 eos_token_id=1
    rope_parameters={"rope_type":"default","rope_theta":10000.0,"partial_rotary_factor":0.5,"mrope_section":[2,2,1]}
    ngram_vocab_size_base=30 ple_embed_dim=24 ngram_size=3 heads_per_ngram=2 make_ngram_vocab_size_divisible_by=8
  vary num_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 shared_expert_intermediate_size=44 hc_count=2 hc_lowrank=14
    indexer_n_heads=2 indexer_head_dim=24 indexer_compress_ratio=4 ple_layer_ids=[1]|[1,3]
    ple_layer_ids=[3]+ple_conv_kernel_size=3
    ple_layer_ids=[1]+ngram_size=4+heads_per_ngram=4 ple_layer_ids=[1]+ngram_vocab_size_base=90 attention_bias=true
    layer_types=[full_attention,linear_attention*3] linear_num_key_heads=1 @batch=1 GQA TIED
# Further decoders, dense.
internlm3 LlamaForCausalLM dense head_dim=12
  vary head_dim=20 attention_bias=true+mlp_bias=true GQA TIED
  internlm3-8b: 4096/10240/48/32/2/128512 head_dim=128
iquestcoder LlamaForCausalLM dense head_dim=12
  vary head_dim=20 attention_bias=true mlp_bias=true GQA TIED
hyperclovax HyperCLOVAXForCausalLM dense
  vary use_post_norm=false attention_bias=true mlp_bias=true head_dim=20 GQA TIED
bitnet BitNetForCausalLM dense
  vary attention_bias=true hidden_act=silu GQA TIED
  bitnet-2B-4T: 2560/6912/30/20/5/128256 tie_word_embeddings=true
granite_swa GraniteSWAForCausalLM dense num_hidden_layers=5 sliding_window=7
  vary attention_bias=true mlp_bias=true layer_types=[sliding_attention,full_attention*4] GQA UNTIED
helium HeliumForCausalLM dense head_dim=12
  vary attention_bias=true mlp_bias=true GQA TIED
nanochat NanoChatForCausalLM dense
  vary attention_bias=true GQA TIED
jais2 Jais2ForCausalLM dense
  vary attention_bias=false mlp_bias=false head_dim=20 GQA TIED
cwm CwmForCausalLM dense num_hidden_layers=5 head_dim=12 sliding_window=7
  vary head_dim=20 mlp_bias=true layer_types=[sliding_attention,full_attention*4] GQA TIED
vaultgemma VaultGemmaForCausalLM dense head_dim=20 sliding_window=7
  vary head_dim=12 attention_bias=true layer_types=[full_attention*2,sliding_attention] final_logit_softcapping=null GQA UNTIED
gpt-sw3 GPT2LMHeadModel vocab_size=97 n_positions=40 n_embd=24 n_layer=2 n_head=4
openai-gpt OpenAIGPTLMHeadModel vocab_size=97 n_positions=40 n_embd=24 n_layer=2 n_head=4
  vary n_positions=50 afn=silu UNTIED
ctrl CTRLLMHeadModel vocab_size=97 n_positions=40 n_embd=24 n_layer=2 n_head=4 dff=44
  vary dff=40 UNTIED
xglm XGLMForCausalLM vocab_size=97 d_model=24 ffn_dim=44 num_layers=2 attention_heads=4 max_position_embeddings=40
  vary ffn_dim=40 add_cross_attention=true UNTIED
  xglm-4.5B: vocab_size=256008 d_model=2048 ffn_dim=16384 num_layers=48 attention_heads=16
biogpt BioGptForCausalLM 48/76/2/4/-/101 max_position_embeddings=40
  vary max_position_embeddings=50 UNTIED
  BioGPT-Large: 1600/6400/48/25/-/57717 max_position_embeddings=2048
gpt_neox_japanese GPTNeoXJapaneseForCausalLM vocab_size=101 hidden_size=48 num_hidden_layers=3 num_attention_heads=4
  vary intermediate_multiple_size=3 num_hidden_layers=1 UNTIED
persimmon PersimmonForCausalLM hidden_size=64 intermediate_size=76 num_hidden_layers=3 num_attention_heads=4 vocab_size=101
  vary qk_layernorm=false intermediate_size=80 TIED
# Further mixtures of experts.
cohere2_moe Cohere2MoeForCausalLM dense num_hidden_layers=5 head_dim=12 sliding_window=7 num_experts=5
  vary num_experts=4 num_experts_per_tok=3 num_shared_experts=2 head_dim=20 attention_bias=true rms_norm_eps=1e-5
    first_k_dense_replace=2 first_k_dense_replace=2+prefix_dense_intermediate_size=60
    first_k_dense_replace=2+prefix_dense_sliding_window_pattern=2 sliding_window_pattern=2 mlp_layer_types=[dense,sparse*4]
    expert_selection_fn=sigmoid GQA UNTIED
solar_open SolarOpenForCausalLM 48/-/3/4/2/101 head_dim=20 moe_intermediate_size=28 n_routed_experts=6 num_experts_per_tok=2
  vary head_dim=12 attention_bias=true moe_intermediate_size=32 n_shared_experts=2 num_experts_per_tok=3 n_group=2+topk_group=1
    GQA TIED
dots1 Dots1ForCausalLM dense n_routed_experts=6 n_shared_experts=1 num_experts_per_tok=2 moe_intermediate_size=28 sliding_window=7
  vary first_k_dense_replace=1 n_shared_experts=2 moe_intermediate_size=32 attention_bias=true max_window_layers=1 head_dim=20
    layer_types=[sliding_attention,full_attention*2] GQA TIED
  dots.llm1: 4096/10944/62/32/32/152064 n_routed_experts=128 n_shared_experts=2 num_experts_per_tok=6 moe_intermediate_size=1408
    first_k_dense_replace=1
granitemoe_swa GraniteMoeSWAForCausalLM dense num_hidden_layers=5 sliding_window=7 num_local_experts=5 num_experts_per_tok=2
    shared_intermediate_size=36
  vary num_local_experts=4 num_experts_per_tok=3 attention_bias=true shared_intermediate_size=0 GQA UNTIED
mimo_v2_flash MiMoV2FlashForCausalLM dense num_hidden_layers=7 head_dim=20 v_head_dim=14 sliding_window=7 n_routed_experts=6
    num_experts_per_tok=2 moe_intermediate_size=28
  vary head_dim=24 v_head_dim=20 attention_bias=true n_routed_experts=5 num_experts_per_tok=3 moe_intermediate_size=32
    mlp_layer_types=[dense*2,sparse*5] layer_types=[full_attention*2,sliding_attention*5] sliding_window_size=8
    num_key_value_heads=1 TIED
  MiMo-V2-Flash: 4096/16384/48/64/4/152576 head_dim=192 v_head_dim=128 n_routed_experts=256 moe_intermediate_size=2048
    num_experts_per_tok=8
hy_v3 HYV3ForCausalLM dense head_dim=20 num_experts=5 num_experts_per_tok=2 moe_intermediate_size=28
  vary num_experts=4 num_experts_per_tok=3 num_shared_experts=2 moe_intermediate_size=32 head_dim=12 attention_bias=true
    mlp_bias=true mlp_layer_types=[dense*2,sparse] GQA TIED
axk1 AXK1ForCausalLM dense num_key_value_heads=4 MLA n_routed_experts=6 n_group=2 topk_group=1 num_experts_per_tok=2
    moe_intermediate_size=28
  vary q_lora_rank=24 kv_lora_rank=18 qk_nope_head_dim=12 qk_rope_head_dim=8 v_head_dim=16 first_k_dense_replace=2
    moe_layer_freq=2 n_routed_experts=8 n_shared_experts=2 num_experts_per_tok=3 moe_intermediate_size=32 attention_bias=true
    mlp_layer_types=[dense*2,sparse] TIED
youtu YoutuForCausalLM dense num_key_value_heads=4 MLA
  vary q_lora_rank=null kv_lora_rank=18 qk_nope_head_dim=12 qk_rope_head_dim=8 v_head_dim=16 attention_bias=true UNTIED
  Youtu-LLM-2B: 2048/6144/32/16/16/128256
flint FlintForCausalLM dense num_hidden_layers=5 head_dim=20 sliding_window=7 num_experts=5 num_experts_per_tok=2
    moe_intermediate_size=28 shared_expert_intermediate_size=36
  vary num_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 shared_expert_intermediate_size=44 head_dim=12
    attention_bias=true decoder_sparse_step=2 mlp_only_layers=[] layer_types=[sliding_attention*2,full_attention*3] GQA TIED
kolibri1 Kolibri1ForCausalLM 48/-/5/4/2/101 head_dim=20 sliding_window=7 num_experts=5 num_experts_per_tok=2
    moe_intermediate_size=28 shared_expert_intermediate_size=36
  vary num_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 shared_expert_intermediate_size=44 head_dim=12
    layer_types=[sliding_attention*2,full_attention*3] GQA TIED
laguna LagunaForCausalLM dense head_dim=20 sliding_window=7 num_experts=5 num_experts_per_tok=2 moe_intermediate_size=28
    shared_expert_intermediate_size=36
  vary num_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 shared_expert_intermediate_size=44 head_dim=12
    attention_bias=true gating=per-head|per-element num_attention_heads_per_layer=[4,6,2] mlp_layer_types=[sparse,dense*2]
    layer_types=[full_attention,sliding_attention*2] GQA TIED
mellum MellumForCausalLM dense head_dim=20 sliding_window=7 num_experts=5 num_experts_per_tok=2 moe_intermediate_size=28
  vary num_local_experts=4 num_experts_per_tok=3 moe_intermediate_size=32 head_dim=12 attention_bias=true
    mlp_layer_types=[dense,sparse*2] layer_types=[full_attention,sliding_attention*2] num_mtp_layers=1 GQA TIED
# Encoders and decoders.
t5 T5ForConditionalGeneration T5
  vary num_decoder_layers=2 d_kv=8 d_ff=40 feed_forward_proj=gated-gelu|gelu relative_attention_num_buckets=12 num_heads=3
    architectures=T5EncoderModel|T5Model|T5ForTokenClassification|T5ForQuestionAnswering
    architectures=T5ForSequenceClassification+num_labels=5+@decoder_seq=19 feed_forward_proj=gated-gelu+tie_word_embeddings=false
    @seq=7+@decoder_seq=23 UNTIED
  t5-base: d_model=768 d_ff=3072 num_layers=12 num_heads=12
  t5-11b: d_model=1024 d_ff=65536 d_kv=128 num_layers=24 num_heads=128
  t5-v1_1-base: d_model=768 d_ff=2048 num_layers=12 num_heads=12 feed_forward_proj=gated-gelu tie_word_embeddings=false
  flan-t5-xl: d_model=2048 d_ff=5120 num_layers=24 num_heads=32 feed_forward_proj=gated-gelu tie_word_embeddings=false
mt5 MT5ForConditionalGeneration T5
  vary num_decoder_layers=2 feed_forward_proj=relu UNTIED
  mt5-small: d_model=512 d_ff=1024 num_layers=8 num_heads=6 vocab_size=250112 tie_word_embeddings=false
umt5 UMT5ForConditionalGeneration T5
  vary num_decoder_layers=2 feed_forward_proj=relu UNTIED
switch_transformers SwitchTransformersForConditionalGeneration T5 num_layers=4 num_sparse_encoder_layers=2 num_decoder_layers=4
    num_sparse_decoder_layers=2 num_experts=3 expert_capacity=64
  vary num_sparse_encoder_layers=0|1|4 num_sparse_decoder_layers=0|1 num_experts=5 expert_capacity=2 router_bias=true UNTIED
  # Which tokens an expert gets in bf16 is not the same on every machine.
  kept
  switch-base-8: d_model=768 d_ff=3072 num_layers=12 num_heads=12 num_experts=8 num_sparse_encoder_layers=6
    num_sparse_decoder_layers=6
  switch-base-128: d_model=768 d_ff=3072 num_layers=12 num_heads=12 num_experts=128 num_sparse_encoder_layers=6
    num_sparse_decoder_layers=6
bart BartForConditionalGeneration BART
  vary encoder_layers=3 encoder_ffn_dim=36 decoder_ffn_dim=36 encoder_attention_heads=3 decoder_attention_heads=3
    scale_embedding=true architectures=BartModel|BartForCausalLM|BartForQuestionAnswering
    architectures=BartForSequenceClassification+num_labels=5+@decoder_seq=19
    architectures=BartForCausalLM+tie_word_embeddings=false max_position_embeddings=50 @seq=7+@decoder_seq=23 UNTIED
  bart-base: vocab_size=50265 d_model=768 encoder_layers=6 decoder_layers=6 encoder_ffn_dim=3072 decoder_ffn_dim=3072
    encoder_attention_heads=12 decoder_attention_heads=12
  bart-large: vocab_size=50265 d_model=1024
mbart MBartForConditionalGeneration BART
  vary architectures=MBartForSequenceClassification+@decoder_seq=19 architectures=MBartForCausalLM UNTIED
pegasus PegasusForConditionalGeneration BART
  vary architectures=PegasusForCausalLM encoder_layers=3 max_position_embeddings=50 UNTIED
  pegasus-large: vocab_size=96103 d_model=1024 encoder_layers=16 decoder_layers=16 encoder_ffn_dim=4096 decoder_ffn_dim=4096
marian MarianMTModel BART pad_token_id=96 decoder_start_token_id=96 eos_token_id=0 forced_eos_token_id=0
  vary architectures=MarianForCausalLM encoder_layers=3 max_position_embeddings=50 UNTIED
  opus-mt-en-de: vocab_size=58101 d_model=512 encoder_layers=6 decoder_layers=6 encoder_ffn_dim=2048 decoder_ffn_dim=2048
    encoder_attention_heads=8 decoder_attention_heads=8 max_position_embeddings=512 pad_token_id=58100
whisper WhisperForConditionalGeneration vocab_size=97 d_model=24 encoder_layers=2 decoder_layers=3 encoder_ffn_dim=44
    decoder_ffn_dim=52 encoder_attention_heads=4 decoder_attention_heads=4 num_mel_bins=10 max_source_positions=20
    max_target_positions=40 pad_token_id=0 bos_token_id=1 eos_token_id=2 decoder_start_token_id=1 @seq=20
  vary encoder_layers=3 num_mel_bins=12 encoder_ffn_dim=36 decoder_ffn_dim=36 encoder_attention_heads=3
    decoder_attention_heads=3 max_target_positions=50 max_source_positions=22+@seq=22 architectures=WhisperModel
    architectures=WhisperForCausalLM architectures=WhisperForCausalLM+decoder_layers=2+decoder_ffn_dim=40+@seq=13
    architectures=WhisperForCausalLM+max_target_positions=50+decoder_attention_heads=3 UNTIED
  kept
  whisper-tiny: vocab_size=51865
  whisper-large-v3: vocab_size=51866 d_model=1280 encoder_layers=32 decoder_layers=32 encoder_attention_heads=20
    decoder_attention_heads=20 encoder_ffn_dim=5120 decoder_ffn_dim=5120 num_mel_bins=128
m2m_100 M2M100ForConditionalGeneration BART
  vary encoder_layers=3 max_position_embeddings=50 UNTIED
  m2m100_418M: vocab_size=128112 d_model=1024 encoder_layers=12 decoder_layers=12
bert BertForMaskedLM BERT
  vary max_position_embeddings=50 type_vocab_size=3 architectures=BertModel|BertForPreTraining|BertLMHeadModel
    architectures=BertForSequenceClassification|BertForMultipleChoice|BertForNextSentencePrediction|BertForQuestionAnswering
    architectures=BertForSequenceClassification+id2label={"0":"a"} architectures=BertForTokenClassification+num_labels=9
    num_attention_heads=3 UNTIED
  bert-base-uncased: BERT_BASE vocab_size=30522
  bert-large-uncased: hidden_size=1024 num_hidden_layers=24 num_attention_heads=16 intermediate_size=4096 vocab_size=30522
roberta RobertaForMaskedLM BERT
  vary max_position_embeddings=50 type_vocab_size=1 architectures=RobertaModel|RobertaForCausalLM|RobertaForMultipleChoice
    architectures=RobertaForSequenceClassification+num_labels=3 architectures=RobertaForTokenClassification UNTIED
  roberta-base: BERT_BASE vocab_size=50265 max_position_embeddings=514 type_vocab_size=1
xlm-roberta XLMRobertaForMaskedLM BERT
  vary architectures=XLMRobertaModel architectures=XLMRobertaForSequenceClassification+num_labels=1 UNTIED
  bge-reranker-v2-m3: hidden_size=1024 num_hidden_layers=24 num_attention_heads=16 intermediate_size=4096 vocab_size=250002
    max_position_embeddings=8194 type_vocab_size=1 architectures=["XLMRobertaForSequenceClassification"] num_labels=1
  xlm-roberta-base: BERT_BASE vocab_size=250002 max_position_embeddings=514 type_vocab_size=1
camembert CamembertForMaskedLM BERT
  vary type_vocab_size=1 architectures=CamembertModel|CamembertForCausalLM|CamembertForQuestionAnswering UNTIED
distilbert DistilBertForMaskedLM vocab_size=97 dim=24 n_layers=2 n_heads=4 hidden_dim=44 max_position_embeddings=40
  vary n_heads=3 activation=relu architectures=DistilBertModel|DistilBertForMultipleChoice
    architectures=DistilBertForQuestionAnswering|DistilBertForTokenClassification
    architectures=DistilBertForSequenceClassification+num_labels=3 UNTIED
albert AlbertForMaskedLM BERT num_hidden_layers=5 embedding_size=16
  vary num_hidden_groups=2 inner_group_num=2 embedding_size=24 architectures=AlbertModel|AlbertForMultipleChoice
    architectures=AlbertForPreTraining+num_labels=3 architectures=AlbertForSequenceClassification+num_labels=3
    architectures=AlbertForTokenClassification|AlbertForQuestionAnswering UNTIED
  albert-base-v2: BERT_BASE embedding_size=128 vocab_size=30000
  albert-xxlarge-v2: hidden_size=4096 num_hidden_layers=12 num_attention_heads=64 intermediate_size=16384 embedding_size=128
electra ElectraForMaskedLM BERT embedding_size=16
  vary embedding_size=24 architectures=ElectraModel|ElectraForPreTraining|ElectraForCausalLM
    architectures=ElectraForSequenceClassification+num_labels=3
    architectures=ElectraForMultipleChoice|ElectraForTokenClassification
    architectures=ElectraForQuestionAnswering UNTIED
  electra-small-generator: vocab_size=30522
  electra-base-discriminator: BERT_BASE vocab_size=30522 embedding_size=768 architectures=[ElectraForPreTraining]
modernbert ModernBertForMaskedLM 24/36/4/3/-/101 local_attention=8 max_position_embeddings=64 pad_token_id=0
  vary norm_bias=true attention_bias=true mlp_bias=true decoder_bias=false classifier_bias=true global_attn_every_n_layers=2
    architectures=ModernBertModel|ModernBertForTokenClassification|ModernBertForQuestionAnswering|ModernBertForMultipleChoice
    architectures=ModernBertForSequenceClassification+num_labels=1+classifier_pooling=mean
    architectures=ModernBertForSequenceClassification+classifier_bias=true UNTIED
  ModernBERT-base: 768/1152/22/12/-/50368
  ModernBERT-large: 1024/2624/28/16/-/50368
modernbert-decoder ModernBertDecoderForCausalLM 24/36/4/3/-/101 local_attention=8 max_position_embeddings=64 pad_token_id=0
  vary norm_bias=true attention_bias=true mlp_bias=true decoder_bias=false classifier_bias=true global_attn_every_n_layers=2
    architectures=ModernBertDecoderModel|ModernBertDecoderForSequenceClassification
    architectures=ModernBertDecoderForSequenceClassification+classifier_bias=true UNTIED
longformer LongformerForMaskedLM BERT max_position_embeddings=80 attention_window=8 pad_token_id=1
  vary attention_window=[4,4]|6|64 architectures=LongformerModel|LongformerForTokenClassification
    architectures=LongformerForSequenceClassification @seq=8|16|38 UNTIED
  longformer-base-4096: BERT_BASE vocab_size=50265 max_position_embeddings=4098 type_vocab_size=1
    attention_window=[512,512,512,512,512,512,512,512,512,512,512,512]
big_bird BigBirdForMaskedLM BERT max_position_embeddings=128 attention_type=original_full
  vary use_bias=false type_vocab_size=3 architectures=BigBirdModel|BigBirdForCausalLM|BigBirdForPreTraining
    architectures=BigBirdForSequenceClassification|BigBirdForMultipleChoice|BigBirdForTokenClassification
    architectures=BigBirdForQuestionAnswering
    attention_type=block_sparse+block_size=4+num_random_blocks=2
    attention_type=block_sparse+block_size=4+num_random_blocks=2+@seq=64
    attention_type=block_sparse+block_size=4+num_random_blocks=2+@seq=61
    attention_type=block_sparse+block_size=4+num_random_blocks=2+@seq=96
    attention_type=block_sparse+block_size=4+num_random_blocks=3+@seq=64
    attention_type=block_sparse+block_size=2+num_random_blocks=2+@seq=40 UNTIED
  bigbird-roberta-base: BERT_BASE vocab_size=50358 max_position_embeddings=4096
# BERT with one thing changed.
ernie ErnieForMaskedLM BERT
  vary use_task_id=true use_task_id=true+task_type_vocab_size=5 architectures=ErnieModel|ErnieForPreTraining|ErnieForCausalLM
    architectures=ErnieForSequenceClassification|ErnieForTokenClassification|ErnieForNextSentencePrediction UNTIED
  ernie-3.0-base-zh: BERT_BASE vocab_size=40000 max_position_embeddings=2048 type_vocab_size=4 use_task_id=true
megatron-bert MegatronBertForMaskedLM BERT
  vary architectures=MegatronBertModel|MegatronBertForPreTraining|MegatronBertForCausalLM|MegatronBertForSequenceClassification
    UNTIED
data2vec-text Data2VecTextForMaskedLM BERT
  vary architectures=Data2VecTextModel|Data2VecTextForCausalLM|Data2VecTextForSequenceClassification UNTIED
roberta-prelayernorm RobertaPreLayerNormForMaskedLM BERT
  vary architectures=RobertaPreLayerNormModel|RobertaPreLayerNormForCausalLM|RobertaPreLayerNormForSequenceClassification UNTIED
xlm-roberta-xl XLMRobertaXLForMaskedLM BERT
  vary architectures=XLMRobertaXLModel|XLMRobertaXLForCausalLM|XLMRobertaXLForSequenceClassification UNTIED
  xlm-roberta-xl: hidden_size=2560 num_hidden_layers=36 num_attention_heads=32 intermediate_size=10240 vocab_size=250880
rembert RemBertForMaskedLM BERT input_embedding_size=16 output_embedding_size=36
  vary input_embedding_size=24 output_embedding_size=16+tie_word_embeddings=true
    architectures=RemBertModel|RemBertForCausalLM|RemBertForSequenceClassification TIED
roformer RoFormerForMaskedLM BERT embedding_size=16 rotary_value=false
  vary embedding_size=24 rotary_value=true architectures=RoFormerModel|RoFormerForCausalLM|RoFormerForSequenceClassification
    architectures=RoFormerForMultipleChoice|RoFormerForTokenClassification UNTIED
mpnet MPNetForMaskedLM BERT
  vary relative_attention_num_buckets=40 architectures=MPNetModel|MPNetForMultipleChoice|MPNetForTokenClassification
    architectures=MPNetForSequenceClassification|MPNetForQuestionAnswering UNTIED
  all-mpnet-base-v2: BERT_BASE vocab_size=30527 max_position_embeddings=514 architectures=["MPNetModel"]
layoutlm LayoutLMForMaskedLM BERT max_2d_position_embeddings=30
  vary max_2d_position_embeddings=44 architectures=LayoutLMModel|LayoutLMForSequenceClassification|LayoutLMForTokenClassification
    UNTIED
nomic_bert NomicBertForMaskedLM BERT
  vary type_vocab_size=3 head_dim=10
    architectures=NomicBertModel|NomicBertForSequenceClassification|NomicBertForTokenClassification
    UNTIED
  nomic-embed-text-v1.5: BERT_BASE vocab_size=30528 max_position_embeddings=2048 architectures=["NomicBertModel"]
gte GteForMaskedLM BERT
  vary type_vocab_size=0|3 architectures=GteModel|GteForSequenceClassification|GteForTokenClassification UNTIED
  gte-multilingual-base: BERT_BASE vocab_size=250048 architectures=["GteModel"]
jina_embeddings_v3 JinaEmbeddingsV3ForMaskedLM BERT
  vary type_vocab_size=3 architectures=JinaEmbeddingsV3Model|JinaEmbeddingsV3ForSequenceClassification
    architectures=JinaEmbeddingsV3ForTokenClassification|JinaEmbeddingsV3ForQuestionAnswering UNTIED
  jina-embeddings-v3: vocab_size=250002 hidden_size=1024 num_hidden_layers=24 num_attention_heads=16 intermediate_size=4096
    max_position_embeddings=8194 type_vocab_size=1 architectures=["JinaEmbeddingsV3Model"]
eurobert EuroBertForMaskedLM dense pad_token_id=0
  vary attention_bias=true mlp_bias=true head_dim=20 GQA architectures=EuroBertModel|EuroBertForTokenClassification
    architectures=EuroBertForSequenceClassification architectures=EuroBertForSequenceClassification+classifier_pooling=bos TIED
  EuroBERT-210m: 768/3072/12/12/12/128256
ultrabert UltrabertForMaskedLM dense num_hidden_layers=4 sliding_window=5 prediction_head_size=10 pad_token_id=0
  vary attention_bias=true mlp_bias=true head_dim=20 prediction_head_size=14 sliding_window=3 GQA attention_windows=[3,null,3,3]
    layer_types=[full_attention*3,sliding_attention] architectures=UltrabertModel|UltrabertForTokenClassification
    architectures=UltrabertForSequenceClassification|UltrabertForQuestionAnswering TIED
  UltraBERT-150M: 768/2048/22/12/12/49152 tie_word_embeddings=true
neomme NeoMMEForMaskedLM 48/76/7/4/2/101 head_dim=12 embedding_rank=10 patch_size=2 sliding_window=5 image_token_id=3
    document_token_id=2
    rope_parameters={"full_attention":{"partial_rotary_factor":0.34},"sliding_attention":{"partial_rotary_factor":0.34}}
  vary head_dim=24 embedding_rank=14 intermediate_size=80 GQA attention_bias=true mlp_bias=true sliding_window=3 patch_size=3
    layer_types=[sliding_attention*3,full_attention*4] num_hidden_layers=3 architectures=NeoMMEModel
    @images=1+@grid=[2,3]+@image_tokens=6 UNTIED
esm EsmForMaskedLM BERT pad_token_id=1 mask_token_id=32 position_embedding_type=rotary emb_layer_norm_before=false
  vary emb_layer_norm_before=true position_embedding_type=absolute architectures=EsmModel|EsmForSequenceClassification
    architectures=EsmForTokenClassification UNTIED
  esm2_t33_650M: vocab_size=33 hidden_size=1280 num_hidden_layers=33 num_attention_heads=20 intermediate_size=5120
    max_position_embeddings=1026 pad_token_id=1 mask_token_id=32 position_embedding_type=rotary
esmc EsmcForMaskedLM 48/76/3/4/-/101
  vary attention_bias=true mlp_bias=true head_dim=12
    architectures=EsmcModel|EsmcForSequenceClassification|EsmcForTokenClassification
    TIED
  ESMC-6B: 2560/6912/80/40/-/64
deberta DebertaForMaskedLM BERT relative_attention=true pos_att_type=["c2p","p2c"] max_relative_positions=-1
  vary pos_att_type=c2p|p2c max_relative_positions=8 relative_attention=false type_vocab_size=2 position_biased_input=false
    @seq=38
    architectures=DebertaModel|DebertaForSequenceClassification|DebertaForTokenClassification|DebertaForQuestionAnswering
    legacy=false legacy=false+tie_word_embeddings=false UNTIED
  deberta-base: BERT_BASE vocab_size=50265 relative_attention=true pos_att_type=c2p|p2c position_biased_input=false
  # Its norm returns fp32 in bf16, and no matrix takes that.
  kept
deberta-v2 DebertaV2ForMaskedLM BERT relative_attention=true pos_att_type=["p2c","c2p"] position_buckets=10 share_att_key=true
    norm_rel_ebd=layer_norm position_biased_input=false type_vocab_size=0
  vary share_att_key=false norm_rel_ebd=none position_buckets=-1 position_buckets=-1+max_relative_positions=9 pos_att_type=c2p
    share_att_key=false+pos_att_type=p2c relative_attention=false+norm_rel_ebd=none conv_kernel_size=3
    conv_kernel_size=5+conv_act=gelu
    type_vocab_size=2 position_biased_input=true
    architectures=DebertaV2Model|DebertaV2ForSequenceClassification|DebertaV2ForTokenClassification|DebertaV2ForQuestionAnswering
    architectures=DebertaV2ForMultipleChoice legacy=false+tie_word_embeddings=false UNTIED
  deberta-v3-base: BERT_BASE vocab_size=128100 relative_attention=true pos_att_type=p2c|c2p position_buckets=256
    share_att_key=true norm_rel_ebd=layer_norm position_biased_input=false type_vocab_size=0 max_relative_positions=-1
  deberta-v2-xlarge: hidden_size=1536 num_hidden_layers=24 num_attention_heads=24 intermediate_size=6144 vocab_size=128100
    relative_attention=true pos_att_type=p2c|c2p position_buckets=256 share_att_key=true norm_rel_ebd=layer_norm
    position_biased_input=false conv_kernel_size=3 conv_act=gelu
mvp MvpForConditionalGeneration BART
  vary architectures=MvpModel|MvpForCausalLM architectures=MvpForSequenceClassification+@decoder_seq=19 use_prompt=true UNTIED
plbart PLBartForConditionalGeneration BART
  vary architectures=PLBartModel|PLBartForCausalLM architectures=PLBartForSequenceClassification+@decoder_seq=19 UNTIED
blenderbot BlenderbotForConditionalGeneration BART
  vary architectures=BlenderbotModel|BlenderbotForCausalLM UNTIED
  blenderbot-3B: vocab_size=8008 d_model=2560 encoder_layers=2 decoder_layers=24
blenderbot-small BlenderbotSmallForConditionalGeneration BART
  vary architectures=BlenderbotSmallModel|BlenderbotSmallForCausalLM UNTIED
nllb-moe NllbMoeForConditionalGeneration BART num_experts=5 expert_capacity=64 encoder_sparse_step=2 decoder_sparse_step=3
  vary encoder_sparse_step=0|1 num_experts=4 router_bias=true architectures=NllbMoeModel UNTIED
  # Which rows are kept in bf16 is not the same on every machine.
  kept
  nllb-moe-54b: vocab_size=256206 d_model=2048 encoder_layers=24 decoder_layers=24 encoder_ffn_dim=8192 decoder_ffn_dim=8192
led LEDForConditionalGeneration vocab_size=97 d_model=24 encoder_layers=2 decoder_layers=3 encoder_ffn_dim=44 decoder_ffn_dim=52
    encoder_attention_heads=4 decoder_attention_heads=4 max_encoder_position_embeddings=80 max_decoder_position_embeddings=40
    attention_window=8
  vary attention_window=6|[8,4] max_encoder_position_embeddings=64 architectures=LEDModel|LEDForQuestionAnswering @seq=38 UNTIED
  led-base-16384: d_model=768 encoder_layers=6 decoder_layers=6 encoder_ffn_dim=3072 decoder_ffn_dim=3072
    encoder_attention_heads=12 decoder_attention_heads=12 vocab_size=50265 attention_window=1024
longt5 LongT5ForConditionalGeneration T5 local_radius=6 encoder_attention_type=local global_block_size=4
  vary encoder_attention_type=transient-global encoder_attention_type=transient-global+@seq=38 num_decoder_layers=2 local_radius=9
    encoder_attention_type=transient-global+@seq=3 architectures=LongT5EncoderModel|LongT5Model feed_forward_proj=gated-gelu
    @seq=38
    UNTIED
  long-t5-tglobal-base: d_model=768 d_ff=2048 num_layers=12 num_heads=12 encoder_attention_type=transient-global
    feed_forward_proj=gated-gelu tie_word_embeddings=false
t5gemma T5GemmaForConditionalGeneration vocab_size=101 T5GEMMA
  vary encoder={"attention_bias":true} decoder={"attention_bias":true} decoder={"layer_types":["full_attention","full_attention"]}
    architectures=T5GemmaModel UNTIED
mobilebert MobileBertForMaskedLM BERT embedding_size=10 intra_bottleneck_size=16 num_feedforward_networks=3
  vary use_bottleneck=false use_bottleneck_attention=true key_query_shared_bottleneck=false+use_bottleneck_attention=true
    num_feedforward_networks=1 trigram_input=false normalization_type=layer_norm
    architectures=MobileBertModel|MobileBertForPreTraining|MobileBertForSequenceClassification|MobileBertForTokenClassification
    architectures=MobileBertForNextSentencePrediction|MobileBertForMultipleChoice UNTIED
  mobilebert-uncased: vocab_size=30522
squeezebert SqueezeBertForMaskedLM BERT embedding_size=24
  vary q_groups=2 output_groups=2 post_attention_groups=3
    architectures=SqueezeBertModel|SqueezeBertForSequenceClassification|SqueezeBertForTokenClassification
    architectures=SqueezeBertForMultipleChoice UNTIED
  squeezebert-uncased: BERT_BASE vocab_size=30528 embedding_size=768
xlm XLMWithLMHeadModel vocab_size=97 emb_dim=24 n_layers=2 n_heads=4 max_position_embeddings=40
  vary n_langs=3 n_langs=3+use_lang_emb=false gelu_activation=false causal=true sinusoidal_embeddings=true
    architectures=XLMModel|XLMForTokenClassification architectures=XLMForSequenceClassification+num_labels=3 UNTIED
  xlm-mlm-en-2048: vocab_size=30145
flaubert FlaubertWithLMHeadModel vocab_size=97 emb_dim=24 n_layers=2 n_heads=4 max_position_embeddings=40
  vary pre_norm=true architectures=FlaubertModel|FlaubertForSequenceClassification UNTIED
  flaubert_base_cased: vocab_size=68729 emb_dim=768 n_layers=12 n_heads=12
roc_bert RoCBertForMaskedLM BERT pronunciation_embed_dim=14 pronunciation_vocab_size=37 shape_embed_dim=10 shape_vocab_size=53
  vary enable_shape=false enable_pronunciation=false concat_input=false+shape_embed_dim=24+pronunciation_embed_dim=24
    architectures=RoCBertModel|RoCBertForSequenceClassification|RoCBertForTokenClassification|RoCBertForQuestionAnswering
    architectures=RoCBertForMultipleChoice UNTIED
  roc-bert-base-zh: BERT_BASE vocab_size=21128 pronunciation_vocab_size=910 shape_vocab_size=24858
xmod XmodForMaskedLM BERT languages=["en_XX","id_ID","fi_FI"] default_language=id_ID
  vary adapter_layer_norm=true adapter_reuse_layer_norm=false pre_norm=true adapter_reduction_factor=3 ln_before_adapter=false
    architectures=XmodModel|XmodForSequenceClassification|XmodForTokenClassification|XmodForCausalLM UNTIED
  xmod-base: BERT_BASE vocab_size=250002 max_position_embeddings=514 type_vocab_size=1 default_language=en_XX
    languages=["l"]81
ibert IBertForMaskedLM BERT
  vary architectures=IBertModel|IBertForSequenceClassification|IBertForTokenClassification|IBertForQuestionAnswering UNTIED
  ibert-roberta-base: BERT_BASE vocab_size=50265 max_position_embeddings=514 type_vocab_size=1
fnet FNetForMaskedLM BERT num_attention_heads=null type_vocab_size=4
  vary type_vocab_size=2 architectures=FNetModel|FNetForPreTraining|FNetForSequenceClassification|FNetForNextSentencePrediction
    architectures=FNetForTokenClassification|FNetForQuestionAnswering|FNetForMultipleChoice UNTIED
  # There is no such transform in bf16 on a CPU.
  kept
  fnet-base: hidden_size=768 num_hidden_layers=12 intermediate_size=3072 vocab_size=32000
tapas TapasForMaskedLM BERT type_vocab_sizes=[3,7,9,2,11,6,10]
  vary type_vocab_sizes=[3,5,7] architectures=TapasModel|TapasForSequenceClassification UNTIED
  tapas-base: BERT_BASE vocab_size=30522
cohere_compass_text CohereCompassForCausalLM dense COMPASS sliding_window=7
  vary attention_bias=true sliding_window=11 GQA UNTIED
aria_text AriaTextForCausalLM dense moe_num_experts=5 moe_topk=2 moe_num_shared_experts=2
  vary moe_topk=3 moe_num_shared_experts=1 mlp_bias=true attention_bias=true GQA TIED
  Aria: 2560/1664/28/20/20/100352 moe_num_experts=64 moe_topk=6 moe_num_shared_experts=2
fsmt FSMTForConditionalGeneration d_model=24 encoder_layers=2 decoder_layers=3 encoder_ffn_dim=44 decoder_ffn_dim=52
    encoder_attention_heads=4 decoder_attention_heads=4 max_position_embeddings=40 src_vocab_size=97 tgt_vocab_size=97
  vary activation_function=gelu architectures=FSMTModel TIED
  wmt19-en-de: encoder_layers=6 decoder_layers=6 encoder_ffn_dim=8192
nystromformer NystromformerForMaskedLM BERT segment_means_seq_len=6 num_landmarks=6 conv_kernel_size=5
  vary conv_kernel_size=3 architectures=NystromformerModel|NystromformerForSequenceClassification
    architectures=NystromformerForTokenClassification|NystromformerForMultipleChoice|NystromformerForQuestionAnswering UNTIED
  nystromformer-512: BERT_BASE vocab_size=30000 max_position_embeddings=510
yoso YosoForMaskedLM BERT
  vary conv_window=5 architectures=YosoModel|YosoForSequenceClassification|YosoForTokenClassification
    architectures=YosoForMultipleChoice|YosoForQuestionAnswering UNTIED
  # Its attention writes its own backward pass.
  kept
  yoso-4096: BERT_BASE vocab_size=50265 max_position_embeddings=4096 type_vocab_size=1
trocr TrOCRForCausalLM vocab_size=97 d_model=24 decoder_layers=3 decoder_attention_heads=4 decoder_ffn_dim=44
    max_position_embeddings=40
  vary use_learned_position_embeddings=false layernorm_embedding=false activation_function=relu UNTIED
pegasus_x PegasusXForConditionalGeneration BART num_global_tokens=5 block_size=8
  vary num_global_tokens=3 block_size=6 stagger_local_blocks=false encoder_layers=3 @seq=16 architectures=PegasusXModel UNTIED
  pegasus-x-large: vocab_size=96103 d_model=1024 encoder_layers=16 decoder_layers=16 num_global_tokens=128
bigbird_pegasus BigBirdPegasusForConditionalGeneration BART block_size=2 num_random_blocks=3
  vary num_random_blocks=2 use_bias=true attention_type=original_full block_size=4 @seq=38
    architectures=BigBirdPegasusModel|BigBirdPegasusForCausalLM UNTIED
  bigbird-pegasus-large: vocab_size=96103 d_model=1024 encoder_layers=16 decoder_layers=16
zamba ZambaForCausalLM 48/76/7/4/4/101 attn_layer_period=3 attn_layer_offset=1 mamba_d_state=6 mamba_d_conv=3 n_mamba_heads=2
    mamba_dt_rank=5 use_mamba_kernels=false use_associative_scan=false
  vary n_mamba_heads=1|4 mamba_dt_rank=auto mamba_proj_bias=true mamba_conv_bias=false mamba_expand=3 attn_layer_offset=0
    num_key_value_heads=2
  Zamba-7B: vocab_size=32000
hrm_text HrmTextForCausalLM 48/76/2/4/-/101 head_dim=14
  vary head_dim=12 H_cycles=3 L_cycles=2 L_bp_cycles=[3] L_bp_cycles=[1,1] attention_bias=true mlp_bias=true TIED
axk2 AXK2ForCausalLM dense num_key_value_heads=4 MLA DEEP index_n_heads=3 index_head_dim=8 index_topk=5 gated_norm_rank=7
  vary n_shared_experts=1 q_lora_rank=18 gated_norm_rank=5 first_k_dense_replace=2 attention_bias=true TIED
convbert ConvBertForMaskedLM BERT embedding_size=16 conv_kernel_size=5
  vary embedding_size=24 head_ratio=4 head_ratio=1 head_ratio=8 conv_kernel_size=3 num_groups=2
    architectures=ConvBertModel|ConvBertForSequenceClassification|ConvBertForTokenClassification|ConvBertForQuestionAnswering
    architectures=ConvBertForMultipleChoice UNTIED
  conv-bert-base: BERT_BASE vocab_size=30522
luke LukeForMaskedLM BERT entity_vocab_size=61 entity_emb_size=10
  vary entity_emb_size=24 use_entity_aware_attention=false
    architectures=LukeModel|LukeForSequenceClassification|LukeForTokenClassification|LukeForQuestionAnswering
    architectures=LukeForMultipleChoice UNTIED
  luke-base: BERT_BASE vocab_size=50267 max_position_embeddings=514 type_vocab_size=1
encoder-decoder EncoderDecoderModel BERTS
  vary encoder={"hidden_size":36} encoder={"num_hidden_layers":3} encoder={"type_vocab_size":3} decoder={"hidden_size":36}
    decoder={"num_hidden_layers":2} decoder={"intermediate_size":40} decoder={"tie_word_embeddings":false}
    E_roberta E_electra E_roberta+D_roberta E_generation D_generation D_gpt2 D_gpt2+encoder={"hidden_size":36} D_bart D_mbart
    D_trocr D_electra E_prelayernorm+D_prelayernorm E_camembert D_camembert E_xlm+D_xlm D_pegasus D_plbart D_blenderbot
    UNTIED LENGTHS
bert-generation BertGenerationDecoder BERT
  vary architectures=BertGenerationEncoder UNTIED
# Types that share little with others.
xlnet XLNetLMHeadModel vocab_size=97 d_model=24 n_layer=3 n_head=4 d_inner=44
  vary n_layer=2 n_head=3 d_inner=40 vocab_size=101 ff_activation=relu attn_type=uni architectures=XLNetModel
    architectures=XLNetForSequenceClassification+num_labels=3+pad_token_id=0 architectures=XLNetForTokenClassification
    architectures=XLNetForMultipleChoice UNTIED LENGTHS
  # Its sinusoids stay in fp32, which no matrix in bf16 takes; nor does xLSTM's state.
  kept
  xlnet-base-cased: d_model=768 n_layer=12 n_head=12 d_inner=3072
xlstm xLSTMForCausalLM vocab_size=101 hidden_size=48 num_hidden_layers=3 num_blocks=3 num_heads=4 chunk_size=8
    ffn_round_up_to_multiple_of=10 embedding_dim=48
  vary num_heads=2 chunk_size=4|32 qk_dim_factor=0.25 v_dim_factor=0.5 use_bias=true ffn_proj_factor=1.5
    ffn_round_up_to_multiple_of=16 num_blocks=2+num_hidden_layers=2 @seq=16|38|1|3 @batch=1
    mode=train+@seq=16 TIED
  kept
  xLSTM-7b: hidden_size=4096 num_heads=8
prophetnet ProphetNetForConditionalGeneration vocab_size=97 hidden_size=24 num_encoder_layers=2 num_decoder_layers=3
    encoder_ffn_dim=44 decoder_ffn_dim=52 num_encoder_attention_heads=4 num_decoder_attention_heads=4 max_position_embeddings=40
    num_buckets=6
  vary num_encoder_layers=3 num_decoder_layers=2 encoder_ffn_dim=36 decoder_ffn_dim=36 num_encoder_attention_heads=3
    num_decoder_attention_heads=3 ngram=1|3 num_buckets=10 max_position_embeddings=50 activation_function=relu
    architectures=ProphetNetModel|ProphetNetForCausalLM architectures=ProphetNetForCausalLM+ngram=3
    architectures=ProphetNetForCausalLM+add_cross_attention=false architectures=ProphetNetForCausalLM+tie_word_embeddings=false
    @seq=1+@decoder_seq=1 @seq=7+@decoder_seq=23 @batch=1 UNTIED
  # Its softmax is taken in fp32.
  kept
zaya ZayaForCausalLM 48/-/3/4/2/101 head_dim=12 moe_intermediate_size=28 num_experts=5 router_hidden_size=14
  vary head_dim=20 attention_bias=true lm_head_bias=true moe_intermediate_size=32 num_experts=4 router_hidden_size=10 cca_time0=3
    cca_time1=3 cca_time0=1 cca_time1=1 layer_types=["hybrid","hybrid_sliding","hybrid_sliding"]+sliding_window=7
    num_hidden_layers=1 LENGTHS @batch=3 GQA UNTIED
  ZAYA1-8B: vocab_size=262272 hidden_size=2048 num_hidden_layers=40
funnel FunnelForMaskedLM vocab_size=97 block_sizes=[2,1,2] d_model=24 n_head=4 d_head=10 d_inner=44
  vary block_sizes=[2]|[1,1,1,1] block_sizes=[1,2]+block_repeats=[2,3] num_decoder_layers=1 n_head=3 d_head=8 d_inner=40
    hidden_act=relu attention_type=factorized attention_type=factorized+pool_q_only=false pool_q_only=false separate_cls=false
    separate_cls=false+pool_q_only=false truncate_seq=false truncate_seq=false+@seq=16 separate_cls=false+@seq=16
    separate_cls=false+attention_type=factorized pooling_type=max @seq=16|38|8 @batch=1
    architectures=FunnelModel|FunnelBaseModel|FunnelForPreTraining|FunnelForTokenClassification|FunnelForQuestionAnswering
    architectures=FunnelForSequenceClassification+num_labels=3 architectures=FunnelForMultipleChoice UNTIED
  # Its sinusoids stay in fp32.
  kept
moshi MoshiForCausalLM vocab_size=101 hidden_size=48 num_hidden_layers=3 num_attention_heads=4 num_key_value_heads=2 ffn_dim=76
  vary head_dim=20 ffn_dim=80 hidden_act=gelu sliding_window=7 num_codebooks=4 architectures=MoshiModel LENGTHS GQA TIED
# Where its patches end depends on the text, unless they are a byte each.
blt BltForCausalLM vocab_size=101 BLT patching_mode=bytes
  vary patching_mode=entropy patching_mode=entropy+patch_size=null patch_in_forward=false patch_size=2 cross_attn_k=2+BLT_TWO
    encoder_hash_byte_group_size=[3,5] encoder_hash_byte_group_nb_functions=2 encoder_hash_byte_group_vocab=40
    local_attention_window_len=7|null encoder_config={"cross_attn_all_layers":true} encoder_config={"num_key_value_heads":2}
    encoder_config={"num_hidden_layers":1} encoder_config={"intermediate_size":null}
    decoder_config={"cross_attn_all_layers":false} decoder_config={"num_hidden_layers":2}
    decoder_config={"intermediate_size":36} decoder_config={"num_key_value_heads":1} encoder_config={"vocab_size":120}
    global_config={"num_hidden_layers":3} global_config={"num_key_value_heads":1} global_config={"intermediate_size":40}
    global_config={"hidden_size":40}+decoder_config={"hidden_size_global":40} patcher_config={"num_hidden_layers":1}
    patcher_config={"vocab_size":90} patcher_config={"num_key_value_heads":1} patcher_config={"intermediate_size":20} @seq=1|38
    @batch=1 TIED
  # Its gradients of maxima are kept in ways of their own.
  kept
cpmant CpmAntForCausalLM vocab_size=97 hidden_size=24 num_attention_heads=4 dim_head=10 dim_ff=44 num_hidden_layers=3
    position_bias_num_buckets=16 prompt_types=4 prompt_length=5 segment_types=6
  vary num_attention_heads=3 dim_head=8 dim_ff=40 num_hidden_layers=2 position_bias_num_buckets=20 prompt_types=5 prompt_length=7
    segment_types=8 vocab_size=101 architectures=CpmAntModel LENGTHS UNTIED
beam BeamForCausalLM dense num_hidden_layers=7 head_dim=20 sliding_window=7 num_experts=8 num_experts_per_tok=2
    moe_intermediate_size=28 n_group=4 topk_group=2
  vary head_dim=12 attention_bias=true num_experts=12 num_experts_per_tok=3 moe_intermediate_size=32
    sliding_window=null+layer_types=[full_attention]*7 mlp_layer_types=[dense*2,sparse*5]
    layer_types=[full_attention*2,sliding_attention*5] num_hidden_layers=2
    final_logit_softcapping=null LENGTHS GQA TIED
# On a CPU its attention multiplies nothing, so that it is only built.
mra MraForMaskedLM BERT max_position_embeddings=64
  built hidden_size=48 num_hidden_layers=3 num_attention_heads=3 intermediate_size=40 type_vocab_size=3 max_position_embeddings=96
    block_per_row=2 approx_mode=sparse hidden_act=relu architectures=["MraModel"]|["MraForTokenClassification"]
    architectures=["MraForSequenceClassification"]|["MraForQuestionAnswering"]|["MraForMultipleChoice"] UNTIED
  mra-base-512-4: BERT_BASE vocab_size=50265
perceiver PerceiverForMaskedLM vocab_size=97 num_latents=7 d_latents=24 d_model=32 num_self_attends_per_block=2
    num_self_attention_heads=4 num_cross_attention_heads=4 max_position_embeddings=40
  vary num_latents=9 d_latents=48 d_model=64 num_blocks=3 num_self_attends_per_block=3 num_self_attention_heads=3
    num_cross_attention_heads=2 v_channels=24 qk_channels=16+v_channels=24 cross_attention_shape_for_attention=q
    self_attention_widening_factor=3 cross_attention_widening_factor=2 hidden_act=relu max_position_embeddings=50 vocab_size=101
    LENGTHS UNTIED
# Only in training, and then of whole chunks, does it go backward.
reformer ReformerForMaskedLM vocab_size=97 attention_head_size=10 attn_layers=[local,lsh,lsh] axial_pos_shape=[4,6]
    axial_pos_embds_dim=[10,14] feed_forward_size=44 hidden_size=24 local_attn_chunk_length=4 lsh_attn_chunk_length=6
    max_position_embeddings=64 num_attention_heads=3 @seq=24
  vary attn_layers=[local,local] attn_layers=[lsh] attention_head_size=8 feed_forward_size=40 num_hashes=3 num_buckets=4
    num_buckets=[2,6] axial_pos_shape=[8,6]+@seq=48 axial_pos_embds=false axial_pos_embds=false+@seq=36 axial_pos_embds_dim=[8,16]
    local_num_chunks_after=1 lsh_num_chunks_after=1 local_num_chunks_before=2 lsh_num_chunks_before=0 hidden_act=gelu
    num_attention_heads=4 axial_pos_embds=false+@seq=19 axial_pos_embds=false+@seq=5 axial_pos_embds=false+@seq=3
    lsh_attn_chunk_length=2+axial_pos_embds=false+@seq=64 @batch=1 architectures=ReformerModel UNTIED
  kept
  reformer-crime-and-punishment: axial_pos_shape=[512,1024] axial_pos_embds_dim=[64,192] max_position_embeddings=524288
    num_attention_heads=2
# SeamlessM4T, from text to text.
seamless_m4t SeamlessM4TForTextToText SEAMLESS
  vary encoder_layers=3 decoder_layers=2 encoder_ffn_dim=36 decoder_ffn_dim=36 encoder_attention_heads=3
    decoder_attention_heads=3 activation_function=gelu max_position_embeddings=50 vocab_size=101 @seq=7+@decoder_seq=23 UNTIED
  hf-seamless-m4t-medium: vocab_size=256206 encoder_layers=12 decoder_layers=12 encoder_ffn_dim=4096 decoder_ffn_dim=4096
seamless_m4t_v2 SeamlessM4Tv2ForTextToText SEAMLESS
  vary encoder_layers=3 decoder_layers=2 encoder_ffn_dim=36 decoder_ffn_dim=36 encoder_attention_heads=3
    decoder_attention_heads=3 activation_function=gelu speech_encoder_layers=2 vocab_size=101 UNTIED
"""
FAMILIES = {name: replace(one, whole=bool(one.built)) for name, one in families(TABLE).items()} | {
    name: replace(one, whole=True) for name, one in families(towers.TABLE).items()
}
PARTS = towers.PARTS
WANTED = (*FAMILIES, "kimi_k2")
NO_DEFAULT = {
    "lfm2_moe",
    "dots1",
    "qwen4_exp_text",
    "esm",
    "aya_vision",
    "hunyuan_vl",
    "qwen4_exp",
    "granite4_vision",
    "cohere_compass",
    "cohere_compass_text",
}
"""The default config cannot be built."""


def slug(change: Config) -> str:
    """The name of a variant: what it changes."""
    return ",".join(f"{key}={json.dumps(value, separators=(',', ':'))}" for key, value in change.items()).replace('"', "")


def merged(base: Config, change: Config) -> Config:
    """The base with the change's keys; dictionaries are merged, but for parts of another model_type."""

    def one(key: str, value: Any) -> Any:
        before = base.get(key)
        if not isinstance(value, dict) or not isinstance(before, dict):
            return value
        return value if before.get("model_type", "") != value.get("model_type", before.get("model_type", "")) else before | value

    return base | {key: one(key, value) for key, value in change.items()}


def case(name: str, kind: str, label: str, config: Config) -> Config:
    """A case as golden.json has it, without its measurements."""
    family = FAMILIES[name]
    run = RUN | {key[1:]: value for key, value in config.items() if key.startswith("@")}
    plain = {key: value for key, value in config.items() if not key.startswith("@")}
    full = {"model_type": name, "architectures": plain.pop("architectures", [family.architecture])} | plain
    return {"id": f"{name}/{label}", "kind": kind, "model_type": name, "config": full} | ({} if kind == "params" else run)


def of(name: str) -> Iterator[Config]:
    """Every case of a family."""
    family = FAMILIES[name]
    if name not in NO_DEFAULT:
        yield case(name, "params", "default", {})
    for label, config in family.released.items():
        yield case(name, "params", label, config)
    yield case(name, "params" if family.whole else "flops", "tiny", family.tiny)
    if family.whole:
        for kind, some in (("params", family.built), ("flops", family.sees)):
            for change in some:
                yield case(name, kind, f"tiny:{slug(change)}", merged(family.tiny, change))
        return
    for change in family.vary:
        # A list is how a config.json names its class.
        change = change | ({"architectures": [change["architectures"]]} if isinstance(change.get("architectures"), str) else {})
        yield case(name, "flops", f"tiny:{slug(change)}", merged(family.tiny, change))
    for change in family.kept:
        yield case(name, "kept", f"kept:{slug(change)}" if change else "kept", merged(family.tiny, change))


def find(label: str) -> Config:
    """The case with this id."""
    return next(found for found in of(label.split("/")[0]) if found["id"] == label)


WIDTH = ("hidden_size", "n_embd", "d_model")
HEADS = ("num_attention_heads", "n_head", "num_heads", "n_heads")
LAYERS = {"num_hidden_layers": (1, 5), "n_layer": (1, 5), "n_layers": (1, 5), "num_layers": (1, 5), "num_decoder_layers": (1, 5)}
FREE = LAYERS | {
    "vocab_size": (60, 200),
    "intermediate_size": (8, 99),
    "n_inner": (8, 99),
    "ffn_dim": (8, 99),
    "d_ff": (8, 99),
    "moe_intermediate_size": (4, 40),
}


def sample(name: str, seed: int) -> Iterator[Config]:
    """Endless random cases of a family: other sizes, other lengths, and several of its options at once.

    Sizes are drawn without regard to what a family demands of them, so transformers may refuse a draw.
    """
    family = FAMILIES[name]
    draw = random.Random(f"{name}/{seed}")
    for number in range(1_000 if family.whole else 0):
        config = family.tiny
        for change in family.built:
            config = merged(config, change) if draw.random() < 0.3 else config
        yield case(name, "params", f"random:{seed}:{number}", config)
    for number in range(0 if family.whole else 10_000):
        config = dict(family.tiny)
        patterned = any(isinstance(value, (list, dict)) for value in config.values())
        for key, span in FREE.items():
            # A list of layer types fixes the number of layers.
            if isinstance(config.get(key), int) and not (key in LAYERS and patterned) and draw.random() < 0.7:
                config[key] = draw.randint(*span)
        width, heads = (next((key for key in keys if key in config), None) for keys in (WIDTH, HEADS))
        if width and heads and draw.random() < 0.7:
            kv = draw.choice([1, 2, 3])
            config[heads] = kv * draw.choice([1, 2, 3])
            config[width] = config[heads] * draw.choice([4, 8, 12, 16])
            config |= {"num_key_value_heads": kv} if "num_key_value_heads" in config else {}
            # Keys that must follow the width.
            config |= {key: config[width] for key in ("word_embed_proj_dim", "lru_width") if key in config}
        for change in family.vary:
            if draw.random() < 0.3 and "architectures" not in change:
                config = merged(config, change)
        config |= {"@batch": draw.randint(1, 3), "@seq": draw.randint(1, 38), "@decoder_seq": draw.randint(1, 38)}
        yield case(name, "flops", f"random:{seed}:{number}", config)
