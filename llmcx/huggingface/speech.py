"""Models that listen while they write, tell speakers apart, or hear samples instead of a spectrum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmcx.huggingface import family
from llmcx.huggingface.common import LAYER, RMS, WIDE_RMS, activation, gated, head, heads, model, window
from llmcx.huggingface.config import ROTARY, Config
from llmcx.huggingface.labels import first_named
from llmcx.huggingface.towers import Towers, encoder, heard, layers, mlp, multimodal, seen, stem
from llmcx.model.extras import Delayed
from llmcx.model.spec import Attention, Embedding, Gated, Layers, ModelSpec
from llmcx.model.tower import Dense, Filter, Normed, Piece, Tower, Vector

DELAY = 32
"""The width of Voxtral Realtime's bottleneck, which no key says."""


@family("voxtral_realtime_text")
def voxtral_realtime_text(c: Config) -> ModelSpec:
    """Mistral, told in each layer how late it may answer."""
    mixer = heads(c, core=window(c.optional("sliding_window")))
    return model(c, decoder=(Layers(c.size("num_hidden_layers"), mixer, gated(c)),), norm=RMS, extras=(Delayed(DELAY),))


@encoder("voxtral_realtime_encoder")
def voxtral_realtime_encoder(c: Config) -> Towers:
    """Two convolutions that look back only; RMS norms, rotary positions, a window, a gate; biases but for the keys, and in
    the feed-forward on the last matrix alone.
    """
    c.ignore("vocab_size", "max_position_embeddings", "activation_function", *ROTARY)
    d, n = c.size("hidden_size"), c.size("num_attention_heads")
    mixer = Attention(
        n,
        head_dim=c.optional("head_dim") or d // n,
        bias=True,
        k_bias=False,
        rope=True,
        core=window(c.optional("sliding_window")),
    )
    ffn = Gated(c.size("intermediate_size"), False, activation(c, "hidden_act"), down_bias=True)
    layer = Layers(c.size("num_hidden_layers"), mixer, ffn)
    return (Tower("audio", d, stem(d, c.size("num_mel_bins")), (layer,), (Normed("norm", d),), norm=RMS, fed="audio", per=2),)


@multimodal("voxtral_realtime")
def voxtral_realtime(c: Config, spec: ModelSpec) -> Towers:
    """A few steps of the encoder side by side, and two matrices; what is heard is added to the text's embeddings."""
    part, towers = heard(c)
    c.ignore("audio_length_per_tok", "default_num_delay_tokens")
    inner, d = part.size("hidden_size") * c.size("downsample_factor"), spec.d_model
    pieces = mlp(inner, d, d, activation(c, "projector_hidden_act"), False)
    return *towers, Tower("audio_projector", inner, pieces, fed="audio", per=2 * c.size("downsample_factor"))


@multimodal("moss_transcribe_diarize")
def moss(c: Config, spec: ModelSpec) -> Towers:
    """Whisper's encoder; a few of its steps side by side, two matrices and a norm."""
    part, towers = heard(c)
    c.ignore("audio_chunk_size")
    inner, d = part.size("hidden_size") * c.size("audio_merge_size"), spec.d_model
    pieces = mlp(inner, d, d, activation(c, "projector_hidden_act"), c.flag("projector_bias", True))
    per = 2 * c.size("audio_merge_size")
    return *towers, Tower("audio_projector", inner, (*pieces, Normed("norm", d)), fed="audio", per=per)


# --- samples --------------------------------------------------------------------------------------------------------


def _sizes(c: Config, key: str) -> list[int]:
    """A list of whole numbers."""
    given = c.get(key)
    whole = isinstance(given, (list, tuple)) and all(
        isinstance(n, int) and not isinstance(n, bool) and 0 < n < 10**6 for n in given
    )
    if not whole or not given or len(given) > 100:
        raise c.wrong(key, given, "a list of whole numbers")
    return list(given)


@encoder("vibevoice_acoustic_tokenizer_encoder")
def vibevoice_tokenizer(c: Config) -> Towers:
    """Convolutions that make fewer and wider tokens of samples, in stages; between them blocks of a filter and a feed-forward
    (Liu et al. 2022, arXiv:2201.03545, sec. 2), each with a norm before it and a scale after it.
    """
    c.ignore("vae_std", "layer_scale_init_value")
    kernel, width, act = c.size("kernel_size"), c.size("num_filters"), activation(c, "hidden_act")
    ratios, depths = _sizes(c, "downsampling_ratios"), _sizes(c, "depths")
    if len(depths) != len(ratios) + 1:
        raise c.wrong("depths", depths, f"a list of {len(ratios) + 1}, one more than downsampling_ratios")
    pieces: list[Piece] = []
    per, inner = 1, c.size("channels") * kernel
    for stage, depth in enumerate(depths):
        if stage:
            inner, width = width * 2 * ratios[stage - 1], width * 2
            per *= ratios[stage - 1]
        name, wide = f"stage.{stage}", width * c.size("ffn_expansion")
        more: dict[str, Any] = {"per": per, "times": depth}
        pieces += (
            Dense(f"{name}.in", inner, width, True, stem=not stage, per=per),
            Normed(f"{name}.norm", width, **more),
            Filter(f"{name}.filter", width, kernel, True, **more),
            Vector(f"{name}.scales", 2 * width * depth),
            Normed(f"{name}.ffn.norm", width, **more),
            *(piece._replace(name=f"{name}.ffn.{piece.name}", **more) for piece in mlp(width, wide, width, act)),
        )
    out = Dense("out", width * kernel, c.size("hidden_size"), True)
    return (Tower("audio", c.size("hidden_size"), (*pieces, out), norm=RMS, fed="audio", per=per),)


