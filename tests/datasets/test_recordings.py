"""Recordings of files, contrasts of labels, and segments."""

import os
from pathlib import Path

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import LabelledFile
from tonearm.datasets.recordings import (
    LeftOut,
    Recording,
    SegmentFormat,
    contrast,
    recordings_of,
    segments_of,
)
from tonearm.datasets.skips import UNREADABLE
from tonearm.errors import TonearmError

RATE = 8000
FORM = SegmentFormat(sample_rate=RATE, channels=1, samples=RATE, slack=100)


def ramp(seconds: float, rate: int = RATE, channels: int = 1) -> Clip:
    """Samples that state their own time, in tenths of a second."""
    times = np.arange(round(seconds * rate)) / rate / 10
    return Clip(np.stack([times] * channels).astype(np.float32), rate)


def files_in(folder: Path, *names: str) -> list[LabelledFile]:
    for name in names:
        ramp(1.0).write(folder / name)
    paths = [folder / name for name in names]
    return [LabelledFile(path, path.parent.name, str(path)) for path in paths]


def test_names_and_tracks_are_relative_to_the_folder_of_all_files(tmp_path, monkeypatch):
    files = files_in(tmp_path, "jazz/a.wav", "rock/a.wav", "rock/live/b.wav")
    found = recordings_of(files)
    assert [one.name for one in found] == ["jazz/a.wav", "rock/a.wav", "rock/live/b.wav"]
    assert [one.track for one in found] == [one.name for one in found]
    assert recordings_of(files[:1])[0].name == "a.wav" and recordings_of([]) == []
    monkeypatch.chdir(tmp_path)
    relative = [LabelledFile(Path("jazz/a.wav"), "jazz", "take five"), *files[1:]]
    assert [one.name for one in recordings_of(relative)] == [one.name for one in found]
    assert recordings_of(relative)[0].track == "take five"
    assert np.array_equal(found[0].read().samples, ramp(1.0).samples)


def test_no_message_states_an_absolute_path(tmp_path):
    (tmp_path / "a.wav").write_text("not audio")
    (one,) = recordings_of([LabelledFile(tmp_path / "a.wav", "x", "t")])
    with pytest.raises(TonearmError, match=r"cannot read a\.wav as audio"):
        one.read()


def test_a_changed_file_has_another_identity(tmp_path):
    files = files_in(tmp_path, "a.wav")
    before = recordings_of(files)[0].identity
    assert recordings_of(files)[0].identity == before
    os.utime(tmp_path / "a.wav", ns=(1, 1))
    changed = recordings_of(files)[0].identity
    (tmp_path / "a.wav").unlink()
    assert len({before, changed, recordings_of(files)[0].identity}) == 3


def test_bytes_that_are_no_text_are_escaped_in_names():
    path = Path("/corpus") / os.fsdecode(b"caf\xe9.wav")
    (one,) = recordings_of([LabelledFile(path, path.stem, str(path))])
    assert one.name == one.track == r"caf\udce9.wav"


def test_a_contrast_is_of_one_label_against_others_or_the_rest(tmp_path):
    files = files_in(tmp_path, "jazz/a.wav", "rock/b.wav", "folk/c.wav", "jazz/d.wav")

    def names(label: str, *against: str) -> tuple[list[str], list[str]]:
        positive, negative = contrast(files, label, against)
        return [one.name for one in positive], [one.name for one in negative]

    assert names("jazz") == (["jazz/a.wav", "jazz/d.wav"], ["rock/b.wav", "folk/c.wav"])
    assert names("jazz", "rock") == (["jazz/a.wav", "jazz/d.wav"], ["rock/b.wav"])
    assert names("folk", "rock", "jazz")[1] == ["jazz/a.wav", "rock/b.wav", "jazz/d.wav"]
    with pytest.raises(
        TonearmError, match="no audio has the label 'pop'; there are 'folk', 'jazz'"
    ):
        names("jazz", "pop")
    with pytest.raises(TonearmError, match="'jazz' cannot be learned against itself"):
        names("jazz", "rock", "jazz")


def test_segments_follow_each_other_without_overlap():
    found = list(segments_of(Recording.of_clip(ramp(3.4), "a", "x"), FORM))
    assert [(one.recording.name, one.number) for one in found] == [("x", 0), ("x", 1), ("x", 2)]
    assert [round(float(one.clip.samples[0, 0]) * 10, 3) for one in found] == [0, 1, 2]
    assert all(one.clip.samples.shape == (1, RATE) for one in found)
    assert [one.number for one in segments_of(found[0].recording, FORM, first=2)] == [2]


def test_segments_have_the_rate_and_the_channels_of_the_format():
    stereo = SegmentFormat(sample_rate=RATE, channels=2, samples=RATE, slack=100)
    for clip in (ramp(2.0, rate=16_000), ramp(2.0, channels=2), ramp(2.0, rate=44_100, channels=2)):
        for form in (FORM, stereo):
            found = list(segments_of(Recording.of_clip(clip, "a", "x"), form))
            assert [one.clip.samples.shape for one in found] == [(form.channels, RATE)] * 2
            assert all(one.clip.sample_rate == RATE for one in found)


@pytest.mark.parametrize(("missing", "count"), [(0, 1), (99, 1), (100, 0)])
def test_an_only_segment_may_lack_less_than_the_slack(missing, count):
    clip = Clip(ramp(1.0).samples[:, : RATE - missing], RATE)
    found = list(segments_of(Recording.of_clip(clip, "a", "x"), FORM))
    assert sum(not isinstance(one, LeftOut) for one in found) == count


@pytest.mark.parametrize(("share", "count"), [(0.0, 3), (0.02, 3), (0.03, 2)])
def test_an_excerpt_that_is_a_little_short_gives_whole_segments(share, count):
    length = 3 * RATE - round(share * RATE)
    clip = Clip(ramp(3.0).samples[:, :length], RATE)
    found = list(segments_of(Recording.of_clip(clip, "a", "x"), FORM))
    assert [one.clip.samples.shape[1] for one in found] == [RATE] * count
    if count == 3:
        assert (found[-1].clip.samples == clip.samples[:, -RATE:]).all()


def test_a_recording_that_cannot_be_read_is_one_failure():
    def fail() -> Clip:
        raise TonearmError("it is broken")

    (found,) = segments_of(Recording("x", "a", "x", "", fail), FORM)
    assert found == LeftOut("x", UNREADABLE, "it is broken")
