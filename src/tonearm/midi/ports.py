"""Input ports of python-rtmidi."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tonearm.errors import TonearmError
from tonearm.live import Session
from tonearm.midi.client import MidiClient
from tonearm.midi.mapping import MidiMap, map_path
from tonearm.text import first_line, quoted

INSTALL = "pip install 'tonearm[midi]'"
Receive = Callable[[Sequence[int]], None]


@dataclass(frozen=True)
class MidiInput:
    """An open input port.

    receive_with  sets the receiver of all messages, MIDI Clock included
    controls      map of CCs to knobs
    """

    receive_with: Callable[[Receive], None]
    controls: MidiMap

    def connect(
        self, session: Session, notify: Callable[[str], None], announces_tempo: bool = False
    ) -> MidiClient:
        """Send the messages to a session; the arguments are those of MidiClient."""
        client = MidiClient(session, self.controls, notify, announces_tempo)
        self.receive_with(client.receive)
        return client


@contextmanager
def midi_input(name: str) -> Iterator[MidiInput]:
    """Open an input port, and read the user's own map of controls.

    Args:
        name: number of the port, or a part of its name.

    Raises:
        TonearmError: no such port, no python-rtmidi, or a file that is not a map.
    """
    controls = MidiMap(map_path())
    try:
        import rtmidi
    except ImportError as error:
        raise TonearmError(f"MIDI needs the package python-rtmidi; {INSTALL}") from error
    try:
        port = rtmidi.MidiIn()
        port.open_port(port_number(name, port.get_ports()))
    except rtmidi.RtMidiError as error:
        raise TonearmError(
            f"cannot use MIDI ({first_line(error)}); connect a device, or leave --midi out"
        ) from error
    port.ignore_types(sysex=True, timing=False, active_sense=True)

    def receive_with(receive: Receive) -> None:
        def call(event: tuple[Sequence[int], float], data: Any) -> None:
            receive(event[0])

        port.set_callback(call)

    try:
        yield MidiInput(receive_with, controls)
    finally:
        port.cancel_callback()
        port.close_port()
        port.delete()


def port_number(name: str, names: Sequence[str]) -> int:
    """Number of the port that is named by its number, or by a part of its name.

    Raises:
        TonearmError: there is none, or there are several.
    """
    listed = ", ".join(f"{number} {one}" for number, one in enumerate(names)) or "none"
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    found = [number for number, one in enumerate(names) if name.lower() in one.lower()]
    exact = [number for number in found if names[number] == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    fault = "several MIDI inputs match" if found else "there is no MIDI input"
    raise TonearmError(f"{fault} {quoted(name)}; there are: {listed}")
