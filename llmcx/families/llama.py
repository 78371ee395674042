"""LLaMA and its kin: RMS norms, rotary grouped-query attention, gated feed-forwards."""

from __future__ import annotations

from llmcx.core.parts import Layers, ModelSpec

from . import family
from .common import RMS, gated, heads, model
from .config import Config


@family("llama")
def llama(c: Config) -> ModelSpec:
    """RMS norms, rotary grouped-query attention, a gated feed-forward."""
    bias = c.flag("attention_bias")
    layer = Layers(c.size("num_hidden_layers"), heads(c, bias=bias), gated(c, bias=c.flag("mlp_bias")))
    return model(c, decoder=(layer,), norm=RMS)
