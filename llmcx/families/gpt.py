"""GPT-2 and its kin: plain feed-forwards, biases, layer norms."""

from __future__ import annotations

from llmcx.core.parts import Attention, Embedding, Layers, ModelSpec, Plain

from . import family
from .common import activation, model
from .config import Config


@family("gpt2")
def gpt2(c: Config) -> ModelSpec:
    """Learned positions, biases everywhere, layer norms before each part."""
    c.expect("add_cross_attention", False)
    d = c.size("n_embd")
    ffn = Plain(c.optional("n_inner") or 4 * d, True, activation(c, "activation_function"))
    positions = c.size("n_positions")
    return model(
        c,
        d_model="n_embd",
        context="n_positions",
        embedding=Embedding(c.size("vocab_size"), positions),
        decoder=(Layers(c.size("n_layer"), Attention(c.size("n_head"), bias=True), ffn),),
    )
