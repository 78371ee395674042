"""Launch lines that people published, with where they ran or did not: a test asks ``llmcx check`` about each.

A line is as its author wrote it; what a shell script beside it sets is put in. Those that ran are of vLLM's recipes and of issues
and pull requests that show them running; those that did not are of issues whose engine said that memory does not suffice. Where
a line names a model by another name than its shape's preset, that preset stands beside it. H20s of 141 GB are reckoned as H200s,
which have as much.
"""

from __future__ import annotations

import json
from typing import NamedTuple

RECIPES = "github.com/vllm-project/recipes: "
VLLM, SGLANG = "github.com/vllm-project/vllm/", "github.com/sgl-project/sglang/"


class Published(NamedTuple):
    """A line, the accelerators, where it stands, the preset of its shape, or what its config.json says of that, and the version
    of the engine that its source states; with one that llmcx knows also NVIDIA's driver, where the source states that.
    """

    line: str
    hardware: str
    source: str
    preset: str | None = None
    version: str | None = None
    driver: str | None = None


RAN = [
    Published(
        "docker run --gpus all -p 8000:8000 --ipc=host vllm/vllm-openai --model openai/gpt-oss-20b",
        "a100",
        RECIPES + "OpenAI/GPT-OSS.md",
    ),
    Published("vllm serve openai/gpt-oss-120b", "a100", RECIPES + "OpenAI/GPT-OSS.md"),
    Published("vllm serve openai/gpt-oss-120b --tensor-parallel-size 2", "2xa100", RECIPES + "OpenAI/GPT-OSS.md"),
    Published("vllm serve openai/gpt-oss-120b --tensor-parallel-size 4", "4xa100", RECIPES + "OpenAI/GPT-OSS.md"),
    Published(
        "vllm serve openai/gpt-oss-120b \\\n  --tensor_parallel_size 8 \\\n  --max-model-len 131072 \\\n"
        "  --max-num-batched-tokens 10240 \\\n  --max-num-seqs 128 \\\n  --gpu-memory-utilization 0.85 \\\n"
        "  --no-enable-prefix-caching",
        "8xh100",
        RECIPES + "OpenAI/GPT-OSS.md",
    ),
    Published(
        "export HSA_NO_SCRATCH_RECLAIM=1\nexport VLLM_ROCM_USE_AITER=1\n"
        "vllm serve openai/gpt-oss-120b --tensor-parallel-size=8 --attention-backend ROCM_AITER_UNIFIED_ATTN "
        "-cc.pass_config.fuse_rope_kvcache=True -cc.use_inductor_graph_partition=True --gpu-memory-utilization 0.95 "
        "--block-size=64",
        "8xmi300x",
        RECIPES + "OpenAI/GPT-OSS.md",
    ),
    Published(
        "vllm serve nvidia/Llama-3.3-70B-Instruct-FP8 --tensor-parallel-size 1 --max-num-seqs 512 --max-model-len 10240 &",
        "h200",
        RECIPES + "Llama/Llama3.3-70B.md",
        "llama-3.1-70b",
    ),
    Published(
        'DTYPE="FP4"\nvllm serve nvidia/Llama-3.3-70B-Instruct-$DTYPE \\\n  --tensor-parallel-size 1 \\\n'
        "  --max-num-seqs 512 \\\n  --max-model-len 10240 &",
        "b200",
        RECIPES + "Llama/Llama3.3-70B.md",
        "llama-3.1-70b",
    ),
    Published(
        "vllm serve deepseek-ai/DeepSeek-R1-0528 --trust-remote-code --tensor-parallel-size 8 --enable-expert-parallel",
        "8xh200",
        RECIPES + "DeepSeek/DeepSeek-V3.md",
        "deepseek-v3",
    ),
    Published(
        "vllm serve deepseek-ai/DeepSeek-R1-0528 --trust-remote-code --data-parallel-size 8 --enable-expert-parallel",
        "8xh200",
        RECIPES + "DeepSeek/DeepSeek-V3.md",
        "deepseek-v3",
    ),
    Published(
        "CUDA_VISIBLE_DEVICES=0,1,2,3 vllm serve nvidia/DeepSeek-R1-FP4 --trust-remote-code --tensor-parallel-size 4 "
        "--enable-expert-parallel",
        "8xb200",
        RECIPES + "DeepSeek/DeepSeek-V3.md",
        "deepseek-v3",
    ),
    Published(
        "CUDA_VISIBLE_DEVICES=0,1,2,3 vllm serve nvidia/DeepSeek-R1-FP4 --trust-remote-code --data-parallel-size 4 "
        "--enable-expert-parallel",
        "8xb200",
        RECIPES + "DeepSeek/DeepSeek-V3.md",
        "deepseek-v3",
    ),
    Published(
        "VLLM_USE_V1=1 vllm serve neuralmagic/Meta-Llama-3.1-70B-Instruct-quantized.w8a8 --max-model-len 2048 "
        "--gpu-memory-utilization 0.98",
        "h100",
        VLLM + "pull/12569",
    ),
    Published(
        "SGL_ENABLE_JIT_DEEPGEMM=1 python3 -m sglang.launch_server --model deepseek-ai/DeepSeek-V3 --tp 8 --trust-remote-code "
        "--enable-dp-attention --dp-size 8",
        "8xh200",
        SGLANG + "issues/5514",
    ),
    Published(
        "python3 -m sglang.launch_server --model deepseek-ai/DeepSeek-V3.2 \\\n"
        "--chat-template ./tool_chat_template_deepseekv32.jinja \\\n--tp-size 8 --dp-size 8 --enable-dp-attention",
        "8xh200",
        "github.com/gpustack/gpustack/pull/4022",
    ),
    Published(
        "vllm serve Qwen/Qwen3-Next-80B-A3B-Instruct \\\n  --tensor-parallel-size 4 \\\n  --served-model-name qwen3-next \n",
        "4xh200",
        RECIPES + "Qwen/Qwen3-Next.md",
    ),
    Published(
        "vllm serve Qwen/Qwen3-Next-80B-A3B-Instruct  \\\n--tokenizer-mode auto  --gpu-memory-utilization 0.8 \\\n"
        '--speculative-config \'{"method": "qwen3_next_mtp", "num_speculative_tokens": 2}\' \\\n'
        "--tensor-parallel-size 4 --no-enable-chunked-prefill \n",
        "4xh200",
        RECIPES + "Qwen/Qwen3-Next.md",
    ),
    Published(
        "vllm serve Qwen/Qwen3-Coder-480B-A35B-Instruct \\\n  --tensor-parallel-size 8 \\\n  --max-model-len 32000 \\\n"
        "  --enable-auto-tool-choice \\\n  --tool-call-parser qwen3_coder",
        "8xh200",
        RECIPES + "Qwen/Qwen3-Coder-480B-A35B.md",
    ),
    Published(
        "vllm serve moonshotai/Kimi-K2-Instruct --trust-remote-code --tokenizer-mode auto --tensor-parallel-size 8 "
        "--pipeline-parallel-size 2 --dtype bfloat16 --quantization fp8 --max-model-len 2048 --max-num-seqs 1 "
        "--max-num-batched-tokens 1024 --enable-chunked-prefill --disable-log-requests --kv-cache-dtype fp8",
        "16xh800",
        RECIPES + "moonshotai/Kimi-K2.md",
    ),
    Published(
        "docker run --gpus all -p 8000:8000 --ipc=host -v ~/.cache/huggingface:/root/.cache/huggingface \\\n"
        "  vllm/vllm-openai:nightly MiniMaxAI/MiniMax-M2.5 --tensor-parallel-size 4 --tool-call-parser minimax_m2 "
        "--reasoning-parser minimax_m2_append_think --enable-auto-tool-choice --trust-remote-code",
        "4xh200",
        RECIPES + "MiniMax/MiniMax-M2.md",
        "minimax-m2",
    ),
]

