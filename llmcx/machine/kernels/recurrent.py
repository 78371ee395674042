"""Recurrent mixers: the gated delta rule over many tokens or one, Mamba-2's scan and its step, the short convolution before both.

The delta rule was measured at heads of 128 by 128, Mamba-2 at heads of 64 with states of 128, convolutions over 4 tokens. Chunks:
Yang, Kautz, Hatamizadeh, "Gated Delta Networks" (arXiv:2412.06464), sec. 3; Dao, Gu, "Transformers are SSMs" (arXiv:2405.21060),
sec. 6; the convolution: Gu, Dao, "Mamba" (arXiv:2312.00752), causal-conv1d.
"""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

from llmcx.machine.kernels import Peaks, where

CHUNK = 64
"""Tokens that a block works on at a time."""

CHANNELS = 128
"""Channels of a convolution that a block works on."""

STATE = 4
"""Bytes of an element of the state."""


class Scan(NamedTuple):
    """``memory`` share of the peak, ``l2`` how much faster the cache on the chip is, ``again`` how often the bytes come by in
    all kernels of a call; ``launch_us`` of every call; ``block_us`` of every block, one for a head of a sequence, and
    ``chunk_us`` more for every chunk of its tokens; ``resident`` blocks that a processor holds at once, which are turns that
    all take as long where ``whole`` is 1; ``pass_us`` of a chunk in kernels that work on all chunks at once; ``sharp`` how
    abruptly one bound gives way to another.
    """

    launch_us: float
    block_us: float
    chunk_us: float
    resident: float
    whole: float
    pass_us: float
    memory: float
    l2: float
    again: float
    sharp: float


def scanned(
    constants: Scan,
    peaks: Peaks,
    batch: int,
    key_heads: int,
    value_heads: int,
    tokens: int,
    key_dim: int = 128,
    value_dim: int = 128,
) -> float:
    """Seconds of the gated delta rule over ``tokens`` of each of ``batch`` sequences.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> round(scanned(Scan(8, 4, 3, 1, 1, 0.1, 0.6, 2, 3, 2), peaks, 4, 16, 32, 4096) * 1e6)
    707
    """
    return _scanned(constants, peaks, batch, key_heads, value_heads, tokens, key_dim, value_dim)


def _scanned(
    constants: Scan, peaks: Peaks, batch: Any, key_heads: Any, value_heads: Any, tokens: Any, key_dim: Any, value_dim: Any
) -> float:
    """launch + ((turns (block + chunks chunk))^p + (passes)^p + (memory)^p)^(1/p): a block goes through its chunks one after the
    other; memory: keys, queries, values, results and states.
    """
    chunks, blocks = ceil(tokens / CHUNK), batch * value_heads
    turns = max(1, blocks / (constants.resident * peaks.sms))
    turns = where(constants.whole > 0, ceil(turns), turns)
    chain = turns * (constants.block_us + chunks * constants.chunk_us)
    passes = blocks * chunks * constants.pass_us / peaks.sms
    moved = batch * tokens * 2 * (2 * key_heads * key_dim + 2 * value_heads * value_dim)
    moved = constants.again * (moved + blocks * key_dim * value_dim * STATE)
    cold = max(0, 1 - peaks.l2_bytes / moved)
    memory = moved * (cold + (1 - cold) / constants.l2) / (constants.memory * peaks.bytes_per_s * 1e-6)
    p = constants.sharp
    took: float = (constants.launch_us + (chain**p + passes**p + memory**p) ** (1 / p)) * 1e-6
    return took


class Step(NamedTuple):
    """``memory`` share of the peak, ``l2`` how much faster the cache on the chip is; ``launch_us`` of every call; ``block_us`` of
    every block, of which a processor holds ``resident`` at once; ``sharp`` how abruptly one gives way to another.
    """

    launch_us: float
    block_us: float
    resident: float
    memory: float
    l2: float
    sharp: float


def stepped(constants: Step, peaks: Peaks, batch: int, heads: int, key_dim: int = 128, value_dim: int = 128) -> float:
    """Seconds of the gated delta rule for one token of each of ``batch`` sequences: every state is read and written.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> round(stepped(Step(4, 1, 8, 0.9, 2, 2), peaks, 256, 32) * 1e6)  # 1.07 GB: 358 us at the peak
    393
    """
    return _streamed(constants, peaks, batch * heads, 2 * STATE * batch * heads * key_dim * value_dim)


