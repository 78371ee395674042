"""Feed-forward parts: plain, gated, and mixtures of experts made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union

from llmcx.errors import InputError, check_sizes
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import TOKENS, Cut, Op, Saved

Activation = Literal["relu", "relu2", "xielu", "gelu", "gelu_new", "gelu_tanh", "quick_gelu", "silu", "situ"]


@dataclass(frozen=True)
class Plain:
    """Two matrices with an activation between them (Vaswani et al. 2017, sec. 3.3); xIELU has two learned numbers of its own
    (Huang and Schlag 2024, arXiv:2411.13010). A norm of the model's kind before the last one with ``inner_norm`` (Kosmos).
    """

    d_ff: int
    bias: bool = False
    activation: Activation = "gelu"
    inner_norm: bool = False
    type: Literal["plain"] = "plain"

    def __post_init__(self) -> None:
        check_sizes(self, "d_ff")

    def ops(self, where: LayerRun, name: str = "ffn", tokens: int | None = None, copies: int = 1, used: int = 1) -> Iterator[Op]:
        """On ``tokens`` tokens (default: the whole pass), with ``copies`` sets of weights of which a token meets ``used``."""
        n = where.tokens if tokens is None else tokens
        columns, rows, of = _shares(where, self.d_ff, n, copies, used)
        yield where.linear(f"{name}.up", where.d_model, self.d_ff, self.bias, reads="normed", cut=columns, **of)
        yield _activation(where, name, self.activation, n * self.d_ff, columns)
        if self.activation == "xielu":
            yield where.op(f"{name}.xielu", "vector", size=2, cut=TOKENS)
        if self.inner_norm:
            yield where.norm(f"{name}.norm", where.spec.norm, self.d_ff, n, cut=columns)
        yield where.linear(f"{name}.down", self.d_ff, where.d_model, self.bias, reads="activated", cut=rows, **of)


@dataclass(frozen=True)
class Gated:
    """Three matrices: act(x W_gate) * (x W_up), then W_down (Shazeer 2020, arXiv:2002.05202), whose bias is ``down_bias`` if that
    is not as the others'; an RMS norm before the last one with ``inner_norm`` (BitNet). ``joint``: transformers' code has one
    matrix for the first two, as an adapter meets it (Phi-3, GLM).
    """

    d_ff: int
    bias: bool = False
    activation: Activation = "silu"
    inner_norm: bool = False
    down_bias: bool | None = None
    joint: bool = False
    type: Literal["gated"] = "gated"

    def __post_init__(self) -> None:
        check_sizes(self, "d_ff")

    def ops(self, where: LayerRun, name: str = "ffn", tokens: int | None = None, copies: int = 1, used: int = 1) -> Iterator[Op]:
        """As :meth:`Plain.ops`."""
        n = where.tokens if tokens is None else tokens
        columns, rows, of = _shares(where, self.d_ff, n, copies, used)
        yield where.linear(f"{name}.gate", where.d_model, self.d_ff, self.bias, reads="normed", cut=columns, **of)
        up = where.linear(f"{name}.up", where.d_model, self.d_ff, self.bias, saves=False, reads="normed", cut=columns, **of)
        yield up._replace(joint=self.joint)
        yield _activation(where, name, self.activation, n * self.d_ff, columns)._replace(joined=True)
        factors = Saved("both factors", 2 * n * self.d_ff)
        yield where.op(f"{name}.product", "product", factors, elements=n * self.d_ff, cut=columns)
        if self.inner_norm:
            yield where.norm(f"{name}.norm", Norm("rmsnorm"), self.d_ff, n, cut=columns)
        bias = self.bias if self.down_bias is None else self.down_bias
        yield where.linear(f"{name}.down", self.d_ff, where.d_model, bias, reads="activated", cut=rows, **of)


def _shares(where: LayerRun, d_ff: int, tokens: int, copies: int, used: int) -> tuple[Cut, Cut, dict[str, Any]]:
    """How tensor parallelism cuts the first matrices and the last one, and what all of them share. Routed tokens are gathered
    before the experts, and stay so.
    """
    columns = Cut("columns", d_ff, gathered=where.role == "expert")
    return columns, Cut("rows", d_ff), {"tokens": tokens, "copies": copies, "used": used}


def _activation(where: LayerRun, name: str, kind: Activation, elements: int, cut: Cut) -> Op:
    """ReLU's output is the next matmul's kept input; fused ones keep their input; gelu_new, written in Python, four tensors."""
    tensors = {"relu": 0, "relu2": 1, "gelu_new": 4, "quick_gelu": 2}.get(kind, 1)
    saved = (Saved("activation", tensors * elements),) if tensors else ()
    return where.op(f"{name}.activation", kind, *saved, elements=elements, cut=cut)


@dataclass(frozen=True)
class MoE:
    """A router that sends each token to ``top_k`` of ``n_experts`` experts, beside an always-on ``shared`` one.

    ``shared_gate`` weighs the shared expert by a number per token (Qwen2-MoE); ``shared_scores`` further outputs of the router
    do (Inkling). ``latent`` puts the routed experts between a projection down to that width and one up (Nemotron-H), with biases
    if ``latent_bias`` and a norm before the second if ``latent_norm`` (Kimi K3), or norms before the experts and after each of
    them if ``inner_norms`` (Muse Spark).

    ``capacity_factor`` bounds an expert's tokens per batch (Fedus et al. 2021, arXiv:2101.03961, eq. 3); None means that
    no token is dropped. ``correction`` is a learned number per expert that only steers the choice (ERNIE 4.5) or scales its
    output (Gemma 4), whose router has a norm before it (``router_norm``). ``out_bias`` is added to their sum (JetMoE).
    ``idle_experts`` are further ones that hand on their input; transformers gives them first matrices all the same, which nobody
    reads (LongCat-Flash). ``every_expert``: transformers' eager code multiplies every token with every expert and throws the rest
    away (Llama 4), which no engine does; a run counts that only where it asks for it. ``router_mlp`` is the width of a router of
    four matrices, to which the router of the layer before hands its state, weighed (``router_states``), and which scores doing
    nothing, too; transformers sends such a token through the first expert all the same (ZAYA).
    """

    n_experts: int
    top_k: int
    expert: Union[Plain, Gated]
    shared: Union[Plain, Gated] | None = None
    router_bias: bool = False
    shared_gate: bool = False
    latent: int | None = None
    latent_bias: bool = False
    latent_norm: bool = False
    inner_norms: bool = False
    capacity_factor: float | None = None
    correction: bool = False
    shared_scores: int = 0
    out_bias: bool = False
    idle_experts: int = 0
    every_expert: bool = False
    router_norm: bool = False
    router_mlp: int | None = None
    router_states: bool = False
    type: Literal["moe"] = "moe"

    def __post_init__(self) -> None:
        check_sizes(self, "n_experts", "top_k", "latent", "router_mlp")
        if self.top_k > self.n_experts:
            raise InputError(
                f"top_k is {self.top_k}, but there are only {self.n_experts} experts",
                field="top_k",
                value=self.top_k,
                allowed=f"at most {self.n_experts}",
            )
        if self.capacity_factor is not None and not 0 < self.capacity_factor < float("inf"):
            raise InputError(
                f"capacity_factor is {self.capacity_factor}, but must be a positive finite number",
                field="capacity_factor",
                value=str(self.capacity_factor),
            )

    def ops(self, where: LayerRun, name: str = "moe") -> Iterator[Op]:
        """Router, routed experts on top_k times the tokens, shared expert."""
        n, router = where.tokens, where._replace(role="router")
        if self.router_norm:
            yield router.norm("moe.router_norm", Norm("rmsnorm"), where.d_model)
        # The router's input is also the shared expert's, and kept once.
        saves, biased = self.shared is None, self.router_bias
        scored = self.n_experts + self.idle_experts + self.shared_scores
        if self.router_mlp is None:
            yield router.linear("moe.router", where.d_model, scored, biased, saves=saves, reads="normed", cut=TOKENS)
        else:
            yield from self._router(router, self.router_mlp, scored + 1)
        chosen = n * self.top_k
        routing = (
            Saved("router probabilities", n * self.n_experts, "fp32"),
            Saved("chosen experts", chosen, "int64"),
            Saved("their weights", chosen, "fp32"),
            Saved("the sum of a token's weights", n, "fp32"),
            Saved("places of the routed tokens", 2 * chosen, "int64"),
        )
        yield router.op("moe.softmax", "softmax", *routing, elements=n * self.n_experts, cut=TOKENS)
        if self.latent is not None:
            yield router.linear("moe.latent_down", where.d_model, self.latent, self.latent_bias, reads="normed", cut=TOKENS)
        inside = where._replace(role="expert", width=where.width if self.latent is None else self.latent)
        met = self.n_experts if self.every_expert and where.run.all_experts else self.top_k
        if self.inner_norms:
            yield inside.norm("moe.norm", Norm("rmsnorm", fp32=True, offset=True), inside.d_model, role="router")
        yield from self.expert.ops(inside, "moe.expert", n * met, self.n_experts, self.top_k)
        if self.inner_norms:
            yield inside.norm("moe.norm_out", Norm("rmsnorm", fp32=True, offset=True), inside.d_model, chosen, role="router")
        outputs = (Saved("experts' outputs, plain and weighted", 2 * chosen * inside.d_model), Saved("weights", chosen, "fp32"))
        yield router.op("moe.combine", "product", *outputs, elements=chosen * inside.d_model, cut=TOKENS)
        if self.latent is not None:
            if self.latent_norm:
                yield router.norm("moe.latent_norm", Norm("rmsnorm"), self.latent)
            yield router.linear("moe.latent_up", self.latent, where.d_model, self.latent_bias, reads="normed", cut=TOKENS)
        if self.shared is not None:
            yield from self.shared.ops(where._replace(role="shared_expert"), "moe.shared")
        if self.shared_gate:
            yield router.linear("moe.shared_gate", where.d_model, 1, saves=False, reads="normed", cut=TOKENS)
        if self.out_bias:
            yield router.op("moe.bias", "vector", size=where.d_model, cut=TOKENS)
        if self.idle_experts:
            size = self.idle_experts * 2 * where.d_model * self.expert.d_ff
            yield where._replace(role="expert").op("moe.idle", "vector", size=size, used=0, cut=TOKENS)
        if self.correction:
            yield router.op("moe.correction", "vector", size=self.n_experts, cut=TOKENS)

    def _router(self, router: LayerRun, width: int, scored: int) -> Iterator[Op]:
        """Down to ``width``, a norm, two layers there, the scores."""
        elements = router.tokens * width
        yield router.linear("moe.router.down", router.d_model, width, True, reads="normed", cut=TOKENS)
        if self.router_states:
            yield router.op("moe.router.states", "vector", size=width, cut=TOKENS)
        yield router.norm("moe.router.norm", router.spec.norm, width)
        for layer in range(2):
            yield router.linear(f"moe.router.{layer}", width, width, True, cut=TOKENS)
            yield router.op("moe.router.activation", "gelu", Saved("activation", elements), elements=elements, cut=TOKENS)
        yield router.linear("moe.router.out", width, scored, cut=TOKENS)


FFN = Union[Plain, Gated, MoE]