# Three of these are said to fit: SGLang 0.1 on 8 L4s ran out while it made the layers, of which an eighth has room by far (issue
# 465 of that month: "nothing is on GPU=1, only GPU=0 is filled"); vLLM 0.8 on 2 L20s while it captured graphs, for which it set
# nothing aside; SGLang of July 2025 loaded GLM-4.5-Air a second time to draft with.
FAILED = [
    Published(
        "vllm serve --trust-remote-code --tensor_parallel_size 2 --gpu_memory_utilization=0.98  "
        "/root/autodl-tmp/deepseek-ai/DeepSeek-R1-Distill-Qwen-14B",
        "2xrtx-4090",
        VLLM + "issues/13061",
        "qwen2.5-14b",
        version="0.7.2",
    ),
    Published(
        "vllm serve openai/gpt-oss-120b --gpu-memory-utilization 0.95 --max-num-batched-tokens 1024",
        "h100",
        VLLM + "issues/27508",
        version="0.11.0",
    ),
    Published(
        "vllm serve /tmp/model/Qwen3-Coder-480B-A35B-Instruct-FP8 --served-model-name Qwen3-Coder-480B-A35B-FP8 -dp=8  "
        "--enable-expert-parallel --enable-auto-tool-choice --tool-call-parser qwen3_coder",
        "8xh200",
        "github.com/vllm-project/recipes/pull/12",
    ),
    Published(
        "vllm serve /tmp/model/Qwen3-Coder-480B-A35B-Instruct-FP8 --served-model-name Qwen3-Coder-480B-A35B-FP8 -dp=8  "
        "--enable-expert-parallel --enable-auto-tool-choice --tool-call-parser qwen3_coder --gpu-memory-utilization 0.95",
        "8xh200",
        "github.com/vllm-project/recipes/pull/12",
    ),
    Published(
        "vllm serve Qwen/Qwen3-Coder-480B-A35B-Instruct --tensor-parallel-size 8",
        "8xh200",
        RECIPES + "Qwen/Qwen3-Coder-480B-A35B.md, Using Tips",
    ),
    Published(
        "python -m sglang.launch_server --model-path ~/Llama3-OpenBioLLM-70B-Instruct --port 30000",
        "8xl4",
        SGLANG + "issues/445",
        "llama-3-70b",
    ),
    Published(
        "python -m sglang.launch_server --model-path ~/Llama3-OpenBioLLM-70B-Instruct --port 30000 --mem-fraction-static 0.9 "
        "--tp 8 --disable-disk-cache",
        "8xl4",
        SGLANG + "issues/445",
        "llama-3-70b",
    ),
    Published(
        "vllm serve Qwen3-Coder-30B-A3B-Instruct-FP8 \\\n  --host 0.0.0.0 \\\n  --port 8000 \\\n  --max-model-len 16384 \\\n"
        "  --dtype auto \\\n  --gpu-memory-utilization 0.95 \\\n  --served-model-name Qwen3-Coder-30B-A3B-Instruct-FP8 \\\n"
        "  --enable-auto-tool-choice \\\n  --tool-call-parser hermes \\\n  --reasoning-parser qwen3 \\\n  --language-model-only",
        "rtx-5090",
        VLLM + "issues/41695",
        "qwen3-30b-a3b",
    ),
    Published(
        "vllm serve  Qwen3-32B --tensor-parallel-size 2 ",
        "2xl40s",
        VLLM + "issues/17462, on L20s of 48 GB",
        version="0.8.5",
        driver="535.161.08",
    ),
    Published(
        "python3 -m sglang.launch_server --model-path zai-org/GLM-4.5-Air-FP8 --tp-size 4 --tool-call-parser glm45 "
        "--reasoning-parser glm45 --speculative-algorithm EAGLE --speculative-num-steps 3 --speculative-eagle-topk 1 "
        "--speculative-num-draft-tokens 4 --mem-fraction-static 0.7 --disable-shared-experts-fusion "
        "--served-model-name glm-4.5-air-fp8 --host 0.0.0.0 --port 8000",
        "4xh100",
        "github.com/zai-org/GLM-4.5/issues/3, which loads the model a second time to draft",
    ),
]

# Found after the engines' memory was last changed for the lines above, and judged once. What was taken: lines that are whole, on
# accelerators that are named, of which it is said that the engine started, or that it ran out of memory while it did. Left out:
# those that ran out where the same line on the same machine ran with the engine's other mode (vllm issues 17431 and 18446), and
# those of models or accelerators whose sizes are not at hand.

QWEN_VL = '{"model_type": "qwen3_vl_moe", "tie_word_embeddings": false, "text_config": {"model_type": "qwen3_vl_moe_text", '
QWEN_VL += '"hidden_size": 4096, "num_hidden_layers": 94, "num_attention_heads": 64, "head_dim": 128, "num_key_value_heads": 4, '
QWEN_VL += '"intermediate_size": 12288, "moe_intermediate_size": 1536, "num_experts": 128, "num_experts_per_tok": 8, '
QWEN_VL += '"decoder_sparse_step": 1, "mlp_only_layers": [], "norm_topk_prob": true, "vocab_size": 151936, '
QWEN_VL += (
    '"max_position_embeddings": 262144}, "vision_config": {"model_type": "qwen3_vl_moe", "depth": 27, "hidden_size": 1152, '
)
QWEN_VL += '"intermediate_size": 4304, "num_heads": 16, "out_hidden_size": 4096, "deepstack_visual_indexes": [8, 16, 24], '
QWEN_VL += (
    '"patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3, "num_position_embeddings": 2304, '
)
QWEN_VL += (
    '"hidden_act": "gelu_pytorch_tanh"}, "preprocessor_config": {"size": {"longest_edge": 16777216, "shortest_edge": 65536}, '
)
QWEN_VL += '"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}}'
"""Qwen3-VL-235B-A22B, as its config.json and preprocessor_config.json say; the lists had its text alone when they were judged
first.
"""
QWEN = (
    '{"model_type": "qwen2", "tie_word_embeddings": %s, "hidden_size": %d, "num_hidden_layers": %d, "num_attention_heads": %d, '
)
QWEN += '"num_key_value_heads": %d, "intermediate_size": %d, "vocab_size": %d, "max_position_embeddings": %d}'

SEES = ', "vision_config": {"model_type": "qwen2_5_vl", "depth": 32, "hidden_act": "silu", "hidden_size": 1280, '
SEES += '"intermediate_size": 3420, "num_heads": 16, "in_chans": 3, "out_hidden_size": 2048, "patch_size": 14, '
SEES += '"spatial_merge_size": 2, "spatial_patch_size": 14, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], '
SEES += '"temporal_patch_size": 2}, "preprocessor_config": {"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, '
SEES += '"temporal_patch_size": 2, "merge_size": 2}}'
QWEN25_VL = (QWEN % ("true", 2048, 36, 16, 2, 11008, 151936, 128000)).replace("qwen2", "qwen2_5_vl").rstrip("}") + SEES
INTERNVL = '{"model_type": "internvl", "image_seq_length": 256, "downsample_ratio": 0.5, "vision_feature_layer": -1, '
INTERNVL += '"projector_hidden_act": "gelu", "vision_config": {"model_type": "internvl_vision", "hidden_size": 3200, '
INTERNVL += '"num_hidden_layers": 45, "num_attention_heads": 25, "intermediate_size": 12800, "image_size": [448, 448], '
INTERNVL += '"patch_size": [14, 14], "use_qk_norm": true, "attention_bias": false, "norm_type": "rms_norm"}, "text_config": '
INTERNVL += (QWEN % ("false", 8192, 80, 64, 8, 29568, 151674, 32768)) + "}"
"""Qwen2.5-VL-3B with what stands beside its config.json, and InternVL3-78B: with their encoders of images, which the lists had
without them when they were judged first.
"""

