"""Families that see, whose code is released beside the weights: MiniCPM-V, Molmo, DeepSeek-OCR.

Each is held to a count by hand and to what its index or page gives (tests/test_remote.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llmcx.huggingface import family
from llmcx.huggingface.common import RMS, heads, model
from llmcx.huggingface.config import STRICT, Config
from llmcx.huggingface.llama import POST, llama, qwen2, qwen3
from llmcx.huggingface.towers import IDLE, Towers, UnknownTower, gated_mlp, multimodal
from llmcx.huggingface.vision import siglip
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec, Plain
from llmcx.model.tower import Dense, Normed, Piece, Tower, Vector


@family("minicpmv")
def minicpmv(c: Config) -> ModelSpec:
    """MiniCPM-V 2.5 (LLaMA 3), 2.6 (Qwen2), 4.0 (LLaMA's shape) and 4.5 (Qwen3), by their version: SigLIP, and a resampler whose
    queries meet a slice's tokens once.
    """
    c.ignore("batch_vision_input", "patch_size", "slice_config", "slice_mode", "use_image_id", "batch_3d_resampler")
    version = str(c.data.get("version", 2.5))
    c.ignore("version")
    readers = {"2.5": llama, "2.6": qwen2, "4.0": llama, "4": llama, "4.5": qwen3}
    given = c.data.get("vision_config")
    # The one before 2.5 says nothing of its encoder but a name.
    if version not in readers or not isinstance(given, Mapping):
        raise c.wrong("version", c.data.get("version"), "2.6, 4.0 or 4.5, or left out beside a vision_config (2.5)")
    if c.data.get("architectures") == ["MiniCPMV"]:  # whose language model has its head
        c.data["architectures"] = None
    spec = readers[version](c)
    part = Config(
        {key: value for key, value in given.items() if key != "model_type"}, "idefics2_vision", f"{c.source}: vision_config"
    )
    part.notes, part.begins = c.notes, STRICT
    (vision,) = siglip(part)
    part.ignore(*IDLE)
    part.check_leftovers()
    if c.flag("drop_vision_last_layer", True):
        (layer,) = vision.layers
        vision = replace(vision, layers=(replace(layer, repeat=layer.repeat - 1),))
    d, queries, seen = spec.d_model, c.size("query_num"), vision.width
    reads = (Dense("in", seen, d),) if seen != d else ()
    met = Layers(1, cross=Attention(max(1, d // 128), bias=True), norms=("queries", "tokens"))
    after = (Normed("norm", d), Dense("out", d, d))
    resampler = Tower("projector", d, (Vector("queries", queries * d),), (met,), after, latents=queries)
    return replace(spec, towers=(vision, Tower("projector", seen, reads), resampler))


@family("molmo")
def molmo(c: Config) -> ModelSpec:
    """Qwen2's or OLMo's layers under OLMo's first names, 128 rows more in the table; CLIP's first 23 layers, of which two are
    read; squares of tokens met by their mean, and a gated feed-forward.
    """
    c.expect("layer_norm_type", "rms")
    c.ignore("clip_qkv", "layer_norm_eps", "use_position_ids", "embedding_size", "weight_tying", "tie_word_embeddings")
    d, words = c.size("hidden_size"), c.size("vocab_size")
    rows = c.optional("embedding_size") or words
    wide = c.size("intermediate_size", least=2) // 2  # which the file says of both halves of a gated feed-forward
    qk = {"qk_norm": "full"} if c.flag("attention_layer_norm") else {}
    mixer = heads(c, bias=c.flag("qkv_bias"), out_bias=False, **qk)
    layer = Layers(c.size("num_hidden_layers"), mixer, Gated(wide), norms=POST if c.flag("norm_after") else None)
    tied = c.flag("weight_tying")
    table = Embedding(rows, spare=128)
    spec = model(c, decoder=(layer,), norm=RMS, embedding=table, head=Head(tied=tied))
    clip, read = 1024, 2 * 1024
    before: tuple[Piece, ...] = (
        Dense("patches", 3 * 14**2, clip, stem=True),
        Vector("class", clip),
        Vector("positions", (24**2 + 1) * clip),
        Normed("norm.before", clip),
    )
    vision = Tower("vision", clip, before, (Layers(23, Attention(16, bias=True), Plain(4096, True, "quick_gelu")),), added=1)
    pieces = (
        Vector("padding", 2 * read),
        Dense("attention.q", read, clip, True),
        Dense("attention.k", read, clip, True, per=1),
        Dense("attention.v", read, clip, True, per=1),
        Dense("attention.out", clip, clip, True),
        *gated_mlp(clip, wide, d, "silu"),
    )
    return replace(spec, towers=(vision, Tower("projector", read, pieces, per=4)))


@multimodal("deepseek_vl_v2")
def deepseek_ocr(c: Config, spec: ModelSpec) -> Towers:
    """DeepSeek-OCR (arXiv:2510.18234, sec. 3.2): SAM's base encoder, two convolutions that halve both sides, CLIP's large one on
    what comes out, and a matrix from both to the language model's width. Their sizes stand in its code.
    """
    vision, projector = c.data.get("vision_config"), c.data.get("projector_config")
    if not isinstance(vision, Mapping) or vision.get("model_name") != "deeplip_b_l":
        raise UnknownTower("vision_config")
    said = projector if isinstance(projector, Mapping) else {}
    if said.get("projector_type", "linear") != "linear":
        raise UnknownTower("projector_config")
    c.ignore(*c.data)  # it says the language model twice
    sam, clip, edge = 768, 1024, 1024 // 16
    sides = 8 * (2 * 14 - 1) + 4 * (2 * edge - 1)
    before: tuple[Piece, ...] = (
        Dense("patches", 3 * 16**2, sam, True, stem=True),
        Vector("positions", edge**2 * sam),
        Vector("positions.relative", 2 * sides * (sam // 12)),
    )
    neck = (Dense("neck.0", sam, 256), Normed("neck.norm.0", 256), Dense("neck.1", 9 * 256, 256), Normed("neck.norm.1", 256))
    down = (Dense("down.0", 9 * 256, 512, per=4), Dense("down.1", 9 * 512, clip, per=16))
    first = Tower("vision", sam, before, (Layers(12, Attention(12, bias=True), Plain(3072, True)),), (*neck, *down))
    marks = (Vector("class", clip), Vector("positions", (16**2 + 1) * clip), Vector("patches", 3 * 14**2 * clip))
    layer = Layers(24, Attention(16, bias=True), Plain(4096, True, "quick_gelu"))
    second = Tower("vision", clip, (*marks, Normed("norm.before", clip)), (layer,), per=16, added=1)
    out = (Dense("out", 2 * clip, spec.d_model, True), Vector("marks", 2 * spec.d_model))
    return first, second, Tower("projector", 2 * clip, out, per=16)
