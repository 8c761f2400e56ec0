"""Segments of equal length of labelled clips, which remember their track.

Panda et al. 2025, IV-B2, cut the 30 s of a track of GTZAN into three segments of 10 s.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import LabelledFile
from tonearm.errors import TonearmError

# Excerpts of "30 s" have 29.93 s in GTZAN and 29.98 s in FMA, which must give three segments.
TOLERANCE = 0.02  # by which the last segment may be shorter, as a share of a segment


@dataclass(frozen=True)
class Segment:
    """A part of a file's clip, with the label and the track of the file.

    Attributes:
        file: of which it is a part.
        start: in seconds from the beginning of the file.
        clip: audio of the segment.
    """

    file: LabelledFile
    start: float
    clip: Clip

    @property
    def label(self) -> str:
        return self.file.label

    @property
    def track(self) -> str:
        return self.file.track


def segments(file: LabelledFile, clip: Clip, seconds: float) -> Iterator[Segment]:
    """Cut a clip into adjacent segments; an incomplete one at the end is left out.

    Args:
        file: of the clip.
        clip: audio of the whole file.
        seconds: length of a segment.

    Yields:
        The segments in order; the last one may be 2 % shorter than the others. A clip shorter than
        this has none.

    Raises:
        TonearmError: a length that is no positive number, or is less than a sample.
    """
    seconds = boundary.number(seconds, "seconds")
    if not (math.isfinite(seconds) and seconds * clip.sample_rate >= 1):
        raise TonearmError(f"segments of {seconds:g} s are not possible; give 1 sample or more")
    length = round(seconds * clip.sample_rate)
    shortest = math.ceil((1 - TOLERANCE) * length)
    for start in range(0, clip.samples.shape[1] - shortest + 1, length):
        samples = clip.samples[:, start : start + length]
        yield Segment(file, start / clip.sample_rate, Clip(samples, clip.sample_rate))