HELD_RAN = [
    Published(
        "python -m vllm.entrypoints.openai.api_server \\\n  --model Qwen/Qwen3-VL-235B-A22B-Instruct \\\n"
        "  --served-model-name Qwen/Qwen3-VL-235B-A22B-Instruct \\\n  --tensor-parallel-size 8 \\\n"
        "  --mm-encoder-tp-mode data \\\n  --enable-expert-parallel \\\n  --host 0.0.0.0 \\\n  --port 8419 \\\n"
        "  --dtype bfloat16 \\\n"
        "  --gpu-memory-utilization 0.9 \\\n  --max-model-len 41960 \\\n  --max-num-batched-tokens 128 \\\n"
        "  --distributed-executor-backend mp",
        "8xh800",
        "github.com/QwenLM/Qwen3-VL/issues/1489",
        QWEN_VL,
    ),
    Published(
        "python -m sglang.launch_server --model-path meta-llama/Meta-Llama-3.1-405B-FP8 --tp 8 --disable-radix --mem-frac 0.87",
        "8xh100",
        SGLANG + "issues/1362",
        "llama-3.1-405b",
    ),
    Published("vllm serve baidu/ERNIE-4.5-21B-A3B-PT", "h100", RECIPES + "Ernie/Ernie4.5.md", "ernie-4.5-21b-a3b"),
    Published(
        "VLLM_ROCM_USE_AITER=1 \\\nSAFETENSORS_FAST_GPU=1 \\\nvllm serve baidu/ERNIE-4.5-21B-A3B-PT/ \\\n"
        "    --tensor-parallel-size 4 \\\n    --gpu-memory-utilization 0.9 \\\n    --disable-log-requests \\\n"
        "    --no-enable-prefix-caching \\\n    --trust-remote-code",
        "4xmi300x",
        RECIPES + "Ernie/Ernie4.5.md",
        "ernie-4.5-21b-a3b",
    ),
    Published(
        'DTYPE="FP4"\nYAML_CONFIG="Llama4_Blackwell.yaml"\nvllm serve nvidia/Llama-4-Scout-Instruct-$DTYPE \\\n'
        "  --config ${YAML_CONFIG} \\\n  --tensor-parallel-size 1 \\\n  --max-num-seqs 512 \\\n  --max-model-len 10240 &",
        "b200",
        RECIPES + "Llama/Llama4-Scout.md",
        "llama-4-scout",
    ),
    Published(
        "vllm serve Qwen/Qwen3.5-397B-A17B \\\n  --tensor-parallel-size 8 \\\n  --language-model-only \\\n"
        "  --reasoning-parser deepseek_r1 \\\n  --enable-prefix-caching",
        "8xh200",
        RECIPES + "Qwen/Qwen3.5.md",
    ),
    Published(
        'DTYPE="FP8"\nKV_CACHE_DTYPE="fp8"\nvllm serve nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-$DTYPE \\\n'
        "  --trust-remote-code \\\n  --async-scheduling \\\n  --kv-cache-dtype $KV_CACHE_DTYPE \\\n  --tensor-parallel-size 1 &",
        "h200",
        RECIPES + "NVIDIA/Nemotron-3-Nano-30B-A3B.md",
        "nemotron-3-nano-30b",
    ),
    Published(
        'export TP=1\nexport VLLM_ROCM_USE_AITER=1\nexport MODEL="meta-llama/Llama-3.1-8B-Instruct"\nvllm serve $MODEL \\\n'
        "  --disable-log-requests \\\n  -tp $TP &",
        "mi300x",
        RECIPES + "Llama/Llama3.1.md",
    ),
    Published(
        "VLLM_USE_V1=0  /home/python_vllm_env_085/bin/python -m vllm.entrypoints.openai.api_server     "
        "--model /root/yjpzmodel/basemodel/Qwen3-8B     --served-model-name Qwen3-8B --gpu-memory-utilization 0.4 --port 8001",
        "a100",
        VLLM + "issues/17431, on an A800",
        "qwen3-8b",
        version="0.8.5",
    ),
    Published(
        "python -m vllm.entrypoints.openai.api_server \\\n--model meta-llama/Llama-2-70b-chat-hf \\\n"
        "--tensor-parallel-size 8 \\\n",
        "8xa100-40gb",
        VLLM + "issues/882",
        "llama-2-70b",
    ),
]

HELD_FAILED = [
    Published(
        " python -m vllm.entrypoints.openai.api_server --model data/Qwen1.5-14B-Chat --host 0.0.0.0 --port 30005 --dtype half "
        "--gpu-memory-utilization 0.95",
        "v100",
        "github.com/QwenLM/Qwen3/issues/12",
        QWEN % ("false", 5120, 40, 40, 40, 13696, 152064, 32768),
    ),
    Published(
        "CUDA_VISIBLE_DEVICES=7 python -m vllm.entrypoints.openai.api_server     --model qwen/Qwen1.5-7B-Chat-GPTQ-Int4     "
        "--served-model-name qwen/Qwen1.5-7B-Chat-GPTQ-Int4     --quantization gptq",
        "rtx-3090",
        "github.com/QwenLM/Qwen3/issues/16",
        QWEN % ("false", 4096, 32, 32, 32, 11008, 151936, 32768),
    ),
    Published(
        "vllm serve /root/.cache/huggingface/deepseek-V3/ --tensor-parallel-size 8 --pipeline-parallel-size 2 "
        "--trust-remote-code --gpu-memory-utilization 1 --kv-cache-dtype fp8"
        " --distributed-executor-backend ray --max-num-seqs 1 --dtype half",
        "16xl40s",
        VLLM + "issues/14726, on L40s",
        "deepseek-v3",
    ),
    Published(
        'export PYTORCH_CUDA_ALLOC_CONF="expandable_segments:True"\n \nvllm serve deepseek-ai/DeepSeek-V3 \\\n'
        "    --trust-remote-code \\\n    --host 0.0.0.0 --port $PORT \\\n    --gpu-memory-utilization 0.98 \\\n"
        "    --max-model-len 128 \\\n    --tensor-parallel-size 8 --pipeline-parallel-size 4 --enforce-eager",
        "32xrtx-4090",
        "github.com/deepseek-ai/DeepSeek-V3/issues/205",
    ),
    Published(
        "python -m vllm.entrypoints.openai.api_server --model meta-llama/Llama-2-70b-hf",
        "8xa100-40gb",
        VLLM + "issues/882",
        "llama-2-70b",
    ),
    Published(
        "CUDA_VISIBLE_DEVICES=4,5,6,7 vllm serve /data/ps/pretrained_model/OpenGVLab/InternVL3-78B/ --dtype bfloat16 --port 8009 "
        "--trust-remote-code --served-model-name qwen2vl --tensor-parallel-size 4 --gpu-memory-utilization 0.95 --max-num-seqs 2 "
        "--max-model-len 4096 --limit-mm-per-prompt image=1,video=0 --mm_processor_kwargs '{\"max_pixels\":1024}' "
        "--enforce-eager",
        "8xa100-40gb",
        VLLM + "issues/16749",
        INTERNVL,
    ),
    Published(
        "vllm serve Qwen/Qwen3-VL-235B-A22B-Instruct \\\n  --tensor-parallel-size 8 \\\n  --max-model-len 128000 \\\n"
        "  --async-scheduling \\\n  --enable-expert-parallel",
        "8xa100",
        "github.com/QwenLM/Qwen3-VL/issues/1684",
        QWEN_VL,
        version="0.11.0",
    ),
    Published(
        "docker run -d --restart=always \\\n    --runtime=nvidia \\\n    --gpus '\"device=0,1,2,3,4,5,6,7\"' \\\n"
        "    --shm-size=10.24gb \\\n    -p 5020:5020 \\\n        -e NCCL_IGNORE_DISABLED_P2P=1 \\\n"
        "    -e HUGGING_FACE_HUB_TOKEN=$HUGGING_FACE_HUB_TOKEN \\\n    -v /etc/passwd:/etc/passwd:ro \\\n    --network host \\\n"
        "    --name llama31-405b \\\n    vllm/vllm-openai:latest \\\n        --port=5020 \\\n        --host=0.0.0.0 \\\n"
        "        --model=meta-llama/Meta-Llama-3.1-405B-Instruct-FP8 \\\n        --seed 1234 \\\n"
        "        --tensor-parallel-size=8 \\\n"
        "        --max-log-len=100 \\\n        --max-model-len=65536 \\\n        --max_num_seqs=16 \\\n"
        "        --gpu-memory-utilization 0.99 \\\n        --enable_chunked_prefill=True \\\n"
        "        --download-dir=$HOME/.cache/huggingface/hub &>> logs.vllm_server.llama31_405b2.txt",
        "8xh100",
        VLLM + "issues/6746",
        "llama-3.1-405b",
    ),
    Published(
        "python -m sglang.launch_server --model  Qwen/Qwen3-235B-A22B-GPTQ-Int4 \\\n     --tp 2 --mem-fraction 0.85  "
        "--host 0.0.0.0 --port 8000  \\\n     --context-len 32768 --chunked-prefill-size 32768 \\\n     --disable-cuda-graph",
        "2xa100",
        SGLANG + "issues/8362, without its last flags, which are of graphs",
        "qwen3-235b-a22b",
    ),
    Published(
        "vllm serve Qwen/Qwen2.5-VL-3B-Instruct --gpu-memory-utilization 0.3",
        "a100",
        VLLM + "issues/18124",
        QWEN25_VL,
    ),
    Published(
        "docker run -d --gpus all \\\n  --shm-size 32g \\\n  -p 30000:30000 \\\n"
        "  -v /mnt/nvme/models:/root/.cache/hub/models \\\n  --ipc=host \\\n  lmsysorg/sglang:v0.5.3.post1 \\\n"
        "  python3 -m sglang.launch_server \\\n    --model-path /root/.cache/hub/models/Qwen3-VL-235B-A22B-Thinking-AWQ  \\\n"
        "    --host 0.0.0.0 --port 30000 --tp 4 --enable-multimodal --mem-fraction-static 0.9\n",
        "4xl40s",
        SGLANG + "issues/11471, on RTX 4090s with 48 GB",
        "qwen3-235b-a22b",
    ),
]

