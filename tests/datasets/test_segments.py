"""Segments of labelled clips."""

from pathlib import Path

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import LabelledFile
from tonearm.datasets.segments import segments
from tonearm.errors import TonearmError

FILE = LabelledFile(Path("jazz.00000.wav"), "jazz", "jazz.00000")


def ramp(count: int) -> Clip:
    return Clip(np.arange(2 * count).reshape(2, count) / 1e4, 100)


def test_adjacent_segments_remember_label_and_track() -> None:
    clip = ramp(3000)
    found = list(segments(FILE, clip, 10))
    assert [one.start for one in found] == [0, 10, 20]
    assert {(one.label, one.track) for one in found} == {("jazz", "jazz.00000")}
    joined = np.concatenate([one.clip.samples for one in found], axis=1)
    np.testing.assert_array_equal(joined, clip.samples)


@pytest.mark.parametrize(
    ("count", "lengths"),
    [
        (2993, [1000, 1000, 993]),  # GTZAN's shortest excerpts
        (3050, [1000, 1000, 1000]),
        (2979, [1000, 1000]),
        (980, [980]),
        (979, []),
    ],
)
def test_an_incomplete_segment_is_left_out_beyond_two_percent(
    count: int, lengths: list[int]
) -> None:
    found = segments(FILE, ramp(count), 10)
    assert [one.clip.samples.shape[1] for one in found] == lengths


@pytest.mark.parametrize("seconds", [0, -1, 0.001, float("nan"), float("inf"), "10"])
def test_impossible_lengths_are_refused(seconds: object) -> None:
    with pytest.raises(TonearmError, match=r"seconds|segments of"):
        list(segments(FILE, ramp(3000), seconds))  # type: ignore[arg-type]
