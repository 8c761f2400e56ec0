"""MIDI on a session of a tiny model: controllers, learning, MIDI Clock, ports."""

import json
import sys
from types import ModuleType

import pytest

from tests.live.players import TIMEOUT, playing
from tonearm.errors import TonearmError
from tonearm.live import Notice, commands
from tonearm.midi.client import CLOCK, START, MidiClient
from tonearm.midi.mapping import MidiMap, map_path, slider_position_of
from tonearm.midi.ports import midi_input, port_number


class Host:
    """A controller and host whose clock the test moves."""

    def __init__(self, session, path, **settings):
        self.session, self.now, self.said = session, 0.0, []
        controls = MidiMap(path)
        say = self.said.append
        self.client = MidiClient(session, controls, say, clock=lambda: self.now, **settings)

    def turn(self, cc: int, value: int) -> dict[str, float]:
        self.client.receive([0xB2, cc, value])  # of any channel
        return self.session.snapshot().result(TIMEOUT).controls

    def beat(self, bpm: float, ticks: int) -> None:
        for _ in range(ticks):
            self.now += 60 / (24 * bpm)
            self.client.receive([CLOCK])


@pytest.fixture
def session(melody):
    with playing(melody) as (session, _):
        yield session


@pytest.fixture
def host(session, tmp_path):
    one = Host(session, tmp_path / "midi.json")
    yield one
    one.client.close()


TARGET = "target/brightness"


@pytest.mark.parametrize(
    ("value", "expected"), [(127, 4.0), (0, -4.0), (64, 0.0), (63, 0.0), (65, 0.0), (32, -2.0)]
)
def test_cc_20_is_the_first_knob(host, value, expected):
    assert host.turn(20, value)[TARGET] == pytest.approx(expected)


def test_cc_64_is_exact_zero_for_all_knobs(host):
    host.turn(20, 100)
    assert host.turn(64, 127)[TARGET] == 0.0


def test_a_knob_that_plays_is_turned_after_it_was_left_out_of_the_next_performance(host):
    host.session.command(commands.Play()).result(TIMEOUT)
    host.session.command(commands.SetDesk(knobs=())).result(TIMEOUT)
    assert host.turn(20, 127)[TARGET] == 4.0
    assert host.turn(64, 127)[TARGET] == 0.0


def test_learning_ends_where_the_map_cannot_be_written(session, tmp_path):
    (tmp_path / "file").write_text("")
    host = Host(session, tmp_path / "file" / "midi.json")
    host.client.learn("brightness")
    host.turn(74, 127)
    assert "cannot write" in host.said[-1]
    host.turn(75, 127)
    assert len(host.said) == 2  # the next control is not learned, too


def test_ccs_without_a_knob_and_other_messages_do_nothing(host):
    before = host.turn(21, 100)  # the desk has one knob
    for message in ([], [0x90, 60, 100], [0xB0, 20], [0xFE]):
        host.client.receive(message)
    assert host.turn(99, 100) == before and not host.said


def test_a_learned_cc_is_stored_in_the_format_of_the_page(host, session):
    host.client.learn("brightness")
    assert host.turn(74, 127)[TARGET] == 4.0
    assert host.said == [
        "move a MIDI control for brightness",
        "CC 74 now turns brightness",
    ]
    path = host.client._map._path
    assert json.loads(path.read_text()) == [[74, "brightness"]]
    again = Host(session, path)
    assert again.turn(74, 0)[TARGET] == -4.0


def test_cc_64_cannot_be_learned(host):
    host.client.learn("brightness")
    host.turn(64, 127)
    assert "move another control" in host.said[-1]
    host.turn(74, 127)
    assert host.said[-1] == "CC 74 now turns brightness"


def test_a_knob_that_is_no_longer_there_is_said(session, tmp_path):
    path = tmp_path / "midi.json"
    path.write_text('[[74, "gone"]]')
    host = Host(session, path)
    host.turn(74, 10)
    assert "no knob 'gone'" in host.said[0]