# Chosen on 2026-11-29, before llmcx was asked about any of them, by the rules of the lists above; with the version of the engine
# where the source states one. Of the same size, and so in their place: an L4 for A10s of 24 GB ("21.99GiB" in their log),
# a Blackwell for H20s of 96 GB, Ada cards for an A6000 and for L40s and RTX 4090s of 48 GB.

CODER = (
    '{"model_type": "llama", "hidden_size": 7168, "num_hidden_layers": 62, "num_attention_heads": 56, "num_key_value_heads": 8, '
)
CODER += '"intermediate_size": 19200, "vocab_size": 32256, "max_position_embeddings": 16384, "tie_word_embeddings": false}'
MISTRAL3 = '{"model_type": "mistral3", "spatial_merge_size": 2, "text_config": {"model_type": "mistral", "hidden_size": 5120, '
MISTRAL3 += '"num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, '
MISTRAL3 += '"intermediate_size": 32768, "vocab_size": 131072, "max_position_embeddings": 131072}, "vision_config": '
MISTRAL3 += '{"model_type": "pixtral", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, '
MISTRAL3 += '"intermediate_size": 4096, "patch_size": 14, "image_size": 1540}}'

FRESH_RAN = [
    Published(
        "python3 -m sglang.launch_server --model-path deepseek-ai/DeepSeek-V2.5 --trust-remote-code --disable-radix-cache "
        "--tensor-parallel-size 8",
        "8xh100",
        SGLANG + "issues/2763: its line without --enable-dp-attention",
        "deepseek-v2",
    ),
    Published(
        "docker run --runtime nvidia --gpus all \\\n        -d \\\n        -v /root/models:/models \\\n        -p 5536:8000 \\\n"
        '        --env "HF_HUB_OFFLINE=1" \\\n        --ipc=host \\\n        vllm/vllm-openai:latest \\\n'
        "        --model /models/Qwen/Qwen3-235B-A22B-FP8 \\\n        --tokenizer /models/Qwen/Qwen3-235B-A22B-FP8 \\\n"
        "        --generation-config /models/Qwen/Qwen3-235B-A22B-FP8 \\\n        --served_model_name Qwen3-235B-A22B-FP8 \\\n"
        "        --gpu_memory_utilization 0.9 \\\n        --enable-reasoning --reasoning-parser deepseek_r1 \\\n"
        "        --enable-auto-tool-choice --tool-call-parser hermes \\\n        --host 0.0.0.0 \\\n        --port 8000 \\\n"
        "        --enable-expert-parallel \\\n        --tensor-parallel-size 8",
        "8xrtx-6000-ada",
        VLLM + "issues/17327, on RTX 4090s of 48 GB",
        version="0.8.5",
    ),
    Published(
        "python3 -m sglang.launch_server --model meta-llama/Llama-3.3-70B-Instruct --speculative-algo EAGLE3 \\\n"
        "    --speculative-draft-model-path /sgl-workspace/EAGLE3-LLaMA3.3-Instruct-70B --speculative-num-steps 8 \\\n"
        "    --speculative-eagle-topk 8 --speculative-num-draft-tokens 64 \\\n"
        "    --cuda-graph-max-bs 1 --dtype float16 --port 30000 --tp 8",
        "8xh100",
        SGLANG + "pull/4716, where --speculative-draft is short for this",
        "llama-3.1-70b",
    ),
    Published(
        "CUDA_VISIBLE_DEVICES=1 python -m sglang.launch_server --model-path /local/path/qwen2.5-7b-instruct --host 0.0.0.0 "
        "--port 6800 --speculative-algorithm EAGLE --speculative-draft-model-path "
        "/localpath/qwen2.5-7b-instruct-draft/checkpoint-41775 --speculative-num-steps 5 --speculative-eagle-topk 4 "
        "--speculative-num-draft-tokens 32 --mem-fraction-static 0.75",
        "a100",
        "github.com/NickL77/BaldEagle/issues/15, on an A800",
        "qwen2.5-7b",
    ),
    Published(
        "vllm serve deepseek-ai/DeepSeek-V3.1 \\\n  --enable-expert-parallel \\\n  --tensor-parallel-size 8 \\\n"
        "  --served-model-name ds31 ",
        "8xh200",
        RECIPES + "DeepSeek/DeepSeek-V3_1.md",
        "deepseek-v3",
    ),
    Published(
        "vllm serve zai-org/GLM-4.7-FP8 \\\n     --tensor-parallel-size 4 \\\n     --speculative-config.method mtp \\\n"
        "     --speculative-config.num_speculative_tokens 1 \\\n     --tool-call-parser glm47 \\\n"
        "     --reasoning-parser glm45 \\\n     --enable-auto-tool-choice",
        "4xh200",
        RECIPES + "GLM/GLM.md",
        "glm-4.5",
    ),
    Published(
        "vllm serve google/gemma-4-31B-it \\\n  --tensor-parallel-size 2 \\\n  --max-model-len 32768 \\\n"
        "  --gpu-memory-utilization 0.90",
        "2xa100",
        RECIPES + "Google/Gemma4.md",
        "gemma-4-31b",
    ),
    Published(
        "vllm serve google/gemma-4-26B-A4B-it \\\n  --max-model-len 32768 \\\n  --gpu-memory-utilization 0.90",
        "a100",
        RECIPES + "Google/Gemma4.md",
        "gemma-4-26b-a4b",
    ),
    Published(
        "vllm serve internlm/Intern-S1-FP8 \\\n  --trust-remote-code \\\n  --tensor-parallel-size 4 \\\n"
        "  --enable-auto-tool-choice \\\n  --reasoning-parser deepseek_r1 \\\n  --tool-call-parser internlm",
        "4xh800",
        RECIPES + "InternLM/Intern-S1.md; the shape is that of its language model alone",
        "qwen3-235b-a22b",
    ),
    Published(
        'HIP_VISIBLE_DEVICES="4,5,6,7" \\\nVLLM_USE_V1=1 \\\nVLLM_ROCM_USE_AITER=1 \\\nVLLM_ROCM_USE_AITER_MHA=0 \\\n'
        "VLLM_V1_USE_PREFILL_DECODE_ATTENTION=1 \\\nVLLM_USE_TRITON_FLASH_ATTN=0 \\\nSAFETENSORS_FAST_GPU=1  \\\n"
        "vllm serve Qwen/Qwen3-235B-A22B \\\n--trust-remote-code \\\n-tp 4 \\\n--disable-log-requests \\\n--swap-space 32 \\\n"
        "--distributed-executor-backend mp \\\n--max-num-batched-tokens 32768 \\\n--max-model-len 32768 \\\n"
        "--no-enable-prefix-caching \\\n--gpu-memory-utilization 0.8",
        "8xmi300x",
        RECIPES + "Qwen/Qwen3.md",
        version="0.14.1",
    ),
]

