"""docs/truth.md: how each kind of figure is known, in one table. `python tests/test_truth.py` writes it.

Cases are counted in the recorded answers themselves (tests/oracle). How many agree, and by how much, is taken from the pages that
other tests write from the same answers and hold to them, so nothing is computed twice.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from llmcx.catalog.data import load
from llmcx.catalog.index import names
from tests.helpers import between, write_between

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/truth.md"
ORACLE = ROOT / "tests/oracle"


class Kind(NamedTuple):
    """A row: what is known, from whom, of how many cases, how it came out, whether a fit had seen them, which test holds it."""

    figure: str
    asked: str
    cases: str
    outcome: str
    fitted: str
    test: str


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def golden(name: str) -> Any:
    return json.loads((ORACLE / f"{name}.json").read_text(encoding="utf-8"))


def cells(line: str) -> list[str]:
    return [cell.strip(" *") for cell in line.strip().strip("|").split("|")]


def rows(text: str) -> list[dict[str, str]]:
    """The rows of every Markdown table in ``text``, by the titles of their columns."""
    found: list[dict[str, str]] = []
    titles: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            titles = []
        elif not titles:
            titles = cells(line)
        elif not re.fullmatch(r"[|:\- ]+", line):
            found.append(dict(zip(titles, cells(line), strict=False)))
    return found


def whole(page: str, name: str) -> dict[str, str]:
    """The row "all N" of a written table."""
    [row] = [row for row in rows(between(ROOT / page, name)) if next(iter(row.values())).startswith("all ")]
    return row


def percents(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"([+-]?\d+(?:\.\d+)?)%", text)]


def worst(text: str) -> str:
    """The largest deviation that a text names, with its sign."""
    largest = max(percents(text), key=abs)
    return f"{largest:+.1f}%" if abs(largest) >= 0.05 else f"{largest:+.3f}%"


def last(page: str, name: str) -> str:
    """The sentence under a written table."""
    return between(ROOT / page, name).strip().rpartition("\n\n")[2]


def first(page: str, name: str) -> str:
    return between(ROOT / page, name).strip().partition("\n")[0]


def versions(page: str, name: str) -> str:
    return first(page, name).rstrip(":")


def counts() -> list[Kind]:
    families, types = whole("docs/families.md", "families"), rows(between(ROOT / "docs/families.md", "types"))
    asked = versions("docs/families.md", "families")
    kept = rows(read("docs/kept.md"))
    equal = [row for row in kept if row["explained"] in ("equal", "yes")]
    attention, order, images = golden("attention_golden"), golden("order"), golden("images")
    variants = len({case["variant"].partition(":")[0] for case in attention["cases"]})
    mixtures = rows(read("docs/moe.md"))
    assert families["wrong"] == "0" and all(row["wrong"] == "0" for row in types)
    total = sum(int(row["types"]) for row in types)
    exact = sum(int(row["exact"]) for row in types)
    refused = sum(int(row["refused"]) for row in types)
    unbuilt = total - sum(int(row["build from defaults"]) for row in types)
    return [
        Kind(
            "[parameters, FLOPs](families.md)",
            f"transformers' models, built, and run under torch's FLOP counter ({asked})",
            f"{families['cases']} configurations of {families['model_type'].removeprefix('all ')} model types",
            f"{families['exact']} equal, {families['refused']} refused, {families['wrong']} wrong",
            "nothing to fit",
            "test_families.py",
        ),
        Kind(
            "[parameters by default](families.md)",
            f"every type of transformers that writes text or fills it in ({versions('docs/families.md', 'types')})",
            f"{total} types, of which {unbuilt} cannot be built from their defaults",
            f"{exact} equal, {refused} refused, 0 wrong",
            "nothing to fit",
            "test_all_types.py",
        ),
        Kind(
            "[experts, total and active](moe.md)",
            "what the models' authors print",
            f"{len([row for row in mixtures if 'published total' in row])} models",
            "each rounds to the printed figure, or the page says why not",
            "nothing to fit",
            "test_moe_published.py",
        ),
        Kind(
            "FLOPs and memory of other attentions",
            f"plain torch implementations ({attention['torch']})",
            f"{len(attention['cases'])} cases of {variants} variants",
            "equal; activations of MLA, Reformer, DSA, NSA and recurrences are estimates",
            "nothing to fit",
            "test_attention_golden.py",
        ),
        Kind(
            "order of layers",
            f"transformers ({order['transformers']})",
            f"{len(order['families'])} types, {len(order['presets'])} presets",
            "equal",
            "nothing to fit",
            "test_order.py",
        ),
        Kind(
            "tokens of images and sounds",
            f"transformers' processors ({images['transformers']})",
            f"{sum(len(case['cases']) for case in images['images'])} images of {len(images['images'])} set-ups",
            "equal",
            "nothing to fit",
            "test_images.py",
        ),
        Kind(
            "[activations saved for the backward pass](kept.md)",
            "hooks on torch's saved tensors, on tiny models",
            f"{len(kept)} model types, each four ways",
            f"{len(equal)} equal to the byte, or to the few that are named; the others as the page has them, "
            f"{worst(read('docs/kept.md'))} at worst",
            "nothing to fit",
            "test_kept.py",
        ),
        Kind(
            "LoRA: weights, gradients, activations, FLOPs",
            f"plain torch adapters on tiny models ({golden('lora')['torch']})",
            f"{len(golden('lora')['cases'])} cases, and {len(golden('lora')['flops'])} passes for FLOPs",
            "equal",
            "nothing to fit",
            "test_lora.py",
        ),
        Kind(
            "optimizers' states",
            f"torch and bitsandbytes {golden('optimizers_golden')['bitsandbytes']}",
            f"{len(golden('optimizers_golden')['states'])} optimizers",
            "equal",
            "nothing to fit",
            "test_training_memory.py",
        ),
    ]


def memory() -> list[Kind]:
    vllm, llama = whole("docs/engines.md", "vllm"), whole("docs/engines.md", "llama_cpp")
    gguf = golden("gguf")
    return [
        Kind(
            "[quantised files](stored.md)",
            f"llama.cpp {gguf['versions']['llama.cpp']}'s own quantisation, and released files",
            f"{sum('types' in case for case in gguf['cases'].values())} models, in every mixture of GGUF",
            "as many elements of each type",
            "nothing to fit",
            "test_quant.py",
        ),
        Kind(
            "[cache under transformers](engines.md#transformers-caches)",
            f"caches of tiny models that were run ({golden('caches')['transformers']})",
            f"{len(golden('caches')['cases'])} model types",
            between(ROOT / "docs/engines.md", "caches").strip().partition(": ")[2].partition(" families")[0],
            "nothing to fit",
            "test_caches.py",
        ),
        Kind(
            "[vLLM's blocks](engines.md#vllm-the-cache)",
            f"vLLM's planner, without a GPU ({re.findall(r'vLLM [0-9.]+[0-9]', first('docs/engines.md', 'vllm'))[0]})",
            f"{vllm['plans']} plans",
            f"{vllm['equal']} equal",
            "nothing to fit",
            "test_vllm.py",
        ),
        Kind(
            "[vLLM's pool on a GPU](engines.md#vllm-the-cache)",
            "logs of servers",
            *_split(last("docs/engines.md", "vllm")),
            "constants by half of the models",
            "test_vllm.py",
        ),
        Kind(
            "[SGLang's pools](engines.md#sglang-pools)",
            "SGLang's own arithmetic, and logs of servers",
            f"{len(golden('sglang')['shares'])} shares, {len(golden('sglang')['pools'])} pools; logs",
            f"arithmetic equal; logs: {last('docs/engines.md', 'sglang').partition(': ')[2].rstrip('.')}",
            "one constant, by the starts marked (fit)",
            "test_sglang.py",
        ),
        Kind(
            "[TensorRT-LLM's blocks](engines.md#tensorrt-llm-blocks)",
            "logs of servers",
            f"{len(rows(between(ROOT / 'docs/engines.md', 'trtllm')))} starts",
            f"{worst(between(ROOT / 'docs/engines.md', 'trtllm'))} at worst",
            "one constant, by one start",
            "test_trtllm.py",
        ),
        Kind(
            "[llama.cpp's buffers](engines.md#llamacpp-cache-states-compute-and-output-buffers)",
            first("docs/engines.md", "llama_cpp").partition(" of ")[2].partition(",")[0] + ", without a GPU",
            f"{llama['contexts']} contexts of {llama['model_type'].removeprefix('all ')} types",
            f"cache equal in {llama['cache, states, output']}, compute in {llama['compute: equal']}, "
            f"{llama['at worst']} at worst",
            "nothing to fit",
            "test_llama_cpp.py",
        ),
        Kind(
            "[peak of a training step](engines.md#a-training-step-torch-and-fsdp2)",
            "torch's memory trackers on fake tensors, one GPU and FSDP2",
            f"{len(golden('phases')['cases'])} steps",
            f"{worst(between(ROOT / 'docs/engines.md', 'phases'))} at worst",
            "nothing to fit",
            "test_phases.py",
        ),
        Kind(
            "[peak under Megatron-LM](engines.md#a-training-step-megatron-lm)",
            "max_memory_allocated, as published; its own estimator",
            f"{len(rows(between(ROOT / 'docs/engines.md', 'megatron')))} layouts; "
            f"{len(golden('megatron')['cases'])} of the estimator",
            last("docs/engines.md", "megatron").partition(". ")[0].lower(),
            "two constants, by two of the models",
            "test_megatron.py",
        ),
        Kind(
            "[peak under DeepSpeed](engines.md#a-training-step-deepspeed)",
            f"DeepSpeed {golden('zero')['deepspeed']}, run on a CPU",
            f"{len(golden('zero')['cases'])} steps",
            f"{worst(between(ROOT / 'docs/engines.md', 'zero'))} at worst",
            "nothing to fit",
            "test_zero.py",
        ),
        Kind(
            "[a GPU's share of a layer](memory.md)",
            "Korthikanti et al. 2022, Table 2; Megatron-LM's report",
            f"{len(rows(read('docs/memory.md')))} rows",
            " and ".join(re.findall(r"Largest deviation: ([\d.]+%)", read("docs/memory.md"))) + " at most",
            "nothing to fit",
            "test_training_memory.py",
        ),
        Kind(
            "[GRPO, PPO, DPO](engines.md#rl-post-training)",
            "settings that TRL and verl publish, and reports of no memory left",
            f"{len(rows(between(ROOT / 'docs/engines.md', 'rl')))} settings",
            "all that ran are said to fit, all that did not are not",
            "nothing to fit",
            "test_rl.py",
        ),
    ]


def _split(sentence: str) -> tuple[str, str]:
    """ "KV GiB of 58 starts of ...: median error ..." as (cases, outcome)."""
    cases, _, outcome = sentence.partition(": ")
    return cases.removeprefix("KV GiB of "), outcome.rstrip(".")


def times() -> list[Kind]:
    laws = [row for row in rows(read("docs/kernels.md")) if row.get("held out", "").isdigit()]
    apart = [sum(int(row[column]) for row in laws) for column in ("fitted", "held out")]
    errors = [percents(row["median"])[0] for row in laws]
    served = rows(between(ROOT / "docs/serving.md", "serving"))
    by_model, by_machine = (row for row in served if row["runs"] == "all that do not draft")
    beside = [row for row in served if row["runs"] == "all"][-1]
    validation = {row[""]: row for row in rows(read("docs/validation.md")) if "rows that only test, median error" in row}

    def tested(kind: str) -> tuple[str, str]:
        error, count = re.fullmatch(r"([\d.]+%) \((\d+) rows\)", validation[kind]["rows that only test, median error"]).groups()  # type: ignore[union-attr]
        return f"{count} runs", f"median error {error}"

    def seen(kind: str) -> str:
        said = validation[kind]["rows that calibrate, median error"]
        return "none of them" if said == "none" else f"none of them; {said.partition('(')[2].removesuffix(' rows)')} others were"

    tuned = re.search(r"All (\d+) rows: median error ([\d.]+%)", read("docs/finetuning.md")).groups()  # type: ignore[union-attr]
    return [
        Kind(
            "[time of a kernel](kernels.md)",
            "kernels measured by NVIDIA's aiconfigurator; Mamba-2's by vLLM's developers",
            f"{apart[1]:,} shapes in {len(laws)} tables",
            f"median error of a table {median(errors):.1f}%, of nine in ten at most "
            f"{sorted(errors)[int(0.9 * len(errors))]:.1f}%",
            f"none of them; {apart[0]:,} others were",
            "test_kernels.py",
        ),
        Kind(
            "[time per token, served](serving.md)",
            "InferenceMAX's runs, those that draft apart",
            f"{by_model['number']} runs",
            f"median error {by_model['per token, median']}; {by_machine['per token, median']} on an accelerator not seen",
            "by fits without the run's model",
            "test_serving_time.py",
        ),
        Kind(
            "[time to the first token, served](serving.md)",
            "the same",
            f"{by_model['number']} runs",
            f"median error {by_model['first token, median']}; {by_machine['first token, median']} on an accelerator not seen",
            "by fits without the run's model",
            "test_serving_time.py",
        ),
        Kind(
            "[both, where prompts have GPUs of their own](serving.md)",
            "the same source, nearly all of one model",
            f"{beside['number']} runs",
            f"median errors {beside['per token, median']} and {beside['first token, median']}",
            "by fits without the run's accelerator",
            "test_serving_time.py",
        ),
        Kind(
            "[tokens/s, served](validation.md)",
            "published runs of other sources",
            *tested("serving"),
            seen("serving"),
            "test_validation.py",
        ),
        Kind(
            "[tokens/s of one user](validation.md)",
            "llama.cpp, MLX, exllamav2, transformers, as published",
            *tested("one user at home"),
            seen("one user at home"),
            "test_validation.py",
        ),
        Kind(
            "[time of a training step](validation.md)",
            "published runs of Megatron-LM, torchtitan, MaxText and others",
            *tested("training"),
            seen("training"),
            "test_validation.py",
        ),
        Kind(
            "[time of a step of LoRA, QLoRA](finetuning.md)",
            "published runs of fms-acceleration, Qwen, NeMo",
            f"{tuned[0]} runs",
            f"median error {tuned[1]}",
            "by fits without the run's model",
            "test_finetuned.py",
        ),
    ]


def money() -> list[Kind]:
    dates = sorted(
        str(entry["usd_per_hour"]["date"]) for name in names("hardware") if "usd_per_hour" in (entry := load("hardware", name))
    )
    return [
        Kind(
            "loss, optimal size and data",
            "the papers' own tables and worked numbers",
            f"{len(names('laws'))} laws",
            "each gives its paper's numbers; beside each other they differ by an order of magnitude",
            "by their authors",
            "test_laws.py",
        ),
        Kind(
            "prices",
            "price lists, each with its source in presets/hardware",
            f"{len(dates)} of {len(names('hardware'))} accelerators",
            f"read from {dates[0]} to {dates[-1]}; the date stands in the answer",
            "–",
            "test_hardware.py",
        ),
    ]


def table() -> str:
    head = "| figure | who was asked | cases | outcome | did a fit see them? | test |"
    lines = [head, "| --- | --- | --- | --- | --- | --- |"]
    for kind in [*counts(), *memory(), *times(), *money()]:
        assert all(kind), kind
        lines.append("| " + " | ".join([*kind[:-1], f"[{kind.test}](../tests/{kind.test})"]) + " |")
    return "\n".join(lines)


def test_table_is_current() -> None:
    """`python tests/test_truth.py` writes it."""
    assert between(PAGE, "truth") == table()


def test_every_test_that_is_named_is_there() -> None:
    for name in re.findall(r"\(\.\./(tests/[\w/.]+)\)", read("docs/truth.md")):
        assert (ROOT / name).exists(), name


def test_readme_says_the_same() -> None:
    families = whole("docs/families.md", "families")
    said = " ".join(read("README.md").split())
    types = families["model_type"].removeprefix("all ")
    assert f"{families['cases']} configurations of {types} model types" in said
    assert f"{families['exact']} equal, {families['refused']} refused, {families['wrong']} wrong" in said


if __name__ == "__main__":
    write_between(PAGE, "truth", table())
