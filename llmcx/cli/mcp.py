"""llmcx tools mcp: the commands as tools of the Model Context Protocol, over stdin and stdout."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import llmcx
from llmcx import schemas
from llmcx.cli import agents
from llmcx.errors import InputError

SCHEMA = "llmcx://schema/"
"""The URIs of the schemas of answers begin so."""
JSON = "application/json"
INSTRUCTIONS = (
    "What large language models cost: parameters, FLOPs, memory, time, money, and whether a launch line fits. Sizes may be "
    "texts: 8k, 70B, 80GB, 40ms. Answers are JSON; figures under `estimate` come with their 10-90% range. A refusal is one "
    "sentence that says what would do. The JSON Schema of each answer is a resource."
)


def serve() -> None:
    """Serve until stdin ends. Raises InputError without the SDK."""
    try:
        import anyio
        from mcp.server.stdio import stdio_server
    except ImportError:
        problem = "tools mcp needs the SDK of the Model Context Protocol: pip install 'llmcx[mcp]'"
        raise InputError(problem, field="mcp") from None
    server = made()
    there, away = (anyio.wrap_file(stream) for stream in _own_streams())

    async def run() -> None:
        async with stdio_server(there, away) as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(run)


def _own_streams() -> tuple[Any, Any]:
    """The protocol's ends of stdin and stdout; what anything else prints goes to stderr."""
    ends = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"), io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    sys.stdout = sys.stderr
    return ends


def made() -> Any:
    """The server."""
    from mcp import types
    from mcp.server.lowlevel import Server

    async def listed(context: Any, params: Any) -> Any:
        hint = types.ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
        return types.ListToolsResult(
            tools=[
                types.Tool(name=tool.name, description=tool.about, input_schema=tool.takes, annotations=hint)
                for tool in agents.tools().values()
            ]
        )

    async def called(context: Any, params: Any) -> Any:
        answer, refused = agents.call(params.name, params.arguments or {})
        text = answer["error"]["message"] if refused else json.dumps(answer, ensure_ascii=False)
        content: list[Any] = [types.TextContent(type="text", text=text)]
        return types.CallToolResult(content=content, structured_content=answer, is_error=refused)

    async def resources(context: Any, params: Any) -> Any:
        found = [
            types.Resource(uri=f"{SCHEMA}{name}", name=name, description=f"Schema of llmcx {name} --json", mime_type=JSON)
            for name in schemas.names()
        ]
        return types.ListResourcesResult(resources=found)

    async def resource(context: Any, params: Any) -> Any:
        uri = str(params.uri)
        text = schemas.text(uri.removeprefix(SCHEMA))
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=JSON, text=text)])

    return Server(
        "llmcx",
        version=llmcx.__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=listed,
        on_call_tool=called,
        on_list_resources=resources,
        on_read_resource=resource,
    )
