"""Topics of attention variants, and of the mixers of released models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

from llmcx.answers import Line
from llmcx.answers.shapes import model
from llmcx.costs.flops import elementwise
from llmcx.costs.flops import fold as flops_fold
from llmcx.costs.kv_cache import cache_fold
from llmcx.costs.leading_order import attended
from llmcx.errors import InputError
from llmcx.explain import Draft, Example, Formula
from llmcx.explain.read import doc, examples, first, source
from llmcx.explain.rules import hyphens
from llmcx.explain.terms import terms
from llmcx.model import cores, pairs, variants
from llmcx.model.lower import Run, lower
from llmcx.model.mixers import MIXERS, Mixer, mixer_class
from llmcx.model.run import step_at
from llmcx.model.spec import Layers, ModelSpec
from llmcx.ops.op import in_layers

LENGTH = 4096
"""Tokens of the examples' sequence: a layer of width 1024, 8 heads of 128, 2 key-value heads."""


def one() -> ModelSpec:
    """The examples' model."""
    return model(1, 1024, 32000, kv_heads=2, gated=True)


# --- attention variants ---------------------------------------------------------------------------------------------


class Pattern(NamedTuple):
    """The pairs of a core: the formula, quoted from a function of core.pairs (or another), and under a causal mask."""

    formula: str
    function: Callable[..., Any]
    causal: str = ""
    masked: Callable[..., Any] | None = None


_SEEN = "q·kv - q(q-1)/2"
PATTERNS = {
    "standard": Pattern("q·kv", pairs.dense, _SEEN, pairs.causal),
    "flash": Pattern("q·kv", pairs.dense, _SEEN, pairs.causal),
    "causal_flash": Pattern("q·kv", pairs.dense, _SEEN, pairs.causal),
    "ring": Pattern("q·kv", pairs.dense, _SEEN, pairs.causal),
    "sliding": Pattern("n(2 side + 1) - side(side + 1)", pairs.centred, "Σ min(p, keys)", pairs.banded),
    "chunked": Pattern("whole · size² + rest²", pairs.blocks, "whole · size(size + 1)/2 + rest(rest + 1)/2", pairs.blocks),
    "local": Pattern("n(2 side + 1) - side(side + 1)", pairs.centred, "Σ min(p, keys)", pairs.banded),
    "strided": Pattern(
        "2 · causal - n", pairs.strided_both_sides, "Σ min(p, stride + 1) + floor((p - 1) / stride) - 1", pairs.strided
    ),
    "fixed": Pattern("whole blocks + summaries", pairs.fixed_both_sides, "Σ p - B stride + B summary", pairs.fixed),
    "longformer": Pattern(
        "2 g n - g² + window of the rest",
        pairs.longformer,
        "Σ min(p, g) + min(ceil((p - g) / dilation), window + 1)",
        pairs.longformer_causal,
    ),
    "bigbird": Pattern(
        "2 g n - g² + min(m, window + r) blocks in each row", pairs.bigbird, "the same, earlier blocks only", pairs.bigbird_causal
    ),
    "reformer": Pattern("rounds · chunks · chunk · 2 chunk", pairs.reformer),
    "topk": Pattern("q · min(kv, top_k)", pairs.useful, "Σ min(p, top_k)", pairs.banded),
}
"""Cores that meet pairs. Linformer, Performer and linear attention have none: their ops are listed in place of them."""

_LATENT = "DeepSeek-AI 2024, arXiv:2405.04434, sec. 2.1"
CACHED = {
    "mha": ("n·2·n_heads·head_dim", ""),
    "mqa": ("n·2·head_dim", ""),
    "gqa": ("n·2·n_kv_heads·head_dim", ""),
    "mla": ("n·(kv_rank + rope_dim)", _LATENT),
    "mla_naive": ("n·n_heads·(2·head_dim + rope_dim)", _LATENT),
    "mla_absorbed": ("n·(kv_rank + rope_dim)", _LATENT),
    "dsa": ("n·(kv_rank + rope_dim + index_dim)", "DeepSeek-AI 2025, arXiv:2512.02556, sec. 2.1"),
    "nsa": ("2·n_kv_heads·head_dim·(n + min(n, window) + floor((n - block)/stride + 1) + block)", ""),
    "gated_delta": ("n_heads·head_dim·head_dim + d_conv·3·n_heads·head_dim", ""),
    "mamba2": ("2·d_model·d_state + d_conv·(2·d_model + 2·d_state)", ""),
}
"""What a variant in the place of a whole attention leaves in the cache after n tokens: elements of one layer, and the source
where the class names none. The test puts numbers in and holds them against the cache fold.
"""

