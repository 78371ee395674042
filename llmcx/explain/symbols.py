"""The symbols of all formulas: what each stands for, and its unit. A topic may say otherwise of one."""

from __future__ import annotations

import re

OPS = {
    "tokens": ("tokens that pass through: batch times positions", "tokens"),
    "d_in": ("width of the input", "numbers per token"),
    "d_out": ("width of the output", "numbers per token"),
    "bias": ("1 if a bias is added, else 0", "1"),
    "tied": ("1 if the matrix is another op's, and counted there", "1"),
    "rows": ("rows of a table; of scores, the queries that meet keys", "1"),
    "width": ("numbers of a vector: of a token, a head, a row", "1"),
    "weights": ("learned numbers of a norm: a scale per feature, with a bias a shift too", "parameters"),
    "weight": ("parameters of a learned side of the product, else 0", "parameters"),
    "size": ("learned numbers", "parameters"),
    "batch": ("sequences, or problems of one shape side by side", "1"),
    "heads": ("query heads", "1"),
    "pairs": ("(query, key) pairs that one head multiplies in one sequence", "pairs"),
    "keys": ("keys that are met", "1"),
    "shared": ("query heads that read the same keys", "1"),
    "m": ("rows of the left side", "1"),
    "k": ("columns of the left side, rows of the right", "1"),
    "n": ("columns of the right side", "1"),
    "grads": ("inputs that need a gradient: 2, or 1", "1"),
    "channels": ("channels, a filter each", "1"),
    "length": ("outputs of a convolution along the sequence, padding included", "1"),
    "kernel": ("taps of a filter", "1"),
    "met": ("channels that a filter meets in the backward pass", "1"),
    "elements": ("numbers that are worked on, one by one", "1"),
    "operations": ("operations per element", "1"),
    "act": ("bytes of an activation", "bytes"),
}
"""The dims of ops (core.ops.KINDS)."""

