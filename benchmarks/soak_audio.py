"""Audio that a client of the studio has played, kept on disk, and its comparison with replayed takes.

Shapes: R rows of a block, the channels of A and then of B; n samples.
"""

import io
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import correlate

from benchmarks.studio_client import Block, Message
from tonearm.live.output import FADE
from tonearm.model import Model
from tonearm.musicgen.streaming_codec import StreamingCodec
from tonearm.replaying import replay
from tonearm.threads import torch_threads

STREAMS = ("steered", "plain")
PATTERN = 256  # samples by which the music after a loop is found
MATCH_ENERGY_SHARE = (
    1e-6  # share of its energy, within which a place is compared with it sample by sample
)
TOLERANCE = 1e-5  # of the peak
MAX_TAIL = 2.0  # seconds that a take may hold beyond the last sample that was played


@dataclass
class Played:
    """A performance as it was played: its run, and the position of its first sample."""

    run: int
    start: int
    in_phrases: bool = False
    muted: bool = False


class PlayedAudio:
    """Blocks on disk, one file a run.

    Args:
        folder: for the files; made where needed.
        rows: of a block.
    """

    def __init__(self, folder: Path, rows: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.performances: dict[int, Played] = {}
        self._folder, self._rows = folder, rows
        self._spans: dict[int, tuple[int, int]] = {}  # first and last position by run

    def receive(self, block: Block) -> None:
        """Keep a block; a gap within a run is NaN."""
        first, stop = self._spans.get(block.run, (block.first, block.first))
        if block.stop <= stop:
            return
        gap = np.full((self._rows, block.first - stop), np.nan, "<f4")
        with self._path(block.run).open("ab") as file:
            for part in (gap, block.samples):
                file.write(np.ascontiguousarray(part.T).tobytes())
        self._spans[block.run] = (first, block.stop)

    def note(self, state: Message) -> None:
        """Note the performance of a state."""
        if state["status"] == "playing":
            played = Played(state["run"], state["start"])
            found = self.performances.setdefault(state["performance"], played)
            found.in_phrases |= state["mode"] == "phrase"
            found.muted |= state["controls"]["mute"] > 0

    def note_mute(self, sample: int | None) -> None:
        """Note that the performance was silenced from a position on."""
        begun = [one for one in self.performances.values() if one.start <= (sample or 0)]
        for one in begun[-1:]:
            one.muted = True

    def release(self, wanted: set[int]) -> None:
        """Delete the audio of all performances but those of these numbers."""
        runs = {one.run for number, one in self.performances.items() if number in wanted}
        for run in [run for run in self._spans if run not in runs]:
            self._path(run).unlink(missing_ok=True)
            del self._spans[run]
        for number in [number for number in self.performances if number not in wanted]:
            if self.performances[number].run not in self._spans:
                del self.performances[number]

    def follows_another(self, number: int) -> bool:
        """Whether the performance began within a run, as a fork does."""
        one = self.performances[number]
        return one.start > self._spans[one.run][0]

    def of(self, number: int) -> np.ndarray | None:
        """Samples [R, n] of a performance; None where they were not kept."""
        one = self.performances.get(number)
        if one is None or one.run not in self._spans:
            return None
        first, stop = self._spans[one.run]
        if one.start < first:
            return None
        later = [
            two.start
            for index, two in self.performances.items()
            if index > number and two.run == one.run
        ]
        begin, end = one.start, min([stop, *later])
        samples = np.fromfile(
            self._path(one.run),
            "<f4",
            max(0, end - begin) * self._rows,
            offset=(begin - first) * self._rows * 4,
        )
        return samples.reshape(-1, self._rows).T

    def _path(self, run: int) -> Path:
        return self._folder / f"run-{run}.f32"


@dataclass(frozen=True)
class Checked:
    """A take that was replayed.

    identical  whether both replays are equal to the take bit for bit
    played     seconds that were played and compared; None where the performance is not comparable
    exact      whether these samples are those of the replayed codes bit for bit, decoded in the
               pieces of a stream; the codec rounds pieces of other lengths differently
    fault      a replay that differs, or a sample that was played and is not that of the take within
               TOLERANCE; empty without one
    """

    number: int
    seconds: float
    identical: bool
    played: float | None = None
    exact: bool = False
    fault: str = ""


def check_take(
    folder: Path, number: int, audio: PlayedAudio, model: Model, chunk_frames: int
) -> Checked:
    """Replay both sidecars of an exported take, and compare it with what was played.

    Args:
        folder: with the files of the export.
        number: of the performance.
        audio: that was played.
        model: of the takes.
        chunk_frames: of the stream.
    """
    replays = [replay(folder / f"{name}.json", model=model) for name in STREAMS]
    identical = all(one.identical for one in replays)
    whole = np.concatenate([one.take.clip.samples for one in replays])
    shape = model.shape
    checked = Checked(number, whole.shape[1] / shape.sample_rate, identical)
    if not identical:
        return replace(checked, fault="a replay differs from the take")
    played = audio.of(number)
    if played is None or not played.shape[1] or not comparable(audio.performances[number]):
        return checked
    log = json.loads((folder / "performance.json").read_text(encoding="utf-8"))["log"]
    provenance = replays[0].take.provenance
    prompt_frames = provenance.frames - round(provenance.new_seconds * shape.frame_rate)
    is_fork = audio.follows_another(number)
    place = Place(
        begin=prompt_frames * shape.sample_rate // shape.frame_rate if is_fork else 0,
        fade=round(FADE * shape.sample_rate) if is_fork else 0,
        loops=[round(entry["seconds"] * shape.sample_rate) for entry in log if is_loop(entry)],
        rate=shape.sample_rate,
    )
    with torch_threads(provenance.stack.threads):  # the last bits depend on them
        pieces = np.concatenate(
            [in_pieces(model, one.take.codes, prompt_frames, chunk_frames) for one in replays]
        )
    return replace(
        checked,
        played=played.shape[1] / shape.sample_rate,
        exact=not first_difference(played, pieces, place, 0.0),
        fault=first_difference(played, whole, place, TOLERANCE * float(np.abs(whole).max())),
    )


def in_pieces(model: Model, codes: np.ndarray, prompt_frames: int, chunk_frames: int) -> np.ndarray:
    """Decode codes [K, T] as a stream does: the audio prompt first, then chunk after chunk."""
    codec, parts, frames = StreamingCodec(model.checkpoint), [], torch.from_numpy(codes)
    starts = [0, *range(prompt_frames or chunk_frames, codes.shape[1], chunk_frames)]
    for start, stop in pairwise([*starts, codes.shape[1]]):
        parts.append(codec.push(frames[:, start:stop], stop == codes.shape[1]).numpy())
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Place:
    """Place of a performance in its take, in samples.

    begin  sample of the take that was played first
    fade   samples that are joined to the music before
    loops  samples of the take at which loops began, within a millisecond
    rate   samples per second
    """

    begin: int
    fade: int
    loops: Sequence[int]
    rate: int


def comparable(one: Played) -> bool:
    """Whether the samples that were played are those of the take, apart from loops.

    A phrase repeats, and its passes are joined by fades; muted samples are zero.
    """
    return not (one.in_phrases or one.muted)


def is_loop(entry: dict[str, Any]) -> bool:
    """Whether a line of a performance's log is the start of a loop."""
    return re.fullmatch(r"loop of [\d.]+ s", entry["text"]) is not None


def first_difference(played: np.ndarray, whole: np.ndarray, place: Place, tolerance: float) -> str:
    """Describe the first difference between a performance and its take.

    Loops are left out: after a loop, the music continues at the sample at which the loop began.

    Args:
        played: float32 [R, n].
        whole: the take, float32 [R, m].
        place: of the performance in its take.
        tolerance: largest difference of equal samples.

    Returns:
        An empty text where there is none.
    """
    at, sample = place.fade, place.begin + place.fade  # in the performance, and in the take
    slack = place.rate // 1000 + 1
    waiting = sorted(set(place.loops))
    while True:
        count = min(played.shape[1] - at, whole.shape[1] - sample)
        if count < 0:
            return f"{played.shape[1]} samples were played of a take that has {whole.shape[1]}"
        gap = np.abs(played[:, at : at + count] - whole[:, sample : sample + count])
        differs = ~(gap <= tolerance).all(axis=0)  # NaN differs
        equal = int(differs.argmax()) if differs.any() else count
        at, sample = at + equal, sample + equal
        if at == played.shape[1]:
            return ""
        waiting = [loop for loop in waiting if loop >= sample - place.rate // 10]
        if not waiting or waiting[0] > sample + slack:
            return f"sample {at} of {played.shape[1]} is not sample {sample} of the take"
        sample = waiting.pop(0) + 2 * slack
        found = position_of(whole[:, sample : sample + PATTERN], played[:, at:], tolerance)
        if found is None:  # the performance ended within the loop
            left = (whole.shape[1] - sample) / place.rate
            return "" if left < MAX_TAIL else f"{left:.1f} s after a loop were not played"
        at += found


def position_of(pattern: np.ndarray, samples: np.ndarray, tolerance: float) -> int | None:
    """First index at which a pattern [R, p] begins in samples [R, n]; None where it does not."""
    if pattern.shape[1] > samples.shape[1]:
        return None
    distance = np.zeros(samples.shape[1] - pattern.shape[1] + 1)
    for wanted, row in zip(pattern.astype(float), samples.astype(float), strict=True):
        energy = np.convolve(row**2, np.ones(len(wanted)), mode="valid")
        distance += energy - 2 * correlate(row, wanted, mode="valid")
    near = pattern.size * tolerance**2 + MATCH_ENERGY_SHARE * float(
        (pattern.astype(float) ** 2).sum()
    )
    for at in np.flatnonzero(distance <= near):
        if np.abs(samples[:, at : at + pattern.shape[1]] - pattern).max() <= tolerance:
            return int(at)
    return None


def unpack(content: bytes | Path, folder: Path) -> None:
    """Unpack the archive of an export."""
    source = content if isinstance(content, Path) else io.BytesIO(content)
    with zipfile.ZipFile(source) as file:
        file.extractall(folder)