FRESH_FAILED = [
    Published(
        "python -m vllm.entrypoints.openai.api_server --dtype float16 --trust-remote-code --model "
        "/models/deepseek-coder-33b-instruct  --served-model-name deepseek-coder-33b-instruct --port 8000 --host 0.0.0.0 "
        "--tensor-parallel-size 2",
        "2xl40s",
        VLLM + "issues/4429",
        CODER,
    ),
    Published(
        "VLLM_USE_V1=0  vllm serve gaunernst/gemma-3-27b-it-int4-awq \\\n --max-model-len 4096 --gpu-memory-utilization 0.98   "
        "--distributed-executor-backend ray  --dtype float16 ",
        "l4",
        VLLM + "issues/16199, its first command",
        "gemma-3-27b",
        "0.8.3",
    ),
    Published(
        " VLLM_USE_V1=0  vllm serve gaunernst/gemma-3-27b-it-int4-awq \\\n --max-model-len 128 --gpu-memory-utilization 0.98   "
        "--distributed-executor-backend ray  --dtype float16 ",
        "l4",
        VLLM + "issues/16199, its second command",
        "gemma-3-27b",
        "0.8.3",
    ),
    Published(
        "vllm serve OPEA/Mistral-Small-3.1-24B-Instruct-2503-int4-AutoRound-awq-sym \\\n--tensor-parallel-size 1  "
        "--max-model-len 4096 --gpu-memory-utilization 0.95   --distributed-executor-backend ray  --dtype float16  "
        "--max-num-seqs 2",
        "l4",
        VLLM + "issues/16128",
        MISTRAL3,
        "0.8.3",
    ),
    Published(
        "VLLM_USE_V1=0 vllm serve cognitivecomputations/Qwen3-235B-A22B-AWQ --tensor-parallel-size 4  --max-model-len 8192 "
        "--gpu-memory-utilization 0.95   --distributed-executor-backend mp ",
        "4xl4",
        VLLM + "issues/18156",
        version="0.8.5",
    ),
    Published(
        "python3 -m sglang.launch_server --model-path deepseek-ai/DeepSeek-V2.5 --enable-dp-attention --trust-remote-code "
        "--disable-radix-cache --tensor-parallel-size 8",
        "8xh100",
        SGLANG + "issues/2763",
        "deepseek-v2",
    ),
    Published(
        "vllm serve ./Qwen3-235B-A22B --tensor-parallel-size 4",
        "4xrtx-pro-6000",
        VLLM + "issues/17327, on H20s of 96 GB",
        "qwen3-235b-a22b",
        "0.8.5",
    ),
    Published(
        "python3 -m vllm.entrypoints.openai.api_server --model /data/models/Qwen3-VL-235B-A22B-Instruct --host 0.0.0.0 --port=80 "
        "--disable-log-requests --seed 0 --tensor_parallel_size=8 --trust-remote-code --gpu-memory-utilization 0.70 "
        "--mm-encoder-tp-mode data --enable-expert-paralle --distributed-executor-backend mp --dtype bfloat16 --quantization fp8 "
        "--max_model_len 8192",
        "8xrtx-pro-6000",
        "github.com/QwenLM/Qwen3-VL/issues/1493, on H20s of 96 GB",
        QWEN_VL,
    ),
    Published(
        "python -m sglang.launch_server --model-path meta-llama/Llama-4-Scout-17B-16E-Instruct --port 30000 --tp 8 "
        "--context-length 1000000 --mem-fraction-static 0.8\n",
        "8xh200",
        SGLANG + "issues/6817",
        "llama-4-scout",
    ),
    Published(
        "export MODEL_PATH=/data3/models/Qwen2.5-32B-Instruct\n\npython3 -m vllm.entrypoints.openai.api_server "
        "--model $MODEL_PATH --seed 1100 --dtype bfloat16 --trust-remote-code --port 8001 --gpu-memory-utilization 0.9 "
        "--cpu-offload-gb 30",
        "rtx-6000-ada",
        VLLM + "issues/9339, on an A6000",
        "qwen2.5-32b",
    ),
    Published(
        "vllm serve Qwen/Qwen3-32B --disable-uvicorn-access-log --gpu-memory-utilization=0.95 --tensor-parallel-size=2",
        "2xh100",
        "github.com/llm-d/llm-d/issues/787, whose values.yaml has these flags",
        version="0.11.0",
    ),
]

# Chosen on 2026-11-29, before llmcx was asked about any of them, after graphs were counted by what each version captures, and
# the encoders of Qwen3-VL, copies for latents and releases that keep attention in 16 bits were known. By the rules of the lists
# above; an RTX 3090 stands for a 2080 Ti of 22 GB, which has less. Left out too: what gave the facts for those (DeepSeek-V3 and
# Llama 405B in fp8, Qwen3-30B-A3B on RTX 4090s), and a recipe for Qwen3-VL in 16 bits with 128,000 tokens, of which issue 1684
# says no.

VL72 = (QWEN % ("false", 8192, 80, 64, 8, 29568, 152064, 128000)).replace("qwen2", "qwen2_5_vl").rstrip("}")
VL72 += SEES.replace("3420", "3456").replace("2048", "8192")
QWEN15_72B = QWEN % ("false", 8192, 80, 64, 64, 24576, 152064, 32768)
QWEN3_VL = RECIPES + "Qwen/Qwen3-VL.md"

