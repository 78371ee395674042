"""The functions of the Python API. Written by python -m llmcx.cli.api from the options that the commands declare.

A ``Size`` is a whole number, or a text as on the command line: "8k", "70B", "80GB". A ``Share`` is a number, or a text: "90%".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from llmcx.answers.attention_compare import Comparison
    from llmcx.answers.bounds import Bounds
    from llmcx.answers.check import Check
    from llmcx.answers.check_train import TrainingCheck
    from llmcx.answers.chinchilla import Optima
    from llmcx.answers.compare import Contrast
    from llmcx.answers.flops import Flops
    from llmcx.answers.log import Explained
    from llmcx.answers.memory import Memory
    from llmcx.answers.moe import Experts
    from llmcx.answers.params import Params
    from llmcx.answers.plan import Trained
    from llmcx.answers.plan_finetune import FinetunePlan
    from llmcx.answers.plan_lifetime import LifetimePlan
    from llmcx.answers.plan_local import LocalPlan
    from llmcx.answers.plan_serve import ServePlan
    from llmcx.answers.plan_train import TrainPlan
    from llmcx.answers.serve import Serving
    from llmcx.answers.shapes import Shapes
    from llmcx.answers.weights import Weights
    from llmcx.catalog.presets import Summary
    from llmcx.model.spec import ModelSpec

    Model: TypeAlias = "str | os.PathLike[str] | ModelSpec | Mapping[str, Any]"
    Number: TypeAlias = "float | str"
    Share: TypeAlias = "float | str"
    Size: TypeAlias = "int | str"
    Text: TypeAlias = "str | os.PathLike[str]"


def _asked(name: str, given: dict[str, Any]) -> Any:
    from llmcx.cli.python import answer

    return answer(name, given)


@overload
def params(
    model: Model | None = None,
    *,
    dtype: str | None = None,
    weights: None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Params: ...


@overload
def params(
    model: Model | None = None,
    *,
    weights: Text,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Weights: ...


def params(
    model: Model | None = None,
    *,
    dtype: str | None = None,
    weights: Text | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Params | Weights:
    """Count parameters: total, active, per component, and their bytes.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    dtype: Of the weights: bf16, fp8, int4, q4_k_m, awq, ... Default: as released. Not with ``weights``.
    weights: Safetensors or GGUF, a file, a directory or ORG/NAME on the hub: what is stored, beside the count.
    preset: A built-in model, by name.
    config: A preset file or a Hugging Face config.json; - is stdin.
    hf: On the Hugging Face hub (extra llmcx[hub]).
    as_type: Read a config.json as this model_type.
    ignore: A key of a config.json that is known to cost nothing, or a list of them.
    layers: Layers.
    d_model: Model width.
    heads: Query heads.
    kv_heads: Key-value heads (1 is MQA).
    head_dim: Width of a head.
    d_ff: Feed-forward width.
    vocab: Vocabulary size; 32k is 32000.
    positions: Learned positions; 8k is 8192.
    context_length: Longest context; 8k is 8192.
    experts: Experts per MoE layer.
    top_k: Experts that each token is routed to.
    experts_from: copy (default): each expert as wide as a dense model's feed-forward; split: d_ff / experts.
    window: Sliding window, own token included.
    ffn: plain or gated.
    norm: layernorm or rmsnorm.
    attention: Exchange the attention: sliding:w=4096, gqa:g=8, mla, dsa:k=2048, mamba2, ... (see `llmcx explain attention`).
    bias: Biases in every linear layer.
    tied: Head tied to the token table.

    >>> params("gpt3").total
    174604259328
    """
    found: Params | Weights = _asked("params", locals())
    return found


def flops(
    model: Model | None = None,
    *,
    seq: Size | None = None,
    batch: Size = 1,
    source_seq: Size | None = None,
    context: Size | None = None,
    causal: bool = False,
    recompute: str = "none",
    convention: str = "flops",
    image: str | None = None,
    images: Size | None = None,
    audio: str | None = None,
    lora: Size | None = None,
    lora_targets: str | Sequence[str] | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Flops:
    """Count FLOPs: forward, backward, training, and one decode step with a KV cache.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    seq: Tokens of a sequence; 8k is 8192. Default: the context.
    batch: Sequences.
    source_seq: Encoder tokens of an encoder-decoder. Default: ``seq``.
    context: Tokens that the decode step attends to. Default: ``seq``.
    causal: Count only the scores a mask or window leaves. Needs ``convention`` flops|macs|eager.
    recompute: none, or full: training does the layers' forward again.
    convention: flops (2 per multiply-add), macs (1), eager (as transformers' code runs), leading-order (no constants).
    image: An image in each sequence, beside the text: 1024x768.
    images: So many of them. Default: 1. Needs ``image``.
    audio: A sound in each sequence, beside the text, with its unit: 30s.
    lora: Fine-tuning: the rank of low-rank adapters on a frozen model.
    lora_targets: The matrices that have adapters. Default: q,k,v,out,gate,up,down. Needs ``lora``.

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> flops("gpt3", seq="2k").forward.total
    734804261732352
    """
    found: Flops = _asked("flops", locals())
    return found


def memory(
    model: Model | None = None,
    *,
    train: bool = False,
    hardware: Text | None = None,
    budget: Size | None = None,
    utilization: Share | None = None,
    fit: str | None = None,
    seq: Size | None = None,
    batch: Size | None = None,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    engine: str | None = None,
    weights: Text | None = None,
    block: Size | None = None,
    max_num_batched_tokens: Size | None = None,
    max_num_seqs: Size | None = None,
    ubatch: Size | None = None,
    swa_full: bool = False,
    ram: Size | None = None,
    outputs: Size | None = None,
    gpus: Size | None = None,
    tp: Size | None = None,
    pp: Size | None = None,
    cp: Size | None = None,
    ep: Size | None = None,
    zero: Size | None = None,
    virtual: Size | None = None,
    attention_dp: Size | None = None,
    shard: Size | None = None,
    micro_batches: Size | None = None,
    sequence_parallel: bool | None = None,
    micro_batch: Size | None = None,
    precision: str | None = None,
    optimizer: str | None = None,
    recompute: str | None = None,
    lora: Size | None = None,
    attn: str | None = None,
    lora_targets: str | Sequence[str] | None = None,
    dropout: bool = False,
    checkpoint_every: Size | None = None,
    loss_chunk: Size | None = None,
    cross_entropy_loss_fusion: bool = False,
    offload: str | None = None,
    reduce_bucket_size: Size | None = None,
    max_live_parameters: Size | None = None,
    fragmentation: Share | None = None,
    activations: str | None = None,
    rl: str | None = None,
    rollout_utilization: Share | None = None,
    rollout_tp: Size | None = None,
    rollout: str | None = None,
    rollout_sleep: bool | None = None,
    reward_model: bool | None = None,
    reference: bool | None = None,
    image: str | None = None,
    images: Size | None = None,
    audio: str | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Memory:
    """Add up memory for inference (default) or training, part by part: does it fit, and what would make it fit?

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    train: Training instead of inference.
    hardware: What it should fit on: h100, 2xh100, rtx-4090, FILE.yaml, auto.
    budget: Or bytes on each GPU, with their unit: 80GB, 80GiB.
    utilization: Share of the memory to use. Default: 90% in inference (vllm: 92%; sglang: by memory), all in training.
    fit: What to make as large as fits: batch, seq, gpus, dtype or offload.
    seq: Tokens of a sequence; 8k is 8192. Default: the context.
    batch: Sequences at a time. Default: 1.
    dtype: Of the weights (with ``lora`` the frozen ones): fp8, int4, q4_k_m, awq, nf4, ... Default: as released.
    kv_dtype: Of the KV cache. Default: as released, else bf16. Not with ``train``.
    engine: ideal (reserves nothing), transformers, vllm (a version: vllm@0.11), sglang, trtllm, llama.cpp; with ``train``
        transformers, fsdp, deepspeed, megatron.
    weights: Safetensors or GGUF files, or ORG/NAME on the hub: the bytes that they store, from their headers. Not with
        ``train``.
    block: vllm, sglang, trtllm: tokens of a block. Default: 16, 1 and 32. Needs ``engine`` vllm|sglang|trtllm.
    max_num_batched_tokens: vllm, sglang, trtllm: tokens of a step. Default: by memory. Needs ``engine`` vllm|sglang|trtllm.
    max_num_seqs: vllm: sequences of a step; sglang: of its largest graph. Default: by memory. Needs ``engine`` vllm|sglang.
    ubatch: llama.cpp: tokens of a physical batch. Default: 512. Needs ``engine`` llama.cpp.
    swa_full: llama.cpp: windowed layers keep as many cells as full ones. Needs ``engine`` llama.cpp.
    ram: llama.cpp: bytes of the host's memory that ``fit`` offload may use. Needs ``fit`` offload.
    outputs: llama.cpp: positions of a physical batch whose logits are made. Default: one a sequence, as llama-server asks.
        Needs ``engine`` llama.cpp.
    gpus: All GPUs. Default: those of ``hardware``, else tp × pp × cp.
    tp: Tensor-parallel GPUs.
    pp: Pipeline stages.
    cp: Context-parallel GPUs. Needs ``train``.
    ep: Expert-parallel GPUs.
    zero: ZeRO stage 0-3 over the data-parallel GPUs; FSDP is 3. Needs ``train``.
    virtual: Chunks of layers per stage: an interleaved pipeline. Needs ``train`` and ``pp``.
    attention_dp: Groups of ``tp`` that attend for a share of the batch each. Not with ``train``.
    shard: HSDP: ZeRO over groups of this many GPUs. Needs ``train`` and ``zero``.
    micro_batches: Micro-batches of a step. Default: enough to fill the pipeline. Needs ``train`` and ``pp``.
    sequence_parallel: With ``tp``: cut the rest by tokens. Default: True. Needs ``train`` and ``tp``.
    micro_batch: Sequences at a time on a GPU. Default: 1. Needs ``train``.
    precision: fp32, bf16, mixed (bf16, fp32 master copy) or megatron (mixed, fp32 gradients). Default: mixed, or megatron's.
        Needs ``train``.
    optimizer: sgd, momentum, adam, adamw, adam8bit, paged_adam8bit, adafactor, lion, lion8bit, muon. Default: adam. Needs
        ``train``.
    recompute: none, selective (the attention's softmax), elementwise (also norms, activations) or full (layers). Default:
        none. Needs ``train``.
    lora: Fine-tuning: the rank of low-rank adapters on a frozen model. Needs ``train``.
    attn: sdpa, flash (windows need no mask) or eager (scores kept); llama.cpp: flash or eager. Default: sdpa. Needs ``train``
        or ``engine`` llama.cpp.
    lora_targets: The matrices that have adapters. Default: q,k,v,out,gate,up,down. Needs ``lora``.
    dropout: Keep the masks of dropout too. Needs ``train``.
    checkpoint_every: Keep every c-th layer's input, recompute the rest. Needs ``train``.
    loss_chunk: Tokens whose logits a chunked loss has at a time. Needs ``train``.
    cross_entropy_loss_fusion: megatron: the loss in one kernel, in its logits' place. Needs ``engine`` megatron.
    offload: deepspeed, or rl between turns: optimizer (states) or params (weights too), in the host's memory. Needs
        ``engine`` deepspeed or ``rl``.
    reduce_bucket_size: deepspeed: gradients summed up at a time. Needs ``engine`` deepspeed and ``zero``.
    max_live_parameters: deepspeed: weights that stay gathered, or are ahead of time. Needs ``engine`` deepspeed and ``zero``
        3.
    fragmentation: Assumed loss to fragmentation, as a share: 5%. Needs ``train``.
    activations: autograd (op by op) or textbook (L·b·n·d + L·b·H·n²). Default: autograd. Needs ``train``.
    rl: Post-training: grpo, ppo or dpo. Needs ``train``.
    rollout_utilization: Share of a GPU that the rollout engine takes. Default: 30%. Needs ``rl`` grpo|ppo.
    rollout_tp: GPUs that divide the model in the rollout engine. Needs ``rl`` grpo|ppo.
    rollout: colocated (an engine that shares the GPUs), apart (GPUs of its own), policy (it answers itself). Default:
        colocated. Needs ``rl`` grpo|ppo.
    rollout_sleep: The rollout engine frees its memory in training. Default: True. Needs ``rl`` grpo|ppo.
    reward_model: A model of the policy's size judges. Default: with ppo. Needs ``rl``.
    reference: A copy of the policy that it must not leave far. Default: True. Needs ``rl``.
    image: An image in each sequence, beside the text: 1024x768. Not with ``train``.
    images: So many of them. Default: 1. Needs ``image``. Not with ``train``.
    audio: A sound in each sequence, beside the text, with its unit: 30s. Not with ``train``.

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> memory("llama-3-8b", seq="8k", batch=16, hardware="h100").fits
    True
    """
    found: Memory = _asked("memory", locals())
    return found


def attention_compare(
    model: Model | None = None,
    *,
    seq: Size | Sequence[Size] = "512:32k:x4",
    batch: Size = 1,
    variant: str | Sequence[str] | None = None,
    hardware: Text | None = None,
    budget: Size | None = None,
    utilization: Share | None = None,
    engine: str | None = None,
    dtype: str = "bf16",
    causal: bool = False,
    on_chip: Size | None = None,
    sparse_window: Size | None = None,
    stride: Size | None = None,
    globals: Size | None = None,
    rank: Size | None = None,
    features: Size | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Comparison:
    """Exchange the attention of a model and compare FLOPs, memory, traffic, time, cache, reach and limits.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    seq: Lengths to compare at, 8k is 8192; a range is 1k:1M:x4.
    batch: Sequences.
    variant: A variant such as local:w=512, gqa:g=8 or dsa:k=2048, or a list of them. Default: seventeen. The first is the
        baseline.
    hardware: Times on this machine, and its memory as budget: h100, auto.
    budget: Memory that gives each variant's longest prefill: 80GB.
    utilization: Share of the accelerator's memory to use. Default: 90%.
    engine: Whose cache and reserves. Default: ideal (reserves nothing).
    dtype: Of weights, activations and cache.
    causal: Count only the pairs a causal mask leaves.
    on_chip: What tiles of keys may fill on the chip: 192KiB.
    sparse_window: w of local and Longformer. Default: 256. Not with ``variant``.
    stride: k of strided. Default: 128. Not with ``variant``.
    globals: Global tokens of Longformer. Default: 16. Not with ``variant``.
    rank: k of Linformer. Default: 256. Not with ``variant``.
    features: r of Performer. Default: 256. Not with ``variant``.

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> attention_compare("gpt3", seq=[1024, "2k"], variant="flash").rows[1].pairs
    4194304
    """
    found: Comparison = _asked("attention_compare", locals())
    return found


def moe(
    model: Model | None = None,
    *,
    seq: Size | None = None,
    batch: Size = 1,
    capacity_factor: Number | None = None,
    dtype: str = "bf16",
    imbalance: Number = 1.0,
    ep: Size | None = None,
    simulate: Size | None = None,
    seed: Size | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Experts:
    """Mixture of experts: total and active parameters, capacity, traffic, and the dense models it compares with.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    seq: Tokens of a sequence; 8k is 8192. Default: the context.
    batch: Sequences.
    capacity_factor: Room of an expert over an even share.
    dtype: Of the weights and of the activations sent between GPUs.
    imbalance: Load of the hottest expert over the mean; 1 is uniform routing.
    ep: GPUs that share out the experts.
    simulate: Batches to draw and count, beside the expected values.
    seed: Of the simulation. Default: 0. Needs ``simulate``.

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> moe("mixtral-8x7b").active
    12879925248
    """
    found: Experts = _asked("moe", locals())
    return found


def chinchilla(
    model: Model | None = None,
    *,
    law: Text | Sequence[Text] | None = None,
    count: str | None = None,
    seq: Size | None = None,
    compute: Size | None = None,
    params: Size | None = None,
    tokens: Size | None = None,
    gpu_hours: Size | None = None,
    dollars: Size | None = None,
    days: Number | None = None,
    gpus: Size | None = None,
    hardware: Text | None = None,
    mfu: Share | None = None,
    price: Number | None = None,
    unique_tokens: Size | None = None,
    inference_tokens: Size | None = None,
    compare: Size | Sequence[Size] | None = None,
    shape: bool = False,
    out: Text | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Optima:
    """Compute-optimal parameters and tokens by published scaling laws, and the loss they predict. All estimates.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    law: A law by name, or a law file, or a list of them. Default: all.
    count: FLOPs of a model: exact (default), 6nd or appendix-f.
    seq: Tokens per training sequence of a model; 8k is 8192.
    compute: Training FLOPs, e.g. 5.76e23.
    params: Parameters of the model, e.g. 70B; with ``tokens``: a trained model.
    tokens: Training tokens, e.g. 1.4T. Of a preset: default as published.
    gpu_hours: GPU-hours.
    dollars: USD, at ``price`` per GPU-hour.
    days: Days on ``gpus``.
    gpus: GPUs of ``days``. Needs ``days``.
    hardware: The accelerator. Default: h100.
    mfu: Share of the dense 16-bit peak that the run uses. Default: 0.4.
    price: USD per GPU-hour. Default: the accelerator's, dated. Needs ``dollars``.
    unique_tokens: Unique tokens that exist; more are repeats.
    inference_tokens: Tokens served over the lifetime.
    compare: Model sizes at this compute, e.g. 280B,70B.
    shape: A real shape near each optimum, as a preset in the answer.
    out: Write that shape as a preset file (one ``law``).

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> round(chinchilla(compute="1e21", law="epoch").laws[0].tokens_per_param, 2)
    21.59
    """
    found: Optima = _asked("chinchilla", locals())
    return found


def train(
    model: Model | None = None,
    *,
    tokens: Size,
    hardware: Text = "h100",
    budget: Size | None = None,
    utilization: Share | None = None,
    seq: Size | None = None,
    global_batch: Size | None = None,
    plan: bool = False,
    engine: str | None = None,
    dtype: str | None = None,
    compute_dtype: str | None = None,
    attn: str = "flash",
    measured: str | None = None,
    efficiency: str | Sequence[str] | None = None,
    gpus: Size | None = None,
    tp: Size | None = None,
    pp: Size | None = None,
    cp: Size | None = None,
    ep: Size | None = None,
    zero: Size | None = None,
    virtual: Size | None = None,
    micro_batch: Size | None = None,
    recompute: str | None = None,
    price: Number | None = None,
    power: Number | None = None,
    pue: Number | None = None,
    grid: Number | None = None,
    available: Share = 1.0,
    lora: Size | None = None,
    lora_targets: str | Sequence[str] | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Trained:
    """Time, GPU-hours, cost, energy and CO2 of a training run, by roofline: the ideal bound and a calibrated estimate.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    tokens: Training tokens, e.g. 15.6T.
    hardware: h100, 1024xh100, FILE.yaml, auto: `llmcx catalog hardware`.
    budget: Bytes of memory on each GPU, in place of the accelerator's: 24GB.
    utilization: Share of the memory to use. Default: all.
    seq: Tokens of a sequence. Default: the context, at most 8k.
    global_batch: Sequences per step. Default: 4M tokens of them, 16M from 100B parameters on; with ``lora`` 16, or one a GPU.
    plan: Search all layouts that fit, rank them, say why.
    engine: Whose measured efficiency. Default: megatron; with ``lora`` transformers.
    dtype: With ``lora``, of the frozen weights: nf4, gptq, fp8, ... Default: as released. Needs ``lora``.
    compute_dtype: Of the matmuls: bf16, fp16, fp8. Default: 16 bits.
    attn: flash, sdpa (windows need a mask) or eager (scores written out).
    measured: What a run of one's own reached: 5.9s a step, or 716k tokens/s of all GPUs.
    efficiency: Override a factor, e.g. matmul=0.7, hidden_tp=0.5, or a list of them.
    gpus: All GPUs. Default: those of ``hardware``, else tp × pp × cp.
    tp: Tensor-parallel GPUs.
    pp: Pipeline stages.
    cp: Context-parallel GPUs.
    ep: Expert-parallel GPUs.
    zero: ZeRO stage 0-3 over the data-parallel GPUs; FSDP is 3.
    virtual: Chunks of layers per stage: an interleaved pipeline. Needs ``pp``.
    micro_batch: Sequences at a time on a GPU.
    recompute: none, selective (the attention's softmax), elementwise (also norms, activations) or full (layers).
    price: USD per accelerator-hour. Default: the accelerator's, dated.
    power: Watts drawn per accelerator. Default: its rated power.
    pue: Power usage effectiveness of the site.
    grid: Grid intensity, g CO2 per kWh.
    available: Share of the wall clock that makes progress.
    lora: Fine-tuning: the rank of low-rank adapters on a frozen model.
    lora_targets: The matrices that have adapters. Default: q,k,v,out,gate,up,down. Needs ``lora``.

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> train("llama-2-7b", tokens="2T", hardware="512xa100", seq="4k").training.steps
    476838
    """
    found: Trained = _asked("train", locals())
    return found


def serve(
    model: Model | None = None,
    *,
    hardware: Text = "h100",
    prompt: Size = 1024,
    output: Size = 1024,
    batch: Size | None = None,
    rate: str | None = None,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    compute_dtype: str | None = None,
    budget: Size | None = None,
    utilization: Share | None = None,
    engine: str | None = None,
    price: Number | None = None,
    gpus: Size | None = None,
    tp: Size | None = None,
    pp: Size = 1,
    ep: Size = 1,
    attention_dp: Size = 1,
    cached: Size = 0,
    chunk: Size | None = None,
    exact: bool = False,
    max_num_seqs: Size | None = None,
    prefill_workers: Size | None = None,
    prefill_tp: Size | None = None,
    workers: Size | None = None,
    draft: Size = 0,
    acceptance: Share | None = None,
    draft_cost: Share | None = None,
    efficiency: str | Sequence[str] | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Serving:
    """First token, time per token, tokens/s, largest batch and cost of serving, by roofline: ideal and calibrated.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    hardware: h100, 8xh200, rtx-4090, FILE.yaml, auto: `llmcx catalog hardware`.
    prompt: Tokens in; 8k is 8192.
    output: Tokens out.
    batch: Users at once; with ``rate``, at most. Default: a frontier up to the most that fit.
    rate: Requests that arrive, in place of users at any time: 20/s, 90/min.
    dtype: Of the weights: bf16, fp8, int4, q4_k_m, awq, mxfp4, ... Default: as released.
    kv_dtype: Of the cache. Default: as released, else bf16.
    compute_dtype: Of the matmuls: bf16, fp8, fp4. Default: fp8 for fp8 weights where the accelerator has it.
    budget: Bytes of memory on each GPU, in place of the accelerator's: 24GB.
    utilization: Share of the memory that the engine uses. Default: 90%; of a ``budget`` all.
    engine: Whose cache and reserves: ideal (reserves nothing), transformers, vllm or vllm@0.11, sglang, trtllm, llama.cpp.
    price: USD per accelerator-hour. Default: the accelerator's, dated.
    gpus: All GPUs. Default: those of ``hardware``, else ``tp`` × ``pp``.
    tp: GPUs that share each layer. Default: all.
    pp: Stages of layers, each on ``tp`` GPUs of its own.
    ep: GPUs that share out the experts, a divisor of ``tp``.
    attention_dp: Groups of ``tp`` that attend for a share of the users each.
    cached: Tokens of the prompt found in the prefix cache.
    chunk: Chunked prefill: tokens of a prompt per step.
    exact: All prompts and answers have these very lengths, as load generators send them.
    max_num_seqs: Sequences that a copy works for at a time at most; other users wait.
    prefill_workers: Copies that only work off prompts, on GPUs of their own.
    prefill_tp: GPUs of each of them. Default: ``tp``. Needs ``prefill_workers``.
    workers: Copies that decode, beside them. Default: 1. Needs ``prefill_workers``.
    draft: Speculative decoding: tokens drafted per step.
    acceptance: Probability that a drafted token is accepted. Default: 0.7. Needs ``draft``.
    draft_cost: Drafting a token, as a share of a decode step. Default: 0.05. Needs ``draft``.
    efficiency: Override a number of the engine, e.g. decode=0.9, or a list of them.

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> serve("llama-3-70b", hardware="4xh100", dtype="fp8").gpus
    4
    """
    found: Serving = _asked("serve", locals())
    return found


def compare(
    a: Model,
    b: Model,
    *,
    with_: str | Sequence[str] | None = None,
    dtype: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
    seq: Size | None = None,
    batch: Size | None = None,
    source_seq: Size | None = None,
    context: Size | None = None,
    causal: bool = False,
    recompute: str | None = None,
    convention: str | None = None,
    image: str | None = None,
    images: Size | None = None,
    audio: str | None = None,
    lora: Size | None = None,
    lora_targets: str | Sequence[str] | None = None,
    train: bool = False,
    hardware: Text | None = None,
    budget: Size | None = None,
    utilization: Share | None = None,
    fit: str | None = None,
    kv_dtype: str | None = None,
    engine: str | None = None,
    block: Size | None = None,
    max_num_batched_tokens: Size | None = None,
    max_num_seqs: Size | None = None,
    ubatch: Size | None = None,
    swa_full: bool = False,
    ram: Size | None = None,
    outputs: Size | None = None,
    gpus: Size | None = None,
    tp: Size | None = None,
    pp: Size | None = None,
    cp: Size | None = None,
    ep: Size | None = None,
    zero: Size | None = None,
    virtual: Size | None = None,
    attention_dp: Size | None = None,
    shard: Size | None = None,
    micro_batches: Size | None = None,
    sequence_parallel: bool | None = None,
    micro_batch: Size | None = None,
    precision: str | None = None,
    optimizer: str | None = None,
    attn: str | None = None,
    dropout: bool = False,
    checkpoint_every: Size | None = None,
    loss_chunk: Size | None = None,
    cross_entropy_loss_fusion: bool = False,
    offload: str | None = None,
    reduce_bucket_size: Size | None = None,
    max_live_parameters: Size | None = None,
    fragmentation: Share | None = None,
    activations: str | None = None,
    rl: str | None = None,
    rollout_utilization: Share | None = None,
    rollout_tp: Size | None = None,
    rollout: str | None = None,
    rollout_sleep: bool | None = None,
    reward_model: bool | None = None,
    reference: bool | None = None,
    prompt: Size | None = None,
    output: Size | None = None,
    rate: str | None = None,
    compute_dtype: str | None = None,
    price: Number | None = None,
    cached: Size | None = None,
    chunk: Size | None = None,
    exact: bool = False,
    prefill_workers: Size | None = None,
    prefill_tp: Size | None = None,
    workers: Size | None = None,
    draft: Size | None = None,
    acceptance: Share | None = None,
    draft_cost: Share | None = None,
    efficiency: str | Sequence[str] | None = None,
) -> Contrast:
    """Set two models, or two settings of one, side by side: what changed, by how much, and why.

    a, b: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``. Or one with
        options: "llama-3-8b --kv-heads 32".
    with_: Which answers to compare: of params, flops, memory, serve. Default: the first three; with ``hardware`` all.

    The others are options of these functions, and hold for both sides.

    >>> compare("llama-3-8b", "llama-3-8b --kv-heads 32", with_="params").figures[0].change
    805306368
    """
    found: Contrast = _asked("compare", locals())
    return found


def bounds(
    *,
    params: Size = 100_000_000_000,
    examples: Size = 100_000_000_000,
    base: str = "e",
    kl: Number | None = None,
    compressed: Size | None = None,
    delta: Number = 0.05,
    seq: Size | Sequence[Size] = "4096",
) -> Bounds:
    """What theory bounds: the generalisation gap, all-pairs work, layers until all tokens are connected.

    params: Parameters P.
    examples: Independent training examples n.
    base: Base of the logarithm: e, 2 or 10.
    kl: KL of posterior and prior in nats (PAC-Bayes). Default: 1 per parameter.
    compressed: Size of the compressed weights, e.g. 1GB. Default: 16 bits a parameter.
    delta: Chance that a certificate fails.
    seq: Lengths for pairs and hops; 8k is 8192.

    >>> bounds(params="7B", examples="15T").generalization.vacuous
    False
    """
    found: Bounds = _asked("bounds", locals())
    return found


def shapes(
    *,
    params: Size | None = None,
    flops: Size | None = None,
    vocab: Size = 32000,
    depths: Size | Sequence[Size] | None = None,
    seq: Size = 2048,
    head_dim: Size = 128,
    kv_heads: Size | None = None,
    gated: bool = True,
) -> Shapes:
    """Depth against width at equal parameters, or equal FLOPs: each depth with the width that comes closest.

    params: Parameters that every shape should have, e.g. 7B. Not with ``flops``.
    flops: Or forward FLOPs of one sequence, e.g. 30T.
    vocab: Vocabulary size.
    depths: Layers to try, e.g. 16,32,64.
    seq: Tokens of the forward pass; 8k is 8192.
    head_dim: Width of a head; widths are its multiples.
    kv_heads: Key-value heads. Default: as many as heads.
    gated: LLaMA-like or GPT-like.

    >>> [shape.d_model for shape in shapes(params="7B", depths=[32, 64]).shapes]
    [4224, 2944]
    """
    found: Shapes = _asked("shapes", locals())
    return found


def plan_serve(
    model: Model | None = None,
    *,
    hardware: Text | Sequence[Text] = "h100",
    gpus: str = "1..8",
    prompt: Size = 1024,
    output: Size = 1024,
    ttft: Number | None = None,
    tpot: Number | None = None,
    confidence: Share | None = None,
    percentile: Size | None = None,
    rate: str | None = None,
    users: Size | None = None,
    cached: Size = 0,
    draft: Size | Sequence[Size] | None = None,
    acceptance: Share | None = None,
    disaggregated: bool | None = None,
    price: Number | Sequence[Number] | None = None,
    engine: str | Sequence[str] | None = None,
    dtype: str | Sequence[str] | None = None,
    kv_dtype: str | None = None,
    utilization: Share | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> ServePlan:
    """The cheapest way to serve a model that meets an objective: accelerator, engine, format, layout, replicas, users.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    hardware: h100, or several to choose from: h100,h200,b200.
    gpus: How many, or the fewest and the most: 8..64.
    prompt: Tokens in; 8k is 8192.
    output: Tokens out.
    ttft: Time to the first token at most: 2s. Default: any.
    tpot: Time per token at most: 40ms. Default: any.
    confidence: 0.9: hold the upper end of the 10-90% ranges to the limits. Default: the estimate.
    percentile: 50, 90 or 99: hold what so many of 100 requests take to the limits. Default: the mean.
    rate: Requests that arrive, all answered, in place of users: 20/s, 90/min.
    users: Users at once, all served. Default: as many as is cheapest.
    cached: Tokens of the prompt found in the prefix cache.
    draft: Tokens drafted per step, several to choose from: 0,1,3. Default: 0.
    acceptance: Probability that a drafted token is accepted. Default: 0.7. Needs ``draft``.
    disaggregated: Only with prompts on GPUs of their own, or never. Default: both.
    price: USD per accelerator-hour, one for each ``hardware``. Default: theirs, dated.
    engine: vllm or vllm@0.11, sglang, trtllm. Default: all that run there.
    dtype: Of the weights. Default: as released, and fp8_tensor or nvfp4 where the accelerator multiplies it.
    kv_dtype: Of the cache. Default: as released, else bf16.
    utilization: Share of the memory that the engine uses. Default: the engine's.

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> plan_serve("llama-3-70b", gpus="1..8", tpot="10ms", dtype="fp8", disaggregated=False).best[0].tp
    8
    """
    found: ServePlan = _asked("plan_serve", locals())
    return found


def plan_local(
    models: str | Sequence[str] | None = None,
    *,
    hardware: Text = "auto",
    ram: Size | None = None,
    ram_bandwidth: Size | None = None,
    seq: Size | None = None,
    tpot: Number | None = None,
    family: str | None = None,
    license: str | None = None,
    at_least: Size | None = None,
    at_most: Size | None = None,
    since: Size | None = None,
    engine: str = "llama.cpp",
    dtype: str | Sequence[str] | None = None,
    kv_dtype: str = "bf16",
    utilization: Share | None = None,
    top: Size | None = None,
) -> LocalPlan:
    """What runs on a machine of one's own: models and formats, tokens/s, the longest context, how llama.cpp splits them.

    models: Presets, files, ORG/NAME on the hub. Default: all presets.
    hardware: rtx-4090, 2xrtx-3090, m4-max, FILE.yaml, cpu, or auto: what is found here.
    ram: Bytes of the machine's memory: 64GB. Default: of auto what is found here, else none is used.
    ram_bandwidth: Bytes a second at which processors read it: 80GB. Default: not known.
    seq: Tokens of a sequence; 16k is 16384. Default: 8k, or the model's context.
    tpot: Time per token at most: 100ms. Default: 200ms; of named models any.
    family: Only families that begin so, e.g. llama or qwen3.
    license: Only licences that begin so, e.g. apache or mit.
    at_least: Only models of N parameters or more, e.g. 7B.
    at_most: Only models of up to N parameters.
    since: Only models of this year or later.
    engine: llama.cpp, mlx, exllamav2 or transformers.
    dtype: Formats of the weights to choose from. Default: the program's, of 4 bits and more.
    kv_dtype: Of the cache.
    utilization: Share of the accelerator's memory that is used. Default: 90%; of Apple's what macOS allows.
    top: Models to list. Default: 10.

    >>> plan_local("qwen3-30b-a3b", hardware="2xrtx-3090").models[0].dtype
    'q8_0'
    """
    found: LocalPlan = _asked("plan_local", locals())
    return found


def plan_lifetime(
    *,
    inference_tokens: Size | None = None,
    params: Size | None = None,
    loss: Number | None = None,
    compute: Size | None = None,
    law: Text | Sequence[Text] | None = None,
    hardware: Text | Sequence[Text] | None = None,
    dtype: str | Sequence[str] | None = None,
    prompt: Size | None = None,
    output: Size | None = None,
    price: Number | Sequence[Number] | None = None,
    prefill_mfu: Share | None = None,
    decode_mfu: Share | None = None,
    train_hardware: str | None = None,
    train_price: Number | None = None,
    mfu: Share | None = None,
) -> LifetimePlan:
    """The model of a quality that costs least to train and then serve: size, tokens, format, accelerator. All estimates.

    inference_tokens: Tokens served over the lifetime, prompts and answers: 2T.
    params: As good as the training optimum of so many parameters: 13B.
    loss: Or: of this loss, by one ``law``.
    compute: Or: as good as so many training FLOPs make a model: 1e24.
    law: A law by name, or a law file, or a list of them. Default: all that state a loss.
    hardware: What serves: h100, or several: h100,b200. Default: FLOPs are counted, not dollars.
    dtype: In which weights are served: bf16, fp8, int8, int4. Default: bf16 and fp8. Needs ``hardware``.
    prompt: Tokens of a prompt, of which with ``output`` the shares follow. Default: 1024. Needs ``hardware``.
    output: Tokens of an answer. Default: 1024. Needs ``hardware``.
    price: USD per hour of each ``hardware``. Default: theirs, dated. Needs ``hardware``.
    prefill_mfu: Share of the peak that prompts reach. Default: 0.5. Needs ``hardware``.
    decode_mfu: Share of the peak that answers reach. Default: 0.05. Needs ``hardware``.
    train_hardware: What trains. Default: of those that serve the one that trains cheapest. Needs ``hardware``.
    train_price: USD per hour of it. Default: its own, dated. Needs ``hardware``.
    mfu: Share of the dense 16-bit peak that training reaches. Default: 0.4. Needs ``hardware``.

    >>> round(plan_lifetime(inference_tokens="2T", params="13B", law="hoffmann-3").choices[0].params / 1e9, 1)
    7.1
    """
    found: LifetimePlan = _asked("plan_lifetime", locals())
    return found


def plan_train(
    model: Model | None = None,
    *,
    tokens: Size,
    hardware: Text | Sequence[Text] = "h100",
    gpus: str = "64..1024",
    days: Number | None = None,
    dollars: Size | None = None,
    confidence: Share | None = None,
    seq: Size | None = None,
    global_batch: Size | None = None,
    price: Number | Sequence[Number] | None = None,
    engine: str | Sequence[str] | None = None,
    compute_dtype: str | Sequence[str] | None = None,
    utilization: Share | None = None,
    available: Share = 1.0,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> TrainPlan:
    """The cheapest way to train a model within days and dollars: accelerator, engine, format, number of GPUs, layout.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    tokens: Training tokens, e.g. 2T.
    hardware: h100, or several to choose from: h100,h200,b200.
    gpus: How many, or the fewest and the most: 64..1024.
    days: At most. Default: any.
    dollars: USD at most: 2M. Default: any.
    confidence: 0.9: hold the upper end of the 10-90% ranges to the limits. Default: the estimate.
    seq: Tokens of a sequence. Default: the context, at most 8k.
    global_batch: Sequences per step. Default: 4M tokens of them, 16M from 100B parameters on.
    price: USD per accelerator-hour, one for each ``hardware``. Default: theirs, dated.
    engine: megatron, fsdp, torchtitan, maxtext. Default: all that run there.
    compute_dtype: Of the matmuls. Default: 16 bits, and fp8 where the accelerator is faster in it.
    utilization: Share of the memory to use. Default: all.
    available: Share of the wall clock that makes progress.

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> plan_train("llama-3.1-8b", tokens="1T", gpus="64", compute_dtype="bf16", engine="megatron").best[0].zero
    2
    """
    found: TrainPlan = _asked("plan_train", locals())
    return found


def plan_finetune(
    model: Model | None = None,
    *,
    hardware: Text = "rtx-4090",
    gpus: str | None = None,
    method: str | Sequence[str] | None = None,
    seq: Size | None = None,
    tokens: Size | None = None,
    samples: Size | None = None,
    lora: Size = 16,
    precision: str = "mixed",
    optimizer: str = "adamw",
    attn: str = "sdpa",
    price: Number | None = None,
    budget: Size | None = None,
    utilization: Share | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> FinetunePlan:
    """What can be fine-tuned on the GPUs that one has: which methods fit, the largest micro-batch and sequence, how to run them.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    hardware: rtx-4090, h100, FILE.yaml, auto: `llmcx catalog hardware`.
    gpus: How many there are, or the fewest and the most: 1..8.
    method: lora, qlora, full, dpo, grpo, or dpo and grpo of adapters: dpo+lora. Default: all.
    seq: Tokens of a sequence. Default: the context, at most 4k.
    tokens: Tokens of the run.
    samples: Or its sequences, of ``seq`` tokens each.
    lora: Rank of adapters, which all matrices have.
    precision: fp32, bf16 or mixed.
    optimizer: adamw, adam8bit, paged_adam8bit, lion, sgd, ...
    attn: sdpa, flash or eager (scores written out).
    price: USD per accelerator-hour. Default: its own, dated.
    budget: Bytes of memory on each GPU, in place of the accelerator's: 24GB.
    utilization: Share of the memory to use. Default: all.

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> [one.method for one in plan_finetune("llama-3.1-8b", gpus="1", method="lora,qlora").fits]
    ['lora', 'qlora']
    """
    found: FinetunePlan = _asked("plan_finetune", locals())
    return found


def explain_log(
    log: Text,
    model: Model | None = None,
    *,
    dtype: str | None = None,
    hardware: Text | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Explained:
    """What an engine logged at its start beside what llmcx predicts, term by term, and which differs most.

    log: A start-up log of vLLM, SGLang, TensorRT-LLM or llama.cpp; - is stdin.
    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    dtype: Of the weights. Default: what the log's dtype and quantization say.
    hardware: Of vLLM, where the log does not say a GPU's memory: h100, ...

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> explain_log("docs/vllm.log").largest
    'weights'
    """
    found: Explained = _asked("explain_log", locals())
    return found


def check(
    model: Model | None = None,
    *,
    line: str | None = None,
    hardware: Text | None = None,
    budget: Size | None = None,
    prompt: Size | None = None,
    output: Size | None = None,
    batch: Size | None = None,
    dtype: str | None = None,
    driver: str | None = None,
    require: str | None = None,
    gpus: Size | None = None,
    seq: Size | None = None,
    micro_batch: Size | None = None,
    global_batch: Size | None = None,
    recompute: str | None = None,
    preset: str | None = None,
    config: Text | None = None,
    hf: str | None = None,
    as_type: str | None = None,
    ignore: str | Sequence[str] | None = None,
    layers: Size | None = None,
    d_model: Size | None = None,
    heads: Size | None = None,
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    d_ff: Size | None = None,
    vocab: Size | None = None,
    positions: Size | None = None,
    context_length: Size | None = None,
    experts: Size | None = None,
    top_k: Size | None = None,
    experts_from: str | None = None,
    window: Size | None = None,
    ffn: str | None = None,
    norm: str | None = None,
    attention: str | None = None,
    bias: bool | None = None,
    tied: bool | None = None,
) -> Check | TrainingCheck:
    """A launch line or file: does it fit, for how many users, how fast, and what to change if not.

    model: A preset, a path, ORG/NAME on the hub, a size such as 7B, a mapping as of a file, or a ``ModelSpec``.
    line: What launches a server or trains; or a file with it; - is stdin.
    hardware: What it runs on: h100, 8xh200, rtx-4090, FILE.yaml, auto.
    budget: Bytes of memory on each GPU, in place of the accelerator's: 24GB.
    prompt: Tokens in, for the times. Default: 1024.
    output: Tokens out, for the times. Default: 1024.
    batch: Users at once, for the times. Default: one, and as many as fit.
    dtype: Of the weights. Default: as the line, the model's name or its files say.
    driver: NVIDIA's driver, on which vLLM's CUDA graphs depend: 535.183.01. Default: 550 or newer.
    require: Exit 1 unless it holds: 'fits and tpot<40ms'; also ttft, users, tokens, headroom.
    gpus: All GPUs, where the file does not say.
    seq: Tokens of a sequence, where the file does not say.
    micro_batch: Sequences at a time on a GPU, where the file does not say.
    global_batch: Sequences per step, where the file does not say.
    recompute: none or full, where the file does not say.

    The others name the model in another way, or change its shape: see :func:`params`.

    >>> check(line="vllm serve Qwen/Qwen3-8B --max-model-len 8192", hardware="h100").fits
    True
    """
    found: Check | TrainingCheck = _asked("check", locals())
    return found


def presets(
    *,
    family: str | None = None,
    license: str | None = None,
    moe: bool | None = None,
    at_least: Size = 0,
    at_most: Size | None = None,
    context: Size = 0,
    year: Size | None = None,
) -> list[Summary]:
    """Every built-in model, and those of plugins: family, exact size, active size, context, year.

    family: Only families that begin so, e.g. llama or qwen3.
    license: Only licences that begin so, e.g. apache or mit.
    moe: Only mixtures of experts, or only dense models.
    at_least: Only models of N parameters or more, e.g. 7B.
    at_most: Only models of up to N parameters.
    context: Only models of N tokens of context or more, e.g. 128k.
    year: Only this year.

    >>> [row["name"] for row in presets(family="deepseek", at_most="20B")]
    ['deepseek-v2-lite']
    """
    found: list[Summary] = _asked("presets", locals())
    return found
