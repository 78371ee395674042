"""Launch lines of vLLM, SGLang, TensorRT-LLM and llama.cpp: a shell's words, the engine among them, and what its flags say.

Which flags an engine has, how many values each takes and whether llmcx counts what it does, is data (presets/flags); what it
sets is said by the one table of spellings (:mod:`llmcx.cli.spelling`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from llmcx.cli.spelling import LAUNCH_FLAG, SAME_FLAG
from llmcx.errors import InputError, shown, unknown_name

OPERATORS = ("&&", "||", ";", "|", "&", "\n")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")
_ASKED = re.compile(r"^[ \t]*#[ \t]*llmcx check:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_IMAGES = {
    "vllm": re.compile(r"vllm[\w.-]*(?:/|-)(?:vllm[\w.-]*|openai[\w.-]*)(?::|@|$)"),
    "llama.cpp": re.compile(r"llama\.cpp:(?:server|light|full)"),
}
_TAG = re.compile(r":v?(\d+\.\d+[\w.+-]*)(?:@|$)")
OTHERS = ("disaggregated", "disaggregated_mpi_worker", "mm_embedding_serve", "grpc")
"""What trtllm-serve starts beside a server of a model."""
NAMES = {"vllm": "vllm serve", "sglang": "sglang.launch_server", "trtllm": "trtllm-serve", "llama.cpp": "llama-server"}
"""What each engine's command is called."""


class Word(NamedTuple):
    """A word of a shell's line; ``operator`` where it is one, outside of quotes."""

    text: str
    operator: bool = False


def bad(problem: str, value: str = "") -> InputError:
    """The refusal of a line that cannot be read."""
    return InputError(problem, field="line", value=value[:200] or None)