SYMBOLS = OPS | {
    "n": ("sequence length", "tokens"),
    "d": ("width of the model", "numbers per token"),
    "d_model": ("width of the model", "numbers per token"),
    "d_ff": ("width of the feed-forward", "numbers per token"),
    "d_h": ("width of a head", "numbers per token"),
    "head_dim": ("width of a head", "numbers per token"),
    "H": ("query heads", "1"),
    "n_heads": ("query heads", "1"),
    "n_kv_heads": ("key-value heads", "1"),
    "L": ("layers", "1"),
    "layers": ("identical layers", "1"),
    "V": ("vocabulary", "tokens"),
    "b": ("sequences in a batch", "1"),
    "s": ("keys that one query attends", "1"),
    "w": ("window: neighbours that a token attends", "tokens"),
    "q": ("queries, the last ones of kv tokens", "tokens"),
    "kv": ("tokens whose keys exist", "tokens"),
    "p": ("position of a query in the sequence, from 1", "1"),
    "window": ("tokens of a window", "tokens"),
    "stride": ("tokens from one on the stride to the next", "tokens"),
    "summary": ("tokens of a block that all later ones attend", "tokens"),
    "side": ("neighbours on each side", "tokens"),
    "g": ("global tokens, which see all and are seen by all", "tokens"),
    "kv_rank": ("numbers of the latent that is cached", "numbers per token"),
    "rope_dim": ("width of the shared rotary key", "numbers per token"),
    "rank": ("rows that a projection leaves", "1"),
    "features": ("random features", "1"),
    "top_k": ("keys, or experts, that one token meets", "1"),
    "copies": ("sets of weights that exist: an MoE layer's experts", "1"),
    "used": ("sets of weights that one token meets", "1"),
    "times": ("identical ops", "1"),
    "N": ("parameters", "parameters"),
    "D": ("tokens trained on", "tokens"),
    "C": ("compute of training", "FLOPs"),
    "E": ("loss that no model gets below", "nats per token"),
    "A": ("weight of the model's size in the loss", "nats per token"),
    "B": ("weight of the data in the loss", "nats per token"),
    "alpha": ("how fast loss falls with size", "1"),
    "beta": ("how fast loss falls with data", "1"),
    "α": ("how fast loss falls with size", "1"),
    "β": ("how fast loss falls with data", "1"),
    "γ": ("how fast loss falls along the frontier, or with granularity", "1"),
    "bits": ("bits of one element", "bits"),
    "tp": ("GPUs that share each layer (tensor parallel)", "GPUs"),
    "pp": ("stages of the pipeline", "GPUs"),
    "cp": ("GPUs that share a sequence (context parallel)", "GPUs"),
    "ep": ("GPUs that share out the experts", "GPUs"),
    "dp": ("replicas that train on other data (data parallel)", "GPUs"),
    "P": ("parameters", "parameters"),
    "c": ("layers from one checkpoint to the next", "layers"),
    "R": ("repetitions", "1"),
    "T": ("tokens served over a lifetime", "tokens"),
    "n_experts": ("experts of a layer", "1"),
    "d_expert": ("width of one expert", "numbers per token"),
    "slots": ("places for tokens in all experts' buffers", "tokens"),
    "capacity": ("tokens that one expert accepts", "tokens"),
    "capacity_factor": ("room over an even share", "1"),
    "factor": ("room over an even share", "1"),
    "bytes": ("bytes of one element", "bytes"),
    "delta": ("chance that a bound fails", "1"),
    "KL": ("divergence of the predictor from the prior", "nats"),
    "peak": ("FLOPs a second of the accelerator's dense peak", "FLOP/s"),
    "bandwidth": ("bytes a second between memory and chip", "bytes/s"),
    "flops": ("FLOPs a second", "FLOP/s"),
    "FLOPs": ("floating-point operations, 2 per multiply-add", "FLOPs"),
    "MFU": ("share of the peak spent on the model's own FLOPs", "1"),
    "boundary": ("bytes of one layer's input", "bytes"),
    "layer": ("bytes that one layer keeps", "bytes"),
    "virtual": ("chunks of layers on each stage", "1"),
    "stage": ("number of a pipeline's stage, from 0", "1"),
    "micro": ("sequences of a micro-batch", "1"),
    "states": ("bytes of state per parameter", "bytes"),
    "block": ("values that share a scale", "1"),
    "matrices": ("bytes of state per parameter of the layers' matrices", "bytes"),
    "basis": (
        "parameters of the layers' matrices; for Adafactor, rows and columns; in 8 bits, tensors of 4096 numbers and more",
        "1",
    ),
    "params": ("parameters", "parameters"),
    "price": ("price of an accelerator-hour", "US dollars"),
    "hours": ("hours of all accelerators together", "hours"),
    "watts": ("power that an accelerator draws", "watts"),
    "PUE": ("a site's power over its computers'", "1"),
    "gamma": ("how fast loss falls along the frontier, or with granularity", "1"),
    "ranks": ("GPUs that share out the experts", "GPUs"),
}

WORDS = re.compile(r"[^\W\d_][\w'*]*")
SUPERSCRIPTS = str.maketrans("", "", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺")
FUNCTIONS = {"ceil", "floor", "sqrt", "ln", "log", "log2", "log10", "min", "max", "argmin", "exp", "Binomial", "x", "phi", "Σ"}


def used(formula: str) -> list[str]:
    """The words of a formula that may be symbols, in order: superscripts off, functions left out.

    >>> used("sqrt(P·ln(n) / n) + L·d²")
    ['P', 'n', 'L', 'd']
    """
    found = (word.translate(SUPERSCRIPTS) for word in WORDS.findall(formula))
    return [word for word in dict.fromkeys(found) if word and word not in FUNCTIONS]


def short(word: str) -> bool:
    """Whether a word can only be a symbol: a letter, Greek, or with an underscore. Longer ones may be prose."""
    return len(word.rstrip("'*")) == 1 or "_" in word or not word.isascii()