_OWN = {
    "size": ("tokens of a block", "tokens"),
    "whole": ("blocks that are full", "1"),
    "rest": ("tokens of the last block", "tokens"),
    "B": ("blocks before the query's own", "1"),
    "m": ("blocks that are not global", "1"),
    "r": ("random blocks in each row", "1"),
    "keys": ("tokens that a query sees at most, its own included", "tokens"),
    "chunk": ("tokens of a sorted chunk", "tokens"),
    "k": ("columns of the left side, rows of the right", "1"),
    "index_dim": ("width of the indexer's keys", "numbers per token"),
    "block": ("tokens of a block", "tokens"),
    "d_state": ("state of each channel", "1"),
    "d_conv": ("tokens of the causal filter", "tokens"),
}
SETTINGS = {
    "ring": "p=8", "sliding": "w=256", "chunked": "w=256", "local": "w=256", "strided": "k=64", "fixed": "k=128,c=8",
    "longformer": "w=256", "bigbird": "b=64", "reformer": "c=64", "linformer": "k=256", "performer": "r=256", "gqa": "g=2",
}  # fmt: skip
"""Of the variants that need some."""
VARIANT_SYNONYMS = {
    "standard": ("attention", "softmax-attention", "eager", "sdpa"),
    "flash": ("flash-attention", "flashattention"),
    "mha": ("multi-head-attention",),
    "mqa": ("multi-query-attention",),
    "gqa": ("grouped-query-attention",),
    "mla": ("multi-head-latent-attention", "latent-attention"),
    "performer": ("favor",),
    "local": ("sparse",),
    "sliding": ("sliding-window", "window"),
    "gated_delta": ("deltanet",),
    "mamba2": ("ssd",),
    "dsa": ("deepseek-sparse-attention",),
    "nsa": ("native-sparse-attention",),
}


def typed(name: str) -> str:
    """A variant with the settings that it needs."""
    return f"{name}:{SETTINGS[name]}" if name in SETTINGS else name


def built(name: str) -> Any:
    """That variant; top-k, which only an indexer's attention has, by itself."""
    return cores.TopK(256) if name == "topk" else variants.parse_variant(typed(name))


