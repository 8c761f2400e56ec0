"""Server of a toolbox over standard input and output, which carry nothing but the protocol."""

import json
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from packaging.version import Version

from tonearm import __version__
from tonearm.errors import TonearmError
from tonearm.mcp_server.toolbox import Toolbox

OLDEST = "2"  # of the package mcp
INSTALL = "pip install 'tonearm[mcp]'"
NAME = "tonearm"
INSTRUCTIONS = (
    "Generates music and steers it by calibrated knobs. List the knobs first; their values are in "
    "physical units. Files are written on the user's machine, and tools return their paths."
)


class _Cancelled(Exception):
    """The client has cancelled a call."""


def check_mcp() -> None:
    """Raise TonearmError where the package mcp is absent or too old."""
    needed = f"the MCP server needs the package mcp {OLDEST} or newer; {INSTALL}"
    try:
        installed = version("mcp")
    except PackageNotFoundError as error:
        raise TonearmError(needed) from error
    if Version(installed) < Version(OLDEST):
        raise TonearmError(f"{needed}; version {installed} is installed")


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
