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

from llmcx.core.errors import InputError, shown

# Keys that no family's cost depends on: numerics, training, generation, tokens, bookkeeping of any version of transformers.
_HARMLESS = """
    _attn_implementation _attn_implementation_autoset _flash_attn_2_enabled _name_or_path activation_dropout
    attention_dropout attention_multiplier attention_probs_dropout_prob attn_implementation attn_logit_softcapping
    attn_pdrop attn_scale attn_temperature_tuning auto_map aux_loss_alpha bad_words_ids begin_suppress_tokens
    bos_token_id cache_implementation classifier_dropout cls_token_id custom_pipelines decoder_start_token_id
    diversity_penalty do_sample dropout early_stopping emb_pdrop embd_pdrop embed_dropout embedding_dropout
    embedding_multiplier encoder_no_repeat_ngram_size eod_token_id eos_token_id ep_size experts_implementation
    exponential_decay_length_penalty final_logit_softcapping finetuning_task floor_scale forced_bos_token_id
    forced_eos_token_id freeze gradient_checkpointing hidden_dropout hidden_dropout_prob init_std initializer_factor
    initializer_range input_jitter_noise is_llama_config label_smoothing language layer_norm_eps layer_norm_epsilon
    layerdrop length_penalty logit_scale logits_scaling mask_token_id max_length min_length model_type moe_jitter_eps
    n_group n_special no_repeat_ngram_size no_rope_layer_interval no_rope_layers norm_eps norm_epsilon norm_topk_prob
    num_beam_groups num_beams num_return_sequences original_max_position_embeddings output_attentions output_past
    output_router_logits output_scores pad_token_id partial_rotary_factor predict_special_tokens prefix pretraining_tp
    problem_type pruned_heads quantization quantization_config query_pre_attn_scalar remove_invalid_values
    repetition_penalty resid_dropout resid_pdrop residual_dropout residual_multiplier return_dict_in_generate
    rms_norm_eps rope_interleave rope_interleaved rope_local_base_freq rope_parameters rope_scaling rope_theta
    rotary_dim rotary_emb_base rotary_pct routed_scaling_factor router_aux_loss_coef router_jitter_noise
    router_z_loss_coef scoring_func sep_token_id seq_aux summary_activation summary_first_dropout
    summary_proj_to_labels summary_type summary_use_proj suppress_tokens swiglu_alpha swiglu_limit task_specific_params
    temperature tf_legacy_loss tie_encoder_decoder tokenizer_class top_p topk_group topk_method torch_dtype torchscript
    transformers.js_config typical_p unk_token_id unsloth_fixed unsloth_version use_bfloat16 use_cache
"""
HARMLESS = frozenset(_HARMLESS.split())
# What older versions of transformers wrote into every file; a null, too, asks for nothing.
OFF = {"add_cross_attention": False, "is_decoder": False, "is_encoder_decoder": False, "top_k": 50}


# Released files whose model_type transformers does not know, but whose architecture is one that it does.
SAME_AS = {"kimi_k2": "deepseek_v3"}


@lru_cache(maxsize=1)
def table() -> Any:
    """families/defaults.json: what transformers assumes (see tests/oracle/defaults.py)."""
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
        # Where a file has a key under two names, transformers takes the alias, whichever comes first.
        first = sorted(data.items(), key=lambda item: item[0] in self.names)
        self.data = {self.names.get(key, key): value for key, value in first}
        # Keys that the file says by an alias alone, or otherwise than by their own name: transformers derives other options from
        # these too early, before it reads aliases.
        self.late = {self.names[key] for key in data if key in self.names and data.get(self.names[key]) != data[key]}
        self.read: set[str] = set()
        self.assumed: dict[str, Any] = {}
        self.notes: list[str] = []

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
        return Config(value, self.model_type, f"{self.source}: {key}", defaults if isinstance(defaults, Mapping) else {})

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
        """Refuse a key that nobody read, unless it is harmless or says what transformers would assume."""
        common = table()["common"]
        for key, value in self.data.items():
            if key in self.read or key in HARMLESS or key in common or key.startswith("_"):
                continue
            if value is None or any(key in known and known[key] == value for known in (OFF, self.defaults)):
                continue
            name, text = str(key)[:80], shown(value)
            raise InputError(
                f"{self.source}: {name} = {text} is not understood for model_type {self.model_type!r}, and may change the cost",
                field=name,
                value=text,
            )