def lexed(text: str) -> Iterator[Word]:
    """The words of a shell's text, as POSIX shells read them; lines may also go on after ^ and `, as Windows has it. What is
    redirected is left out.

    >>> [word.text for word in lexed("vllm serve 'a b' \\\\\\r\\n --x=\\"1\\" # why")]
    ['vllm', 'serve', 'a b', '--x=1']
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"\\\n|[ \t][\^`][ \t]*\n", " ", text)
    if (gap := re.search(r"\\[ \t]+\n", text)) is not None:
        raise bad("a backslash is followed by blanks, so the line ends there; take the blanks away", text[: gap.start()][-40:])
    word: list[str] | None = None
    at = 0
    skip = False

    def done() -> Iterator[Word]:
        nonlocal word, skip
        if word is not None and not skip:
            yield Word("".join(word))
        skip = skip and word is None
        word = None

    while at < len(text):
        c = text[at]
        if c in "'\"":
            end = at + 1
            inner: list[str] = []
            while end < len(text) and text[end] != c:
                if c == '"' and text[end] == "\\" and text[end + 1 : end + 2] in ('"', "\\", "$", "`"):
                    end += 1
                inner.append(text[end])
                end += 1
            if end >= len(text):
                raise bad(
                    f"a {'single' if c == chr(39) else 'double'} quote is opened and not closed: {shown(text[at : at + 40])}"
                )
            word = [*(word or []), "".join(inner)]
            at = end + 1
            continue
        if c == "\\" and word is not None and re.fullmatch(r"(?:--?[\w-]+=)?[A-Za-z]:.*", "".join(word)):
            word.append(c)  # a path of Windows
            at += 1
            continue
        if c == "\\":
            if at + 1 == len(text):
                raise bad("the line ends in a backslash: the rest of it is missing", text[-40:])
            word = [*(word or []), text[at + 1]]
            at += 2
            continue
        if c == "#" and word is None:
            at = next((end for end in range(at, len(text)) if text[end] == "\n"), len(text))
            continue
        if c in " \t":
            yield from done()
        elif c in ">" or (c == "<" and word is None):
            if word is not None and all(part in "012&" for part in word):
                word = None  # of 2>&1
            yield from done()
            at += len(re.match(r"[<>]+&?", text[at:])[0])  # type: ignore[index]
            skip = True
            continue
        elif (operator := next((each for each in OPERATORS if text.startswith(each, at)), None)) is not None:
            if c == "&" and text.startswith("&>", at):
                at += 1
                continue
            yield from done()
            skip = False
            yield Word(operator, True)
            at += len(operator)
            continue
        else:
            word = [*(word or []), c]
        at += 1
    yield from done()


def commands(text: str) -> list[list[str]]:
    """The commands of a text, each a list of words."""
    out: list[list[str]] = [[]]
    for word in lexed(text):
        if word.operator:
            out.append([])
        else:
            out[-1].append(word.text)
    return [each for each in out if each]


class Flag(NamedTuple):
    """A flag of an engine: how many values it takes ("" none, "=" one, "+" several, "?" perhaps one), and whether llmcx reads it,
    knows it as "harmless", or leaves what it does "apart".
    """

    takes: str
    effect: str


@cache
def flags(engine: str) -> dict[str, Flag]:
    """The flags of an engine's command.

    >>> flags("vllm")["--max-model-len"], flags("llama.cpp")["--port"]
    (Flag(takes='=', effect='read'), Flag(takes='=', effect='harmless'))
    """
    from llmcx.catalog.index import ROOT

    out: dict[str, Flag] = {}
    effect = ""
    for line in (ROOT / "flags" / f"{engine}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            effect = line.strip("[]")
        elif not line.startswith("#"):
            for each in line.split():
                name = each.rstrip("=+?")
                out[name] = Flag(each[len(name) :], effect)
    return out


class Given(NamedTuple):
    """A flag as the line has it: its value, and what it sets, or that it is "harmless" or "apart"."""

    flag: str
    value: str | None
    effect: str


@dataclass
class Launch:
    """A launch line, read: its engine, what is served, and every flag; GPUs that it may see; environment variables; options for
    ``llmcx check`` that a comment states; the ``version`` that an image's tag names.
    """

    engine: str
    model: str | None = None
    given: list[Given] = field(default_factory=list)
    visible: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    version: str | None = None

    def value(self, setting: str) -> Given | None:
        """The flag that sets ``setting``, the last one where several say the same."""
        return next((each for each in reversed(self.given) if each.effect == setting), None)

    def of(self, effect: str) -> list[str]:
        """Flags with an effect, each once."""
        return list(dict.fromkeys(each.flag for each in self.given if each.effect == effect))


def read(text: str) -> Launch:
    """The one launch line in a text. Raises InputError for what is none, and for flags that the engine does not have."""
    found = read_all(text)
    if len(found) > 1:
        raise several(found)
    return found[0]


def several(found: Sequence[Launch]) -> InputError:
    """The refusal of lines that do not belong together."""
    return bad(f"the text has {len(found)} launch commands; give one at a time: {found[1].engine} is the second's engine")


def read_all(text: str, files: Mapping[str, str] = {}) -> list[Launch]:
    """Every launch line in a text that writes ``files``. Raises InputError where there is none."""
    if not text.strip():
        raise bad("the launch line is empty")
    environment: dict[str, str] = {}
    found: list[Launch] = []
    for words in commands(text):
        words = [filled(word, environment) for word in words]
        start = _engine(words)
        if start is None:
            environment |= environment_of(words) or {}
            continue
        engine, before, after = start
        images = [*before[-1:], *(word for word in reversed(before) if engine in word.lower())]
        tag = next((match for word in images if (match := _TAG.search(word)) is not None), None)
        launch = Launch(engine, environment=dict(environment), version=tag and tag[1])
        _surroundings(before, launch)
        _arguments(after, launch)
        if engine == "trtllm":
            _configuration(launch, files)
        launch.asked = asked_in(text)
        found.append(launch)
    if not found:
        known = ", ".join(NAMES.values())
        raise bad(f"no launch command is in {shown(text.strip())[:80]}; what is read are those of {known}", text.strip())
    return found


CONFIGURED = {
    **{"tensor_parallel_size": "tp", "pipeline_parallel_size": "pp", "moe_expert_parallel_size": "ep"},
    **{"max_batch_size": "users", "max_num_tokens": "max_num_batched_tokens", "max_seq_len": "seq"},
    **{"enable_attention_dp": "attention_dp", "kv_cache_config.dtype": "kv_dtype"},
    **{"kv_cache_config.free_gpu_memory_fraction": "utilization", "cache_transceiver_config.backend": "transfer"},
}
"""Settings of the file that trtllm-serve is given -> what they set."""
UNCHANGED = ("backend", "print_iter_log", "enable_iter_perf_stats", "return_perf_metrics")
"""Those that change neither memory nor time."""


def _configuration(launch: Launch, files: Mapping[str, str]) -> None:
    """What the file that a line of trtllm-serve names sets, which comes before the line (update_llm_args_with_extra_dict)."""
    named = launch.value("config")
    if named is None or named.value is None:
        return
    from llmcx.cli.targets import flattened
    from llmcx.cli.targets.reading import mapping_of

    values = mapping_of(named.value, files)
    if values is None:
        launch.given = [each._replace(effect="apart") if each.effect == "config" else each for each in launch.given]
        return
    for name, value in flattened(values):
        effect = CONFIGURED.get(name, "harmless" if name in UNCHANGED else "apart")
        launch.given.append(Given(name, None if value is None else str(value).lower(), effect))


def asked_in(text: str) -> list[str]:
    """The words of a comment that asks `llmcx check`, where a text has one."""
    asked = _ASKED.search(text)
    return [] if asked is None else [word.text for word in lexed(asked[1])]


def environment_of(words: Sequence[str]) -> dict[str, str] | None:
    """Variables that a command does nothing but set; None for another command."""
    assigned = words[1:] if words[0] in ("export", "set", "setenv") else words
    return dict(word.split("=", 1) for word in assigned) if all(_ASSIGNED.fullmatch(word) for word in assigned) else None


def filled(word: str, environment: dict[str, str]) -> str:
    """A word with the variables that the text itself sets, or their defaults; others stay as they are."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return environment.get(name, match[0] if match[3] is None else match[3])

    return _VARIABLE.sub(value, word)


