"""Hugging Face config.json -> ModelSpec: a registry by model_type, one small function per family.

To add a family: write its function in a module here, register it with @family, and name the module in MODULES; or leave it in a
package of your own and name it in its entry points (llmcx.plugins).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from llmcx import plugins
from llmcx.errors import InputError, shown, unknown_name
from llmcx.huggingface.config import TEXT_KEYS, Config, table
from llmcx.huggingface.labels import LABELLED
from llmcx.huggingface.own import OWN
from llmcx.huggingface.storage import stored_of
from llmcx.huggingface.towers import HOME, senses_of
from llmcx.model.spec import ModelSpec

Reader = Callable[[Config], ModelSpec]

MODULES = {
    "moe": """mixtral qwen2_moe qwen3_moe deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2 glm4_moe glm4_moe_lite minicpm3
        gpt_oss glm_moe_dsa olmoe flex_olmo phimoe granitemoe granitemoeshared minimax_m2 dbrx ernie4_5_moe llama4_text
        hunyuan_v1_moe exaone_moe afmoe qwen3_vl_moe_text glm4v_moe_text hunyuan deepseek qwen3_omni_moe_text
        ernie4_5_vl_moe_text mistral4""",
    "encdec": """t5 mt5 umt5 switch_transformers bart mbart pegasus marian m2m_100 longt5 nllb-moe mvp plbart blenderbot
        blenderbot-small led whisper bigbird_pegasus seamless_m4t seamless_m4t_v2""",
    "encoder": "bert roberta xlm-roberta camembert electra distilbert albert modernbert longformer big_bird modernbert-decoder",
    "gpt": "gpt2 gpt-sw3 gpt_bigcode gpt_neo gptj codegen gpt_neox opt bloom mpt falcon",
    "elders": "openai-gpt ctrl xglm biogpt gpt_neox_japanese persimmon",
    "llama": """llama mistral ministral ministral3 phi3 qwen2 qwen3 olmo olmo2 olmo3 cohere cohere2 granite glm glm4 smollm3
        seed_oss exaone4 hunyuan_v1_dense arcee apertus ernie4_5 nemotron starcoder2 stablelm phi qwen2_vl_text
        qwen2_5_vl_text qwen3_vl_text glm4v_text sdar qwen2_5_omni_text mllama_text_model glm_ocr_text paddleocr_vl_text
        phi4_multimodal hunyuan_vl_text granite_docling_text granite4_vision_text molmo2_text""",
    "kin": "internlm3 iquestcoder hyperclovax bitnet granite_swa helium nanochat jais2 cwm diffllama doge muse_glimmer_text",
    "mixtures": """cohere2_moe solar_open dots1 granitemoe_swa mimo_v2_flash hy_v3 axk1 youtu flint kolibri1 laguna mellum
        jetmoe step3p5 inkling_text zaya beam""",
    "deepseek": "deepseek_v4 hy_v4 longcat_flash dots3_note_text",
    "sequels": """cosmos3_edge_text glm5_next_text inkling2_text mistral_large4_text muse_spark_text neomme
        unlimited_ocr_text""",
    "sparse": "minimax_m3_vl_text qwen4_exp_text",
    "gemma": "gemma gemma2 vaultgemma gemma3_text gemma3n_text gemma4_text gemma4_unified_text t5gemma t5gemma2",
    "masked": """ernie data2vec-text roberta-prelayernorm megatron-bert xlm-roberta-xl rembert roformer mpnet layoutlm esm
        nomic_bert gte jina_embeddings_v3 eurobert ultrabert esmc xlm flaubert bert-generation""",
    "rarer": """roc_bert xmod ibert fnet tapas cohere_compass_text aria_text fsmt mra nystromformer yoso trocr pegasus_x hrm_text
        axk2 convbert luke""",
    "compact": "funnel mobilebert squeezebert",
    "deberta": "deberta deberta-v2",
    "recurrent": "mamba falcon_mamba mamba2 jamba bamba falcon_h1 granitemoehybrid nemotron_h zamba2 zamba",
    "hybrids": "olmo_hybrid lfm3 bailing_hybrid",
    "linear": "qwen3_next qwen3_5_text qwen3_5_moe_text kimi_linear minimax lfm2 lfm2_moe recurrent_gemma rwkv xlstm",
    "remote": "Yi xverse orion internlm internlm2 baichuan minicpm qwen chatglm mimo Dream llada nemotron-nas bailing_moe rwkv7",
    "eyes": "minicpmv molmo",
    "outliers": "blt cpmant perceiver prophetnet reformer xlnet",
    "speech": "moshi voxtral_realtime_text",
    "captions": "blip blip_text_model git idefics kosmos_2_text_model kosmos_2_5_text_model",
    "couples": """encoder-decoder evolla pi0 pix2struct pix2struct_text_model pp_formulanet pp_formulanet_text udop
        vision-encoder-decoder""",
    "draft": "eagle3 dflash",
}
"""Module -> the model_types that it reads."""

WHERE = {name: module for module, names in MODULES.items() for name in names.split()}
READERS: dict[str, Reader] = {}

# Multimodal files of the time before text_config: the language model's keys stand beside vision_config.
FLAT_TYPES = {"qwen2_vl": "qwen2_vl_text", "qwen2_5_vl": "qwen2_5_vl_text", "phi4_multimodal": "phi4_multimodal"}
FLAT_TYPES |= {"dots3_note": "dots3_note_text", "glm5_next": "glm5_next_text"}
FLAT_TYPES |= {"step3p7": "step3p5", "minimax_m3": "minimax_m3_vl_text", "hunyuan_vl": "hunyuan_vl_text"}
# By what tie_word_embeddings a multimodal model ties its head: the one beside text_config, unless it is named here. "either":
# that or text_config's; "inner": text_config's; "never": it is not tied.
TIES = {
    **dict.fromkeys(
        [
            "florence2",
            "glm4v",
            "glm4v_moe",
            "glm_ocr",
            "hunyuan_vl",
            "kosmos-2",
            "paddleocr_vl",
            "video_llama_3",
            "llava",
            "llava_next_video",
            "llava_onevision",
            "minimax_m3_vl",
            "qwen2_5_vl",
            "qwen2_vl",
            "shieldgemma2",
        ],
        "either",
    ),
    **dict.fromkeys(["audioflamingo3", "cosmos3_edge", "mllama", "molmo2", "muse_spark", "qwen2_audio", "voxtral"], "never"),
    **dict.fromkeys(["musicflamingo", "nemo_speechlm", "vibevoice_asr"], "never"),
    **dict.fromkeys(["blip-2", "instructblip", "instructblipvideo", "kosmos-2.5", "llama4"], "inner"),
}
# The language model inside a multimodal configuration that does not name its own model_type, as transformers assumes.
_TEXT_TYPES = {
    "aria_text": "aria",
    "bart": "florence2",
    "cohere_compass_text": "cohere_compass",
    "cohere2": "aya_vision cohere2_vision",
    "deepseek_v2": "deepseek_vl_v2",
    "deepseek_v3": "kimi_k25",
    "dots3_note_text": "dots3_note",
    "exaone4": "exaone4_5",
    "gemma": "paligemma",
    "glm_ocr_text": "glm_ocr",
    "granite": "granite_speech granite_speech_plus",
    "granite4_vision_text": "granite4_vision",
    "granite_docling_text": "granite_docling",
    "gemma3_text": "gemma3 shieldgemma2",
    "gemma3n_text": "gemma3n",
    "gemma4_text": "gemma4",
    "glm4v_moe_text": "glm4v_moe",
    "glm4v_text": "glm4v glm46v glmga",
    "hyperclovax": "hyperclovax_vision_v2",
    "inkling_text": "inkling_mm_model",
    "inkling2_text": "inkling2",
    "lfm2": "lfm2_vl",
    "llama": """deepseek_vl deepseek_vl_hybrid glmasr idefics3 janus llava llava_next llava_next_video perception_lm smolvlm
        video_llava vipllava voxtral""",
    "llama4_text": "llama4",
    "molmo2_text": "molmo2",
    "ernie4_5_vl_moe_text": "ernie4_5_vl_moe",
    "muse_glimmer_text": "muse_glimmer",
    "muse_spark_text": "muse_spark",
    "nemotron_h": "nemo_speechlm nemotron_h_omni",
    "kosmos_2_text_model": "kosmos-2",
    "kosmos_2_5_text_model": "kosmos-2.5",
    "opt": "blip-2 instructblip instructblipvideo",
    "persimmon": "fuyu",
    "mistral": "idefics2 mistral3",
    "gemma4_unified_text": "gemma4_unified",
    "hunyuan_vl_text": "hunyuan_vl",
    "lfm3": "lfm3_vl",
    "minimax_m3_vl_text": "minimax_m3_vl",
    "cosmos3_edge_text": "cosmos3_edge",
    "glm5_next_text": "glm5_next",
    "unlimited_ocr_text": "unlimited_ocr",
    "mistral_large4_text": "mistral_large4",
    "mllama_text_model": "mllama",
    "modernbert": "modernvbert",
    "ultrabert": "ultravbert",
    "paddleocr_vl_text": "paddleocr_vl",
    "phi4_multimodal": "phi4_multimodal",
    "qwen2": """audioflamingo3 got_ocr2 internvl llava_onevision musicflamingo ovis2 pp_chart2table qwen2_audio vibevoice_asr
        video_llama_3""",
    "qwen2_5_vl_text": "qwen2_5_vl",
    "qwen2_vl_text": "qwen2_vl",
    "qwen2_5_omni_text": "qwen2_5_omni_thinker",
    "qwen3": "lighton_ocr moss_transcribe_diarize qianfan_ocr qwen3_asr",
    "qwen3_omni_moe_text": "qwen3_omni_moe_thinker",
    "qwen3_5_moe_text": "qwen3_5_moe",
    "qwen3_5_text": "minicpm_ocr minicpmv4_6 minicpmv4_7 qwen3_5",
    "qwen3_vl_moe_text": "qwen3_vl_moe",
    "qwen3_vl_text": "cosmos3_omni qwen3_vl",
    "qwen4_exp_text": "qwen4_exp",
    "step3p5": "step3p7",
    "voxtral_realtime_text": "voxtral_realtime",
}
TEXT_TYPES = {outer: inner for inner, outers in _TEXT_TYPES.items() for outer in outers.split()}


def family(*model_types: str) -> Callable[[Reader], Reader]:
    """Register the decorated function as the reader of ``model_types``. Raises InputError unless MODULES says that it is."""

    def register(reader: Reader) -> Reader:
        for name in model_types:
            if reader.__module__ != f"{__name__}.{WHERE.get(name)}":
                problem = f"{reader.__module__} is not where MODULES has {name!r}; a plugin names its reader in its entry points"
                raise InputError(problem, field="model_type", value=name)
            READERS[name] = reader
        return reader

    return register


def from_config(data: Mapping[str, Any], source: str, insist: str | None = None, ignore: Collection[str] = ()) -> ModelSpec:
    """The model that a config.json builds in transformers.

    ``insist`` reads it, or the text_config in it, as that model_type whatever it says, with a warning in the spec's assumptions.
    ``ignore`` names keys that the user knows to cost nothing.
    Raises InputError for an unknown model_type, a key that is not understood, or a value that cannot be.
    """
    notes: list[str] = []
    whole, data = data, _thinker(data, notes)
    given = data.get("model_type")
    files, outer, flat = [whole] if whole is data else [whole, data], data, False
    whole_read = insist is None and f"{given}" in WHERE and f"{given}" not in TEXT_TYPES  # by its own reader, with its parts
    inner = None if whole_read else next((data[key] for key in TEXT_KEYS if isinstance(data.get(key), Mapping)), None)
    if inner is None and isinstance(given, str) and given in FLAT_TYPES and insist is None:
        parts = ("vision_config", "audio_config", "preprocessor_config")
        inner = {**{key: value for key, value in data.items() if key not in parts}, "model_type": FLAT_TYPES[given]}
        flat = True
    if insist is None and f"{given}" in HOME and f"{given}" in table()["families"] and not flat:
        usual = table()["families"][given]["parts"]["text_config"]
        inner = usual["absent"] or {} if inner is None else {**usual.get("merged", {}), **inner}
    if isinstance(inner, Mapping):
        if "model_type" not in inner and str(given) not in TEXT_TYPES and insist is None:
            hint = _hint(inner)
            raise InputError(
                f"{source}: text_config names no model_type, so its language model is unknown; {hint.message}",
                field="text_config.model_type",
                nearest=hint.nearest,
            )
        files.append(inner)
        data = _language_model(data, inner, notes, insist)
        given = data["model_type"] if insist is None else inner.get("model_type", given)
    name = insist or _drafting(data) or given
    if not isinstance(name, str):
        raise InputError(f"{source}: model_type is {shown(name)}, but must be a string", field="model_type")
    name = SAME_AS.get(name, name)
    reader = _reader(name, notes)
    if reader is None and insist is not None:
        known = unknown_name("--as", name, [*WHERE, *plugins.names("families")], field="as")
        raise InputError(f"{source}: {known.message}", field="as", value=name, nearest=known.nearest)
    if reader is None:
        hint = _hint(data, name)
        raise InputError(
            f"{source}: model_type {shown(name)} is not known; {hint.message}",
            field="model_type",
            value=name[:200],
            nearest=hint.nearest,
        )
    if insist is not None and insist != given:
        notes.append(f"warning: model_type {given!r} was read as {insist!r} because --as says so; nobody checked that they agree")
    config = Config(data, name, source)
    config.ignored = dict.fromkeys(ignore)
    if (foreign := _foreign(data, name)) is not None:
        key, named = foreign
        notes.append(f"warning: {key} names {named}, no class of model_type {name}; counted as {name}, which it may not be")
    spec = reader(config)
    config.check_leftovers()
    config.check_ignored()
    if inner is not None:
        spec = _with_towers(outer, spec, source, flat, notes)
    if config.assumed:
        said = ", ".join(f"{key}={value}" for key, value in sorted(config.assumed.items()) if not isinstance(value, (list, dict)))
        who = "its released code" if name in OWN else f"transformers {table()['transformers']}"
        notes.append(f"keys left out, as {who} assumes for {name}: {said}")
    return replace(spec, assumes=(*spec.assumes, *config.notes, *notes), stored=stored_of(*files), mtp=config.mtp)


def _thinker(data: Mapping[str, Any], notes: list[str]) -> Mapping[str, Any]:
    """Of a model that hears and speaks, the part that thinks, where the file has it apart (Qwen's Omni and ASR)."""
    inside, given = data.get("thinker_config"), f"{data.get('model_type')}"
    if not isinstance(inside, Mapping):
        return data
    if "talker_config" in data or "token2wav_config" in data:
        notes.append(f"the thinker of a {given}: the parts that speak are not counted")
    own, heard = f"{given}_thinker", inside.get("audio_config")
    parts: dict[str, Any] = {"model_type": own if own in TEXT_TYPES else given, "architectures": None}
    parts |= {key: data[key] for key in ("preprocessor_config",) if key in data}
    if isinstance(heard, Mapping):  # which has another type in the first files than transformers has now
        parts["audio_config"] = {key: value for key, value in heard.items() if key != "model_type"}
    return {**inside, **parts}


ALONE = {f"{name}ForCausalLM" for name in ("Mllama", "Llama4", "Gemma3", "Gemma3n", "Gemma4")}
"""Classes of the language model alone, which a multimodal file may name."""
SAME_AS = {"deepseek_ref": "deepseek_v4", "qwen3_asr_text": "qwen3"}
"""Types that a copy of a release has in place of its own."""
DRAFTS = {
    **dict.fromkeys(("LlamaForCausalLMEagle3", "PEagleDraftModel"), "eagle3"),
    **dict.fromkeys(("DFlashDraftModel", "DSparkDraftModel"), "dflash"),
}
"""Classes of draft models, whose files name the model_type that they began as."""


def _drafting(data: Mapping[str, Any]) -> str | None:
    """The type of draft model that a file describes, by its class or by the key that only such have; None for any other."""
    named = data.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    return DRAFTS.get(first) if isinstance(first, str) and first in DRAFTS else "eagle3" if "draft_vocab_size" in data else None


def suggested() -> list[str]:
    """The model_types that a file of another may be read as."""
    return [name for name in WHERE if name not in DRAFTS.values()]


def _hint(data: Mapping[str, Any], name: str = "") -> InputError:
    """What to do with a file whose model_type is not known: which families have its keys, else which are spelt alike."""
    from llmcx.huggingface.alike import alike

    if found := alike(data, suggested()):
        return InputError(f"its keys are most like those of {' or '.join(found)}: --as TYPE reads it as one", nearest=found)
    spelt = unknown_name("model_type", name, [*WHERE, *plugins.names("families")])
    *_, hint = spelt.message.partition("is not known; ")
    return InputError(f"{hint}; --as TYPE reads it as another one", nearest=spelt.nearest)


_ALSO = {"hunyuan_v1_moe": "hunyuanmoev1", "hunyuan_v1_dense": "hunyuandensev1", "gpt-sw3": "gpt2", "internlm3": "llama"}
_ALSO |= {"iquestcoder": "llama", "step3p5": "step3p7text"}
"""Types whose class is called otherwise."""


def _foreign(data: Mapping[str, Any], model_type: str) -> tuple[str, str] | None:
    """Where a file names a class that is none of its model_type by its name, and the class; None where it names none such."""
    named, mapped = data.get("architectures"), data.get("auto_map")
    first = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    found = [("architectures", first)]
    if isinstance(mapped, Mapping):
        theirs = ((key, mapped.get(key)) for key in ("AutoModelForCausalLM", "AutoModel", "AutoModelForMaskedLM"))
        found += [(f"auto_map.{key}", each.rpartition(".")[2]) for key, each in theirs if isinstance(each, str)]
    return next(((key, each[:80]) for key, each in found if not _its_own(each, model_type)), None)


def _its_own(named: str, model_type: str) -> bool:
    """Whether a class is of a model_type, by its name; what is no class's name is, too."""
    stem = (
        re.sub(r"(For[A-Z]\w*|(LMHead|Encoder|PreTrained)?Model|LMHeadModel|MTModel|ModelLM)$", "", named)
        .replace("_", "")
        .lower()
    )
    own = re.sub(r"[_-]|(?<=.)text$", "", model_type.lower()).replace("text", "")
    also = OWN[model_type].stem if model_type in OWN else _ALSO.get(model_type, "")
    return not stem or model_type not in WHERE or stem.startswith(own) or own.startswith(stem) or stem in also.split()


def _reader(name: str, notes: list[str]) -> Reader | None:
    """What reads a model_type: llmcx's own function, else a plugin's, else nothing."""
    if name in WHERE:
        import_module(f"{__name__}.{WHERE[name]}")
        return READERS[name]
    if name not in plugins.names("families"):
        return None
    theirs, plugin = plugins.load("families", name)
    notes.append(f"model_type {name} is read by the plugin {plugin}, not by llmcx")

    def read(config: Config) -> ModelSpec:
        try:
            spec = theirs(config)
        except InputError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise InputError(f"{config.source}: the plugin {plugin} fails on it with {said}", field="model_type") from None
        if not isinstance(spec, ModelSpec):
            problem = f"{config.source}: the plugin {plugin} reads it as a {type(spec).__name__}, but must return a ModelSpec"
            raise InputError(problem, field="model_type", value=name)
        return spec

    return read


def _with_towers(outer: Mapping[str, Any], spec: ModelSpec, source: str, flat: bool, notes: list[str]) -> ModelSpec:
    """The language model of a multimodal file with what sees and hears for it, where that is known."""
    kind, named = outer.get("model_type"), outer.get("architectures")
    if isinstance(named, list) and named and f"{named[0]}" in ALONE:
        return spec
    found = senses_of(outer, spec, source, flat)
    if found is None:
        notes.append(f"the language model of a multimodal {kind}: its vision or audio towers and projectors are not counted")
        return spec
    notes += found.notes
    return replace(spec, towers=found.towers, sight=found.sight, hearing=found.hearing)


def _language_model(outer: Mapping[str, Any], inner: Mapping[str, Any], notes: list[str], insist: str | None) -> dict[str, Any]:
    """The text_config of a multimodal file as a file of its own, with a causal head, or one of labels."""
    kind = str(outer.get("model_type"))
    out = {"model_type": TEXT_TYPES.get(kind), **inner, "architectures": None}
    out |= {} if insist is None else {"model_type": insist}
    named = outer.get("architectures")
    if isinstance(named, list) and named and str(named[0]).endswith(LABELLED):  # a head on the language model all the same
        out |= {key: outer[key] for key in ("architectures", "num_labels", "id2label") if key in outer}
    own, beside = (
        said.get(
            "tie_word_embeddings", table()["families"].get(str(name), {"defaults": {}})["defaults"].get("tie_word_embeddings")
        )
        for said, name in ((inner, out["model_type"]), (outer, kind))
    )
    rule = TIES.get(kind, "outer" if kind in TEXT_TYPES else "inner")
    tied = {"either": bool(own or beside), "inner": bool(own), "never": False}.get(rule, bool(beside))
    for said, where in ((inner, "in"), (outer, "beside")):
        stated = said.get("tie_word_embeddings")
        if stated is not None and bool(stated) != tied:
            notes.append(f"tie_word_embeddings={stated} {where} text_config is not applied: transformers builds it with {tied}")
    out["tie_word_embeddings"] = tied
    return out
