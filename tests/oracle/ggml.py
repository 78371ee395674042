"""llama.cpp, asked: a config.json made a GGUF file by its own converter, its quantise and its contexts run on that.

Nothing is trained and no weight exists: the model stands on torch's meta device, and the file has the right metadata, names,
shapes and types but holes in place of data, so a released shape costs no more than a tiny one.

LLAMA_CPP names a directory with llama.cpp's sources (the sdist of llama-cpp-python has them in vendor/llama.cpp), whose Python
converter is run; llama-cpp-python, built from the same sources, has the library. Needs torch and transformers too.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# Scripts here are called as the packages are that they ask.
sys.path = [path for path in sys.path if Path(path or ".").resolve() != HERE]
os.environ.update(TRANSFORMERS_VERBOSITY="critical", HF_HUB_OFFLINE="1", NO_COLOR="1")
SOURCES = Path(os.environ.get("LLAMA_CPP", "llama.cpp"))
sys.path.insert(0, str(SOURCES))
sys.path.insert(0, str(SOURCES / "gguf-py"))

import gguf  # noqa: E402
import llama_cpp  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from conversion import ModelBase, TextModel, get_model_class, load_all_models  # noqa: E402
from conversion.base import LazyTorchTensor  # noqa: E402
from transformers.core_model_loading import revert_weight_conversion  # noqa: E402

Json = dict[str, Any]


def cases() -> Any:
    """cases.py, which has the released shapes, and reads towers.py."""
    sys.modules["towers"] = module("towers")
    return module("cases")


def module(name: str) -> Any:
    """A script of this directory."""
    spec = importlib.util.spec_from_file_location(f"oracle_{name}", HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def versions() -> Json:
    """What was asked."""
    cmake = (SOURCES / "CMakeLists.txt").read_text()
    number = ".".join(re.findall(r"LLAMA_VERSION_(?:MAJOR|MINOR|PATCH) +(\d+)", cmake)[:3])
    return {"llama.cpp": number, "llama_cpp_python": llama_cpp.__version__, "transformers": transformers.__version__}


# --- a file -----------------------------------------------------------------------------------------------------------


class Hollow(gguf.GGUFWriter):
    """Writes all of a file but its data."""

    def write_tensors_to_file(self, *, progress: bool = False) -> None:
        self.write_ti_data_to_file()
        assert self.fout is not None
        out = self.fout[0]
        self.write_padding(out, out.tell())
        sizes = [self.ggml_pad(tensor.nbytes, self.data_alignment) for tensor in self.tensors[0].values()]
        out.truncate(out.tell() + sum(sizes))
        self.tensors[0].clear()


def no_vocab(self: Any) -> None:
    """In place of a tokenizer, which costs nothing that is counted here."""
    self.gguf_writer.add_tokenizer_model("no_vocab")
    try:
        self.gguf_writer.add_vocab_size(self.hparams["vocab_size"])
    except Exception:  # said twice
        return


def prepare() -> None:
    """Make the converter write hollow files without tokenizers."""
    load_all_models()
    gguf.GGUFWriter = Hollow  # type: ignore[misc]

    def every(kind: type) -> Iterator[type]:
        yield kind
        for below in kind.__subclasses__():
            yield from every(below)

    for kind in every(TextModel):
        kind.set_vocab = no_vocab  # type: ignore[attr-defined]
        kind.no_mtp = True  # type: ignore[attr-defined]


def checkpoint(config: Json) -> tuple[Any, dict[str, torch.Tensor]]:
    """The parsed config and the tensors, as they are saved, of the model that it describes."""
    parsed = transformers.CONFIG_MAPPING[config["model_type"]].from_dict(json.loads(json.dumps(config)))
    with torch.device("meta"):
        model = getattr(transformers, config["architectures"][0])._from_config(parsed, dtype=torch.bfloat16)
    parsed.architectures = config["architectures"]
    tied = set(model.all_tied_weights_keys)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in tied}
    return parsed, revert_weight_conversion(model, tensors)


HUB: Json = {
    "gpt2": {"n_ctx": 1024},
    "gpt_neox": {"rotary_pct": 0.25},
    "cohere2": {"rotary_pct": 1.0},
    "minimax_m2": {"rotary_dim": 64},
    "t5": {"decoder_start_token_id": 0},
    "mt5": {"decoder_start_token_id": 0},
    "umt5": {"decoder_start_token_id": 0},
    **{key: {"scoring_func": "sigmoid", "num_nextn_predict_layers": 0} for key in ("deepseek_v32", "exaone_moe")},
    "kimi_linear": {"moe_router_activation_func": "sigmoid"},
    "modernbert": {"layer_norm_eps": 1e-5},
    "glm4_moe": {"num_nextn_predict_layers": 0},
    "glm_moe_dsa": {"num_nextn_predict_layers": 0},
}
"""What files on the hub say and transformers no longer does."""
CLASSES = {
    "mpt": "MPTForCausalLM",
    "phimoe": "PhiMoEForCausalLM",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
    "camembert": "CamembertModel",
    "modernbert": "ModernBertModel",
    "qwen2_vl_text": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl_text": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl_text": "Qwen3VLForConditionalGeneration",
    "qwen3_vl_moe_text": "Qwen3VLMoeForConditionalGeneration",
    "glm4v_text": "Glm4vForConditionalGeneration",
    "glm4v_moe_text": "Glm4vMoeForConditionalGeneration",
}
"""What the converter calls a class that transformers calls otherwise, or that has no head of its own there."""


def hub(config: Json, hparams: Json) -> Json:
    """What the converter reads of a file: all that transformers says, and what only files on the hub say."""
    name = config["model_type"]
    made = {**hparams, **HUB.get(name, {}), "architectures": [CLASSES.get(name, config["architectures"][0])]}
    if name == "falcon" and config.get("multi_query", True) and not config.get("new_decoder_architecture"):
        made["num_kv_heads"] = 1
    if name == "dbrx":
        made["attn_config"] = {"clip_qkv": 8.0, **{k: v for k, v in made["attn_config"].items() if v is not None}}
        made["attn_config"].setdefault("rope_theta", 10000.0)
    if name in ("nemotron_h", "granitemoehybrid"):
        made.update(
            {key: config[key] for key in ("layer_types", "layers_block_type", "hybrid_override_pattern") if key in config}
        )
    if name == "nemotron_h":
        for key in {"n_routed_experts", "num_experts_per_tok", "n_group", "topk_group", "n_shared_experts"} - set(config):
            made.pop(key, None)
    if name == "phimoe":
        made["rope_parameters"] = {"original_max_position_embeddings": 4096, **made["rope_parameters"]}
    if name == "hunyuan_v1_moe":
        for key, size in (("moe_intermediate_size", "intermediate_size"), ("moe_topk", "moe_topk"), ("num_shared_expert", 0)):
            made[key] = [made.get(size, 1)] * made["num_hidden_layers"]
        made["moe_intermediate_size"] = [made["intermediate_size"]] * made["num_hidden_layers"]
        made["moe_topk"] = made["moe_topk"] if isinstance(made["moe_topk"], list) else [made["moe_topk"]]
        made["num_shared_expert"] = [1] * made["num_hidden_layers"]
    return made


def saved_as(config: Json, name: str) -> str:
    """A tensor's name on the hub, where transformers saves it under another."""
    kind = config["model_type"]
    if kind in ("qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text", "qwen3_vl_moe_text", "glm4v_text", "glm4v_moe_text"):
        return f"model.{name}"
    if kind in ("roberta", "xlm-roberta", "camembert", "modernbert"):
        return name.partition(".")[2] if name.startswith(("roberta.", "model.")) else name
    if kind == "kimi_linear":
        return re.sub(r"block_sparse_moe\.((?:gate|up|down)_proj)", r"mlp.\1", name)
    return name


