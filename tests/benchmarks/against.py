"""llmcx beside what people use today: the same models, the same machine, error and time, written as docs/benchmarks.md.

    python3 -m venv llmcx-env && llmcx-env/bin/pip install .
    python3 -m venv tools && tools/bin/pip install torch==2.13.0 transformers==5.23.0 accelerate==1.15.0 calflops==0.3.2
    python3 -m venv analysis && analysis/bin/pip install llm-analysis==0.2.2
    git clone https://github.com/EleutherAI/cookbook
    python tests/benchmarks/against.py --llmcx llmcx-env/bin/llmcx --tools-python tools/bin/python \\
        --llm-analysis-python analysis/bin/python --cookbook cookbook --write docs/benchmarks.md

The CPU build of torch will do. llm-analysis has an environment of its own because it asks for a huggingface-hub before 0.15,
which transformers 5 does not take. Four minutes; no network. others.py holds what a user of each other tool would run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "oracle"))

import cases  # noqa: E402

SEQ, SMALL = 1024, 64
RUNS, PATIENCE = 5, 3.0  # at most so many runs of a command, and no more once these seconds are spent on it
FIGURES = ("params", "flops", "weights", "states", "activations")
Json = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """A config.json, and how near each tool that has its own way to describe a model comes to it."""

    words: str  # model_type, class, and the config as tests/oracle/cases.py writes it
    analysis: Json | None = None  # llm-analysis' own fields; None: it is given the config.json
    shape: str = ""  # the flags of cookbook's scripts, empty where it has none for such a model
    params: str = ""  # of calc_transformer_params.py, empty where only calc_transformer_mem.py can say it
    flops: str = ""
    memory: str = ""

    @property
    def config(self) -> Json:
        model_type, architecture, *words = self.words.split()
        return {"model_type": model_type, "architectures": [architecture]} | cases.config(words)


def gated(layers: int, heads: int, kv: int, hidden: int, width: int, vocab: int, **more: int) -> Json:
    """llm-analysis knows a feed-forward of two matrices; one of three is 1.5 times as wide, as in its own Llama files."""
    wide = 3 * width // 2
    shape = {"num_layers": layers, "n_head": heads, "hidden_dim": hidden, "vocab_size": vocab, "num_key_value_heads": kv}
    return shape | {"max_seq_len": 8192, "ffn_embed_dim": wide, "expansion_ratio": wide / hidden} | more


STANDARD = "--num-mlp-linears 3"
MODELS: dict[str, Model] = {
    "GPT-2": Model(
        "gpt2 GPT2LMHeadModel vocab_size=50257 n_positions=1024 n_embd=768 n_layer=12 n_head=12",
        {"num_layers": 12, "n_head": 12, "hidden_dim": 768, "vocab_size": 50257, "max_seq_len": 1024},
        shape="--num-layers 12 --hidden-size 768 --vocab-size 50257",
        params="--tied-embeddings",
        flops=" ",
        memory="--num-attention-heads 12",
    ),
    "Llama 3 8B": Model(
        "llama LlamaForCausalLM 4096/14336/32/32/8/128256 max_position_embeddings=8192 tie_word_embeddings=false",
        gated(32, 32, 8, 4096, 14336, 128256),
        shape=f"--num-layers 32 --hidden-size 4096 --vocab-size 128256 --kv-size-ratio 0.25 {STANDARD}",
        flops="--ffn-hidden-size 14336",
        memory="--num-attention-heads 32 --ffn-expansion-factor 3.5",
    ),
    "Mixtral 8x7B": Model(
        "mixtral MixtralForCausalLM 4096/14336/32/32/8/32000 num_local_experts=8 num_experts_per_tok=2"
        " max_position_embeddings=32768 sliding_window=null tie_word_embeddings=false",
        gated(32, 32, 8, 4096, 14336, 32000, moe_num_experts=8, moe_top_k=2),
        shape=f"--num-layers 32 --hidden-size 4096 --vocab-size 32000 --kv-size-ratio 0.25 {STANDARD} --num-experts 8",
        flops="--ffn-hidden-size 14336 --moe --expert-interval 1 --topk 2",
        memory="--num-attention-heads 32 --ffn-expansion-factor 3.5",
    ),
    "Gemma 3 1B": Model(
        "gemma3_text Gemma3ForCausalLM 1152/6912/26/4/1/262144 head_dim=256 sliding_window=512 max_position_embeddings=32768",
        gated(26, 4, 1, 1152, 6912, 262144),
        shape=f"--num-layers 26 --hidden-size 1152 --vocab-size 262144 --kv-size-ratio 0.25 {STANDARD}",
        params="--tied-embeddings --ffn-expansion-factor 6",
        flops="--ffn-expansion-factor 6",
        memory="--num-attention-heads 4 --ffn-expansion-factor 6",
    ),
    # Its 256 routed experts and the shared one as 257 of which a token meets 9; the three dense layers as if they had them too.
    "DeepSeek-V3": Model(
        "deepseek_v3 DeepseekV3ForCausalLM 7168/18432/61/128/128/129280 moe_intermediate_size=2048 n_shared_experts=1"
        " n_routed_experts=256 num_experts_per_tok=8 n_group=8 topk_group=4 q_lora_rank=1536 kv_lora_rank=512 qk_rope_head_dim=64"
        " qk_nope_head_dim=128 v_head_dim=128 first_k_dense_replace=3 tie_word_embeddings=false",
        gated(61, 128, 128, 7168, 2048, 129280, moe_num_experts=257, moe_top_k=9),
        shape=f"--num-layers 61 --hidden-size 7168 --vocab-size 129280 {STANDARD} --num-experts 257",
        flops="--ffn-hidden-size 2048 --moe --expert-interval 1 --topk 9",
        memory="--num-attention-heads 128 --ffn-expansion-factor 0.2857143",
    ),
    "Mamba-2 7B": Model(
        "mamba2 Mamba2ForCausalLM vocab_size=32768 hidden_size=4096 num_hidden_layers=64 num_heads=128 head_dim=64"
        " state_size=128 n_groups=8 expand=2 conv_kernel=4 chunk_size=256 tie_word_embeddings=false"
    ),
    "T5 base": Model(
        "t5 T5ForConditionalGeneration vocab_size=32128 d_model=768 d_kv=64 d_ff=3072 num_layers=12 num_decoder_layers=12"
        " num_heads=12"
    ),
}


@dataclass
class Row:
    """What one tool says of one model, and how long its commands took together."""

    found: Json = field(default_factory=dict)
    seconds: float = 0.0
    commands: list[str] = field(default_factory=list)
    failed: str = ""


class Bench:
    """The commands of every tool, and the paths they need."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        self.calc = Path(args.cookbook) / "calc"
        self.environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        self.environment |= {"NO_COLOR": "1", "COLUMNS": "200"}
        # What a path is called in the document.
        self.names = {
            str(HERE / "others.py"): "others.py",
            str(self.calc) + "/": "cookbook/calc/",
            str(folder) + "/": "",
            str(args.llmcx): "llmcx",
            str(args.tools_python): "tools/bin/python",
            str(args.llm_analysis_python): "analysis/bin/python",
            str(args.cookbook_python): "python",
        }

    def said(self, command: Sequence[str]) -> str:
        line = " ".join(command)
        for path, name in self.names.items():
            line = line.replace(path, name)
        return line

    def once(self, command: Sequence[str]) -> tuple[float, subprocess.CompletedProcess[str]]:
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False)
        return time.perf_counter() - start, done

    def run(self, command: Sequence[str], row: Row) -> str:
        """Standard output of a command; its median time is added to the row, or its failure noted."""
        row.commands.append(self.said(command))
        spent: list[float] = []
        while True:
            seconds, done = self.once(command)
            spent.append(seconds)
            if done.returncode or len(spent) == RUNS or sum(spent) > PATIENCE:
                break
        row.seconds += statistics.median(spent)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if re.match(r"[\w.]*(Error|Exception)\b", line)]
            last = (lines or done.stderr.splitlines() or ["no output"])[-1].strip()
            row.failed = "no memory for one layer's experts" if "can't allocate memory" in last else f"`{last[:80]}`"
            return ""
        return done.stdout

    def other(self, tool: str, model: str, python: str, seq: int = SEQ) -> tuple[Row, str]:
        row = Row()
        out = self.run([python, str(HERE / "others.py"), tool, str(self.folder / slug(model)), str(seq)], row)
        return row, out

    def llmcx(self, model: str) -> Row:
        row, config = Row(), str(self.folder / slug(model) / "config.json")
        base = [str(self.args.llmcx)]
        end = [config, "--json"]
        row.found["params"] = json.loads(self.run([*base, "params", *end], row))["result"]["total"]
        row.found["flops"] = json.loads(self.run([*base, "flops", *end, "--seq", str(SEQ)], row))["result"]["forward"]["total"]
        train = ["--train", "--attn", "eager", "--seq", str(SEQ)]
        parts = json.loads(self.run([*base, "memory", *end, *train], row))["result"]["parts"]
        size = {part["part"]: part["bytes"] for part in parts}
        row.found |= {"weights": size["weights"], "states": size["weights"] + size["gradients"] + size["optimizer"]}
        row.found |= {"activations": size["activations"], "bytes": 16}
        return row

    def in_json(self, tool: str, model: str, python: str, **more: int) -> Row:
        """A row whose tool prints its figures as one line of JSON, last."""
        row, out = self.other(tool, model, python)
        row.found = json.loads(out.splitlines()[-1]) | more if out else {}
        return row

    def accelerate(self, model: str) -> Row:
        row, out = self.other("accelerate", model, self.args.tools_python)
        for dtype, _, total, training in re.findall(r"│ *(\w+) *│ *([^│]*?) *│ *([^│]*?) *│ *([^│]*?) *│", out):
            row.found |= {"weights": size_of(total)} if dtype == "float16" else {}
            row.found |= {"states": size_of(training), "bytes": 16} if dtype == "float32" else {}
        row.found |= {"headless": True} if out else {}
        return row

    def cookbook(self, model: str) -> Row:
        row, asked = Row(), MODELS[model]
        if not asked.shape:
            row.failed = "no flags for such a model: standard decoders only"
            return row

        def script(name: str, flags: str) -> str:
            command = [str(self.args.cookbook_python), str(self.calc / f"calc_transformer_{name}.py"), *asked.shape.split()]
            return self.run([*command, "--sequence-length", str(SEQ), *flags.split()], row)

        if asked.params:
            found = re.search(r"Total Params in the Model: ([\d.]+) (\w?)", script("params", asked.params))
            row.found["params"] = counted(found)
        found = re.search(
            r"Total FLOPs for the Model: ([\d.]+) (\w?)FLOPs", script("flops", f"--infer --tokens {SEQ} {asked.flops}")
        )
        row.found["flops"] = counted(found)
        out = script("mem", asked.memory)
        if not asked.params:
            experts = re.search(r"Total Number of MoE Parameters: ([\d.]+) (\w?)", out)
            row.found["params"] = counted(experts or re.search(r"Number of Parameters: ([\d.]+) (\w?)", out))
        parts = {name: float(gib) * 2**30 for name, gib in re.findall(r"Per-GPU (\w+) Memory.*: ([\d.]+) GiB", out)}
        row.found |= {"weights": parts["Model"], "states": parts["Model"] + parts["Gradient"] + parts["Optimizer"], "bytes": 18}
        row.found |= {"activations": parts["Activation"]}
        return row


