"""How many CUDA graphs vLLM captures when it starts, and what they take.

Which sizes are captured: vllm/config of 0.8.5, 0.9.2, 0.10.0, 0.10.2, 0.11.0, 0.11.1, 0.19.1 and 0.32.0 (_set_cudagraph_sizes),
and v1/cudagraph_dispatcher.py. Bytes: starts of 0.19 (tests/oracle/vllm_starts.csv), of which half the models gave
:data:`EACH` and :data:`LAYER`; what other versions and drivers logged is in tests/oracle/vllm_graphs.csv.
"""

from __future__ import annotations

from llmcx.engines.vllm_lines import Version

MIB = 2**20
EACH, LAYER = int(2.77 * MIB), int(0.181 * MIB)
"""Bytes of a captured graph, and of a layer in it."""
HOSTED = int(0.163 * MIB)
"""Bytes more of a layer whose two sums go through NCCL, as on GPUs that meet in the host: one start of 0.11 on four RTX 3090s."""
DEEP = 2
"""How much more a graph takes of layers with latents, and of gpt-oss' experts, by starts of three such models."""
OLD = 3.35
"""How much more graphs take with a driver that is older than CUDA 12.4's: 3.81 GiB where others had 1.14 (vllm-project/vllm issue
5517, on an A10G; on an L4 3.79 and 1.14).
"""
DRIVER = 550
"""The driver of CUDA 12.4."""
FIRST, TWICE, FULL, COARSE = (0, 8), (0, 10), (0, 11), (0, 12)
"""The versions from which on steps of up to 512 tokens are captured, not of as many as there are sequences; of up to twice as
many as there are sequences; decoding too, whole; from 256 tokens on only every 16.
"""
MOST = 512


def sizes(version: Version, most: int) -> list[int]:
    """Tokens of the steps that are captured, up to ``most``.

    >>> len(sizes((0, 11), 512)), len(sizes((0, 19), 512)), sizes((0, 19), 20)
    (67, 51, [1, 2, 4, 8, 16])
    """
    coarse = range(256, most + 1, 16) if version >= COARSE else range(256, most + 1, 8)
    return [size for size in (1, 2, 4, *range(8, 256, 8), *coarse) if size <= most]


def captured(version: Version, sequences: int, tokens: int | None) -> int:
    """Graphs that are captured for ``sequences`` at once in steps of ``tokens`` (None: as many as the prompts have).

    >>> captured((0, 7), 256, None), captured((0, 8), 16, 8192), captured((0, 11), 1024, 8192), captured((0, 19), 256, 8192)
    (35, 67, 134, 86)
    """
    if version < FIRST:
        return len(sizes(version, next(size for size in (1, 2, 4, -(-sequences // 8) * 8) if size >= sequences)))
    most = MOST if version < TWICE else min(MOST, 2 * sequences)
    mixed = sizes(version, most if tokens is None else min(most, tokens))
    return len(mixed) + (len([size for size in mixed if size <= sequences]) if version >= FULL else 0)


def taken(graphs: int, layers: int, *, hosted: bool = False, deep: bool = False, old: bool = False) -> int:
    """Bytes of so many graphs of as many layers. ``hosted``: their sums go through NCCL; ``deep``: layers with latents, or
    gpt-oss'; ``old``: with a driver before :data:`DRIVER`.
    """
    size = graphs * (EACH + layers * (LAYER + HOSTED * hosted)) * (DEEP if deep else 1)
    return int(size * OLD) if old else size
