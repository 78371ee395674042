"""Measure what transformers builds and runs, and keep it in golden.json.

    python tests/oracle/measure.py [FAMILY ...]                 measure and merge into golden.json
    python tests/oracle/measure.py --check [FAMILY ...]         measure again; exit 1 and print what differs
    python tests/oracle/measure.py --random N --seed S [FAMILY ...]   N random cases a family, as JSON lines on stdout
    python tests/oracle/measure.py --explain ID                 where one case's parameters and FLOPs sit

Needs torch (the CPU build will do) and transformers, and nothing of llmcx. What golden.json holds:

- kind "params": the model built on the meta device. `params` counts a tied weight once; `embedding` is every nn.Embedding weight;
  `experts` the routed experts' weights; `modules` the same total by module, `blocks` by part of a layer (summed over the layers);
  `buffers` the elements of persistent buffers, which are saved with the model but are not parameters; `frozen` the parameters
  (counted in `params`) that never get a gradient.
- kind "flops": a tiny model run for real on the CPU in fp32, eager attention, eager experts, no cache, eval mode (no dropout, no
  jitter) with gradients of sum(logits), or of sum(last hidden state) where there are no logits. `forward` and `forward_backward`
  are FlopCounterMode's totals, `ops` its forward split by aten operator. `varies` holds the forward counts for other random
  tokens where they are not all the same, or need not be.
- kind "kept": bytes that autograd saves for the backward of the same run: each distinct storage that a saved-tensor hook sees,
  once, in full, parameters left out.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

warnings.filterwarnings("ignore")
# Say nothing and ask the network nothing: both would make a run depend on the machine.
os.environ.update(TRANSFORMERS_VERBOSITY="critical", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import torch  # noqa: E402
import transformers  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cases  # noqa: E402
from pictures import pictured  # noqa: E402

GOLDEN = Path(__file__).resolve().parent / "golden.json"
# Not "shared_experts", which every token passes through.
EXPERT = re.compile(r"\.experts\.")
Json = dict[str, Any]


def build(config: Json, device: str, attention: str = "eager", dtype: torch.dtype = torch.float32) -> Any:
    """The model of a config.json, made by the class that its `architectures` names, with random weights."""
    kind = transformers.CONFIG_MAPPING[config["model_type"]]
    parsed = kind.from_dict(json.loads(json.dumps(config)))
    model_class = getattr(transformers, config["architectures"][0])
    for part in (parsed, parsed.get_text_config()):
        part.use_cache = False
    torch.manual_seed(0)
    with torch.device(device):
        return model_class._from_config(parsed, attn_implementation=attention, experts_implementation="eager", dtype=dtype).eval()


def inputs(model: Any, case: Json, seed: int) -> Json:
    """Token ids for one run; the first few ids are left out because some models treat them as padding."""
    config = getattr(model.config, "vlm_config", model.config).get_text_config()
    draw = torch.Generator().manual_seed(seed)

    # gemma4 looks every token up in a second table, which may be shorter.
    vocab = min(config.vocab_size, getattr(config, "vocab_size_per_layer_input", config.vocab_size))

    def ids(length: int) -> torch.Tensor:
        return torch.randint(4, vocab, (case["batch"], length), generator=draw)

    given = {"input_ids": ids(case["seq"])}
    if "images" in case:
        given |= pictured(model.config, case, given["input_ids"], draw)
    kind = type(model).__name__
    if kind.endswith("ForMultipleChoice"):  # the batch is the choices of one question
        given["input_ids"] = given["input_ids"][None]
    accepted = inspect.signature(model.forward).parameters
    if "input_ids" not in accepted and "images" not in case:
        given = {"input_features": torch.randn(case["batch"], config.num_mel_bins, 2 * case["seq"], generator=draw)}
    if model.config.is_encoder_decoder and "decoder_input_ids" not in given:
        given["decoder_input_ids"] = ids(case["decoder_seq"])
        if kind.endswith("ForSequenceClassification"):  # what the end of a sequence says is what is looked at
            given["input_ids"][:, -1] = config.eos_token_id
    return given | ({"use_cache": False} if "use_cache" in accepted else {})


def loss_of(output: Any) -> torch.Tensor:
    """A scalar that every position of the output takes part in."""
    if "start_logits" in output:
        return (output["start_logits"] + output["end_logits"]).float().sum()
    name = next(key for key in ("logits", "prediction_logits", "last_hidden_state") if key in output)
    return output[name].float().sum()


def weights(model: Any) -> Json:
    """Parameter counts: total, embeddings, routed experts, by module, by part of a layer, persistent buffers."""
    modules: dict[str, int] = {}
    blocks: dict[str, int] = {}
    experts = 0
    for name, parameter in model.named_parameters():
        path = name.split(".")
        # "model.layers.3.mlp.up_proj.weight" belongs to the module model.layers and the block model.layers.*.mlp.
        layer = next((i for i, part in enumerate(path) if part.isdigit()), None)
        if layer is not None:
            block = ".".join([*path[:layer], "*", *path[layer + 1 : layer + 2]])
            blocks[block] = blocks.get(block, 0) + parameter.numel()
        module = ".".join(path[:2] if len(path) > 2 else path[:1])
        modules[module] = modules.get(module, 0) + parameter.numel()
        experts += parameter.numel() if EXPERT.search(name) else 0
    # I-BERT's tables are of a class of its own.
    kinds = [part for part in model.modules() if isinstance(part, torch.nn.Embedding) or type(part).__name__ == "QuantEmbedding"]
    tables = {id(part.weight): part.weight.numel() for part in kinds}
    persistent = {id(value) for value in model.state_dict(keep_vars=True).values()}
    buffers = sum(value.numel() for value in model.buffers() if id(value) in persistent)
    counts: Json = {"params": sum(modules.values()), "embedding": sum(tables.values())}
    counts |= {"experts": experts} if experts else {}
    counts |= {"buffers": buffers} if buffers else {}
    frozen = sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)
    counts |= {"frozen": frozen} if frozen else {}
    return counts | {"modules": modules, "blocks": blocks}


class Untracked:
    """In place of FlopCounterMode's tracker of modules, which wants a gradient of all that Reformer's layers see."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def count(run: Callable[[], Any]) -> dict[str, int]:
    """FLOPs of `run` by operator, as FlopCounterMode sees them."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = Untracked()
    with counter:
        run()
    return {str(op).removeprefix("aten."): flops for op, flops in counter.get_flop_counts()["Global"].items()}


def backward(model: Any, given: Json) -> dict[str, int]:
    """FLOPs of forward and backward together; none where the model does not go backward.

    Reformer does in training alone, whose lengths are whole chunks and, where it has them, whole axial positions.
    """
    config = model.config
    if config.model_type == "reformer":
        seq = given["input_ids"].shape[1]
        whole = math.lcm(*(getattr(config, f"{kind}_attn_chunk_length") for kind in set(config.attn_layers)))
        if seq % whole or (config.axial_pos_embds and math.prod(config.axial_pos_shape) != seq):
            return {}
        model.train()
    found = count(lambda: loss_of(model(**given)).backward())
    model.eval()
    return found


def flops(case: Json) -> Json:
    model = build(case["config"], "cpu")
    given = inputs(model, case, seed=1)
    ops = count(lambda: model(**given))
    both = backward(model, given)
    counts = weights(model)
    found: Json = {key: counts[key] for key in ("params", "embedding", "experts", "buffers", "frozen") if key in counts}
    # Where experts have room for fewer tokens than a sequence has, some may be dropped, as the random weights will have it.
    capacity = getattr(model.config, "expert_capacity", None)
    tight = capacity is not None and capacity < max(case["seq"], case["decoder_seq"])
    # BLT's patches end where its weights are surprised.
    tight = tight or (getattr(model.config, "patching_mode", "") == "entropy" and model.config.patch_size is not None)
    found |= {"forward": sum(ops.values())} | ({"forward_backward": sum(both.values())} if both else {})
    found |= {"ops": dict(sorted(ops.items()))}
    seen = {found["forward"]}
    for seed in (2, 3):
        other = inputs(model, case, seed)
        seen.add(sum(count(partial(model, **other)).values()))
    return found | ({"varies": sorted(seen)} if len(seen) > 1 or tight else {})


def kept_tensors(model: Any, given: Json) -> list[torch.Tensor]:
    """One tensor for each distinct storage that the forward pass saves, parameters left out."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    # The tensors themselves are held: a freed storage could come back under the same address.
    held: dict[int, torch.Tensor] = {}
    everything: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        everything.append(tensor)
        held.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = loss_of(model(**given))
    del loss
    return [tensor for address, tensor in held.items() if address not in own]