@multimodal("vibevoice_asr")
def vibevoice_asr(c: Config, spec: ModelSpec) -> Towers:
    """Two such encoders, for how it sounds and for what it means, and a norm between two matrices after each."""
    c.ignore("acoustic_tokenizer_chunk_size")
    found: list[Tower] = []
    for kind in ("acoustic", "semantic"):
        part, (tower,) = seen(c, f"{kind}_tokenizer_encoder_config")
        inner, d = part.size("hidden_size"), spec.d_model
        pieces = (Dense("in", inner, d, True), Normed("norm", d), Dense("out", d, d, True))
        found.append(replace(tower, name=f"{kind}_audio"))
        found.append(Tower(f"{kind}_projector", inner, pieces, norm=RMS, fed="audio", per=tower.per))
    return tuple(found)


# --- who speaks, and when -------------------------------------------------------------------------------------------


def _stacked(c: Config, name: str, after: tuple[Piece, ...], before: tuple[Piece, ...] = (), **more: Any) -> Tower:
    """An encoder whose layers have a bias on what attention gives out, and none on what it takes in; by default frames side by
    side go in.
    """
    c.ignore("max_position_embeddings", *ROTARY)
    d, n = c.size("hidden_size"), c.size("num_attention_heads")
    c.expect("num_key_value_heads", None, n)
    if d % n:
        raise c.wrong("num_attention_heads", n, f"a divisor of hidden_size, {d}")
    mixer = Attention(n, head_dim=d // n, bias=False, out_bias=True, rope=True, **more)
    per = 1 if before else c.size("subsampling_factor")
    before = before or (Dense("in", per * c.size("num_mel_bins"), d, stem=True),)
    (layer,) = layers(c)
    pieces = (*before, Normed("norm.in", d))
    return Tower(name, d, pieces, (replace(layer, mixer=mixer),), (Normed("norm", d), *after), fed="audio", per=per)


def _part(c: Config, key: str) -> Config:
    """What ``key`` holds."""
    found = c.part(key)
    if found is None:
        raise c.wrong(key, None, "a mapping")
    return found


def _speakers(c: Config) -> tuple[Tower, int]:
    """Nemotron's diarization: guesses of who speaks in each frame, and how many they are."""
    c.ignore("chunk_length", "chunk_right_context", "chunk_left_context", "fifo_length", "speaker_cache_update_period")
    inner, top, held = (_part(c, f"{part}_config") for part in ("audio", "head", "streaming"))
    held.ignore(*held.data)
    d, wide, per, many = (
        inner.size("hidden_size"),
        top.size("hidden_size"),
        inner.size("subsampling_factor"),
        top.size("num_speakers"),
    )
    top.expect("audio_hidden_size", d)
    top.expect("subsampling_factor", per)
    after = (
        Vector("silence", d),
        Dense("out", d, wide, True),
        Dense("upsampler", 3 * wide, wide * per, True),
        Dense("dense", wide, wide, True, per=1),
        Dense("speakers", wide, many, True, per=1),
    )
    return _stacked(inner, "speakers", after), many


@multimodal("nemo_speechlm")
def nemotron_transcribe(c: Config, spec: ModelSpec) -> Towers:
    """Two encoders of one spectrum, for what is said and for who says it, whose guesses are added; a matrix. An encoder with a
    head for the times of words, which only some runs meet.
    """
    audio = _part(c, "audio_config")
    asr, times = _part(audio, "asr_config"), _part(c, "word_timestamp_config")
    audio.ignore("speaker_activity_threshold")
    times.ignore("blank_token_id", "residual_scale")
    speakers, many = _speakers(_part(audio, "diarization_config"))
    norms: dict[str, Any] = {"qk_norm": "head", "qk_norm_type": LAYER}
    d = asr.size("hidden_size")
    said = _stacked(asr, "audio", (Normed("asr_norm", d), Normed("speaker_norm", many)), **norms)
    asr.expect("subsampling_factor", speakers.per)
    times.expect("hidden_size", d)
    up = (Dense("upsampler", d, d * times.size("upsampling_factor")), Vector("upsampler.bias", d))
    words = _stacked(times, "word_times", (Dense("words", d, times.size("vocab_size"), True),), up, **norms)
    c.notes.append("the head for the times of words is counted, which a run without them does not meet")
    projector = Tower("audio_projector", d, (Dense("out", d, spec.d_model, True),), fed="audio", per=said.per)
    return said, speakers, projector, replace(words, per=said.per, grad=False)


@family("moshi")
def moshi(c: Config) -> ModelSpec:
    """LLaMA with a spare row of its table, as MoshiForCausalLM has it: the part that thinks in text."""
    if not first_named(c).endswith(("ForCausalLM", "MoshiModel")):
        c.notes.append("the text model of a moshi: its codecs and the decoder of audio are not counted")
    c.ignore("num_codebooks", "audio_vocab_size", "audio_encoder_config", "depth_decoder_config", "sliding_window")
    wide = c.size("ffn_dim", 2)
    if wide % 2:
        raise c.wrong("ffn_dim", wide, "even: half of it is the gate")
    d, n = c.size("hidden_size"), c.size("num_attention_heads")
    if d % n:
        raise c.wrong("num_attention_heads", n, f"a divisor of hidden_size, {d}")
    layer = Layers(c.size("num_hidden_layers"), heads(c), Gated(wide // 2, activation=activation(c, "hidden_act")))
    built = head(c, ("ForCausalLM", "ForConditionalGeneration"), ties=False)
    return model(c, embedding=Embedding(c.size("vocab_size"), spare=1), decoder=(layer,), norm=WIDE_RMS, head=built)
