"""tonearm harp: an endpoint for HARP, which DAWs open as a sample editor."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import load_model, out, print_facts
from tonearm.cli._takes import check_folder, licence_note, model_text
from tonearm.cli.studio import LOCAL
from tonearm.defaults import HARP_PORT
from tonearm.signals import interrupt_on_termination


def harp(
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    knobs: Annotated[
        list[str] | None,
        typer.Option(
            "--knob",
            metavar="NAME",
            help="A knob that becomes a slider (see: tonearm knobs). Repeat it; 8 at most. "
            "Default: the first 8 of the model.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Interface to listen at; other than this machine's own, the address has a token.",
        ),
    ] = LOCAL,
    port: Annotated[
        int, typer.Option("--port", help="Of the endpoint; 0 for a free one.")
    ] = HARP_PORT,
    folder: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Receives the takes.")
    ] = Path("takes"),
) -> None:
    """Serve the model to HARP in a DAW: continue a selection, or give its melody a new sound."""
    from tonearm.harp.server import check_gradio, make_app

    check_gradio()
    check_folder(folder)
    from tonearm.process_memory import limit_memory
    from tonearm.studio.safety import is_loopback, new_token
    from tonearm.studio.serve import address, bind, serve

    limit_memory()
    token = None if is_loopback(host) else new_token()
    with bind(host, port) as bound:
        loaded = load_model(model, device, dtype)
        from tonearm.files.temporary_folder import temporary_folder
        from tonearm.harp.generator import TakeGenerator
        from tonearm.harp.panel import Panel
        from tonearm.live import manifest_of

        panel = Panel(manifest_of(loaded), knobs)
        generator = TakeGenerator(loaded, panel.knobs, folder.absolute())
        url = address(host, bound, None) + (token or "")

        def ready() -> None:
            print_facts(
                {
                    "model": model_text(loaded),
                    "licence": licence_note(loaded),
                    "takes": str(folder),
                    "knobs": ", ".join(knob.name for knob in panel.knobs),
                }
            )
            out.print(f"open {url} in HARP, as a custom path", soft_wrap=True)
            out.print("press Ctrl-C to stop")

        with temporary_folder() as temporary, interrupt_on_termination():
            app, cancel = make_app(panel, generator, temporary, host, token)
            try:
                serve(app, bound, ready)
            except KeyboardInterrupt:
                pass
            finally:
                cancel()
