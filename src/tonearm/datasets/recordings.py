"""Labelled recordings that are read when they are needed, and their cutting into segments.

Segments of one recording share its track, and recordings that are made from one piece share that, so
that no split divides them.

Shapes: C channels; N samples.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from pathlib import Path

import numpy as np

from tonearm.audio import Clip, check_audible
from tonearm.datasets.audio_files import audio_files
from tonearm.datasets.labelled_audio import LabelledFile
from tonearm.datasets.skips import SHORT, SILENT, UNREADABLE
from tonearm.errors import TonearmError
from tonearm.hashing import hash_clip
from tonearm.text import quoted

SHOWN_LABELS = 20
# Excerpts of "30 s" have 29.93 s in GTZAN and 29.98 s in FMA, and give three segments of 10 s.
MOST_OVERLAP = 0.02  # of the last segment with the one before, as a share of a segment


@dataclass(frozen=True)
class Recording:
    """Audio with a label.

    name      for messages and tables
    label     of its class
    track     recordings of one track are excerpts of one piece
    identity  another one where the audio may be another
    read      returns the clip; raises TonearmError
    piece     that several tracks are made from, such as renderings with and without its drums, whose
              labels may differ; empty where each is a piece of its own
    """

    name: str
    label: str
    track: str
    identity: str
    read: Callable[[], Clip]
    piece: str = ""

    @classmethod
    def of_clip(cls, clip: Clip, label: str, name: str, piece: str = "") -> "Recording":
        """A clip in memory, a track of its own."""
        return cls(name, label, name, hash_clip(clip), lambda: clip, piece)


def recordings_of(files: Sequence[LabelledFile]) -> list[Recording]:
    """Recordings in files, which are not opened.

    Their names are relative to the folder that holds all of them, so that nothing that is written
    states an absolute path; a file that is a track of its own has its name as track.
    """
    parts = [file.path.absolute().parts for file in files]
    levels = zip(*(one[:-1] for one in parts), strict=False)
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    return [
        _of_file(file, _as_text("/".join(one[shared:]) + _row(file)))
        for file, one in zip(files, parts, strict=True)
    ]


def recordings_in(folders: Sequence[Path]) -> list[list[Recording]]:
    """Recordings without a label in each of some folders, one track each.

    Raises:
        TonearmError: a folder without audio.
    """
    files = [audio_files([folder]) for folder in folders]
    named = recordings_of([LabelledFile(one, "", str(one)) for part in files for one in part])
    starts = accumulate((len(part) for part in files), initial=0)
    return [named[start : start + len(part)] for start, part in zip(starts, files, strict=False)]


def _row(file: LabelledFile) -> str:
    return "" if file.row is None else f":{file.row}"


def _of_file(file: LabelledFile, name: str) -> Recording:
    try:
        stat = file.path.stat()
        identity = f"{stat.st_size} {stat.st_mtime_ns}"
    except OSError:
        identity = "absent"  # reading it reports the error

    def read() -> Clip:
        try:
            return file.read()
        except TonearmError as error:
            raise TonearmError(str(error).replace(file.name, name)) from None

    track = name if file.track in (file.name, str(file.path)) else _as_text(file.track)
    return Recording(name, _as_text(file.label), track, identity, read, _as_text(file.piece))


def _as_text(name: str) -> str:
    """A name with escapes in place of bytes that are no text."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def contrast(
    files: Sequence[LabelledFile], label: str, against: Sequence[str]
) -> tuple[list[Recording], list[Recording]]:
    """Select two sets of a corpus.

    Args:
        files: of the corpus.
        label: of the positive set.
        against: labels of the negative set; empty for all others.

    Returns:
        Recordings of the positive and of the negative set.

    Raises:
        TonearmError: a label that the corpus does not have, or one that is in both sets.
    """
    known = sorted({file.label for file in files})
    for one in (label, *against):
        if one not in known:
            raise TonearmError(
                f"no audio has the label {quoted(one)}; there are {shown_labels(known)}"
            )
    if label in against:
        raise TonearmError(f"{quoted(label)} cannot be learned against itself; give other labels")
    others = set(against) or set(known) - {label}
    recordings = recordings_of([file for file in files if file.label in {label, *others}])
    positive = [recording for recording in recordings if recording.label == label]
    return positive, [recording for recording in recordings if recording.label != label]


def shown_labels(labels: Sequence[str]) -> str:
    """List labels for a message, SHOWN_LABELS at most."""
    more = f" and {len(labels) - SHOWN_LABELS} more" if len(labels) > SHOWN_LABELS else ""
    return ", ".join(quoted(label) for label in labels[:SHOWN_LABELS]) + more


@dataclass(frozen=True)
class SegmentFormat:
    """Form of segments: `sample_rate` in Hz, `channels`, and `samples` N per channel.

    A section that is shorter than N by less than `slack` samples is a segment, too: a codec fills
    its last frame.
    """

    sample_rate: int
    channels: int
    samples: int
    slack: int

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


@dataclass(frozen=True)
class Segment:
    """Section `number` of a recording."""

    recording: Recording
    number: int
    clip: Clip


@dataclass(frozen=True)
class LeftOut:
    """A recording or section that is no segment: its name, a reason of `tonearm.datasets.skips`, and
    one line of detail.
    """

    name: str
    reason: str
    detail: str


def segments_of(
    recording: Recording, form: SegmentFormat, first: int = 0
) -> Iterator[Segment | LeftOut]:
    """Read a recording and cut it into adjacent segments; the remainder is left out.

    The last segment of several ends with the recording where it would be incomplete by
    MOST_OVERLAP, or by the slack, at most; it then begins within the one before.

    Args:
        recording: to read.
        form: of the segments.
        first: number of the first segment.

    Yields:
        Segments, and the reason where the recording or one of them cannot be used: it cannot be
        read, is shorter than a segment, or a segment is silent or not finite.
    """
    name = recording.name
    try:
        clip = recording.read().resampled(form.sample_rate).with_channels(form.channels)
    except TonearmError as error:
        yield LeftOut(name, UNREADABLE, str(error))
        return
    length = clip.samples.shape[1]
    missing = max(0, form.slack - 1)
    if length >= form.samples:
        missing = max(missing, int(MOST_OVERLAP * form.samples))
    count = (length + missing) // form.samples
    if not count:
        detail = f"{name} is {clip.seconds:.2f} s long, a segment {form.seconds:g} s"
        yield LeftOut(name, SHORT, detail)
    for number in range(first, count):
        start = max(0, min(number * form.samples, length - form.samples))
        part = Clip(clip.samples[:, start : start + form.samples], form.sample_rate)
        try:
            check_audible(part, f"{name} from {start / form.sample_rate:g} s", 0, form.channels)
        except TonearmError as error:
            reason = SILENT if np.isfinite(part.samples).all() else UNREADABLE
            yield LeftOut(name, reason, str(error))
            continue
        yield Segment(recording, number, part)
