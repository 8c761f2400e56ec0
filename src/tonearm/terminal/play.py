"""Playing of a session in a terminal until the user ends it; its takes are kept."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.live import Live

from tonearm.errors import TonearmError
from tonearm.live import Notice, Session, commands
from tonearm.live.export import Format
from tonearm.midi.ports import MidiInput
from tonearm.signals import ignore_termination
from tonearm.terminal.client import PLAY, TerminalClient
from tonearm.terminal.keys import reading_keys
from tonearm.terminal.outputs import open_output
from tonearm.terminal.player import Player
from tonearm.terminal.saving import TakeSaver
from tonearm.terminal.screen import ASCII, UNICODE, screen
from tonearm.text import first_line

TICK = 0.03  # seconds between two reports of the play head
REFRESH_TICKS = 4  # between two screens


def check_terminal() -> None:
    """Raise TonearmError unless keys can be read from and a screen shown on a terminal."""
    for stream, name in ((sys.stdin, "input"), (sys.stdout, "output")):
        if not stream.isatty():
            raise TonearmError(
                f"tonearm live needs a terminal, but standard {name} is not one; use tonearm "
                "studio for a browser, or tonearm generate for files"
            )


def play(
    session: Session,
    *,
    output: str | None,
    folder: Path,
    kind: Format,
    midi: MidiInput | None,
    print_line: Callable[[str], None],
) -> None:
    """Play a session until q or a KeyboardInterrupt, then save every take that was not saved, also
    after an error.

    Args:
        session: not started.
        output: of `tonearm.terminal.outputs.open_output`.
        folder: that receives a folder per take.
        kind: of the audio files.
        midi: open port; None without one.
        print_line: prints a line after the screen is gone.

    Raises:
        TonearmError: the output or the session failed, or a take could not be saved.
        KeyboardInterrupt: Ctrl-C while takes are saved.
    """
    model, lead = session.manifest.model, session.state.lead
    player = Player(model.sample_rate, model.channels, lead)
    saver = TakeSaver(session, folder, kind)
    with session:
        try:
            client = TerminalClient(session, player, saver)
            if midi is not None:
                client.midi = midi.connect(session, lambda text: client.receive(Notice(text)))
            client.press(PLAY)  # as a person would, so that a refusal is shown
            with suppress(KeyboardInterrupt):
                _show(client, player, output)
            client.close()
        finally:
            try:
                with ignore_termination():
                    save_remaining(session, saver, print_line)
            finally:
                saver.close()


def _show(client: TerminalClient, player: Player, output: str | None) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    glyphs = UNICODE if console.encoding.lower().startswith("utf") else ASCII
    with (
        open_output(output, player) as sound,
        reading_keys(sys.stdin.fileno()) as keys,
        Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False) as live,
    ):
        ticks = 0
        while not client.is_over:
            pressed = keys.read(TICK)
            client.press_all(pressed)
            client.tick(sound.latency, sound.fault())
            if pressed or ticks % REFRESH_TICKS == 0:
                live.update(screen(client.view(sound.name), glyphs), refresh=True)
            ticks += 1


def save_remaining(session: Session, saver: TakeSaver, print_line: Callable[[str], None]) -> None:
    """End the performance, and save all takes; faults are raised after the last one."""
    with suppress(TonearmError):  # of a session that has ended by itself
        session.command(commands.Stop()).result()
    unsaved = len(saver.unsaved)
    if unsaved:
        _print(
            print_line,
            f"saving {unsaved} {'take' if unsaved == 1 else 'takes'}; press Ctrl-C to discard them",
        )
    saved = saver.save_all()
    faults = [f"take {one.number}: {one.fault}" for one in session.state.takes if one.fault]
    for number, answer in sorted(saved.items()):
        error = answer.exception()
        if error is None:
            _print(print_line, f"take {number}: {answer.result()}")
        else:
            faults.append(f"take {number} was not saved: {first_line(error)}")
    if faults:
        raise TonearmError("; ".join(faults))


def _print(print_line: Callable[[str], None], text: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        print_line(text)