@pytest.mark.parametrize("content", ["{", "[[1, 2]]", '[[200, "x"]]', "[1]"])
def test_a_file_that_is_no_map_is_named(tmp_path, content):
    path = tmp_path / "midi.json"
    path.write_text(content)
    with pytest.raises(TonearmError, match="is not a map of MIDI controls"):
        MidiMap(path)


def test_midi_clock_shows_and_announces_the_tempo_of_the_host(session, tmp_path):
    host = Host(session, tmp_path / "midi.json", announces_tempo=True)
    assert host.client.host_tempo is None
    host.beat(120, 96)
    assert host.client.host_tempo == pytest.approx(120)
    assert host.said == ["the host plays at 120.0 BPM (MIDI Clock)"]
    host.beat(126, 96)
    assert host.said[-1] == "the host plays at 126.0 BPM (MIDI Clock)"
    host.client.receive([START])
    assert host.client.host_tempo is None


def test_positions_are_those_of_the_page():
    assert [slider_position_of(value) for value in (0, 63, 64, 65, 127)] == [
        -1.0,
        0.0,
        0.0,
        0.0,
        1.0,
    ]
    assert slider_position_of(66) == pytest.approx(2 / 63) and slider_position_of(
        62
    ) == pytest.approx(-2 / 64)


def test_ports_by_number_and_name():
    names = ["Midi Through 14:0", "nanoKONTROL2 20:0", "nanoPAD 24:0"]
    assert port_number("1", names) == 1
    assert port_number("nanokontrol", names) == 1
    assert port_number("nanoPAD 24:0", [*names, "nanoPAD 24:0 b"]) == 2
    with pytest.raises(TonearmError, match=r"several MIDI inputs match 'nano'.*2 nanoPAD"):
        port_number("nano", names)
    with pytest.raises(TonearmError, match=r"there is no MIDI input '7'; there are: none"):
        port_number("7", [])


class FakePort:
    """An input of python-rtmidi."""

    def __init__(self):
        self.opened = self.callback = self.ignored = None

    def get_ports(self):
        return ["a keyboard"]

    def open_port(self, number):
        self.opened = number

    def ignore_types(self, **kinds):
        self.ignored = kinds

    def set_callback(self, callback):
        self.callback = callback

    def cancel_callback(self):
        self.callback = None

    def close_port(self):
        self.opened = None

    def delete(self):
        pass


@pytest.fixture
def fake_rtmidi(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    module, port = ModuleType("rtmidi"), FakePort()
    module.RtMidiError = type("RtMidiError", (Exception,), {})
    module.MidiIn = lambda: port
    monkeypatch.setitem(sys.modules, "rtmidi", module)
    return module, port


def test_a_port_sends_controllers_and_clock_to_the_session(fake_rtmidi, session, tmp_path):
    _, port = fake_rtmidi
    with midi_input("keyboard") as opened:
        assert port.opened == 0 and port.ignored["timing"] is False
        said = []
        session.subscribe(lambda event: said.append(event))
        opened.connect(session, session.notify, announces_tempo=True)
        port.callback(([0xB0, 20, 127], 0.0), None)
        assert session.snapshot().result(TIMEOUT).controls[TARGET] == 4.0
        opened.connect(session, session.notify).learn("brightness")
        assert Notice("move a MIDI control for brightness") in said
    assert port.opened is None and port.callback is None
    assert map_path().is_relative_to(tmp_path) or sys.platform != "linux"


def test_without_a_midi_system_the_fault_is_one_line(fake_rtmidi):
    module, _ = fake_rtmidi

    def fail():
        raise module.RtMidiError("no ALSA sequencer")

    module.MidiIn = fail
    with pytest.raises(TonearmError, match=r"cannot use MIDI \(no ALSA sequencer\)"):
        midi_input("0").__enter__()


def test_without_the_package_the_command_to_install_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    with pytest.raises(TonearmError, match=r"pip install 'tonearm\[midi\]'"):
        midi_input("0").__enter__()
