"""Encoders of sounds, and the families that have them: Whisper and its kin, conformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llmcx.huggingface.common import activation, in_order, layer_count
from llmcx.huggingface.config import Config
from llmcx.huggingface.towers import Towers, encoder, heard, mlp, multimodal, seen, stem
from llmcx.model.spec import Attention, Layers, ModelSpec, Plain
from llmcx.model.tower import Dense, Normed, Piece, Table, Tower, Vector


def one_of(c: Config, *keys: str) -> str:
    """The key of these that the configuration class has."""
    return next(key for key in keys if key in c.defaults)


def whisper_layers(c: Config) -> Layers:
    """An encoder's: biases but for the keys, as the file's own names say the sizes."""
    count, heads, width = (
        one_of(c, *keys)
        for keys in (
            ("encoder_layers", "num_hidden_layers"),
            ("encoder_attention_heads", "num_attention_heads"),
            ("encoder_ffn_dim", "intermediate_size"),
        )
    )
    act = activation(c, one_of(c, "activation_function", "hidden_act"))
    mixer = Attention(c.size(heads), bias=True, k_bias=False, softmax_fp32=False)
    return Layers(c.size(count), mixer, Plain(c.size(width), True, act))


IDLE = ("scale_embedding", "layerdrop", "encoder_layerdrop", "avg_pooler", "n_window", "n_window_infer", "conv_chunksize")


@encoder(
    "qwen2_audio_encoder",
    "voxtral_encoder",
    "audioflamingo3_encoder",
    "qwen2_5_omni_audio_encoder",
    "moss_transcribe_diarize_audio",
)
def whisper_encoder(c: Config) -> Towers:
    """Whisper's encoder; a table of positions, but for Qwen2.5-Omni, whose sinusoids are no parameters."""
    c.ignore(*IDLE, "vocab_size", "head_dim", "num_key_value_heads")
    d = c.size(one_of(c, "d_model", "hidden_size"))
    positions = c.size("max_source_positions")
    before: tuple[Piece, ...] = stem(d, c.size("num_mel_bins"))
    after: tuple[Piece, ...] = (Normed("norm", d),)
    towers: Towers = ()
    if c.model_type == "qwen2_5_omni_audio_encoder":
        out = c.size("output_dim")
        projector = (Table("marks", 2, out), Dense("out", d, out, True))
        towers = (Tower("audio_projector", d, projector, fed="audio", per=4),)
    else:
        before = (*before, Table("positions", positions, d))
    return Tower("audio", d, before, (whisper_layers(c),), after, fed="audio", per=2), *towers


@encoder("glmasr_encoder")
def glmasr_encoder(c: Config) -> Towers:
    """Whisper's encoder with rotary positions."""
    c.ignore("max_position_embeddings", "partial_rotary_factor", "head_dim")
    d, n = c.size("hidden_size"), c.size("num_attention_heads")
    mixer = Attention(n, c.optional("num_key_value_heads") or n, bias=True, k_bias=False, rope=True)
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    layer = Layers(c.size("num_hidden_layers"), mixer, ffn)
    return (Tower("audio", d, stem(d, c.size("num_mel_bins")), (layer,), (Normed("norm", d),), fed="audio", per=2),)


@encoder("qwen3_omni_moe_audio_encoder", "qwen3_asr_encoder")
def qwen3_encoder(c: Config) -> Towers:
    """Three convolutions, each halving time and frequencies; sinusoids; two matrices at the end, Qwen3-ASR's beside it."""
    c.ignore(*IDLE, "max_source_positions", "max_position_embeddings")
    d, channels, bins = c.size("d_model"), c.size("downsample_hidden_size"), c.size("num_mel_bins")
    for _ in range(3):
        bins = (bins + 1) // 2
    convolutions = (Dense(f"stem.{i}", 9 * (channels if i else 1), channels, True, stem=not i) for i in range(3))
    before = (*convolutions, Dense("stem.out", channels * bins, d))
    layer = whisper_layers(c)
    assert isinstance(layer.mixer, Attention)
    layer = Layers(layer.repeat, Attention(layer.mixer.n_heads, bias=True, softmax_fp32=False), layer.ffn)
    out = mlp(d, d, c.size("output_dim"), activation(c, "activation_function"))
    audio = Tower("audio", d, before, (layer,), (Normed("norm", d),), fed="audio", per=8)
    return audio, Tower("audio_projector", d, out, fed="audio", per=8)


# --- families -------------------------------------------------------------------------------------------------------


@multimodal("qwen2_audio")
def qwen2_audio(c: Config, spec: ModelSpec) -> Towers:
    """Whisper's encoder and a matrix."""
    part, towers = heard(c)
    d = part.size("d_model")
    return *towers, Tower("audio_projector", d, (Dense("out", d, spec.d_model, True),), fed="audio", per=4)


