"""Mixers: the part of a layer in which tokens meet. One file each: a dataclass of shapes and the ops it lowers to.

To add one, write its file and name it in MIXERS, or in a plugin's entry points (llmcx.plugins). A file is imported only
when a model uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmcx.model.run import LayerRun
    from llmcx.ops.op import Op


class Mixer:
    """What every mixer answers: its ops at a place."""

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """The ops of one layer of ``where``'s group, components named under ``name``."""
        raise NotImplementedError

    def period(self) -> int:
        """Tokens after which the cost of a run steps: the chunk that is padded, the block that is begun; 1 where nothing is."""
        return 1


MIXERS = {
    "longformer": "blocks:LongformerBlocks",
    "big_bird": "blocks:BigBird",
    "disentangled": "disentangled:Disentangled",
    "local_conv": "disentangled:LocalConv",
    "longt5": "longt5:LongT5Blocks",
    "mobile": "compact:MobileLayer",
    "conv_bert": "convbert:ConvBert",
    "global_local": "globallocal:GlobalLocal",
    "squeeze": "compact:SqueezeLayer",
    "resolutions": "resolutions:Resolutions",
    "latent_layer": "latents:LatentLayer",
    "reversible": "reformer:ReversibleLayer",
    "fourier": "fourier:Fourier",
    "funnel": "funnel:FunnelLayer",
    "mla": "mla:MLA",
    "nsa": "nsa:NSA",
    "compressed": "compressed:Compressed",
    "indexed": "indexed:Indexed",
    "distant": "einsum:Distant",
    "summed": "einsum:Summed",
    "prophet": "einsum:Prophet",
    "differential": "further:Differential",
    "dynamic": "further:Dynamic",
    "filtered": "further:Filtered",
    "merged": "further:Merged",
    "prefixed": "further:Prefixed",
    "mingled": "further:Mingled",
    "routed": "further:Routed",
    "convolved": "further:Convolved",
    "clipped": "further:Clipped",
    "ngrams": "ngrams:NGrams",
    "patch_layer": "patches:PatchLayer",
    "patch_cross": "patches:PatchCross",
    "attention": "attention:Attention",
    "mamba": "mamba:Mamba",
    "mamba2": "mamba2:Mamba2",
    "gated_delta": "delta:GatedDelta",
    "kimi_delta": "delta:KimiDelta",
    "short_conv": "shortconv:ShortConv",
    "lightning": "lightning:Lightning",
    "mlstm": "mlstm:MLSTM",
    "rg_lru": "rglru:RGLRU",
    "rwkv": "rwkv:RWKV",
    "rwkv7": "rwkv7:RWKV7",
    "shared_block": "shared:SharedBlock",
}
"""Type name in a preset -> module and class."""


def mixer_class(name: str) -> Any:
    """The class of a mixer's type name: one of MIXERS, else a plugin's. Raises InputError if that is no mixer."""
    if name not in MIXERS:
        from llmcx import plugins
        from llmcx.errors import InputError

        made, plugin = plugins.load("mixers", name)
        if not (isinstance(made, type) and issubclass(made, Mixer) and getattr(made, "type", None) == name):
            problem = f"the mixer {name!r} of the plugin {plugin} must be a dataclass that extends Mixer, with the type {name!r}"
            raise InputError(problem, field="type", value=name)
        return made
    module, _, kind = MIXERS[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), kind)
