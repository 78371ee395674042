"""Reading a Hugging Face config.json so that nothing in it is silently ignored.

A family's function asks a :class:`Config` for the keys that it understands. Whatever is left over must be known to be
harmless, or hold the value that transformers would have assumed anyway; else the file is refused, naming the key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmcx.errors import InputError, shown
from llmcx.huggingface.own import OWN, Own

# Keys that any file may carry and from which no family builds or runs anything: generation, tokens, dropout, epsilons, losses,
# initial weights, bookkeeping of this and older versions of transformers, of trainers, servers and embedders. A key that costs
# something in any family is not here: its readers ask for it, and the families in which it is idle ignore it (see the groups
# below).
_HARMLESS = """
    add_classification_head attn_implementation auto_map bad_words_ids base_model base_model_name batch_size
    begin_suppress_tokens bf16 bos_token cache_implementation chat_template compression_config custom_pipelines
    default_prompt_name device_map diversity_penalty do_sample document_prompt dropout dtype_override early_stopping
    encoder_no_repeat_ngram_size eos_token ep_size experts_implementation exponential_decay_length_penalty finetuning_task
    flash_attn fp16 freeze fuse_cross_entropy fuse_linear_cross_entropy generation_config gpu_memory_utilization
    gradient_accumulation_steps gradient_checkpointing initializer_factor initializer_range is_causal is_llama_config
    is_quantized kv_cache_scheme label_smoothing language layerdrop learning_rate length_penalty license linear_impl_type
    logits_to_keep loss_function low_cpu_mem_usage matryoshka_dimensions max_cache_length max_length max_model_len max_new_tokens
    max_seq_length max_sequence_length merges_file min_length model_max_length model_name model_type n_ctx n_special name
    neftune_noise_alpha no_repeat_ngram_size normalize_embeddings num_beam_groups num_beams num_image_tokens num_logits_to_keep
    num_return_sequences onnx output_attentions output_past output_scores pad_token pooling_mode predict_special_tokens prefix
    pretraining_tp problem_type processor_class quantization quantization_config quantized_by query_prompt remove_invalid_values
    repetition_penalty return_dict_in_generate seed sentence_transformers seq_length served_model_name similarity_fn_name
    sparsity_config suppress_tokens tags task_instructions task_specific_params temperature tf32 tf_legacy_loss
    tie_encoder_decoder top_k top_p torchscript training_args transformers.js_config trust_remote_code typical_p unk_token
    use_bfloat16 use_cache use_flash_attention use_flash_attention_2 use_flash_attn use_fused_cross_entropy use_fused_rms_norm
    use_fused_rope use_liger_kernel use_safetensors vocab_file world_size
"""
HARMLESS = frozenset(_HARMLESS.split())
# How keys begin and end that say no size of the language model, in any family: tokens, numerics, the parts that see and hear.
_ENDS = """
    _alpha _beta _dropout _dropout_prob _dtype _eps _epsilon _fp32 _id _loss_coef _loss_weight _path _pdrop _scaling_factor _std
    _token_ids _token_index _version