def _engine(words: Sequence[str]) -> tuple[str, list[str], list[str]] | None:
    """The engine of a command, the words before it and its arguments."""
    for at, word in enumerate(words):
        name = re.split(r"[/\\]", word)[-1].lower().removesuffix(".exe")
        after = words[at + 1] if at + 1 < len(words) else ""
        before, rest = list(words[:at]), list(words[at + 1 :])
        if word in ("-c", "-lc", "-ic") and (inner := _inside(after)) is not None:
            return inner[0], [*before, *inner[1]], inner[2]
        if (name == "vllm" and after == "serve") or (name == "sglang" and after == "serve"):
            return name, before, rest[1:]
        if word == "-m" and after.startswith("vllm.entrypoints."):
            return "vllm", before, rest[1:]
        if word == "-m" and after in ("sglang.launch_server", "sglang.srt.launch_server"):
            return "sglang", before, rest[1:]
        if name == "trtllm-serve" and after not in OTHERS:
            return "trtllm", before, rest[1:] if after == "serve" else rest
        if name in ("llama-server", "llama-cli"):
            return "llama.cpp", before, rest
    if any(word in ("docker", "podman", "nerdctl") for word in words) and "run" in words:
        for at, word in enumerate(words):
            for engine, image in _IMAGES.items():
                if not word.startswith("-") and "=" not in word and image.search(word):
                    return engine, list(words[: at + 1]), list(words[at + 1 :])
    return None


def quoted(args: Sequence[str]) -> list[str]:
    """The words of a command line with a launch line as one of them: what stands behind ``--``. Raises InputError for a launch
    line whose words are neither quoted nor behind it, where its options could not be told from llmcx's own.

    >>> quoted(["--hardware", "h100", "--", "vllm", "serve", "A B"])
    ['--hardware', 'h100', "vllm serve 'A B'"]
    """
    if "--" in args:
        at = args.index("--")
        return [*args[:at], shlex.join(args[at + 1 :])] if len(args) > at + 2 else list(args)
    if len(args) > 1 and _engine(args) is not None:
        raise bad("the words of a launch line are quoted, or last and behind --: llmcx check --hardware h100 -- vllm serve ...")
    return list(args)


def _inside(text: str) -> tuple[str, list[str], list[str]] | None:
    """The launch command in what a shell is told to run."""
    return next(filter(None, (_engine(words) for words in commands(text))), None)