def slug(model: str) -> str:
    return model.lower().replace(" ", "-")


def counted(found: re.Match[str] | None) -> float:
    assert found, "the script did not print what it printed when this was written"
    return float(found[1]) * 1000 ** " KMBTPE".replace("B", "G").index((found[2] or " ").replace("B", "G"))


def size_of(text: str) -> float:
    """Bytes that accelerate prints, as in `13.98 GB`: its GB are of 1024³ bytes."""
    number, unit = text.split()
    return float(number) * 1024 ** ["bytes", "KB", "MB", "GB", "TB", "PB"].index(unit)


def human(value: float, bytes_: bool) -> str:
    for power, letter in ((15, "P"), (12, "T"), (9, "B" if not bytes_ else "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.4g} {letter}{'B' if bytes_ else ''}"
    return f"{value:.0f}"


def error(value: float, truth: float) -> float:
    return value / truth - 1


def percent(share: float) -> str:
    if share == 0:
        return "exact"
    return "0.00%" if abs(share) < 5e-5 else f"{share:+.2%}" if abs(share) < 0.0995 else f"{share:+.0%}"


def truth_of(figure: str, row: Row, truth: Row) -> float | None:
    """What the figure should be by the tool's own scheme: so many bytes a parameter of what transformers builds."""
    per = {"weights": 2, "states": row.found.get("bytes", 16)}
    return truth.found["params"] * per[figure] if figure in per else truth.found.get(figure)


def cell(figure: str, row: Row, truth: Row) -> str:
    value = row.found.get(figure)
    if value is None:
        return "–"
    text = human(value, figure not in ("params", "flops")).replace(" B", " G" if figure == "flops" else " B")
    right = truth_of(figure, row, truth)
    if row is truth:
        return text
    if right is None:
        return f"{text}, not measured"
    own = right * truth.found["body"] / truth.found["params"] if "headless" in row.found else right
    return f"{text}, {percent(error(value, right))}" + (f" ({percent(error(value, own))})" if own != right else "")


def table(results: dict[str, dict[str, Row]]) -> list[str]:
    head = ["model", "tool", "parameters", "forward FLOPs", "weights, 2 B", "with gradients and Adam", "activations kept", "time"]
    out = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---", "---"] + ["---:"] * 6) + " |"]
    for model, rows in results.items():
        truth, own = rows["transformers"], rows["llmcx"].seconds
        for tool, row in rows.items():
            name = f"**{model}**" if tool == "transformers" else ""
            if row.failed:
                cells = [f"fails: {row.failed}" if row.commands else row.failed, "–", "–", "–", "–"]
            else:
                cells = [cell(figure, row, truth) for figure in FIGURES]
            took = f"{row.seconds:.2f} s, {row.seconds / own:.1f}×" if row.commands else "–"
            out.append("| " + " | ".join([name, "transformers (truth)" if tool == "transformers" else tool, *cells, took]) + " |")
    return out


def spread(results: dict[str, dict[str, Row]], tool: str, figure: str) -> str:
    """The errors of a tool on one figure over the models that it answers."""
    errors = []
    for rows in results.values():
        row, truth = rows[tool], rows["transformers"]
        right = truth_of(figure, row, truth)
        if figure in row.found and right is not None:
            errors.append(error(row.found[figure], right))
    if not errors:
        return "–"
    low, high = min(errors), max(errors)
    return f"{len(errors)} of {len(results)}: " + (percent(low) if low == high else f"{percent(low)} to {percent(high)}")


def overview(results: dict[str, dict[str, Row]]) -> list[str]:
    out = [
        "| tool | parameters | forward FLOPs | weights | with gradients and Adam | activations kept | median time |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for tool in next(iter(results.values())):
        spent = statistics.median(rows[tool].seconds for rows in results.values() if rows[tool].commands)
        own = statistics.median(rows["llmcx"].seconds for rows in results.values())
        cells = [spread(results, tool, figure) for figure in FIGURES]
        cells = ["is the truth", "is the truth", "–", "–", "is the truth"] if tool == "transformers" else cells
        out.append("| " + " | ".join([tool, *cells, f"{spent:.2f} s, {spent / own:.1f}×"]) + " |")
    return out


def start_up(bench: Bench) -> list[str]:
    """How long the shortest commands take, interleaved so that a drift of the machine falls on all of them."""
    llmcx, tools = str(bench.args.llmcx), str(bench.args.tools_python)
    python = str(Path(llmcx).parent / "python")
    theirs, calc = str(bench.args.cookbook_python), str(bench.calc / "calc_transformer_params.py")
    analysis, infer = str(bench.args.llm_analysis_python), ["-m", "llm_analysis.analysis", "infer", "--model_name", "gpt2"]
    auto = "from transformers import AutoModelForCausalLM"
    names = {
        "python -c pass": [python, "-c", "pass"],
        'python -c "import typer"': [python, "-c", "import typer"],
        "llmcx --help": [llmcx, "--help"],
        "llmcx params gpt3": [llmcx, "params", "gpt3"],
        "llmcx params gpt3 --json": [llmcx, "params", "gpt3", "--json"],
        "python calc_transformer_params.py -l 96 -hs 12288": [theirs, calc, "-l", "96", "-hs", "12288"],
        "python -m llm_analysis.analysis infer --model_name gpt2": [analysis, *infer],
        "accelerate estimate-memory --help": [str(Path(tools).parent / "accelerate"), "estimate-memory", "--help"],
        'python -c "import calflops"': [tools, "-c", "import calflops"],
        'python -c "from transformers import AutoModelForCausalLM"': [tools, "-c", auto],
    }
    spent: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(10):
        for name, command in names.items():
            if turn > 3 and statistics.median(spent[name]) > 1:
                continue
            seconds, done = bench.once(command)
            assert done.returncode == 0, (name, done.stderr)
            if turn:  # the first run warms the file cache
                spent[name].append(seconds)
    base = statistics.median(spent["python -c pass"])
    out = ["| command | median | over `python -c pass` |", "| --- | ---: | ---: |"]
    for name, seconds in spent.items():
        out.append(f"| `{name}` | {1e3 * statistics.median(seconds):.0f} ms | {statistics.median(seconds) / base:.1f}× |")
    return out


def checks(bench: Bench) -> list[str]:
    """Small real runs beside the meta device, so that the truth column rests on something that was run."""
    out = ["| small model of the kind of | FLOPs, run and meta | bytes kept, run and meta | calflops on the run |"]
    out.append("| --- | ---: | ---: | ---: |")
    for model in MODELS:
        said = bench.other("check", model, bench.args.tools_python, SMALL)[1]
        found = json.loads(said.splitlines()[-1])
        kept = " and ".join(f"{value:,}" for value in found["activations"]) if "activations" in found else "–"
        flops = " and ".join(f"{value:,}" for value in found["flops"])
        out.append(f"| {model} | {flops} | {kept} | {percent(found['calflops'])} |")
    return out


def versions(bench: Bench) -> str:
    ask = "import importlib.metadata as m,sys;print(' '.join(n+' '+m.version(n) for n in sys.argv[1:]))"
    tools = bench.once([bench.args.tools_python, "-c", ask, "torch", "transformers", "accelerate", "calflops"])[1].stdout.split()
    theirs = bench.once([bench.args.llm_analysis_python, "-c", ask, "llm-analysis", "transformers"])[1].stdout.split()
    commit = bench.once(["git", "-C", str(bench.args.cookbook), "log", "-1", "--format=%h of %cs"])[1].stdout.strip()
    own = bench.once([str(bench.args.llmcx), "--version"])[1].stdout.split()[-1]
    pairs = [" ".join(pair) for pair in zip(tools[::2], tools[1::2], strict=True)]
    return (
        f"llmcx {own}; {', '.join(pairs)}; {theirs[0]} {theirs[1]} (with transformers {theirs[3]}, the newest that it admits); "
        f"EleutherAI/cookbook at {commit or 'an unknown commit'}; Python {platform.python_version()}"
    )


def machine() -> str:
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{os.cpu_count()} shared cores of a virtual {platform.machine()} machine, {pages / 2**30:.0f} GiB of memory, no GPU"


def notes() -> str:
    """The section "How to read it", which is written by hand, as the document has it."""
    text = (HERE.parents[1] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    return text.partition("## How to read it\n\n")[2].partition("\n\n## ")[0]


def summary(results: dict[str, dict[str, Row]]) -> str:
    def same(figure: str) -> list[str]:
        return [m for m, rows in results.items() if rows["llmcx"].found[figure] == rows["transformers"].found.get(figure)]

    own = {
        tool: [rows[tool].seconds for rows in results.values() if rows[tool].commands] for tool in next(iter(results.values()))
    }
    times = {tool: statistics.median(spent) for tool, spent in own.items()}
    ratio = {tool: f"{spent / times['llmcx']:.1f}" for tool, spent in times.items()}
    kept, total = same("activations"), len(results)
    off = spread(results, "llmcx", "activations").split(": ")[1]
    return textwrap.fill(
        f"On {total} models at one sequence of {SEQ:,} tokens, llmcx gives to the last digit the parameters that "
        f"transformers builds ({len(same('params'))} of {total}) and the FLOPs that torch counts ({len(same('flops'))} of "
        f"{total}). Its bytes of activations are equal for {' and '.join(kept)}; the error of all that were measured runs from "
        f"{off}. Its three commands take {times['llmcx']:.2f} s together; transformers on the meta device takes "
        f"{ratio['transformers']} times as long, accelerate {ratio['accelerate']}, calflops {ratio['calflops']}, llm-analysis "
        f"{ratio['llm-analysis']}, cookbook's scripts {ratio['cookbook']}. Who has torch installed and a few seconds can ask "
        "transformers itself and needs no calculator for parameters and FLOPs. calflops is within 1% on all but mixtures. The "
        "two that work by formula are fast, and right on GPT-2's FLOPs; without saying so they are off on others that they take.",
        125,
    )


def document(bench: Bench, results: dict[str, dict[str, Row]], small: list[str], starts: list[str]) -> str:
    setup = (__doc__ or "").split("\n\n")[1]
    lines = ["# llmcx beside other tools", "", summary(results), ""]
    lines += [f"{datetime.date.today().isoformat()}, on {machine()}.", f"{versions(bench)}.", ""]
    lines += ["Errors over the models, least to greatest, and the time of one model:", "", *overview(results), ""]
    lines += ["## Model by model", "", f"One sequence of {SEQ:,} tokens (T5: as many on each side).", "", *table(results), ""]
    lines += ["## How to read it", "", notes(), "", "## Small real runs", "", *small, "", "## Start-up", "", *starts, ""]
    lines += ["## Again", "", "```bash", *(line[4:] for line in setup.splitlines()), "```", ""]
    lines += ["The commands, as run (`others.py` is tests/benchmarks/others.py; a directory holds the model's config.json):", ""]
    lines += (
        ["```bash"] + [command for rows in results.values() for row in rows.values() for command in row.commands] + ["```", ""]
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--llmcx", required=True, help="the command of a regular install")
    parser.add_argument("--tools-python", required=True, help="a Python with torch, transformers, accelerate and calflops")
    parser.add_argument("--llm-analysis-python", required=True, help="a Python with llm-analysis")
    parser.add_argument("--cookbook", required=True, help="a checkout of EleutherAI/cookbook")
    parser.add_argument("--cookbook-python", default=sys.executable, help="runs its scripts, which need nothing else")
    parser.add_argument("--write", type=Path, metavar="FILE", help="where the document goes; default: stdout")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, model in MODELS.items():
            (folder / slug(title)).mkdir()
            (folder / slug(title) / "config.json").write_text(json.dumps(model.config), encoding="utf-8")
            if model.analysis:
                own = json.dumps({"name": slug(title)} | model.analysis)
                (folder / slug(title) / "llm-analysis.json").write_text(own, encoding="utf-8")
        bench = Bench(args, folder)
        tools: dict[str, Callable[[str], Row]] = {
            "transformers": partial(bench.in_json, "transformers", python=args.tools_python),
            "llmcx": bench.llmcx,
            "accelerate": bench.accelerate,
            "calflops": partial(bench.in_json, "calflops", python=args.tools_python),
            "llm-analysis": partial(bench.in_json, "llm-analysis", python=args.llm_analysis_python, bytes=18),
            "cookbook": bench.cookbook,
        }
        results: dict[str, dict[str, Row]] = {}
        for title in MODELS:
            results[title] = {}
            for tool, ask in tools.items():
                results[title][tool] = ask(title)
                print(f"{title:14} {tool:13} {results[title][tool].seconds:6.2f} s", file=sys.stderr)
        text = document(bench, results, checks(bench), start_up(bench))
    if args.write:
        args.write.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
