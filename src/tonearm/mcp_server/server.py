"""Server of a toolbox over standard input and output, which carry nothing but the protocol."""

import json
import threading
from typing import Any

from tonearm import __version__
from tonearm.errors import TonearmError
from tonearm.mcp_server.toolbox import Toolbox

INSTALL = "pip install 'tonearm[mcp]'"
NAME = "tonearm"
INSTRUCTIONS = (
    "Generates music and steers it by calibrated knobs. List the knobs first; their values are in "
    "physical units. Files are written on the user's machine, and tools return their paths."
)


class _Cancelled(Exception):
    """The client has cancelled a call."""


def check_mcp() -> None:
    """Raise TonearmError where the package mcp is absent, or older than 2."""
    try:
        import mcp.server.lowlevel
        import mcp.types  # noqa: F401
    except ImportError as error:
        raise TonearmError(f"the MCP server needs the package mcp 2 or newer; {INSTALL}") from error


def make_server(toolbox: Toolbox) -> Any:
    """The server of a toolbox, for any transport."""
    from anyio import to_thread
    from mcp import types
    from mcp.server.lowlevel import Server

    async def list_tools(context: Any, request: Any) -> types.ListToolsResult:
        tools = [
            types.Tool(name=tool.name, description=tool.description, input_schema=tool.schema)
            for tool in toolbox.tools.values()
        ]
        return types.ListToolsResult(tools=tools)

    async def call_tool(context: Any, request: types.CallToolRequestParams) -> types.CallToolResult:
        cancelled = threading.Event()

        def progress(done: int, total: int) -> None:
            if cancelled.is_set():
                raise _Cancelled

        def call() -> dict[str, Any]:
            return toolbox.call(request.name, request.arguments or {}, progress)

        try:
            result = await to_thread.run_sync(call, abandon_on_cancel=True)
        except TonearmError as error:
            text = types.TextContent(type="text", text=str(error))
            return types.CallToolResult(content=[text], is_error=True)
        finally:
            cancelled.set()
        text = types.TextContent(type="text", text=json.dumps(result, ensure_ascii=False))
        return types.CallToolResult(content=[text], structured_content=result)

    return Server(
        NAME,
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def serve(toolbox: Toolbox) -> None:
    """Serve a toolbox until standard input ends."""
    import anyio
    from mcp.server.stdio import stdio_server

    server = make_server(toolbox)

    async def run() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(run)