def kept(case: Json) -> Json:
    found: Json = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        for attention in ("eager", "sdpa"):
            try:
                model = build(case["config"], "cpu", attention, dtype)
            except ValueError:  # a family without sdpa, such as gemma2
                continue
            tensors = kept_tensors(model, inputs(model, case, seed=1))
            found[f"{name}_{attention}"] = sum(tensor.untyped_storage().nbytes() for tensor in tensors)
    return {"kept": found}


MEASURE: dict[str, Callable[[Json], Json]] = {
    "params": lambda case: weights(build(case["config"], "meta")),
    "flops": flops,
    "kept": kept,
}


def measure(case: Json) -> Json:
    """The case with its measurements, or with the reason why transformers refused it."""
    try:
        return case | MEASURE[case["kind"]](case)
    except Exception as error:  # whatever transformers raises is the finding
        if "--traceback" in sys.argv:
            traceback.print_exc()
        return case | {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def measure_all(wanted: Iterable[Json]) -> dict[str, Json]:
    found = {}
    for case in wanted:
        found[case["id"]] = measure(case)
        print(
            "." if "failed" not in found[case["id"]] else f"\n{case['id']}: {found[case['id']]['failed']}",
            end="",
            file=sys.stderr,
        )
        sys.stderr.flush()
    print(file=sys.stderr)
    return found


def versions() -> Json:
    return {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}


def read() -> dict[str, Json]:
    if not GOLDEN.exists():
        return {}
    document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return {case["id"]: case for case in document["cases"] + document["failed"]}


def write(found: dict[str, Json]) -> None:
    """One case a line, in the order of their ids, so that a changed count is a changed line."""
    rows = [found[name] for name in sorted(found)]
    absent = [name for name in cases.WANTED if name not in transformers.CONFIG_MAPPING]

    def lines(some: list[Json]) -> str:
        return "[\n" + ",\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in some) + "\n]"

    head = "".join(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in (versions() | {"absent": absent}).items())
    good, bad = ([row for row in rows if ("failed" in row) is failed] for failed in (False, True))
    GOLDEN.write_text(f'{{\n{head}"failed": {lines(bad)},\n"cases": {lines(good)}\n}}\n', encoding="utf-8")


