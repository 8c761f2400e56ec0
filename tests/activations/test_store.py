"""Rows on disk: equal to those in memory, resumable, checked, in bounded memory."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.activations.sounds import RATE, noise_clip, recordings
from tonearm.activations import ActivationStore, AudioSpec, capture_recordings, capture_segments
from tonearm.activations import corpus as corpus_module
from tonearm.activations.store import INDEX, shard_file
from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import LabelledFile
from tonearm.datasets.recordings import Recording, recordings_of
from tonearm.datasets.skips import SHORT, SILENT, UNREADABLE
from tonearm.errors import TonearmError

SPEC = AudioSpec(sites=("residual", "heads"), segment_seconds=0.4, batch_size=2)


@pytest.fixture
def small_shards(monkeypatch):
    """Three segments in a shard."""
    monkeypatch.setattr(corpus_module, "SHARD_SEGMENTS", 3)


@pytest.fixture
def captured(monkeypatch) -> list[int]:
    """Segments of each captured batch."""
    sizes: list[int] = []

    def counted(engine, clips, spec):
        sizes.append(len(clips))
        return capture_segments(engine, clips, spec)

    monkeypatch.setattr(corpus_module, "capture_segments", counted)
    return sizes


def content_of(store: ActivationStore) -> torch.Tensor:
    layers = range(store.info.layer_count)
    rows = [store.layer(site, layer) for site in store.info.sites for layer in layers]
    return torch.stack(rows)


def test_a_store_has_the_rows_of_every_segment_with_label_track_and_time(
    melody, tmp_path, small_shards
):
    given = recordings(4, seconds=1.0)  # two segments of 0.4 s each, 0.2 s are left out
    reports = []
    store = capture_recordings(
        melody.engine, given, SPEC, tmp_path / "s", lambda *report: reports.append(report)
    )
    assert [(one.name, one.label, one.track, one.number) for one in store.segments] == [
        (f"clip {i}", "ab"[i % 2], f"clip {i}", number) for i in range(4) for number in (0, 1)
    ]
    spec = SPEC.resolved(melody.checkpoint)
    size = spec.format(melody.shape).samples
    parts = [
        Clip(given[i].read().samples[:, n * size : (n + 1) * size], RATE)
        for i in range(4)
        for n in (0, 1)
    ]
    expected = capture_segments(melody.engine, parts, spec)
    for site, rows in expected.items():
        for layer in range(melody.shape.layer_count):
            assert torch.allclose(store.layer(site, layer), rows[:, 0, layer], atol=1e-5)
        joined = torch.cat([rows for _, rows in store.rows(site)])
        assert torch.allclose(joined, rows[:, 0], atol=1e-5)
    assert len({one.sha256 for one in store.segments}) == 8
    assert reports[-1] == (4, 4) and len(store.shards) == 3 and not store.skipped()
    info = store.info
    assert (info.fingerprint, info.pooling, info.text) == (melody.shape.fingerprint, "last", None)
    assert info.segment_seconds == 0.4 and info.seconds == (0.4,)


def test_several_times_are_several_rows_of_a_segment(melody, tmp_path):
    spec = replace(SPEC, sites=("residual",), pooling="at:0.2,0.4")
    store = capture_recordings(melody.engine, recordings(2, 0.4), spec, tmp_path)
    assert store.segment_rows == 2 and store.info.seconds == (0.2, 0.4)
    last = capture_recordings(
        melody.engine, recordings(2, 0.4), replace(spec, pooling="last"), tmp_path / "last"
    )
    assert store.layer("residual", 0).shape == (4, melody.shape.width)
    assert torch.allclose(store.layer("residual", 1)[1::2], last.layer("residual", 1), atol=1e-5)


def test_moments_by_label_are_those_of_the_rows(melody, tmp_path, small_shards):
    store = capture_recordings(melody.engine, recordings(5), SPEC, tmp_path)
    moments = store.moments("heads")
    labels = np.array([one.label for one in store.segments])
    for label in "ab":
        rows = torch.cat([rows for _, rows in store.rows("heads")])[labels == label].double()
        assert moments[label].count == len(rows)
        assert torch.allclose(moments[label].mean, rows.mean(0))
        assert torch.allclose(moments[label].variance, rows.var(0, unbiased=False))
        assert torch.allclose(moments[label].mean_norm, rows.norm(dim=-1).mean(0))


def test_a_complete_store_is_not_captured_again(melody, tmp_path, small_shards, captured):
    given = recordings(4)
    first = capture_recordings(melody.engine, given, SPEC, tmp_path)
    done = sum(captured)
    again = capture_recordings(melody.engine, given, SPEC, tmp_path)
    assert done == sum(captured) == 8
    assert torch.equal(content_of(first), content_of(again))


@pytest.mark.parametrize("stops_after", [0, 1, 2, 3])
def test_a_stopped_capture_resumes_behind_its_last_shard(
    melody, tmp_path, small_shards, captured, monkeypatch, stops_after
):
    given, whole = recordings(4), tmp_path / "whole"
    expected = content_of(capture_recordings(melody.engine, given, SPEC, whole))
    captured.clear()
    written = []
    write = corpus_module.write_shard

    def stop(folder, number, *rest):
        if len(written) == stops_after:
            raise KeyboardInterrupt
        written.append(number)
        write(folder, number, *rest)

    monkeypatch.setattr(corpus_module, "write_shard", stop)
    folder = tmp_path / "stopped"
    if stops_after < 3:
        with pytest.raises(KeyboardInterrupt):
            capture_recordings(melody.engine, given, SPEC, folder)
        with pytest.raises(TonearmError, match=r"incomplete.*run the same capture again"):
            ActivationStore.read(folder)
    else:
        capture_recordings(melody.engine, given, SPEC, folder)
    monkeypatch.setattr(corpus_module, "write_shard", write)
    captured.clear()
    resumed = capture_recordings(melody.engine, given, SPEC, folder)
    assert sum(captured) == 8 - 3 * stops_after if stops_after < 3 else not captured
    assert torch.equal(content_of(resumed), expected)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("damage", ["deleted", "cut", "emptied"])
def test_a_missing_shard_alone_is_captured_again(
    melody, tmp_path, small_shards, captured, number, damage
):
    given = recordings(4)
    expected = content_of(capture_recordings(melody.engine, given, SPEC, tmp_path))
    path = shard_file(tmp_path, number)
    if damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-100] if damage == "cut" else b"")
        with pytest.raises(TonearmError, match=f"cannot read .*{path.name}.*delete it"):
            ActivationStore.read(tmp_path)
    captured.clear()
    again = capture_recordings(melody.engine, given, SPEC, tmp_path)
    assert sum(captured) == (2 if number == 2 else 3)
    assert torch.equal(content_of(again), expected)


def test_changed_rows_are_found_when_they_are_read(melody, tmp_path):
    capture_recordings(melody.engine, recordings(2), SPEC, tmp_path)
    path = shard_file(tmp_path, 0)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    store = ActivationStore.read(tmp_path)
    with pytest.raises(TonearmError, match=r"is damaged: its rows do not match.*delete it"):
        content_of(store)


def test_a_store_of_another_capture_is_refused(melody, small, tmp_path):
    given = recordings(2)
    capture_recordings(melody.engine, given, SPEC, tmp_path)
    for other, message in (
        (replace(SPEC, pooling="mean"), "pooling last, not mean"),
        (replace(SPEC, sites=("residual",)), "sites"),
        (replace(SPEC, segment_seconds=0.8), "segment_seconds 0.4, not 0.8"),
        (replace(SPEC, text="a fast tune"), "text None, not a fast tune"),
    ):
        with pytest.raises(TonearmError, match=f"another capture .*{message}"):
            capture_recordings(melody.engine, given, other, tmp_path)
    for others in (given[:1], [replace(given[0], label="b"), given[1]]):
        with pytest.raises(TonearmError, match=r"another capture .*other or changed recordings"):
            capture_recordings(melody.engine, others, SPEC, tmp_path)
    with pytest.raises(TonearmError, match=r"another capture \(checkpoint"):
        capture_recordings(small.engine, given, SPEC, tmp_path)
    with pytest.raises(TonearmError, match="not of the loaded checkpoint"):
        ActivationStore.read(tmp_path, small.shape.fingerprint)
    assert ActivationStore.read(tmp_path, melody.shape.fingerprint).segments


def test_a_file_that_changed_between_two_runs_is_another_capture(melody, tmp_path):
    path = noise_clip(0.5).write(tmp_path / "a.wav")
    files = [LabelledFile(path, "a", "a")]
    capture_recordings(melody.engine, recordings_of(files), SPEC, tmp_path / "s")
    noise_clip(0.5, seed=1).write(path)
    with pytest.raises(TonearmError, match="other or changed recordings"):
        capture_recordings(melody.engine, recordings_of(files), SPEC, tmp_path / "s")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format"),
        ({"sites": []}, "sites"),
        ({"width": 0}, "width"),
        ({"surprise": 1}, "unknown key"),
    ],
)
def test_a_damaged_index_is_one_line(melody, tmp_path, change, message):
    capture_recordings(melody.engine, recordings(1), SPEC, tmp_path)
    index = tmp_path / INDEX
    index.write_text(json.dumps(json.loads(index.read_text()) | change))
    with pytest.raises(TonearmError, match=message) as error:
        ActivationStore.read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_store_is_refused(melody, tmp_path):
    with pytest.raises(TonearmError, match="no store of activations"):
        ActivationStore.read(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TonearmError, match=r"is not empty and holds no index\.json"):
        capture_recordings(melody.engine, recordings(1), SPEC, tmp_path)


def test_a_shard_of_another_place_is_refused(melody, tmp_path, small_shards):
    capture_recordings(melody.engine, recordings(4), SPEC, tmp_path)
    shard_file(tmp_path, 1).write_bytes(shard_file(tmp_path, 2).read_bytes())
    with pytest.raises(TonearmError, match="does not follow the shard before it"):
        ActivationStore.read(tmp_path)


def test_audio_that_cannot_be_used_is_left_out_with_its_reason(melody, tmp_path, small_shards):
    loud = noise_clip(0.8)
    half_silent = Clip(np.concatenate([loud.samples[:, :640], np.zeros((1, 640))], 1), RATE)
    with_nan = Clip(np.where(np.arange(1280) == 1000, np.nan, loud.samples), RATE)
    (tmp_path / "text.wav").write_text("not audio")
    given = [
        Recording.of_clip(noise_clip(0.2), "a", "short"),
        Recording.of_clip(Clip(np.zeros((1, 0)), RATE), "a", "empty"),
        Recording.of_clip(loud, "a", "loud"),
        Recording.of_clip(half_silent, "b", "half"),
        Recording.of_clip(with_nan, "b", "nan"),
        *recordings_of(
            [LabelledFile(tmp_path / name, "b", name) for name in ("text.wav", "nowhere.wav")]
        ),
    ]
    store = capture_recordings(melody.engine, given, SPEC, tmp_path / "s")
    kept = [(one.name, one.number) for one in store.segments]
    assert kept == [("loud", 0), ("loud", 1), ("half", 0), ("nan", 0)]
    skipped = {one.reason: (one.names, one.known) for one in store.skipped({SILENT})}
    assert skipped == {
        SHORT: (("short", "empty"), False),
        SILENT: (("half",), True),
        UNREADABLE: (("nan", "text.wav", "nowhere.wav"), False),
    }
    details = [one.detail for shard in store.shards for one in shard.left_out]
    assert "short is 0.20 s long, a segment 0.4 s" in details[0]
    assert "half from 0.4 s is silent" in details[2] and "nan from 0.4 s holds NaN" in details[3]
    assert "cannot read text.wav" in details[4] and "no audio file" in details[5]
    again = capture_recordings(melody.engine, given, SPEC, tmp_path / "s")
    assert again.skipped() == store.skipped()


def test_a_capture_without_usable_audio_is_refused(melody, tmp_path):
    silent = [Recording.of_clip(Clip(np.zeros(800), RATE), "a", "quiet")]
    with pytest.raises(TonearmError, match=r"can be used: 1 silent \(quiet from 0 s is silent"):
        capture_recordings(melody.engine, silent, SPEC, tmp_path / "a")
    with pytest.raises(TonearmError, match="no audio can be used: none was given"):
        capture_recordings(melody.engine, [], SPEC, tmp_path / "b")


def test_a_segment_may_lack_less_than_a_frame_of_the_codec(melody, tmp_path):
    samples = 640  # 0.4 s; a frame has 64 samples
    given = [
        Recording.of_clip(noise_clip(count / RATE), "a", str(count))
        for count in (samples - 64, samples - 63, samples, 2 * samples - 63)
    ]
    store = capture_recordings(melody.engine, given, SPEC, tmp_path)
    assert [(one.name, one.number) for one in store.segments] == [
        ("577", 0),
        ("640", 0),
        ("1217", 0),
        ("1217", 1),
    ]


def test_rows_of_earlier_shards_are_freed(melody, tmp_path, small_shards, monkeypatch):
    """The rows in memory are those of one shard, whatever the number of recordings."""
    import weakref

    alive: list[weakref.ref] = []
    most = 0
    write = corpus_module.write_shard

    def watched(folder, number, shard, rows):
        nonlocal most
        most = max(most, sum(ref() is not None for ref in alive))
        alive.extend(weakref.ref(tensor) for tensor in rows.values())
        write(folder, number, shard, rows)

    monkeypatch.setattr(corpus_module, "write_shard", watched)
    capture_recordings(melody.engine, recordings(12), SPEC, tmp_path)
    assert len(alive) == 18 and most == 0  # nine shards, the last of them empty


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.activations.sounds import recordings
from tests.activations.test_store import SPEC
from tonearm.activations import capture_recordings, corpus
from tonearm.model import load
from tonearm.files import atomic
corpus.SHARD_SEGMENTS = 3
flush = atomic._flush_to_disk
calls = []
def kill(path):
    calls.append(path)
    if len(calls) == 3:  # the index, the first shard, and the second one, which is not renamed yet
        os.kill(os.getpid(), signal.SIGKILL)
    flush(path)
atomic._flush_to_disk = kill
capture_recordings(load(sys.argv[1], device="cpu").engine, recordings(4), SPEC, Path(sys.argv[2]))
"""


def test_a_killed_capture_keeps_whole_shards_and_resumes(
    melody, folder_of, tmp_path, small_shards, captured
):
    folder = tmp_path / "s"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder_of("melody")), str(folder)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert shard_file(folder, 0).is_file() and not shard_file(folder, 1).is_file()
    store = capture_recordings(melody.engine, recordings(4), SPEC, folder)
    assert sum(captured) == 5
    assert sorted(path.name for path in folder.iterdir()) == [
        INDEX,
        *(shard_file(folder, number).name for number in range(3)),
    ]
    whole = capture_recordings(melody.engine, recordings(4), SPEC, tmp_path / "whole")
    assert torch.equal(content_of(store), content_of(whole))
