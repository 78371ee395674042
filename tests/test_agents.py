"""llmcx tools mcp: the commands as tools of an agent, tried with the SDK's own client over stdin and stdout."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llmcx.cli import COMMANDS, agents
from tests.helpers import here, strict

ROOT = Path(__file__).resolve().parent.parent

CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("params", {"model": "gpt3"}, "params gpt3"),
    ("params", {"model": ["gpt2", "gpt3"], "dtype": "bf16"}, "params gpt2 gpt3 --dtype bf16"),
    ("flops", {"model": "llama-3-8b", "seq": "1k", "set": {"kv_heads": 4}}, "flops llama-3-8b --seq 1k --kv-heads 4"),
    ("memory", {"model": "llama-3-8b", "train": True, "seq": 4096}, "memory llama-3-8b --train --seq 4096"),
    ("memory", {"model": "gpt2", "set": {"bias": False}}, "memory gpt2 --no-bias"),
    ("moe", {"model": "mixtral-8x7b"}, "moe mixtral-8x7b"),
    ("train", {"model": "gpt2", "tokens": "1B", "gpus": 8}, "train gpt2 --tokens 1B --gpus 8"),
    ("serve", {"model": "llama-3-8b", "hardware": "h100"}, "serve llama-3-8b --hardware h100"),
    ("plan_serve", {"model": "llama-3-8b", "gpus": "1..2"}, "plan serve llama-3-8b --gpus 1..2"),
    ("compare", {"words": ["gpt2", "gpt3 --kv-heads 8"], "with": "params"}, "compare gpt2 'gpt3 --kv-heads 8' --with params"),
    ("explain", {"topic": "mla"}, "explain mla"),
    ("show", {"name": "h100"}, "catalog show h100"),
    ("hardware", {"vendor": "AMD"}, "catalog hardware --vendor AMD"),
    ("bounds", {"params": "7B", "examples": "1T"}, "textbook bounds --params 7B --examples 1T"),
    (
        "check",
        {"line": "vllm serve Qwen/Qwen3-32B", "hardware": "h100", "require": "fits"},  # which does not hold: exit 1
        "check 'vllm serve Qwen/Qwen3-32B' --hardware h100 --require fits",
    ),
]


@pytest.mark.parametrize(("name", "given", "call"), CALLS)
def test_an_answer_is_what_json_prints(name: str, given: dict[str, Any], call: str) -> None:
    Draft202012Validator(agents.tools()[name].takes).validate(given)
    assert agents.call(name, given) == (strict(here(*shlex.split(call), "--json").out), False)


def test_every_command_that_answers_is_a_tool() -> None:
    first = {words[0] for words in agents.TOOLS.values()}
    assert {*COMMANDS} - first == {"sweep", "tools"}
    for tool in agents.tools().values():
        Draft202012Validator.check_schema(tool.takes)
        assert tool.about and all(each["description"] for each in tool.takes["properties"].values()), tool.name


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("memroy", {}, "memory"),
        ("memory", {"model": "llama-3-8b", "sequence": 4}, "sequence"),
        ("memory", {"model": "llama-3-8b", "seq": "long"}, "--seq"),
        ("memory", {"model": "llama-3-8b", "seq": True}, "number or a text"),
        ("memory", {"model": "llama-3-8b", "train": "yes"}, "true or false"),
        ("memory", {"model": "llama-3-8b", "set": 3}, "object"),
        ("memory", {"model": "-"}, "stdin"),
        ("check", {"line": "-", "hardware": "h100"}, "stdin"),
        ("params", {"model": "--help"}, "name"),
        ("params", {"model": "gtp3"}, "gpt3"),
        ("params", {}, "model"),
        ("compare", {"words": ["-", "gpt2"]}, "stdin"),
    ],
)
def test_a_refusal_is_one_sentence(name: str, given: dict[str, Any], words: str) -> None:
    answer, refused = agents.call(name, given)
    assert refused and words in answer["error"]["message"] and answer["error"]["message"].isprintable()


WORDS = st.sampled_from(["gpt2", "8k", "-", "1,2"])
ANY: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=4), inner, max_size=2)),
    max_leaves=3,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["params", "memory", "compare", "show", "check"]),
    st.dictionaries(
        st.sampled_from(["model", "seq", "words", "name", "line", "dtype", "train", "set", "x", ""]), ANY, max_size=3
    ),
)
def test_any_arguments_are_answered_or_refused(name: str, given: dict[str, Any]) -> None:
    answer, refused = agents.call(name, given)
    assert ("error" in answer) == refused and "bug" not in answer.get("error", {})


# --- the server ---------------------------------------------------------------------------------------------------------


def conversation() -> dict[str, Any]:
    """What a client gets of the server, run as a process of its own."""
    anyio = pytest.importorskip("anyio", reason="the extra llmcx[mcp] is not installed")
    mcp = pytest.importorskip("mcp", reason="the extra llmcx[mcp] is not installed")

    async def talk() -> dict[str, Any]:
        server = mcp.StdioServerParameters(command=sys.executable, args=["-m", "llmcx", "tools", "mcp"], cwd=str(ROOT))
        async with mcp.stdio_client(server) as (read, write), mcp.ClientSession(read, write) as session:
            started = await session.initialize()
            tools = await session.list_tools()
            fine = await session.call_tool("params", {"model": "gpt3"})
            refused = await session.call_tool("params", {"model": "gtp3"})
            unknown = await session.call_tool("no_such_tool", {})
            resources = await session.list_resources()
            schema = await session.read_resource("llmcx://schema/params")
            return locals()

    found: dict[str, Any] = anyio.run(talk)
    return found


def test_a_client_of_the_sdk() -> None:
    said = conversation()
    assert said["started"].server_info.name == "llmcx"
    tools = {tool.name: tool for tool in said["tools"].tools}
    assert tools.keys() == agents.TOOLS.keys()
    assert tools["memory"].input_schema == agents.tools()["memory"].takes
    expected = strict(here("params", "gpt3", "--json").out)
    fine, refused = said["fine"], said["refused"]
    assert not fine.is_error and fine.structured_content == expected == json.loads(fine.content[0].text)
    message = strict(here("params", "gtp3", "--json").err)["error"]["message"]
    assert refused.is_error and refused.content[0].text == message and said["unknown"].is_error
    Draft202012Validator(json.loads(said["schema"].contents[0].text)).validate(expected)
    assert "llmcx://schema/check" in {str(each.uri) for each in said["resources"].resources}


def test_without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.stdio", None)
    end = here("tools", "mcp")
    assert end.code == 2 and "llmcx[mcp]" in end.err