LAST_RAN = [
    Published(
        "CUDA_VISIBLE_DEVICES=0,1 python -m vllm.entrypoints.openai.api_server --model ../models/Qwen1.5-72B-Chat "
        "--tensor-parallel-size 2 --gpu-memory-utilization 0.95 --max-model-len 2048",
        "2xa100",
        "github.com/QwenLM/Qwen3/issues/88, on A800s",
        QWEN15_72B,
    ),
    Published(
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True TORCH_COMPILE_CACHE_DIR=/mnt/ai_container/data/llama4/torch_cache "
        'XDG_CACHE_HOME=/mnt/ai_container/data/llama4/torch_cache vllm serve "meta-llama/Llama-4-Scout-17B-16E-Instruct" '
        "--tensor-parallel-size 4 --gpu-memory-utilization 0.95 --max-model-len 49152 --block-size 16 --swap-space 16 "
        "--enforce-eager --max-num-batched-tokens 8192 --max-num-seqs 256",
        "4xh100",
        VLLM + "issues/16330",
        "llama-4-scout",
    ),
    Published(
        "python -m sglang.launch_server --model meta-llama/Llama-4-Scout-17B-16E-Instruct \\\n--port 8080 \\\n--tp-size 8 \\\n"
        "--chat-template llama-4 \\\n--attention-backend=fa3 \\\n--context-length 1000000 \n",
        "8xh100",
        SGLANG + "issues/5212, which has no -m: it ran out at a request of 400,000 tokens",
        "llama-4-scout",
    ),
    Published(
        "vllm serve meta-llama/Meta-Llama-3.1-8B-Instruct --tensor-parallel-size 1 --max-model-len 1024",
        "l4",
        VLLM + "issues/6689",
        "llama-3.1-8b",
    ),
    Published(
        "CUDA_VISIBLE_DEVICES=4,5,6,7 python -m vllm.entrypoints.openai.api_server --served-model-name Yi-1.5-34B-Chat "
        "--model /workspace/sdb/models/Yi/Yi-1.5-34B-Chat/ --port 8001 --gpu-memory-utilization 0.9 --swap-space 0  "
        "--tensor-parallel-size 4",
        "4xrtx-4090",
        VLLM + "issues/7553",
        "yi-34b",
    ),
    Published(
        "vllm serve /models/DeepSeek-R1 \\\n    --max-num-seqs=16 \\\n    --max-model-len=16384 \\\n"
        "    --max-num-batched-tokens=16384 \\\n    --tensor-parallel-size 16 \\\n    --enable-prefix-caching \\\n"
        "    --enable-chunked-prefill \\\n    --distributed-executor-backend=ray \\\n    --trust-remote-code \\\n"
        "    --enable-reasoning \\\n    --reasoning-parser deepseek_r1 \\\n    --served-model-name deepseek-r1-250120 \n",
        "16xh800",
        VLLM + "issues/16692, where $MODELPATH is this model's",
        "deepseek-v3",
        "0.7.2",
    ),
    Published(
        "python3 -m vllm.entrypoints.openai.api_server   --model /models/QwQ-32B-unsloth-bnb-4bit   --pipeline-parallel-size 2   "
        "--trust-remote-code   --gpu-memory-utilization 0.85   --max-model-len 50000   --enable-reasoning   "
        "--reasoning-parser deepseek_r1   --device cuda",
        "2xrtx-5090",
        VLLM + "issues/14452, its second try",
        "qwen2.5-32b",
        "0.8.5",
    ),
    Published(
        "export CUDA_VISIBLE_DEVICES=0,1,2,3\nvllm serve Qwen/Qwen2.5-VL-72B-Instruct  \\\n  --host 0.0.0.0 \\\n"
        "  --port 8000 \\\n  --tensor-parallel-size 4 \\\n  --mm-encoder-tp-mode data \\\n"
        '  --limit-mm-per-prompt \'{"image":2,"video":0}\'\n',
        "4xa100",
        RECIPES + "Qwen/Qwen2.5-VL.md",
        VL72,
    ),
    Published(
        "vllm serve Qwen/Qwen3-VL-235B-A22B-Instruct-FP8 \\\n  --tensor-parallel-size 8 \\\n  --mm-encoder-tp-mode data \\\n"
        "  --enable-expert-parallel \\\n  --async-scheduling",
        "8xh100",
        QWEN3_VL,
        QWEN_VL,
    ),
    Published(
        "vllm serve Qwen/Qwen3-VL-235B-A22B-Instruct-FP8 \\\n  --tensor-parallel-size 4 \\\n  --limit-mm-per-prompt.video 0 \\\n"
        "  --async-scheduling \\\n  --gpu-memory-utilization 0.95 \\\n  --max-num-seqs 128",
        "4xh100",
        QWEN3_VL,
        QWEN_VL,
    ),
    Published(
        "vllm serve Qwen/Qwen3-VL-235B-A22B-Instruct \\\n  --tensor-parallel-size 8 \\\n  --limit-mm-per-prompt.video 0 \\\n"
        "  --async-scheduling",
        "8xa100",
        QWEN3_VL,
        QWEN_VL,
    ),
    Published(
        "VLLM_USE_DEEP_GEMM=1 vllm serve Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8 \\\n  --max-model-len 131072 \\\n"
        "  --enable-expert-parallel \\\n  --data-parallel-size 8 \\\n  --enable-auto-tool-choice \\\n"
        "  --tool-call-parser qwen3_coder",
        "8xh200",
        RECIPES + "Qwen/Qwen3-Coder-480B-A35B.md",
        "qwen3-coder-480b-a35b",
    ),
    Published(
        "VLLM_ROCM_USE_AITER=1 vllm serve Qwen/Qwen3-Coder-480B-A35B-Instruct \\\n  --max-model-len 32000 \\\n"
        "  --enable-expert-parallel \\\n  --tensor-parallel-size 8 \\\n  --enable-auto-tool-choice \\\n"
        "  --tool-call-parser qwen3_coder",
        "8xmi300x",
        RECIPES + "Qwen/Qwen3-Coder-480B-A35B.md",
        "qwen3-coder-480b-a35b",
    ),
]

VL72_LINE = "CUDA_VISIBLE_DEVICES=4,5,6,7 vllm serve /data/ps/pretrained_model/Qwen/Qwen2.5-VL-72B-Instruct/ --dtype bfloat16 "
VL72_LINE += "--port 8009 --trust-remote-code --served-model-name qwen2vl --tensor-parallel-size 4 --gpu-memory-utilization 0.95 "
VL72_LINE += "--max-num-seqs 2 --max-model-len 4096 --limit-mm-per-prompt image=1,video=0 "

