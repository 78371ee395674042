"""The FLOP folds: matmul FLOPs as PyTorch's FlopCounterMode counts them, and elementwise work apart.

One multiply-add is 2 FLOPs. Backward is twice forward: each matmul's two inputs get a gradient, each by a matmul of the
same size. Shapes in, integer out.
"""

from __future__ import annotations

from collections.abc import Callable

from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.fold import Fold, Rule
from llmcx.ops.op import ACTIVATIONS

fold = Fold("matmul FLOPs", weight_text="layers")
elementwise = Fold("elementwise operations", weight_text="layers")

_MATMUL = "one multiply-add per term, 2 FLOPs each; torch/utils/flop_counter.py, mm_flop"


@fold.rule("linear", text="2·tokens·d_in·d_out", source=_MATMUL)
def linear(tokens: int, d_in: int, d_out: int, bias: int, tied: int, grads: int = 2) -> int:
    """(tokens, d_in) times (d_in, d_out). The bias is an addition, not a matmul.

    >>> linear(tokens=2, d_in=3, d_out=4, bias=1, tied=0)
    48
    """
    return 2 * tokens * d_in * d_out


@fold.rule("scores", "values", text="2·batch·heads·pairs·width", source="Vaswani et al. 2017, arXiv:1706.03762, eq. 1; bmm_flop")
def meet(batch: int, heads: int, pairs: int, width: int, **shape: int) -> int:
    """Q Kᵀ (width d_qk) or A V (width d_v), over the (query, key) pairs multiplied; ``shape`` matters to the traffic alone.

    >>> meet(batch=1, heads=2, pairs=16, width=8)
    512
    """
    return 2 * batch * heads * pairs * width


@fold.rule("matmul", text="2·batch·m·k·n", source="torch/utils/flop_counter.py, bmm_flop")
def matmul(batch: int, m: int, k: int, n: int, weight: int, grads: int = 2) -> int:
    """``batch`` products of (m, k) with (k, n).

    >>> matmul(batch=1, m=2, k=3, n=4, weight=0)
    48
    """
    return 2 * batch * m * k * n


@fold.rule("conv", text="2·batch·channels·length·kernel", source="torch/utils/flop_counter.py, conv_flop")
def conv(batch: int, channels: int, length: int, kernel: int, bias: int, met: int) -> int:
    """A filter per channel over ``length`` positions.

    >>> conv(batch=1, channels=2, length=10, kernel=4, bias=1, met=2)
    160
    """
    return 2 * batch * channels * length * kernel


# FlopCounterMode has no formula for a triangular solve; it counts the matmul of its backward.
fold.costs_nothing(
    "solve",
    "recompute",
    "scan",
    "lookup",
    "vector",
    "softmax",
    "layernorm",
    "rmsnorm",
    "product",
    "residual",
    "rotary",
    "cache",
    *ACTIVATIONS,
)


def _each_input(rule: Rule) -> Rule:
    def backward(grads: int = 2, **dims: int) -> int:
        """Each of the matmul's two inputs gets a gradient, by a matmul of the same size; where one is frozen, the other alone."""
        return grads * rule.compute(**dims)

    return Rule(backward, f"grads·({rule.text})", rule.source)


backward_fold = fold.derived(
    "backward matmul FLOPs",
    lambda op: op.times * op.grad,
    but=("recompute", "matmul", "conv", "solve"),
    change=_each_input,
)
"""Each matmul's two inputs get a gradient by a matmul of the same size: twice the forward, unless a kind says otherwise."""
backward_fold.rule(
    "recompute",
    text="2·batch·heads·pairs·width",
    source="Dao et al. 2022, arXiv:2205.14135, algorithm 4, line 11: Q Kᵀ once more",
)(meet)


@backward_fold.rule("matmul", text="grads·2·batch·m·k·n", source="torch/utils/flop_counter.py, bmm_flop")
def matmul_backward(batch: int, m: int, k: int, n: int, weight: int, grads: int = 2) -> int:
    """One matmul for each input that needs a gradient: a state that starts at zero needs none."""
    return grads * matmul(batch, m, k, n, weight)


@backward_fold.rule(
    "conv", text="2·batch·channels·length·kernel·(1 + met)", source="torch/utils/flop_counter.py, conv_backward_flop"
)
def conv_backward(batch: int, channels: int, length: int, kernel: int, bias: int, met: int) -> int:
    """The input's gradient costs a forward, and so does the filters', which FlopCounterMode counts ``met`` = channels times.

    >>> conv_backward(batch=1, channels=2, length=10, kernel=4, bias=1, met=2)
    480
    """
    return 2 * batch * channels * length * kernel * (1 + met)


@backward_fold.rule("solve", text="2·batch·m·m·n", source="torch/utils/flop_counter.py, bmm_flop: the gradient of the matrix")
def solve_backward(batch: int, m: int, n: int) -> int:
    """The right-hand sides' gradient is another solve; the matrix's is one matmul.

    >>> solve_backward(batch=1, m=4, n=3)
    96
    """
    return 2 * batch * m * m * n


CONVENTION = "operations per element by llmcx's convention: each addition, multiplication, root and exponential is one"
for _kind, _operations in {**ACTIVATIONS, "product": 1, "residual": 1, "rotary": 3}.items():

    def _per_element(operations: int) -> Callable[..., int]:
        def per_element(elements: int) -> int:
            """So many operations on each element, one by one."""
            return operations * elements

        return per_element

    elementwise.rule(_kind, text=f"{_operations}·elements", source=CONVENTION)(_per_element(_operations))


@elementwise.rule("softmax", text="3·elements", source="Hoffmann et al. 2022, arXiv:2203.15556, appendix F: exp, sum, division")
def softmax(elements: int, fused: int = 0) -> int:
    """Over scores or router logits.

    >>> softmax(elements=10)
    30
    """
    return 3 * elements


@elementwise.rule("layernorm", text="7·tokens·width", source=CONVENTION)
def layernorm(tokens: int, width: int, weights: int) -> int:
    """Mean, difference, square, sum, division by the deviation, scale, shift."""
    return 7 * tokens * width


@elementwise.rule("rmsnorm", text="4·tokens·width", source=CONVENTION)
def rmsnorm(tokens: int, width: int, weights: int) -> int:
    """Square, sum, division by the root, scale."""
    return 4 * tokens * width


@elementwise.rule("scan", text="operations·elements", source=CONVENTION)
def scan(elements: int, operations: int) -> int:
    """A recurrence, token by token: each step is elementwise."""
    return operations * elements


elementwise.costs_nothing("solve", "conv", "linear", "lookup", "vector", "scores", "values", "recompute", "matmul", "cache")


def forward_flops(spec: ModelSpec, run: Run) -> int:
    """Matmul FLOPs of one forward pass."""
    return fold.total(lower(spec, run))