def updated(
    constants: Step, peaks: Peaks, batch: int, heads: int, head_dim: int = 64, d_state: int = 128, size: int = STATE
) -> float:
    """Seconds of Mamba-2's step of one token of each of ``batch`` sequences: every state, of ``size`` bytes a number, is read and
    written.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> round(updated(Step(2, 1, 8, 0.8, 1, 4), peaks, 256, 128) * 1e6)  # 2.15 GB: 716 us at the peak
    897
    """
    return _streamed(constants, peaks, batch * heads, 2 * size * batch * heads * head_dim * d_state)


class Dual(NamedTuple):
    """``launch_us`` of every call, and ``host_us`` that its five kernels' launches take, where no other kernel hides them;
    ``arithmetic`` share of the peak that their products reach, ``memory`` share of the bandwidth.
    """

    launch_us: float
    host_us: float
    arithmetic: float
    memory: float


def dual(
    constants: Dual,
    peaks: Peaks,
    batch: int,
    heads: int,
    tokens: int,
    head_dim: int = 64,
    d_state: int = 128,
    groups: int = 1,
    chunk: int = 256,
) -> float:
    """Seconds of Mamba-2's scan over ``tokens`` of each of ``batch`` sequences, ``chunk`` at a time, in five kernels.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> round(dual(Dual(15, 0, 0.3, 0.5), peaks, 1, 128, 65536) * 1e6)
    7007
    """
    return _dual(constants, peaks, batch, heads, tokens, head_dim, d_state, groups, chunk)


def _dual(
    constants: Dual,
    peaks: Peaks,
    batch: Any,
    heads: Any,
    tokens: Any,
    head_dim: Any,
    d_state: Any,
    groups: Any,
    chunk: Any,
) -> float:
    """max(launches of the host, launch + FLOPs / rate + bytes / bandwidth).

    Products of C and B within a chunk, for each group; of those with x, of B with x and of C with the state, for each head.
    Bytes: x is read twice and the result written, in 16 bits; B is read twice and C twice; the products of C and B are written
    and read in 32 bits, a chunk's state is written, read and written as it is carried on, and read.
    """
    chunks = ceil(tokens / chunk)
    rows = batch * chunks * chunk
    flops = 2 * rows * (groups * chunk * d_state + heads * (chunk * head_dim + 2 * head_dim * d_state))
    moved = 2 * rows * (3 * heads * head_dim + 4 * groups * d_state) + 2 * STATE * rows * groups * chunk
    moved = moved + 4 * STATE * batch * chunks * heads * head_dim * d_state
    spent = flops / (constants.arithmetic * peaks.flops) + moved / (constants.memory * peaks.bytes_per_s)
    took: float = max(constants.host_us * 1e-6, constants.launch_us * 1e-6 + spent)
    return took


class Convolution(NamedTuple):
    """``memory`` share of the peak, ``l2`` how much faster the cache on the chip is; ``launch_us`` of every call; ``block_us`` of
    every block, for :data:`CHANNELS` of a sequence, of which a processor holds ``resident`` at once, and ``chunk_us`` more for
    every chunk of its tokens; ``sharp`` how abruptly one gives way to another.
    """

    launch_us: float
    block_us: float
    chunk_us: float
    resident: float
    memory: float
    l2: float
    sharp: float


def convolved(constants: Convolution, peaks: Peaks, batch: int, channels: int, tokens: int, width: int = 4) -> float:
    """Seconds of a causal convolution over ``width`` tokens, of ``channels`` of ``tokens`` of each of ``batch`` sequences.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> round(convolved(Convolution(3, 0.5, 0.1, 8, 0.7, 2, 2), peaks, 4, 8192, 4096) * 1e6)
    247
    """
    return _convolved(constants, peaks, batch, channels, tokens, width)


def _convolved(constants: Convolution, peaks: Peaks, batch: Any, channels: Any, tokens: Any, width: Any) -> float:
    block = constants.block_us + constants.chunk_us * (ceil(tokens / CHUNK) - 1)
    moved = 2 * batch * channels * (2 * tokens + 2 * width)
    return _streamed(constants, peaks, batch * channels / CHANNELS, moved, block)


def _streamed(constants: Any, peaks: Peaks, blocks: Any, moved: Any, block: Any = None) -> float:
    """launch + ((blocks in turns over the processors)^p + (bytes)^p)^(1/p); what fits the cache on the chip is read from it."""
    turns = max(1, blocks / (constants.resident * peaks.sms))
    each = constants.block_us if block is None else block
    cold = max(0, 1 - peaks.l2_bytes / moved)
    memory = moved * (cold + (1 - cold) / constants.l2) / (constants.memory * peaks.bytes_per_s * 1e-6)
    p = constants.sharp
    took: float = (constants.launch_us + ((turns * each) ** p + memory**p) ** (1 / p)) * 1e-6
    return took