LAST_FAILED = [
    Published(
        "vllm serve Qwen2.5-32B-Instruct-INT8-W8A16 --tensor-parallel-size 2 --gpu-memory-utilization 0.9 --max-model-len 4096 "
        "--enforce-eager",
        "2xrtx-3090",
        VLLM + "issues/17238",
        "qwen2.5-32b",
        "0.8.1",
    ),
    Published(
        "python -m vllm.entrypoints.openai.api_server --model mistralai/Mixtral-8x7B-v0.1",
        "a100-40gb",
        VLLM + "issues/2363",
        "mixtral-8x7b",
    ),
    Published(
        "python3 -m vllm.entrypoints.openai.api_server --model mistralai/Mixtral-8x7B-Instruct-v0.1 --tensor-parallel-size 2 "
        "--max-model-len 8000",
        "2xrtx-6000-ada",
        VLLM + "issues/2363, on A6000s",
        "mixtral-8x7b",
    ),
    Published(
        "CUDA_VISIBLE_DEVICES=0,1,2,3 vllm serve /root/Qwen/Qwen3-30B-A3B --tensor-parallel-size 4 --max-model-len 8192 "
        "--gpu-memory-utilization 0.7 --host 0.0.0.0 --port 8081 --served-model-name Qwen3-30B-A3B-vllm",
        "4xl4",
        "github.com/QwenLM/Qwen3/issues/1387, on A10s",
        "qwen3-30b-a3b",
    ),
    Published(
        VL72_LINE + "--mm_processor_kwargs '{\"max_pixels\":1048576}'", "8xa100-40gb", VLLM + "issues/16570", VL72, "0.8.4"
    ),
    Published(
        VL72_LINE + "--mm_processor_kwargs '{\"max_pixels\":1024}'",
        "8xa100-40gb",
        VLLM + "issues/16570, its next try",
        VL72,
        "0.8.4",
    ),
    Published(
        "python -m vllm.entrypoints.openai.api_server --model /home/jovyan/qwen/Qwen2-7B-Instruct  "
        "--served-model-name Qwen2-7B-Instruct --max-model-len=512 --dtype=float --enforce-eager",
        "rtx-3090",
        VLLM + "issues/2140, on a 2080 Ti of 22 GB",
        "qwen2-7b",
    ),
    Published(
        "vllm serve deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B --tensor-parallel-size 4 --max-model-len 32768 --enforce-eager",
        "4xl4",
        VLLM + "issues/12539",
        QWEN % ("false", 1536, 28, 12, 2, 8960, 151936, 131072),
        "0.7.0",
    ),
    Published(
        "python3 -m sglang.launch_server --model meta-llama/Llama-4-Scout-17B-16E-Instruct --trust-remote-code --tp 8 "
        "--disable-cuda-graph",
        "8xh100",
        SGLANG + "issues/5755, whose log has GPUs of 79.1 GiB",
        "llama-4-scout",
    ),
    Published(
        "vllm serve meta-llama/Llama-4-Scout-17B-16E-Instruct --gpu-memory-utilization=0.99 --max-model-len=1000 "
        "--tensor-parallel-size=2 --kv-cache-dtype=fp8",
        "2xrtx-pro-6000",
        VLLM + "issues/16712, whose extraArgs has these flags, on H100s of 94 GB",
        "llama-4-scout",
    ),
    Published(
        "CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6,7 python -m vllm.entrypoints.openai.api_server \\\n--model qwen/Qwen1.5-72B-Chat \n",
        "8xa100",
        "github.com/QwenLM/Qwen3/issues/67, on A800s",
        QWEN15_72B,
    ),
    Published(
        "python3 -m vllm.entrypoints.openai.api_server   --model /models/QwQ-32B-unsloth-bnb-4bit   --pipeline-parallel-size 2   "
        "--trust-remote-code   --gpu-memory-utilization 0.85   --max-model-len 60000   --enable-reasoning   "
        "--reasoning-parser deepseek_r1   --device cuda",
        "2xrtx-5090",
        VLLM + "issues/14452, its first try",
        "qwen2.5-32b",
        "0.8.5",
    ),
]

# A fifth list, chosen before pictures beyond Qwen's were known and judged once as it was chosen.