def _surroundings(before: Sequence[str], launch: Launch) -> None:
    """What stands in front: environment variables, docker's too, and the GPUs that may be seen."""
    for at, word in enumerate(before):
        if word in ("-e", "--env") or word.startswith(("--env=", "-e=")):
            pair = before[at + 1] if "=" not in word and at + 1 < len(before) else word.partition("=")[2]
        else:
            pair = word
        if not pair.startswith("-") and (match := _ASSIGNED.fullmatch(pair)) is not None:
            launch.environment[match[1]] = match[2]
        if word.startswith("--gpus"):
            what = (word.partition("=")[2] or (before[at + 1] if at + 1 < len(before) else "")).strip("\"'")
            if what.isdecimal():
                launch.visible = int(what)
            elif what.startswith("device="):
                launch.visible = len(what.removeprefix("device=").split(","))
    seen = launch.environment.get("CUDA_VISIBLE_DEVICES", launch.environment.get("HIP_VISIBLE_DEVICES", "")).strip()
    if seen and "$" not in seen and seen != "all":
        launch.visible = len([each for each in seen.split(",") if each.strip()])


def _arguments(words: Sequence[str], launch: Launch) -> None:
    """The arguments of the engine's own command."""
    known = flags(launch.engine)
    todo = list(words)
    while todo:
        word = todo.pop(0)
        if word == "--":
            continue
        if not word.startswith("-") or re.fullmatch(r"-\d.*", word):
            if launch.model is not None or launch.engine in ("sglang", "llama.cpp"):
                raise bad(f"{shown(word)} is no flag of {NAMES[launch.engine]}, and no value of the flag before it", word)
            launch.model = word
            continue
        name, equals, value = word.partition("=")
        flag = _known(name, launch.engine)
        takes, effect = known[flag]
        text: str | None = value if equals else None
        if flag.startswith("--optimization") and name.startswith("-O"):
            takes = ""  # its level is a part of it
        if text is None and takes in ("=", "+", "?"):
            values: list[str] = []
            most = 1 if takes in ("=", "?") else len(todo)
            while todo and len(values) < most and (not todo[0].startswith("-") or re.fullmatch(r"-\d.*", todo[0])):
                if takes == "?" and flag in ("-fa", "--flash-attn") and todo[0] not in ("on", "off", "auto", "0", "1"):
                    break
                values.append(todo.pop(0))
            if not values and takes != "?":
                raise bad(f"{name} of {NAMES[launch.engine]} needs a value", name)
            text = " ".join(values) if values else None
        elif text is not None and not takes and effect == "read":
            raise bad(f"{name} of {NAMES[launch.engine]} takes no value, and has {shown(text)}", word)
        if effect == "read" and not (name.startswith("--no-") and name not in known):
            sets = LAUNCH_FLAG.get(flag) or SAME_FLAG[flag].removeprefix("--").replace("-", "_")
            if text is not None and "$" in text:
                raise bad(f"{name} is {shown(text)}, which the text does not set; write its value", text)
            path = name.partition(".")[1:] if "." in name else ()  # of one key of what is otherwise JSON
            before = launch.value(sets)
            if before is not None and before.value != text and not path and "." not in before.flag:
                problem = f"{before.flag} {before.value} and {name} {text} contradict each other"
                raise bad(problem, f"{name} {text}")
            launch.given.append(Given(flag + "".join(path), text, sets))
            if sets == "preset":
                launch.model = text
        else:
            launch.given.append(Given(name if effect == "read" else flag, text, "harmless" if effect == "read" else effect))


def _known(name: str, engine: str) -> str:
    """The flag that ``name`` is: as argparse reads it too, underscores for dashes, a beginning for all of it, --no- in front, and
    a path after a dot.
    """
    known = flags(engine)
    if name in known:
        return name
    dashed = name.replace("_", "-") if name.startswith("--") else name
    for each in (dashed, dashed.partition(".")[0], dashed.replace("--no-", "--", 1)):
        if each in known:
            return each
    if engine == "vllm" and re.fullmatch(r"-O\d?", name):
        return "--optimization-level"
    if engine in ("vllm", "sglang") and dashed.startswith("--") and len(dashed) > 3:
        begun = {each for each in known if each.startswith(dashed)}
        if len(begun) == 1 or len({LAUNCH_FLAG.get(each) or SAME_FLAG.get(each, each) for each in begun}) == 1:
            return min(begun, key=len)
    raise unknown_name(f"flag of {NAMES[engine]}", dashed, [each for each in known if each.startswith("--")], field="line")
