"""Models, memories and lengths of which vLLM is asked: vllm_cache.py, vllm_lines.py."""

from __future__ import annotations

import re
from typing import Any

from cases import config

MEMORIES = (64 * 2**20, 200_000_000, 2**30 + 12_345)
LENGTH, BATCHED = 4096, 2048
"""Tokens of a request, and of a step, unless a case says otherwise."""

TABLE = """
llama LlamaForCausalLM 256/512/4/8/4/512 @tp=[1,2,8] @cache=[auto,fp8] @length=[4096,1000]
qwen2 Qwen2ForCausalLM 256/512/4/8/2/512 @tp=[1,2,4]
qwen3 Qwen3ForCausalLM 256/512/3/8/2/512 head_dim=64
phi3 Phi3ForCausalLM 256/512/4/4/4/512
mixtral MixtralForCausalLM 256/512/4/8/2/512 num_local_experts=4
gpt2 GPT2LMHeadModel n_embd=256 n_head=8 n_layer=4 n_positions=1024 vocab_size=512 @length=[1000] @options={"max_model_len":1024}
gpt_bigcode GPTBigCodeForCausalLM n_embd=256 n_head=8 n_layer=4 n_positions=8192 vocab_size=512 multi_query=true @tp=[1,2,4]
falcon FalconForCausalLM hidden_size=256 num_attention_heads=8 num_hidden_layers=4 vocab_size=512 multi_query=true
    parallel_attn=true new_decoder_architecture=false alibi=false bias=false
mistral MistralForCausalLM 256/512/4/8/4/512 sliding_window=1024 @length=[4096,8192]
gemma2 Gemma2ForCausalLM 256/512/6/8/4/512 head_dim=32 sliding_window=512 @cache=[auto,fp8] @length=[4096,8192]
gemma3_text Gemma3ForCausalLM 256/512/14/4/2/512 head_dim=64 sliding_window=512 sliding_window_pattern=6 @tp=[1,2,4]
    @length=[4096,8192]
gemma3_text:7 Gemma3ForCausalLM 256/512/7/4/2/512 head_dim=64 sliding_window=512 sliding_window_pattern=6
gpt_oss GptOssForCausalLM 256/256/4/8/2/512 head_dim=32 sliding_window=128 num_local_experts=4 num_experts_per_tok=2
    @length=[4096,8192,100]
cohere2 Cohere2ForCausalLM 256/512/8/8/4/512 sliding_window=1024 sliding_window_pattern=4
olmo3 Olmo3ForCausalLM 256/512/8/8/4/512 sliding_window=1024
exaone4 Exaone4ForCausalLM 256/512/8/8/4/512 sliding_window=1024 sliding_window_pattern=4
llama4_text Llama4ForCausalLM 256/512/8/8/4/512 head_dim=32 intermediate_size_mlp=512 num_local_experts=2 num_experts_per_tok=1
    attention_chunk_size=1024 no_rope_layers=[1,1,1,0,1,1,1,0] interleave_moe_layer_step=1 @length=[4096,8192]
gemma4_text Gemma4ForCausalLM 256/512/6/4/2/512 head_dim=64 global_head_dim=128 num_global_key_value_heads=1 sliding_window=512
    attention_k_eq_v=true layer_types=[sliding_attention*5,full_attention] hidden_size_per_layer_input=0 num_kv_shared_layers=0
deepseek_v2 DeepseekV2ForCausalLM 256/512/4/4/4/512 q_lora_rank=null kv_lora_rank=64 qk_nope_head_dim=32 qk_rope_head_dim=32
    v_head_dim=32 n_routed_experts=4 n_shared_experts=1 num_experts_per_tok=2 moe_intermediate_size=64 first_k_dense_replace=1
    topk_method=greedy n_group=1 topk_group=1 @cache=[auto,fp8]
deepseek_v3 DeepseekV3ForCausalLM 256/512/4/4/4/512 q_lora_rank=96 kv_lora_rank=512 qk_nope_head_dim=128 qk_rope_head_dim=64
    v_head_dim=128 n_routed_experts=4 n_shared_experts=1 num_experts_per_tok=2 moe_intermediate_size=64 first_k_dense_replace=1
    n_group=1 topk_group=1
deepseek_v32 DeepseekV32ForCausalLM 256/512/4/64/64/512 q_lora_rank=96 kv_lora_rank=512 qk_nope_head_dim=128 qk_rope_head_dim=64
    v_head_dim=128 n_routed_experts=4 n_shared_experts=1 num_experts_per_tok=2 moe_intermediate_size=64 first_k_dense_replace=1
    n_group=1 topk_group=1 index_n_heads=64 index_head_dim=128 index_topk=2048 @options={"block_size":64}
glm_moe_dsa GlmMoeDsaForCausalLM 256/512/4/64/64/512 q_lora_rank=96 kv_lora_rank=512 qk_nope_head_dim=192 qk_rope_head_dim=64
    v_head_dim=256 n_routed_experts=4 n_shared_experts=1 num_experts_per_tok=2 moe_intermediate_size=64 first_k_dense_replace=1
    n_group=1 topk_group=1 index_n_heads=32 index_head_dim=128 index_topk=2048 @options={"block_size":64}
mamba MambaForCausalLM hidden_size=256 num_hidden_layers=4 state_size=16 conv_kernel=4 expand=2 time_step_rank=16 vocab_size=512
    intermediate_size=512 use_bias=false use_conv_bias=true layer_norm_epsilon=1e-5
falcon_mamba FalconMambaForCausalLM hidden_size=256 num_hidden_layers=4 state_size=16 conv_kernel=4 expand=2 time_step_rank=16
    vocab_size=512 intermediate_size=512 use_bias=false use_conv_bias=true mixer_rms_eps=1e-6
mamba2 Mamba2ForCausalLM hidden_size=256 num_hidden_layers=4 num_heads=8 head_dim=64 state_size=32 n_groups=2 conv_kernel=4
    expand=2 vocab_size=512
falcon_h1 FalconH1ForCausalLM 256/512/4/8/2/512 head_dim=32 mamba_d_ssm=512 mamba_n_heads=8 mamba_d_head=64 mamba_n_groups=1
    mamba_d_state=128 mamba_d_conv=4 mamba_expand=2 @tp=[1]
granitemoehybrid GraniteMoeHybridForCausalLM 256/512/6/8/2/512 layer_types=[mamba*2,attention,mamba*3] mamba_n_heads=8
    mamba_n_groups=1 mamba_d_state=128 mamba_d_head=64 mamba_d_conv=4 mamba_expand=2 num_local_experts=0 num_experts_per_tok=0
    shared_intermediate_size=512 position_embedding_type=nope @tp=[1]
jamba JambaForCausalLM 256/512/8/8/2/512 attn_layer_period=4 attn_layer_offset=2 expert_layer_period=2 expert_layer_offset=1
    num_experts=4 num_experts_per_tok=2 mamba_d_state=16 mamba_d_conv=4 mamba_expand=2 mamba_dt_rank=16
nemotron_h NemotronHForCausalLM 256/512/8/8/2/512 head_dim=32 hybrid_override_pattern=M-M*M-M-
    layers_block_type=[mamba,mlp,mamba,attention,mamba,mlp,mamba,mlp] mamba_num_heads=8 mamba_head_dim=64 n_groups=2
    ssm_state_size=128 conv_kernel=4 expand=2
zamba2 Zamba2ForCausalLM 256/512/6/8/8/512 layers_block_type=[mamba*2,hybrid,mamba*2,hybrid] mamba_d_state=64 mamba_d_conv=4
    mamba_expand=2 mamba_ngroups=1 n_mamba_heads=8 num_mem_blocks=1 use_shared_attention_adapter=false adapter_rank=8
    attention_head_dim=64 attention_hidden_size=512 @tp=[1]
qwen3_next Qwen3NextForCausalLM 256/512/8/8/2/512 head_dim=64 linear_num_key_heads=4 linear_num_value_heads=8
    linear_key_head_dim=64 linear_value_head_dim=64 linear_conv_kernel_dim=4 num_experts=4 num_experts_per_tok=2
    moe_intermediate_size=64 shared_expert_intermediate_size=64 @tp=[1,2] @cache=[auto,fp8]
qwen3_next:fp32 Qwen3NextForCausalLM 256/512/8/8/2/512 head_dim=64 linear_num_key_heads=4 linear_num_value_heads=8
    linear_key_head_dim=64 linear_value_head_dim=64 linear_conv_kernel_dim=4 num_experts=4 num_experts_per_tok=2
    moe_intermediate_size=64 shared_expert_intermediate_size=64 @options={"mamba_ssm_cache_dtype":"float32"}
kimi_linear KimiLinearForCausalLM 256/512/8/4/4/512 head_dim=64 q_lora_rank=null kv_lora_rank=64 qk_nope_head_dim=32
    qk_rope_head_dim=32 v_head_dim=32 mla_use_nope=true num_experts=4 num_experts_per_token=2 num_shared_experts=1
    moe_intermediate_size=64 first_k_dense_replace=1 moe_layer_freq=1 use_grouped_topk=true num_expert_group=1 topk_group=1
    moe_router_activation_func=sigmoid moe_renormalize=true routed_scaling_factor=1.0
    linear_attn_config={"head_dim":64,"num_heads":4,"short_conv_kernel_size":4,"full_attn_layers":[4,8],"kda_layers":[1,2,3,5,6,7]}
minimax_m2 MiniMaxM2ForCausalLM 256/512/4/8/2/512 head_dim=32 num_local_experts=4 num_experts_per_tok=2 rotary_dim=16
    use_qk_norm=true scoring_func=sigmoid use_routing_bias=true mlp_intermediate_size=512
lfm2 Lfm2ForCausalLM 256/512/6/8/2/512 layer_types=[conv*2,full_attention,conv*2,full_attention] conv_L_cache=3 conv_bias=false
    block_multiple_of=32 block_ffn_dim_multiplier=1.0 block_auto_adjust_ff_dim=false conv_dim=256 block_dim=256
whisper WhisperForConditionalGeneration d_model=256 encoder_layers=2 decoder_layers=2 encoder_attention_heads=8
    decoder_attention_heads=8 encoder_ffn_dim=512 decoder_ffn_dim=512 vocab_size=51865 max_target_positions=448
    max_source_positions=1500 num_mel_bins=80 @length=[448] @options={"max_model_len":448}
"""


def cases(table: str) -> dict[str, dict[str, Any]]:
    """A name, a class and the words of a config each line, which goes on in an indented one."""
    found = {}
    for line in re.split(r"\n(?! )", table.strip()):
        if line:
            name, architecture, *words = line.split()
            made = {"model_type": name.partition(":")[0], "architectures": [architecture], "dtype": "bfloat16"}
            found[name] = made | ({} if "mamba" in name else {"max_position_embeddings": 8192}) | config(words)
    return found
