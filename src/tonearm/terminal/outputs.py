"""Outputs that a player plays to: a sound card, an audio file, or none.

The latter two read at the speed of the music, by the clock.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.terminal.player import Player
from tonearm.text import first_line, quoted

INSTALL = "pip install 'tonearm[live]'"
OTHERWISE = "or use --output null, or --output FILE.wav"
NULL = "null"
FILES = (".wav", ".flac")
PERIOD = 0.02  # seconds between two reads by the clock
MOST_LATE = 1.0  # seconds; beyond this lag, the clock restarts


@dataclass(frozen=True)
class Output:
    """An output that plays.

    name     for the screen
    latency  seconds between a read and the sound
    fault    the reason why it has stopped; empty while it plays
    """

    name: str
    latency: float
    fault: Callable[[], str]


def open_output(name: str | None, player: Player) -> AbstractContextManager[Output]:
    """Play to an output while the context is open.

    Args:
        name: "null", a file that ends in .wav or .flac, or the name or number of a device;
            default: the system's own device.
        player: that is read.

    Raises:
        TonearmError: no such device, no sounddevice or PortAudio, or a file that cannot be written.
    """
    if name == NULL:
        return _clocked("no sound", player, lambda samples: None)
    if _is_file(name):
        return _file_output(Path(str(name)), player)
    return _sound_card(name, player)


def check_output(name: str | None, force: bool = False) -> None:
    """Check an output before it is opened.

    Args:
        name: as for `open_output`.
        force: a file may be replaced.

    Raises:
        TonearmError: a file that exists, a sound card that does not, or no sounddevice.
    """
    if _is_file(name):
        if Path(str(name)).exists() and not force:
            raise TonearmError(
                f"{name} exists already; choose another name, or overwrite it with --force"
            )
    elif name != NULL:
        sounddevice = _sounddevice()
        with _faults_named(sounddevice, name):
            sounddevice.query_devices(_device(name), "output")


def _is_file(name: str | None) -> bool:
    return name is not None and Path(name).suffix.lower() in FILES


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise TonearmError(
            f"sound needs the package sounddevice; {INSTALL}, {OTHERWISE}"
        ) from error
    except OSError as error:
        raise TonearmError(
            "sound needs the library PortAudio, which was not found; install it (Debian and Ubuntu: "
            f"apt-get install libportaudio2; elsewhere {INSTALL} brings it), {OTHERWISE}"
        ) from error
    return sounddevice


@contextmanager
def _clocked(name: str, player: Player, use: Callable[[np.ndarray], None]) -> Iterator[Output]:
    """Read at the speed of the music, in a thread; `use` receives float32 [C, m]."""
    ended, faults = threading.Event(), []

    def run() -> None:
        begun, played = time.monotonic(), 0
        try:
            while not ended.wait(PERIOD):
                due = round((time.monotonic() - begun) * player.sample_rate) - played
                if due > MOST_LATE * player.sample_rate:  # after the machine slept
                    begun, played = time.monotonic(), 0
                    continue
                use(player.read(due))
                played += due
        except (OSError, RuntimeError) as error:
            faults.append(first_line(error))

    thread = threading.Thread(target=run, name="tonearm-output", daemon=True)
    thread.start()
    try:
        yield Output(name, 0.0, lambda: faults[0] if faults else "")
    finally:
        ended.set()
        thread.join()


@contextmanager
def _file_output(path: Path, player: Player) -> Iterator[Output]:
    """Write a file that holds all audio so far even after an error or Ctrl-C."""
    with atomic_write(path) as temporary:
        try:
            file = soundfile.SoundFile(
                temporary, "w", player.sample_rate, player.channels, subtype="PCM_24"
            )
        except (OSError, RuntimeError) as error:
            raise TonearmError(f"cannot write {path}: {first_line(error)}") from error
        failure = None
        with file, _clocked(str(path), player, lambda samples: file.write(samples.T)) as output:
            try:
                yield output
            except BaseException as error:
                failure = error
    if failure is not None:
        raise failure


def _device(name: str | None) -> str | int | None:
    return int(name) if name is not None and name.isdecimal() else name


@contextmanager
def _faults_named(sounddevice: Any, name: str | None) -> Iterator[None]:
    """Make a fault of a device a TonearmError."""
    try:
        yield
    except (sounddevice.PortAudioError, ValueError) as error:
        which = "the system's sound device" if name is None else f"device {quoted(name)}"
        raise TonearmError(
            f"cannot play to {which} ({first_line(error)}); "
            f"`python -m sounddevice` lists devices, {OTHERWISE}"
        ) from error


@contextmanager
def _sound_card(name: str | None, player: Player) -> Iterator[Output]:
    sounddevice = _sounddevice()
    device = _device(name)
    with _faults_named(sounddevice, name):
        found = sounddevice.query_devices(device, "output")
        rate = _possible_rate(sounddevice, device, player, found)
        read = player.read if rate == player.sample_rate else _resampling(player, rate)

        def fill(out: np.ndarray, count: int, moment: Any, status: Any) -> None:
            """Called by PortAudio's thread."""
            if status.output_underflow:
                player.underruns += 1
            out[:] = read(count).T

        stream = sounddevice.OutputStream(
            samplerate=rate,
            channels=player.channels,
            dtype="float32",
            device=device,
            latency="low",
            callback=fill,
        )

    def fault() -> str:
        return "" if stream.active else "the sound card has stopped"

    with closing(stream):
        with _faults_named(sounddevice, name):
            stream.start()
        yield Output(str(found["name"]), float(stream.latency), fault)


def _possible_rate(sounddevice: Any, device: Any, player: Player, found: Any) -> int:
    """The rate of the model where the device takes it, else that of the device."""
    try:
        sounddevice.check_output_settings(
            device=device,
            channels=player.channels,
            dtype="float32",
            samplerate=player.sample_rate,
        )
    except sounddevice.PortAudioError:
        return round(found["default_samplerate"])
    return player.sample_rate


def _resampling(player: Player, rate: int) -> Callable[[int], np.ndarray]:
    """A `read` at another rate, which keeps the state of its filter between calls."""
    import soxr

    stream = soxr.ResampleStream(player.sample_rate, rate, player.channels, dtype="float32")
    waiting = np.zeros((0, player.channels), np.float32)

    def read(count: int) -> np.ndarray:
        nonlocal waiting
        while len(waiting) < count:
            wanted = max(1, round((count - len(waiting)) * player.sample_rate / rate))
            waiting = np.concatenate([waiting, stream.resample_chunk(player.read(wanted).T)])
        out, waiting = waiting[:count], waiting[count:]
        return out.T

    return read