def differences(old: dict[str, Json], new: dict[str, Json]) -> list[str]:
    out = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            out.append(f"{name}: {'not in golden.json' if before is None else 'no longer declared'}")
        elif before != after:
            changed = [key for key in (before | after) if before.get(key) != after.get(key)]
            out += [f"{name}: {key} was {before.get(key)}, is {after.get(key)}" for key in changed]
    return out


def explain(case: Json) -> None:
    """Print every weight of a case and, if it is run, the FLOPs of every module."""
    run = case["kind"] != "params"
    model = build(case["config"], "cpu" if run else "meta")
    for name, parameter in model.named_parameters():
        print(f"{parameter.numel():>14,}  {name}  {list(parameter.shape)}")
    if run:
        with FlopCounterMode(depth=9, display=True):
            model(**inputs(model, case, seed=1))
        by_shape = [
            (tensor.untyped_storage().nbytes(), list(tensor.shape)) for tensor in kept_tensors(model, inputs(model, case, 1))
        ]
        print("kept:", sum(size for size, _ in by_shape), by_shape)


def settle(golden: Path, text: str, of: str) -> None:
    """Write what was measured, or with --check exit where it is not what stands there: what ``of`` says now."""
    if "--check" not in sys.argv:
        golden.write_text(text, encoding="utf-8")
    elif text != golden.read_text(encoding="utf-8"):
        sys.exit(f"{golden.name} is not what {of} now")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="model types; all of them when none is named")
    parser.add_argument("--check", action="store_true", help="compare with golden.json and write nothing")
    parser.add_argument("--share", metavar="K/N", default="0/1", help="the K-th of N shares of cases or, at random, of families")
    parser.add_argument("--random", type=int, metavar="N", help="N random cases a family, to stdout")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--explain", metavar="ID")
    parser.add_argument("--traceback", action="store_true", help="show where transformers refused a case")
    args = parser.parse_args()
    # Sums are the same on any number of threads; tiny tensors are faster on one.
    torch.set_num_threads(1)
    unknown = [name for name in args.families if name not in cases.FAMILIES]
    if unknown:
        parser.error(f"no cases for {', '.join(unknown)}; known: {', '.join(cases.FAMILIES)}")
    names = args.families or list(cases.FAMILIES)
    which, shares = map(int, args.share.split("/"))
    if args.explain:
        explain(cases.find(args.explain))
    elif args.random:
        for name in (name for name in names if crc32(name.encode()) % shares == which):
            made = 0
            for case in cases.sample(name, args.seed):
                row = measure(case)
                # A draw can be a config that transformers refuses; the next draw takes its place.
                if "failed" not in row:
                    print(json.dumps(row, separators=(",", ":")), flush=True)
                    made += 1
                if made == args.random:
                    break
    else:
        found = measure_all(case for name in names for case in cases.of(name) if crc32(case["id"].encode()) % shares == which)
        if args.check:
            golden = {name: case for name, case in read().items() if case["model_type"] in names}
            golden = {name: case for name, case in golden.items() if crc32(name.encode()) % shares == which}
            changed = differences(golden, found)
            print("\n".join(changed) or f"{len(found)} cases as in golden.json ({versions()})")
            sys.exit(1 if changed else 0)
        others = {name: case for name, case in read().items() if case["model_type"] not in names}
        write({name: case for name, case in (others | found).items() if case["model_type"] in cases.FAMILIES})


if __name__ == "__main__":
    main()
