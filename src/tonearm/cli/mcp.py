"""tonearm mcp: tools for language models, over the Model Context Protocol."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import load_model
from tonearm.cli._takes import check_folder


def mcp(
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    folder: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="Receives the takes and comparisons."),
    ] = Path("takes"),
) -> None:
    """Serve knobs, takes and comparisons to a language model over MCP, until its input ends."""
    from tonearm.mcp_server.server import check_mcp, serve

    check_mcp()
    check_folder(folder)
    from tonearm.process_memory import limit_memory

    limit_memory()
    loaded = load_model(model, device, dtype)
    from tonearm.live import manifest_of
    from tonearm.mcp_server.toolbox import Toolbox

    serve(Toolbox(loaded, manifest_of(loaded), folder.absolute()))
