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

# Keys that any file may carry and from which no family builds or runs anything: generation, tokens, dropout, epsilons, losses,
# initial weights, bookkeeping of this and older versions of transformers and of the tools around it. A key that costs something
# in any family is not here: its readers ask for it, and the families in which it is idle ignore it (see the groups below).
_HARMLESS = """
    add_classification_head attn_implementation auto_map bad_words_ids begin_suppress_tokens cache_implementation
    compression_config custom_pipelines diversity_penalty do_sample dropout early_stopping encoder_no_repeat_ngram_size
    experts_implementation exponential_decay_length_penalty finetuning_task freeze gradient_checkpointing initializer_factor
    initializer_range is_causal is_llama_config kv_cache_scheme label_smoothing language layerdrop length_penalty max_length
    max_new_tokens max_sequence_length min_length model_max_length model_type n_ctx n_special name no_repeat_ngram_size
    num_beam_groups num_beams num_image_tokens num_labels num_return_sequences onnx output_attentions output_past
    output_scores predict_special_tokens prefix pretraining_tp problem_type quantization quantization_config
    remove_invalid_values repetition_penalty return_dict_in_generate seq_length sparsity_config suppress_tokens
    task_specific_params temperature tf_legacy_loss tie_encoder_decoder top_k top_p torchscript transformers.js_config
    typical_p use_bfloat16 use_cache use_flash_attention use_flash_attn
"""
HARMLESS = frozenset(_HARMLESS.split())
# How keys begin and end that say no size of the language model, in any family: tokens, numerics, the parts that see and hear.
_ENDS = """
    _alpha _beta _dropout _dropout_prob _dtype _eps _epsilon _fp32 _id _loss_coef _loss_weight _path _pdrop _scaling_factor _std
    _token_ids _token_index _version
"""
BEGINS = ("_", "audio_", "image_", "init_", "rope_", "rotary_", "tokenizer_", "unsloth_", "video_", "vision_", "vit_")
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
    "ffn_hidden_size": "intermediate_size",
    "kv_channels": "head_dim",
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "n_layer": "num_hidden_layers",
    "n_layers": "num_hidden_layers",
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


# Released files whose model_type transformers does not know, but whose architecture is one that it does.
SAME_AS = {"kimi_k2": "deepseek_v3"}


@lru_cache(maxsize=1)
def table() -> Any:
    """huggingface/defaults.json: what transformers assumes (see tests/oracle/defaults.py)."""
    return json.loads((Path(__file__).parent / "defaults.json").read_text(encoding="utf-8"))


class Config:
    """The keys of one config.json, with transformers' defaults behind them."""

    def __init__(self, data: Mapping[str, Any], model_type: str, source: str, known: Mapping[str, Any] | None = None) -> None:
        family: Any = {"defaults": known or {}, "names": {}}
        if known is None:
            family = table()["families"].get(SAME_AS.get(model_type, model_type), family)
        self.model_type = model_type
        self.source = source
        self.names: Mapping[str, str] = family["names"]
        self.defaults: Mapping[str, Any] = {self.names.get(key, key): value for key, value in family["defaults"].items()}
        # Where a file has a key under two names, transformers takes the one that its class does not declare.
        first = sorted(data.items(), key=lambda item: item[0] not in family["defaults"])
        self.data = {self.names.get(key, key): value for key, value in first}
        # Keys that the file says by an alias alone, or otherwise than by their own name: transformers derives other options from
        # these too early, before it reads aliases.
        self.late = {self.names[key] for key in data if key in self.names and data.get(self.names[key]) != data[key]}
        self.read: set[str] = set()
        self.assumed: dict[str, Any] = {}
        self.notes: list[str] = []
        self.mtp = 0  # layers for multi-token prediction
        self.begins: tuple[str, ...] = BEGINS
        self.parts: list[Config] = []

    def assume(self, model_type: str) -> None:
        """Take the defaults and names of another family, for one that transformers does not know."""
        family = table()["families"][model_type]
        self.defaults, self.names = family["defaults"], family["names"]
        self.data = {self.names.get(key, key): value for key, value in self.data.items()}

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
        part.notes = self.notes
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
        """Refuse a key that nobody read, unless it is harmless or says what transformers would assume.

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
            raise InputError(
                f"{self.source}: {name} = {text} is not understood for model_type {self.model_type!r}, and may change the cost",
                field=name,
                value=text,
            )
        if idle:
            self.notes.append(f"passed over, as {self.model_type} has no such keys and they say none: {', '.join(sorted(idle))}")
