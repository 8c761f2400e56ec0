"""tonearm studio: play the model live, in a browser."""

import socket
import webbrowser
from contextlib import ExitStack, suppress
from typing import Annotated

import typer

from tonearm.cli import _options, _playing
from tonearm.cli._screen import load_model, out, print_facts
from tonearm.cli._takes import licence_note, model_text

LOCAL = "127.0.0.1"


def studio(
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    prompt: _playing.Prompt = _playing.PROMPT,
    seed: _playing.Seed = None,
    knobs: _playing.Knobs = None,
    lead: _playing.Lead = _playing.LEAD,
    mode: _playing.ModeName = "auto",
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Interface to listen at; other than this machine's own, the page needs a token.",
        ),
    ] = LOCAL,
    port: Annotated[int, typer.Option("--port", help="Of the page; 0 for a free one.")] = 9310,
    osc: Annotated[
        int | None,
        typer.Option("--osc", metavar="PORT", help="Listen to OSC at this UDP port, such as 9311."),
    ] = None,
    midi: _playing.Midi = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the page in the browser.")
    ] = False,
) -> None:
    """Play the model live in a browser: knobs that act on music while it plays."""
    _playing.check_playing(mode, lead)
    from tonearm.studio.safety import is_loopback, new_token
    from tonearm.studio.serve import address, bind, serve

    token = None if is_loopback(host) else new_token()
    with ExitStack() as opened:
        bound = opened.enter_context(bind(host, port))
        udp = None
        if osc is not None:
            udp = opened.enter_context(bind(host, osc, socket.SOCK_DGRAM, "--osc"))
        controllers = opened.enter_context(_playing.midi_port(midi))
        loaded = load_model(model, device, dtype)
        from tonearm.live import Session
        from tonearm.studio.app import make_app

        session = Session(
            loaded,
            prompt=prompt,
            seed=seed,
            lead=lead,
            mode=_playing.mode_of(mode),
            desk=knobs or None,
        )
        url = address(host, bound, token)

        def ready() -> None:
            print_facts(
                {
                    "model": model_text(loaded),
                    "licence": licence_note(loaded),
                    "MIDI": "" if midi is None else f"input {midi}",
                    "OSC": "" if udp is None else f"UDP port {udp.getsockname()[1]}",
                }
            )
            out.print(f"open {url}", soft_wrap=True)
            out.print("Ctrl-C ends it")
            if not no_browser:
                webbrowser.open(url)

        with session, suppress(KeyboardInterrupt):
            if controllers is not None:
                controllers.connect(session, session.notify, announces_tempo=True)
            serve(make_app(session, host, token, udp), bound, ready)