INFERENCEX = "github.com/SemiAnalysisAI/InferenceX/, benchmarks/single_node/fixed_seq_len/"
MLLAMA = json.dumps(
    {
        "model_type": "mllama",
        "text_config": {
            "model_type": "mllama_text_model",
            "hidden_size": 4096,
            "num_hidden_layers": 40,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "intermediate_size": 14336,
            "vocab_size": 128256,
            "max_position_embeddings": 131072,
            "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38],
            "tie_word_embeddings": False,
            "hidden_act": "silu",
        },
        "vision_config": {
            "model_type": "mllama_vision_model",
            "hidden_size": 1280,
            "num_hidden_layers": 32,
            "num_global_layers": 8,
            "attention_heads": 16,
            "intermediate_size": 5120,
            "image_size": 560,
            "patch_size": 14,
            "max_num_tiles": 4,
            "vision_output_dim": 7680,
            "intermediate_layers_indices": [3, 7, 15, 23, 30],
            "hidden_act": "gelu",
            "num_channels": 3,
            "supported_aspect_ratios": [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]],
        },
    }
)
NEXT_RAN = [
    Published(
        "VLLM_MXFP4_USE_MARLIN=1 vllm serve openai/gpt-oss-120b --host=0.0.0.0 --port=8888 --no-enable-prefix-caching "
        "--max-cudagraph-capture-size 2048 --max-num-batched-tokens 8192 --max-model-len 10240 --gpu-memory-utilization=0.9 "
        "--tensor-parallel-size=2 --max-num-seqs=64",
        "2xh100",
        INFERENCEX + "deprecated/gptoss_fp4_h100.sh, its configuration file written as flags",
        version="0.21.0",
    ),
    Published(
        "vllm serve openai/gpt-oss-120b --port 8888 --attention-backend ROCM_AITER_UNIFIED_ATTN "
        "-cc.pass_config.fuse_rope_kvcache=True -cc.use_inductor_graph_partition=True --tensor-parallel-size=1 "
        "--gpu-memory-utilization 0.95 --max-model-len 9472 --block-size=64 --no-enable-prefix-caching",
        "mi300x",
        INFERENCEX + "deprecated/gptoss_fp4_mi300x.sh",
        version="0.17.0",
    ),
    Published(
        "vllm serve MiniMaxAI/MiniMax-M2.5 --host 0.0.0.0 --port 8888 --tensor-parallel-size=8 --enable-expert-parallel "
        "--trust-remote-code --enable-auto-tool-choice --tool-call-parser minimax_m2 "
        "--reasoning-parser minimax_m2_append_think "
        """--compilation-config '{"mode":3,"pass_config":{"fuse_minimax_qk_norm":true}}' --gpu-memory-utilization 0.9""",
        "8xh100",
        INFERENCEX + "deprecated/minimaxm2.5_fp8_h100.sh",
        "minimax-m2",
        "0.22.0",
    ),
    Published(
        "vllm serve MiniMaxAI/MiniMax-M2.5 --port 8888 --tensor-parallel-size=4 --gpu-memory-utilization 0.95 "
        "--max-model-len 9472 "
        "--max-num-seqs 512 --max-num-batched-tokens 32768 --kv-cache-dtype fp8 --moe-backend triton "
        "--attention-backend FLASH_ATTN --no-enable-prefix-caching --trust-remote-code",
        "4xh200",
        INFERENCEX + "deprecated/minimaxm2.5_fp8_h200.sh",
        "minimax-m2",
        "0.22.0",
    ),
    Published(
        "vllm serve moonshotai/Kimi-K2.5 --host 0.0.0.0 --port 8888 --gpu-memory-utilization 0.95 --tensor-parallel-size 8 "
        "--max-model-len 9472 --max-num-seqs 64 --reasoning-parser kimi_k2 --tool-call-parser kimi_k2 "
        "--compilation_config.pass_config.fuse_allreduce_rms true --trust-remote-code --no-enable-prefix-caching",
        "8xh200",
        INFERENCEX + "deprecated/kimik2.5_int4_h200.sh",
        version="0.22.0",
    ),
    Published(
        "VLLM_ROCM_USE_AITER=1 vllm serve moonshotai/Kimi-K2.5 --port 8888 --tensor-parallel-size=8 "
        "--gpu-memory-utilization 0.95 --max-model-len 9472 --block-size=64 --trust-remote-code --no-enable-prefix-caching "
        "--max-num-seqs 256 --mm-encoder-tp-mode data",
        "8xmi300x",
        INFERENCEX + "deprecated/kimik2.5_int4_mi300x.sh",
        version="0.21.0",
    ),
    Published(
        "python3 -m sglang.launch_server --model-path zai-org/GLM-5-FP8 --host 0.0.0.0 --port 8888 --tp-size 8 "
        "--tool-call-parser glm47 --reasoning-parser glm45 --mem-fraction-static 0.85 --served-model-name glm-5-fp8 "
        "--trust-remote-code --enable-flashinfer-allreduce-fusion",
        "8xh200",
        INFERENCEX + "deprecated/glm5_fp8_h200.sh",
    ),
    Published(
        "python3 -m sglang.launch_server --model-path deepseek-ai/DeepSeek-R1-0528 --host 0.0.0.0 --port 8888 "
        "--trust-remote-code "
        "--tensor-parallel-size=8 --data-parallel-size=1 --disable-radix-cache --max-running-requests 256 "
        "--cuda-graph-max-bs 256 --chunked-prefill-size 32768 --max-prefill-tokens 32768 --mem-fraction-static 0.82 "
        "--attention-backend flashinfer --stream-interval 10 --decode-log-interval 1",
        "8xh200",
        INFERENCEX + "dsr1_fp8_h200.sh",
    ),
    Published(
        "SGLANG_USE_AITER=1 python3 -m sglang.launch_server --model-path=deepseek-ai/DeepSeek-R1-0528 --host=0.0.0.0 --port=8888 "
        "--trust-remote-code --tensor-parallel-size=8 --mem-fraction-static=0.8 --cuda-graph-max-bs=128 "
        "--chunked-prefill-size=131072 --num-continuous-decode-steps=4 --max-prefill-tokens=131072 --kv-cache-dtype fp8_e4m3 "
        "--attention-backend aiter --disable-radix-cache",
        "8xmi300x",
        INFERENCEX + "dsr1_fp8_mi300x.sh",
    ),
    Published(
        "python3 -m sglang.launch_server --model Qwen/Qwen3.5-397B-A17B-FP8 --host 0.0.0.0 --port 8888 --tp 8 "
        "--expert-parallel-size 8 --reasoning-parser qwen3 --tool-call-parser qwen3_coder --enable-flashinfer-allreduce-fusion "
        "--max-running-requests 256 --chunked-prefill-size 16384 --decode-log-interval 1 --mem-fraction-static 0.8 "
        "--cuda-graph-max-bs 64 --context-length 9236 --kv-cache-dtype fp8_e4m3 --quantization fp8 --attention-backend "
        "flashinfer "
        "--stream-interval 50 --tokenizer-worker-num 6 --mamba-ssm-dtype bfloat16 --disable-radix-cache --enable-symm-mem "
        "--trust-remote-code",
        "8xh100",
        INFERENCEX + "qwen3.5_fp8_h100.sh",
    ),
    Published(
        "CUDA_VISIBLE_DEVICES=0,1,2,3 \\\nvllm serve /path/to/Qwen3-235B-A22B-FP8 \\\n  --tensor-parallel-size 4 \\\n"
        """  --kv-transfer-config '{"kv_connector":"LMCacheConnectorV1","kv_role":"kv_both"}'""",
        "4xh100",
        VLLM + "issues/21348, of 2025-07-22, with 8.11 GiB for the cache",
        "qwen3-235b-a22b",
    ),
    Published(
        "python3 -m sglang.launch_server --model /path/to/Qwen3-235B-A22B-FP8 --tp 4 --trust-remote-code --host "
        "0.0.0.0 --port 8000 "
        "--mem-fraction-static 0.93",
        "4xh100",
        VLLM + "issues/21348, with a pool of 367,404 tokens",
        "qwen3-235b-a22b",
    ),
    Published(
        "vllm serve nvidia/Qwen3.6-27B-NVFP4 --trust-remote-code --max-model-len 131072 --max-num-seqs 4 --kv-cache-dtype fp8 "
        "--attention-backend flashinfer --enable-chunked-prefill --enable-prefix-caching --max-num-batched-tokens 4096 "
        "--gpu-memory-utilization 0.95",
        "rtx-5090",
        "github.com/vllm-project/recipes/, models/Qwen/Qwen3.6-27B.yaml, rtx_5090: verified",
        version="0.24.0",
    ),
]
NEXT_FAILED = [
    Published(
        "docker run --runtime nvidia --gpus all --ipc=host vllm/vllm-openai:latest --model microsoft/phi-4 "
        "--gpu_memory_utilization=0.80 --max_model_len=4096",
        "rtx-3090",
        VLLM + "issues/16343",
        version="0.8.3",
    ),
    Published(
        "vllm serve Qwen/Qwen3-235B-A22B --gpu-memory-utilization 0.90 --tensor-parallel-size=8 --enable-expert-parallel "
        "--max-model-len 32000 --seed 42 --enable-auto-tool-choice --tool-call-parser hermes",
        "8xa100",
        VLLM + "issues/18446",
        version="0.8.5",
        driver="535.183.01",
    ),
    Published("vllm serve openai/gpt-oss-120b", "h100", VLLM + "issues/23278, with -2.14 GiB for the cache", version="0.10.1"),
    Published(
        "vllm serve  unsloth/Llama-3.2-11B-Vision-Instruct  --tensor-parallel-size 4   --enforce-eager --max-num-seqs 16 ",
        "4xa10",
        VLLM + "issues/8879, of 2025-04-15",
        MLLAMA,
        "0.8.3",
    ),
    Published(
        "vllm serve meta-llama/Llama-3.2-11B-Vision-Instruct --chat-template /workspace/llama_process/chat_template.jinja "
        "--max-model-len 1024",
        "a100",
        VLLM + "issues/9445",
        MLLAMA,
    ),
    Published(
        "python3 -m sglang.launch_server --model-path  /llm/model/google/gemma-3-27b-it-int4-awq/ --host 0.0.0.0 --port 30000 "
        "--trust-remote-code --context-length 4096",
        "rtx-4090",
        SGLANG + "issues/4895, whose author names a 4090 in 4897",
        "gemma-3-27b",
    ),
    Published(
        "CUDA_VISIBLE_DEVICES=0 python3 -m sglang.launch_server \\\n    --model-path /home/diaomuxi/model_zoo/gemma-3-4b-it \\\n"
        "    --chat-template=gemma-it",
        "a100-40gb",
        SGLANG + "issues/4708, on A800s of 40 GB",
        "gemma-3-4b",
    ),
    Published(
        "vllm serve moonshotai/Kimi-K2.5 --host 0.0.0.0 --port 8888 --gpu-memory-utilization 0.95 --tensor-parallel-size 8 "
        "--max-num-seqs 16 --reasoning-parser kimi_k2 --tool-call-parser kimi_k2 "
        "--compilation_config.pass_config.fuse_allreduce_rms true --kv-cache-dtype fp8 --trust-remote-code",
        "8xh100",
        "github.com/SemiAnalysisAI/InferenceX/issues/1587, agentic/kimik2.5_int4_h100.sh",
        version="0.22.0",
    ),
    Published(
        "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0 vllm serve cyankiwi/Qwen3.6-35B-A3B-AWQ-4bit --gpu-memory-utilization 0.6 "
        "--kv-cache-dtype fp8 --max-model-len 65536 --enable-prefix-caching --reasoning-parser qwen3 --enable-auto-tool-choice "
        "--tool-call-parser qwen3_coder --language-model-only --cpu-offload-gb 6",
        "rtx-4090",
        VLLM + "issues/42147",
        version="0.20.1",
    ),
    Published(
        "VLLM_USE_V1=0 vllm serve cognitivecomputations/Qwen3-235B-A22B-AWQ --tensor-parallel-size 4  --max-model-len 8192 "
        "--gpu-memory-utilization 0.95   --distributed-executor-backend mp ",
        "4xa10",
        VLLM + "issues/18156",
        version="0.8.5",
    ),
    Published(
        "VLLM_USE_V2_MODEL_RUNNER=1 vllm serve Qwen/Qwen3.6-27B-FP8 --served-model-name qwen -tp 4",
        "4xh100",
        VLLM + "pull/48601",
    ),
]
