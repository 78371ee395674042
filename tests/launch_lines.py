"""Launch lines that people published, with where they ran or did not: a test asks ``llmcx check`` about each.

A line is as its author wrote it; what a shell script beside it sets is put in. Those that ran are of vLLM's recipes and of issues
and pull requests that show them running; those that did not are of issues whose engine said that memory does not suffice. Where
a line names a model by another name than its shape's preset, that preset stands beside it. H20s of 141 GB are reckoned as H200s,
which have as much.
"""

from __future__ import annotations

from typing import NamedTuple

RECIPES = "github.com/vllm-project/recipes: "
VLLM, SGLANG = "github.com/vllm-project/vllm/", "github.com/sgl-project/sglang/"


class Published(NamedTuple):
    """A line, the accelerators, where it stands, and the preset of its shape."""

    line: str
    hardware: str
    source: str
    preset: str | None = None


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

FAILED = [
    Published(
        "vllm serve --trust-remote-code --tensor_parallel_size 2 --gpu_memory_utilization=0.98  "
        "/root/autodl-tmp/deepseek-ai/DeepSeek-R1-Distill-Qwen-14B",
        "2xrtx-4090",
        VLLM + "issues/13061",
        "qwen2.5-14b",
    ),
    Published(
        "vllm serve openai/gpt-oss-120b --gpu-memory-utilization 0.95 --max-num-batched-tokens 1024",
        "h100",
        VLLM + "issues/27508",
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
    Published("vllm serve  Qwen3-32B --tensor-parallel-size 2 ", "2xl40s", VLLM + "issues/17462, on L20s of 48 GB"),
    Published(
        "python3 -m sglang.launch_server --model-path zai-org/GLM-4.5-Air-FP8 --tp-size 4 --tool-call-parser glm45 "
        "--reasoning-parser glm45 --speculative-algorithm EAGLE --speculative-num-steps 3 --speculative-eagle-topk 1 "
        "--speculative-num-draft-tokens 4 --mem-fraction-static 0.7 --disable-shared-experts-fusion "
        "--served-model-name glm-4.5-air-fp8 --host 0.0.0.0 --port 8000",
        "4xh100",
        "github.com/zai-org/GLM-4.5/issues/3, which loads the model a second time to draft",
    ),
]