def of_attention(spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    """The matmuls of a model's mixers, and what they leave in the cache, with the numbers put in."""
    inside = [
        op for op in lower(spec, Run(batch, seq)) if in_layers(op) and not op.component.startswith(("ffn.", "moe.", "norm."))
    ]
    step = lower(spec, step_at(seq, batch))
    lines = [line._replace(component=f"{line.component}, FLOPs") for line in terms(flops_fold, inside)]
    if not lines:  # a mixer without a matrix: what it does to each element
        own = [op for op in inside if op.kind == "scan"]
        lines = [line._replace(component=f"{line.component}, operations") for line in terms(elementwise, own)]
    return lines + [line._replace(component=f"{line.component}, elements") for line in terms(cache_fold, step)]


def of_variant(name: str, spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    """A model with the variant in place of its attention."""
    return of_attention(variants.with_variant(spec, built(name)), batch, seq)


def as_examples(lines: list[Line]) -> list[Example]:
    """Each line's numbers and what they come to."""
    return [Example(f"{line.component}: {line.numbers}", f"{line.value:,}") for line in lines]


def as_formulas(lines: list[Line]) -> list[Formula]:
    """Each line's formula, once."""
    return list(dict.fromkeys(Formula(line.component, line.formula, line.source) for line in lines))


def _variant_examples(name: str) -> list[Example]:
    variant, spec = built(name), one()
    made = as_examples(of_variant(name, spec, 1, LENGTH))
    if name in PATTERNS:
        causal = pairs.useful(variant, LENGTH, LENGTH, masked=True)
        hops = pairs.hops(variant, LENGTH, masked=True)
        made.append(Example(f"causal pairs of {LENGTH:,} tokens", f"{causal:,}"))
        made.append(
            Example(
                f"layers until all of {LENGTH:,} tokens are reached, causally",
                "never, or by the data" if hops is None else f"{hops:,}",
            )
        )
        pattern = PATTERNS[name]
        made += [example for function in (pattern.function, pattern.masked) if function for example in examples(function)]
    swapped = next(layers.mixer for layers in variants.with_variant(spec, variant).groups)
    made.append(Example(f"s of the leading order s·n·d at {LENGTH:,} tokens", f"{attended(swapped, LENGTH, spec.d_model):,}"))
    return made


def of_variants() -> Iterator[Draft]:
    """A topic for each variant that can be typed, and for top-k."""
    for name in [*variants.VARIANTS, "topk"]:
        kind = variants.VARIANTS.get(name, cores.TopK)
        cite = source(kind)
        formulas = []
        if name in PATTERNS:
            pattern = PATTERNS[name]
            formulas.append(Formula("pairs, no mask", pattern.formula, cite))
            if pattern.causal:
                formulas.append(Formula("pairs, causal mask", pattern.causal, cite))
        if name in CACHED:
            formula, stated = CACHED[name]
            formulas.append(Formula("cache of a layer after n tokens, elements", formula, stated or cite))
        formulas.append(Formula("leading order, one layer", "n·d² + s·n·d", "the textbook chapter; see leading-order"))
        formulas += as_formulas(of_variant(name, one(), 1, LENGTH))
        swap = doc(kind.mixer) if hasattr(kind, "mixer") else ""
        yield Draft(
            {"linear": "linear-attention", "topk": "top-k-attention"}.get(name, hyphens(name)),
            f"Attention variant {name}: {first(doc(kind)).partition(' (')[0]}",
            "attention",
            doc(kind) + (f"\n\n{swap}" if swap else ""),
            formulas,
            partial(_variant_examples, name),
            symbols=_OWN,
            commands=() if name == "topk" else (f"llmcx attention-compare llama-3-8b --seq 8k --variant {typed(name)}",),
            synonyms=VARIANT_SYNONYMS.get(name, ()),
            applied=partial(of_variant, name),
        )


# --- mixers of released models --------------------------------------------------------------------------------------

MIXER_SAMPLES: dict[str, dict[str, Any]] = {
    "longformer": {"n_heads": 8, "window": 512},
    "big_bird": {"n_heads": 8, "block": 64, "random": 3},
    "attention": {"n_heads": 8, "n_kv_heads": 2},
    "mla": {"n_heads": 8, "kv_rank": 512, "nope_dim": 128, "rope_dim": 64, "v_dim": 128},
    "nsa": {"n_heads": 8, "n_kv_heads": 2, "head_dim": 128},
    "mamba": {"d_inner": 2048, "d_state": 16, "d_conv": 4, "dt_rank": 64},
    "mamba2": {"n_heads": 32, "head_dim": 64, "d_state": 128, "n_groups": 1, "d_conv": 4, "chunk": 256},
    "gated_delta": {"k_heads": 8, "v_heads": 8, "k_dim": 128, "v_dim": 128, "d_conv": 4},
    "kimi_delta": {"n_heads": 8, "head_dim": 128, "d_conv": 4},
    "short_conv": {"d_conv": 3},
    "lightning": {"n_heads": 8, "head_dim": 128, "block": 256},
    "rg_lru": {"width": 1024, "n_heads": 8, "d_conv": 4},
    "rwkv": {"d_attention": 1024, "d_ff": 4096},
    "rwkv7": {"n_heads": 16, "decay": 64, "rate": 64, "value": 32, "gate": 128, "d_ff": 4096},
    "disentangled": {"n_heads": 8, "span": 512},
    "local_conv": {"kernel": 3},
    "longt5": {"n_heads": 8, "head_dim": 128, "radius": 127, "summary": 16},
    "mobile": {"n_heads": 4, "d_ff": 512, "width": 128},
    "conv_bert": {"n_heads": 8, "kernel": 9},
    "global_local": {"n_heads": 8, "block": 512, "globals": 32, "d_ff": 4096},
    "squeeze": {"n_heads": 8, "d_ff": 4096},
    "fourier": {},
    "differential": {"n_heads": 8, "n_kv_heads": 4},
    "dynamic": {"n_heads": 8, "n_kv_heads": 2},
    "filtered": {"n_heads": 8, "kernel": 65},
    "convolved": {"n_heads": 8, "n_kv_heads": 2, "head_dim": 128},
    "clipped": {"n_heads": 8, "n_kv_heads": 2, "head_dim": 128, "gate": True},
    "merged": {"n_heads": 8, "n_kv_heads": 2, "head_dim": 128},
    "routed": {"n_kv_heads": 8, "head_dim": 128, "n_experts": 8, "top_k": 2},
    "indexed": {"n_heads": 8, "n_kv_heads": 2, "index_heads": 4},
    "compressed": {"n_heads": 8, "head_dim": 128, "q_rank": 256, "out_groups": 2, "out_rank": 256, "window": 128, "rate": 4},
    "ngrams": {"rows": 65536, "width": 128, "lookups": 2, "streams": 1, "d_conv": 4, "dilation": 3},
    "resolutions": {"n_heads": 8, "blocks": 64},
    "latent_layer": {"n_heads": 8, "rows": 256, "width": 1024, "d_qk": 1024, "d_v": 1024, "d_ff": 1024, "source": 1024},
    "reversible": {"n_heads": 8, "head_dim": 128, "d_ff": 4096, "chunk": 64, "rounds": 2},
    "funnel": {"n_heads": 8, "head_dim": 128, "d_ff": 4096, "block": 1, "pools": True},
    "distant": {"n_heads": 8},
    "summed": {"n_heads": 8},
    "prophet": {"n_heads": 8, "d_ff": 4096, "ahead": 2, "buckets": 32},
    "patch_layer": {"width": 2048, "n_heads": 16, "d_ff": 5632, "per": 4},
    "patch_cross": {"n_heads": 8, "many": 2, "gathers": True, "source": 1024, "per": 4},
    "prefixed": {"n_heads": 8},
    "mingled": {"n_heads": 8, "n_kv_heads": 2, "head_dim": 128},
    "mlstm": {"n_heads": 8, "d_qk": 512, "d_v": 1024, "chunk": 64},
    "shared_block": {"n_heads": 8, "n_kv_heads": 8, "head_dim": 128, "d_ff": 4096, "rank": 128},
}
"""Shapes for the example of each mixer that a preset may have."""


ENCODING = (
    "LongformerBlocks",
    "BigBird",
    "GlobalLocal",
    "Fourier",
    "Resolutions",
    "LatentLayer",
    "ReversibleLayer",
    "FunnelLayer",
)
"""Mixers that only encoders have."""


def mixer_lines(mixer: Mixer) -> list[Line]:
    """One layer of it at width 1024: the examples' model with it in place of its attention."""
    spec = one()
    [layers] = spec.decoder
    stack = (Layers(1, mixer, layers.ffn),)
    made: dict[str, Any] = {field.name: getattr(spec, field.name) for field in fields(spec)}
    side = "encoder" if type(mixer).__name__ in ENCODING else "decoder"
    made |= {"decoder": (), "encoder": (), side: stack}
    return of_attention(ModelSpec(**made), 1, LENGTH)


def _mixer_examples(kind: str) -> list[Example]:
    return as_examples(mixer_lines(mixer_class(kind)(**MIXER_SAMPLES[kind])))


def of_mixers() -> Iterator[Draft]:
    """A topic for each mixer of the registry, by the type name of a preset."""
    for kind in MIXERS:
        part = mixer_class(kind)
        yield Draft(
            f"mixer.{hyphens(kind)}",
            f"Mixer {kind}: {first(doc(part)).partition(' (')[0]}",
            "mixers",
            doc(part),
            as_formulas(mixer_lines(part(**MIXER_SAMPLES[kind]))),
            partial(_mixer_examples, kind),
            applied=partial(_of_mixer, kind),
        )


def _of_mixer(kind: str, spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    parts = [part for layers in spec.groups for part in (layers.mixer, layers.beside)]
    if not any(getattr(part, "type", None) == kind for part in parts):
        raise InputError(f"{spec.name} has no layer with the mixer {kind}", field="topic", value=f"mixer.{hyphens(kind)}")
    return of_attention(spec, batch, seq)
