"""Outputs: none, files, and sound cards, of which a stand-in of sounddevice takes the place."""

import os
import subprocess
import sys
import time
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile

from tests.live.players import TIMEOUT
from tonearm.errors import TonearmError
from tonearm.live import AudioBlock
from tonearm.terminal.outputs import check_output, open_output
from tonearm.terminal.player import Player

RATE = 16_000


@pytest.fixture
def player() -> Player:
    """One second of a tone of 440 Hz is buffered."""
    one = Player(RATE, 1, 0.3)
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)[None].astype(np.float32)
    one.write(AudioBlock(1, 0, tone, tone))
    return one


def until(condition) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def test_the_null_output_plays_at_the_speed_of_the_music(player):
    begun = time.monotonic()
    with open_output("null", player) as output:
        until(lambda: player.position >= RATE // 2)
        passed = time.monotonic() - begun
        assert passed >= 0.45 and output.fault() == ""
    stopped = player.position
    time.sleep(0.1)
    assert player.position == stopped


@pytest.mark.parametrize("name", ["out.wav", "out.flac"])
def test_a_file_holds_what_was_played(player, tmp_path, name):
    path = tmp_path / name
    with open_output(str(path), player):
        until(lambda: player.position >= RATE // 4)
        assert not path.exists()  # it appears whole
    samples, rate = soundfile.read(path)
    assert rate == RATE and len(samples) >= RATE // 4
    first = int(np.abs(samples).argmax())
    assert first < RATE and np.abs(samples).max() == pytest.approx(1, abs=0.01)


def test_a_file_is_kept_after_an_interrupt(player, tmp_path):
    path = tmp_path / "out.wav"
    with pytest.raises(KeyboardInterrupt), open_output(str(path), player):
        until(lambda: player.position >= RATE // 4)
        raise KeyboardInterrupt
    assert soundfile.info(path).frames >= RATE // 4


def test_a_file_fault_is_reported(player, tmp_path, monkeypatch):
    def fail(self, samples):
        raise RuntimeError("No space left")

    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    with open_output(str(tmp_path / "out.wav"), player) as output:
        until(lambda: output.fault() == "No space left")


class FakeDevice(ModuleType):
    """sounddevice with one device, which takes some rates only; by its number it does not start."""

    PortAudioError = type("PortAudioError", (Exception,), {})

    def __init__(self, rates: tuple[int, ...]):
        super().__init__("sounddevice")
        self.rates, self.streams = rates, []

    def query_devices(self, device, kind):
        if device not in (None, 3, "card"):
            raise ValueError(f"No output device matching {device!r}")
        return {"name": "a card", "default_samplerate": float(self.rates[0])}

    def check_output_settings(self, *, samplerate, **_):
        if samplerate not in self.rates:
            raise self.PortAudioError("Invalid sample rate")

    def OutputStream(self, *, samplerate, callback, device, **_):
        stream = FakeStream(samplerate, callback, device)
        self.streams.append(stream)
        return stream


class FakeStream:
    latency = 0.02

    def __init__(self, rate, callback, device):
        self.rate, self.callback, self.device, self.active = rate, callback, device, False

    def start(self):
        if self.device == 3:
            raise FakeDevice.PortAudioError("Unanticipated host error")
        self.active = True

    def close(self):
        self.active = False

    def play(self, count: int, underflow: bool = False) -> np.ndarray:
        out = np.full((count, 1), np.nan, np.float32)
        self.callback(out, count, None, SimpleNamespace(output_underflow=underflow))
        return out[:, 0]


@pytest.mark.parametrize("name", [None, "card"])
def test_a_sound_card_reads_the_player(player, monkeypatch, name):
    card = FakeDevice((RATE,))
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    check_output(name)
    with open_output(name, player) as output:
        (stream,) = card.streams
        assert (output.name, output.latency, output.fault()) == ("a card", 0.02, "")
        assert stream.rate == RATE and np.abs(stream.play(512)).max() > 0.9
        assert player.position == 512
        stream.play(512, underflow=True)
        assert player.underruns == 1
        stream.active = False
        assert "stopped" in output.fault()


def test_a_card_of_another_rate_gets_the_same_tone(player, monkeypatch):
    card = FakeDevice((48_000,))
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    with open_output(None, player):
        (stream,) = card.streams
        sound = np.concatenate([stream.play(480) for _ in range(80)])
    assert stream.rate == 48_000
    steady = sound[9600:28_800]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady))))
    assert np.argmax(spectrum) * 48_000 / len(steady) == pytest.approx(440, abs=2.5)
    assert np.abs(np.diff(steady)).max() < 0.07  # no click


def test_a_device_that_does_not_exist_is_one_line(player, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeDevice((RATE,)))
    with pytest.raises(TonearmError, match=r"device 'nowhere'.*sounddevice.*--output null"):
        open_output("nowhere", player).__enter__()
    with pytest.raises(TonearmError, match="device 'nowhere'"):
        check_output("nowhere")


def test_a_sound_card_that_does_not_start_is_named(player, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeDevice((RATE,)))
    check_output("3")
    with pytest.raises(TonearmError, match=r"device '3' \(Unanticipated host error\)"):
        open_output("3", player).__enter__()


def test_without_sounddevice_the_command_to_install_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(TonearmError, match=r"pip install 'tonearm\[live\]'"):
        check_output(None)
    check_output("null")
    check_output("out.flac")


def test_an_output_file_that_exists_is_kept_unless_forced(tmp_path):
    path = tmp_path / "jam.wav"
    path.write_bytes(b"yesterday")
    with pytest.raises(TonearmError, match=r"jam.wav exists already; .* --force"):
        check_output(str(path))
    check_output(str(path), force=True)


def test_without_portaudio_its_package_is_named(monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(TonearmError, match="apt-get install libportaudio2"):
        check_output("card")


NULL_DEVICE = """pcm.!default { type null }
ctl.!default { type null }
"""
PLAYS = """
import time
import numpy as np
from tonearm.live import AudioBlock
from tonearm.terminal.outputs import open_output
from tonearm.terminal.player import Player

player = Player(16_000, 1, 0.3)
music = np.ones((1, 16_000), np.float32)
player.write(AudioBlock(1, 0, music, music))
with open_output(None, player) as output:
    while not player.position:
        time.sleep(0.01)
    assert output.fault() == "" and output.latency > 0
"""


def test_the_real_package_reads_the_player_for_a_null_device(tmp_path):
    """ALSA's null device takes samples at any speed."""
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"sounddevice or PortAudio is absent: {error}")
    if sys.platform != "linux":
        pytest.skip("only ALSA has a null device")
    (tmp_path / "alsa.conf").write_text(NULL_DEVICE)
    environment = os.environ | {"ALSA_CONFIG_PATH": str(tmp_path / "alsa.conf")}
    ended = subprocess.run(
        [sys.executable, "-c", PLAYS], env=environment, capture_output=True, timeout=TIMEOUT
    )
    assert ended.returncode == 0, ended.stderr.decode()


def test_the_real_package_refuses_a_device_that_does_not_exist(player):
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"sounddevice or PortAudio is absent: {error}")
    with pytest.raises(TonearmError, match="device 'no such device'"):
        open_output("no such device", player).__enter__()