@contextmanager
def file(config: Json) -> Iterator[Path]:
    """The GGUF file of a config.json, for as long as it is needed. Raises NotImplementedError where there is no such."""
    parsed, tensors = checkpoint(config)
    kind = get_model_class(CLASSES.get(config["model_type"], config["architectures"][0]))
    tensors = {saved_as(config, name): tensor for name, tensor in tensors.items()}

    def index_tensors(self: Any, remote_hf_model_id: str | None = None) -> Json:
        made: Json = {}
        for name, tensor in tensors.items():
            # Heads differ from tables, or the converter would take them for tied.
            fill = torch.ones if "head" in name else torch.zeros
            lazy = LazyTorchTensor(meta=tensor, args=(tensor,), func=lambda t, fill=fill: fill(t.shape, dtype=t.dtype))
            if kept := self.filter_tensors((name, lambda lazy=lazy: lazy)):
                made[kept[0]] = kept[1]
        return made

    ModelBase.index_tensors = index_tensors
    with tempfile.TemporaryDirectory() as directory:
        parsed.save_pretrained(directory)
        # Gemma's tables are cut to as many tokens as the tokenizer has.
        words = {"model": {"vocab": [0] * parsed.get_text_config().vocab_size}, "added_tokens": []}
        (Path(directory) / "tokenizer.json").write_text(json.dumps(words))
        hparams = hub(config, ModelBase.load_hparams(Path(directory), False))
        out = Path(directory) / "model.gguf"
        with torch.inference_mode():
            kind(Path(directory), gguf.LlamaFileType.MOSTLY_BF16, out, hparams=hparams).write()
        yield out


# --- the library ------------------------------------------------------------------------------------------------------

LOG: list[str] = []


@llama_cpp.llama_log_callback
def _log(_level: int, text: bytes, _data: ctypes.c_void_p) -> None:
    LOG.append(text.decode(errors="replace"))


def said() -> str:
    """All that the library has said since it was last asked."""
    text = "".join(LOG)
    LOG.clear()
    return text


def start() -> None:
    """Once, before anything else."""
    prepare()
    llama_cpp.llama_backend_init()
    llama_cpp.llama_log_set(_log, ctypes.c_void_p(0))