"""
BEGINS = ("_", "audio_", "image_", "init_", "rope_", "rotary_", "sbert_", "tokenizer_", "unsloth_", "video_", "vision_", "vit_")
TEXT_KEYS = ("text_config", "llm_config", "language_config")
"""Where multimodal files keep their language model."""
STRICT = ("_", "init_", "rope_", "rotary_", "unsloth_")
"""How keys begin that say none, in the configuration of a model or part that sees or hears."""
ENDS = tuple(_ENDS.split())
# Other names for a key: harmless where they say the same.
SAME = {
    "attention_head_dim": "head_dim",
    "d_ff": "intermediate_size",
    "d_model": "hidden_size",
    "embed_dim": "hidden_size",
    "ffn_hidden_size": "intermediate_size",
    "kv_channels": "head_dim",
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "n_layer": "num_hidden_layers",
    "n_layers": "num_hidden_layers",
    "num_experts": "n_routed_experts",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "num_layers": "num_hidden_layers",
    "num_query_groups": "num_key_value_heads",
}

# Keys by the part of a model that has them. They change numbers, not counts; a part's maker ignores them (Config.ignore).
_PARTS = {
    "rotary": """original_max_position_embeddings partial_rotary_factor rope_interleave rope_interleaved rope_local_base_freq
        rope_parameters rope_scaling rope_theta rope_type rotary_base rotary_dim rotary_emb_base rotary_pct""",
    "scores": "attention_multiplier attn_logit_softcapping attn_scale attn_temperature_tuning floor_scale query_pre_attn_scalar",
    "scales": "embedding_multiplier final_logit_softcapping logit_scale logits_scaling residual_multiplier scale_emb",
    "routing": """aux_loss_alpha ep_size input_jitter_noise moe_jitter_eps moe_router_dtype n_group norm_topk_prob
        output_router_logits routed_scaling_factor router_aux_loss_coef router_bias_update_rate router_dtype router_jitter_noise
        router_z_loss_coef scoring_func seq_aux topk_group topk_method use_routing_bias""",
    "summary": "summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj",
}
ROTARY, SCORES, SCALES, ROUTING, SUMMARY = (tuple(keys.split()) for keys in _PARTS.values())
# What older versions of transformers wrote into every file; a null, too, asks for nothing.
OFF = {"add_cross_attention": False, "is_decoder": False, "is_encoder_decoder": False, "pruned_heads": {}}


@lru_cache(maxsize=1)
def table() -> Any:
    """huggingface/defaults.json: what transformers assumes (see tests/oracle/defaults.py)."""
    return json.loads((Path(__file__).parent / "defaults.json").read_text(encoding="utf-8"))


def assumed(model_type: str) -> dict[str, Any]:
    """The defaults of a family and its other names for keys: transformers', or those of its own code; none for a plugin's."""
    own = OWN.get(model_type, Own(model_type))
    base: Any = table()["families"].get(own.like, {"defaults": {}, "names": {}})
    return {part: {**base[part], **getattr(own, part)} for part in ("defaults", "names")}


class Config:
    """The keys of one config.json, with transformers' defaults behind them."""

    def __init__(self, data: Mapping[str, Any], model_type: str, source: str, known: Mapping[str, Any] | None = None) -> None:
        family: Any = {"defaults": known or {}, "names": {}}
        if known is None:
            family = assumed(model_type)
        self.model_type = model_type
        self.source = source
        self.names: Mapping[str, str] = family["names"]
        # Of a default under two names, its own name's counts.
        aliased = sorted(family["defaults"].items(), key=lambda item: item[0] not in self.names)
        self.defaults: Mapping[str, Any] = {self.names.get(key, key): value for key, value in aliased}
        # Where a file has a key under two names, transformers takes the one that its class does not declare.
        first = sorted(data.items(), key=lambda item: item[0] not in family["defaults"])
        self.data = {self.names.get(key, key): value for key, value in first}
        # Keys that the file says by an alias alone, or otherwise than by their own name: transformers derives other options from
        # these too early, before it reads aliases.
        self.late = {self.names[key] for key in data if key in self.names and data.get(self.names[key]) != data[key]}
        self.read = {"num_labels"}  # which says nothing of a model without a head of labels (labels.py)
        self.assumed: dict[str, Any] = {}
        self.notes: list[str] = []
        self.mtp = 0  # layers for multi-token prediction
        self.ignorable = True  # whether the user may pass over a key
        self.ignored: dict[str, str | None] = {}  # keys that the user passes over, and what they say where they would be refused
        self.begins: tuple[str, ...] = BEGINS
        self.parts: list[Config] = []

    # --- asking -----------------------------------------------------------------------------------------------------

    def get(self, key: str) -> Any:
        """The value of ``key``, or what transformers assumes for it. Raises InputError if it assumes nothing."""
        key = self.names.get(key, key)
        self.read.add(key)
        if key in self.data:
            return self.data[key]
        if key not in self.defaults:
            raise InputError(f"{self.source}: {key} is missing, and {self.model_type} has no default for it", field=key)
        if self.defaults[key] is not None:
            self.assumed[key] = self.defaults[key]
        return self.defaults[key]

    def has(self, key: str) -> bool:
        """Whether ``key`` is stated, or known to transformers for this model_type."""
        return any(name in where for where in (self.data, self.defaults) for name in (key, self.names.get(key, key)))

    def size(self, key: str, least: int = 1) -> int:
        """A whole number of at least ``least``."""
        value = self.get(key)
        # Released files hold 64.0 for 64 here and there; anything else is a mistake.
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, value, "a whole number")
        if not least <= value <= 10**15:
            raise self.wrong(key, value, f"between {least} and 10^15")
        return value

    def optional(self, key: str, least: int = 1) -> int | None:
        """A whole number, or None where the key is null or unknown to this model_type."""
        if not self.has(key) or self.get(key) is None:
            self.read.add(key)
            return None
        return self.size(key, least)

    def flag(self, key: str, otherwise: bool = False) -> bool:
        """True or false; ``otherwise`` where the key is null or unknown to this model_type."""
        value = self.get(key) if self.has(key) else otherwise
        value = otherwise if value is None else value
        if not isinstance(value, bool):
            raise self.wrong(key, value, "true or false")
        return value

    def text(self, key: str, allowed: tuple[str, ...] = ()) -> str:
        """A string, one of ``allowed`` if any are given."""
        value = self.get(key)
        if not isinstance(value, str):
            raise self.wrong(key, value, "a string")
        if allowed and value not in allowed:
            raise self.wrong(key, value, f"one of {', '.join(allowed)}")
        return value

    def list(self, key: str) -> list[Any] | None:
        """A list, or None."""
        value = self.get(key) if self.has(key) else None
        if value is not None and not isinstance(value, list):
            raise self.wrong(key, value, "a list")
        return value

    def inner(self, key: str) -> Config:
        """A mapping inside this one, with its own defaults; its leftovers are checked with ours."""
        value = self.get(key)
        if not isinstance(value, Mapping):
            raise self.wrong(key, value, "a mapping")
        defaults = self.defaults.get(key)
        part = Config(value, self.model_type, f"{self.source}: {key}", defaults if isinstance(defaults, Mapping) else {})
        part.notes, part.ignored, part.ignorable = self.notes, self.ignored, self.ignorable
        return part

    def part(self, key: str) -> Config | None:
        """The configuration of a tower, or of another part with a model_type of its own; None where the model has none.

        What it says of images is read as strictly as all else.
        """
        known = table()["families"][self.model_type]["parts"][key]
        self.read.add(key)
        given = self.data.get(key)
        if given is None:
            given = known["absent"]
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise self.wrong(key, given, "a mapping")
        name = given.get("model_type", known["type"]) if known["auto"] else known["type"]
        given = {**known.get("merged", {}), **given} if name == known["type"] else given
        part = Config(given, str(name), f"{self.source}: {key}")
        part.notes, part.begins = self.notes, STRICT
        self.parts.append(part)
        return part

    def expect(self, key: str, *values: Any) -> None:
        """Refuse unless ``key`` has one of ``values``: for options of which only these are understood."""
        value = self.get(key) if self.has(key) else values[0]
        if not any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in values):
            raise self.wrong(key, value, " or ".join(map(repr, values)) + ", the only one that llmcx understands")

    def ignore(self, *keys: str) -> None:
        """Keys that this family has and whose values change no count."""
        self.read.update(keys)

    # --- answering --------------------------------------------------------------------------------------------------

    def wrong(self, key: str, value: Any, allowed: str) -> InputError:
        """The refusal of a value."""
        text = shown(value)
        return InputError(f"{self.source}: {key} is {text}, but must be {allowed}", field=key, value=text, allowed=allowed)

    def check_leftovers(self) -> None:
        """Refuse a key that nobody read, unless it is harmless, says what transformers would assume, or the user passes over it.

        A key that this model_type does not have in transformers, and that says none, is passed over with a note.
        """
        common, idle = table()["common"], []
        for key, value in self.data.items():
            if key in self.read or key in HARMLESS or key in common or key.startswith(self.begins) or key.endswith(ENDS):
                continue
            if key in SAME and value is not None and value == self.data.get(SAME[key], self.defaults.get(SAME[key])):
                continue
            if value is None or any(key in known and known[key] == value for known in (OFF, self.defaults)):
                continue
            name, text = str(key)[:80], shown(value)
            if key not in self.defaults and not value:
                idle.append(f"{name}={text}")
                continue
            if key in self.ignored:
                self.ignored[key] = text
                continue
            raise InputError(
                f"{self.source}: {name} = {text} is not understood for model_type {self.model_type!r}, and may change the cost;"
                f" --ignore {name} passes over it where that is known to cost nothing"
                if self.ignorable
                else f"{self.source}: {name} = {text} is not understood, and may change the cost",
                field=name,
                value=text,
            )
        if idle:
            self.notes.append(f"passed over, as {self.model_type} has no such keys and they say none: {', '.join(sorted(idle))}")

    def check_ignored(self) -> None:
        """Note the keys that the user passes over; refuse one that would not have been refused."""
        for key, text in self.ignored.items():
            if text is None:
                why = f"{self.model_type} reads it" if self.names.get(key, key) in self.read else "no key of that name is refused"
                raise InputError(f"{self.source}: --ignore {key} changes nothing: {why}", field="ignore", value=key)
            self.notes.append(f"warning: {key} = {text} is passed over because --ignore says so")