@multimodal("voxtral", "audioflamingo3", "musicflamingo", "glmasr")
def voxtral(c: Config, spec: ModelSpec) -> Towers:
    """Whisper's encoder and two matrices. Voxtral's and GLM-ASR's meet as many tokens together as its feed-forward is wide."""
    given = c.data.get("audio_config")
    if c.model_type == "musicflamingo" and isinstance(given, Mapping) and given.get("model_type") == "musicflamingo_encoder":
        c.data["audio_config"] = {**given, "model_type": "audioflamingo3_encoder"}  # as the first files call it
    part, towers = heard(c)
    c.ignore("hidden_size", "vocab_size", "projector_bias", "audio_frame_step")
    d, out = part.size("hidden_size"), spec.d_model
    together = c.model_type not in ("audioflamingo3", "musicflamingo")
    inner = part.size("intermediate_size") if together else d
    width = 2 * out if c.model_type == "glmasr" else out
    bias = {"voxtral": False, "glmasr": True}.get(c.model_type)
    pieces = mlp(
        inner, width, out, activation(c, "projector_hidden_act"), c.flag("projector_bias", True) if bias is None else bias
    )
    per = 2 * (inner // d) if together else 4
    return *towers, Tower("audio_projector", inner, pieces, fed="audio", per=per)


@multimodal("qwen3_asr")
def qwen3_asr(c: Config, spec: ModelSpec) -> Towers:
    """Qwen3-Omni's encoder."""
    c.ignore("token_classification_bias")
    return heard(c)[1]


@multimodal("qwen2_5_omni_thinker", "qwen3_omni_moe_thinker")
def thinker(c: Config, spec: ModelSpec) -> Towers:
    """Qwen-VL's encoder of images, and one of sounds."""
    c.ignore("position_id_per_seconds", "seconds_per_chunk")
    return *seen(c)[1], *heard(c)[1]


# --- conformers -----------------------------------------------------------------------------------------------------


@encoder("granite_speech_encoder", "granite_speech_plus_encoder")
def conformer(c: Config) -> Towers:
    """Conformer layers (Gulati et al. 2020, arXiv:2005.08100) with a table of relative positions each; a guess at the letters
    half-way, fed back.
    """
    c.ignore("context_size")
    d, heads = c.size("hidden_dim"), c.size("num_heads")
    dim = c.optional("dim_head") or d // heads
    wide, kernel = d * c.size("conv_expansion_factor"), c.size("conv_kernel_size")
    ffn, letters = Plain(d * c.size("feedforward_mult"), True, "silu"), c.size("output_dim")
    inside: tuple[Piece, ...] = (
        Normed("ffn.norm", d),
        *(piece._replace(name=f"ffn.0.{piece.name}") for piece in mlp(d, ffn.d_ff, d, "silu")),
        Table("attention.positions", 2 * c.size("max_pos_emb") + 1, dim),
        Normed("conv.norm", d),
        Dense("conv.in", d, 2 * wide, True),
        Vector("conv.filter", wide * kernel),
        Vector("conv.batch_norm", 2 * wide),
        Dense("conv.out", wide, d, True),
        Normed("norm.out", d),
    )
    layer = Layers(c.size("num_layers"), Attention(heads, head_dim=dim, bias=False, out_bias=True), ffn)
    before = (Dense("in", c.size("input_dim"), d, True, stem=True),)
    after = (Dense("letters", d, letters, True), Dense("letters_back", letters, d, True))
    return (Tower("audio", d, before, (layer,), after, inside, fed="audio"),)


@encoder("blip_2_qformer")
def qformer(c: Config) -> Towers:
    """Learned queries that meet one another, every few layers what was heard or seen, and a feed-forward of their own (Li et al.
    2023, arXiv:2301.12597, sec. 3.1).
    """
    c.ignore("vocab_size", "max_position_embeddings")
    c.expect("use_qformer_text_input", False)
    d, every, n = c.size("hidden_size"), c.size("cross_attention_frequency"), layer_count(c)
    heads = Attention(c.size("num_attention_heads"), bias=True, softmax_fp32=False)
    ffn = Plain(c.size("intermediate_size"), True, activation(c, "hidden_act"))
    meets = replace(heads, kv_width=c.size("encoder_hidden_size"))
    stack = in_order((at % every == 0 for at in range(n)), lambda met: Layers(1, heads, ffn, meets if met else None))
    return (Tower("projector", d, (Normed("norm", d),), stack, latents=1, fed="audio"),)


@multimodal("granite_speech", "granite_speech_plus")
def granite_speech(c: Config, spec: ModelSpec) -> Towers:
    """A conformer; a Q-Former with a few queries for each window of what was heard; a matrix. Adapters are not counted.

    The plus lays the outputs of some layers beside the last one's.
    """
    outer, towers = seen(c, "encoder_config")
    inner, (former,) = seen(c, "projector_config")
    if beside := outer.list("cat_hidden_layers"):
        last, wide = outer.size("num_layers"), outer.size("hidden_dim") * (len(beside) + 1)
        if any(isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < last for i in beside):
            raise outer.wrong("cat_hidden_layers", beside, f"a list of layers, each from 0 to {last - 1}")
        inner.expect("encoder_hidden_size", wide)
    d, queries = inner.size("hidden_size"), c.size("window_size") // c.size("downsample_rate")
    if c.flag("has_lora_adapter"):
        c.notes.append("adapters beside the language model (has_lora_adapter) are not counted")
    own = (Vector("queries", queries * d), *former.before)
    after = (*former.after, Dense("out", d, spec.d_model, True))
    return *towers, Tower("audio_projector", d, own, former.layers, after, latents=queries, fed="audio")
