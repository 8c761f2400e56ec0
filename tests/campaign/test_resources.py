"""Memory, file handles and threads after many takes and after every kind of use."""

import gc
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tonearm
from tests.activations.sounds import noise_clip
from tests.campaign.materials import LOUD, PROMPT, SECONDS, SEGMENT, Materials
from tests.campaign.processes import run_forked
from tonearm.activations import AudioSpec, capture_recordings, corpus
from tonearm.datasets.recordings import Recording

TAKES, WARM_UP = 240, 40
SEGMENTS = 800
MAX_SLOPE = 4 * 1024  # bytes a take
REPEATS = 4
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_SIZE


def handles_and_threads() -> tuple[list[str], int, int]:
    """Targets of the open file handles, Python's threads and those of the process."""
    gc.collect()
    handles = []
    for handle in Path("/proc/self/fd").iterdir():
        try:
            handles.append(str(handle.readlink()))
        except FileNotFoundError:  # the handle of this listing
            continue
    return sorted(handles), threading.active_count(), len(list(Path("/proc/self/task").iterdir()))


def in_a_fork(function: Callable[[], Any], tmp_path: Path, deadline: float = 120) -> Any:
    """Result of a function that runs in a fork, through JSON."""
    here, result = tmp_path / "here", tmp_path / "result.json"
    here.mkdir()

    def run() -> int:
        result.write_text(json.dumps(function()))
        return 0

    ended = run_forked(run, here, tmp_path / "log", deadline=deadline)
    assert ended.code == 0, ended.err
    return json.loads(result.read_text())


def test_memory_does_not_grow_with_the_number_of_takes(
    materials: Materials, tmp_path: Path
) -> None:
    def run() -> list[int]:
        sizes = []
        for seed in range(TAKES):
            take = materials.model.generate(
                PROMPT,
                seconds=SECONDS,
                seed=seed,
                steer={materials.vector: f"raw:{0.1 * (seed % 5)}"},
            )
            take.save("take.wav")
            sizes.append(resident_bytes())
        return sizes

    sizes = in_a_fork(run, tmp_path)
    slope = np.polyfit(np.arange(TAKES - WARM_UP), sizes[WARM_UP:], 1)[0]
    assert slope < MAX_SLOPE, f"{slope:.0f} bytes a take"


def test_memory_does_not_grow_with_the_number_of_segments(
    materials: Materials, tmp_path: Path
) -> None:
    def run() -> list[int]:
        sizes = []
        recordings = [
            Recording(f"{i}", "ab"[i % 2], f"{i}", "", lambda i=i: noise_clip(0.5, i))
            for i in range(SEGMENTS)
        ]
        corpus.SHARD_SEGMENTS = 16
        capture_recordings(
            materials.model.engine,
            recordings,
            AudioSpec(segment_seconds=SEGMENT),
            Path("rows"),
            lambda done, total: sizes.append(resident_bytes()),
        )
        return sizes

    sizes = in_a_fork(run, tmp_path)
    later = sizes[len(sizes) // 4 :]
    segments = SEGMENTS / len(sizes)
    slope = np.polyfit(np.arange(len(later)), later, 1)[0] / segments
    assert slope < MAX_SLOPE, f"{slope:.0f} bytes a segment"


def _stream(m: Materials) -> tonearm.Stream:
    return m.model.stream(PROMPT, steer={m.vector: "raw:0.0"}, seconds=SECONDS, seed=1)


def _stream_to_its_end(m: Materials) -> None:
    stream = _stream(m)
    assert list(stream) and stream.take.seconds


def _stream_closed_early(m: Materials) -> None:
    stream = _stream(m)
    chunks = iter(stream)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]


def _stream_cancelled(m: Materials) -> None:
    stream = _stream(m)
    change = stream.set_strength(m.vector.name, 1.0)
    stream.cancel()
    assert change.exception()


def _stream_dropped(m: Materials) -> None:
    next(iter(_stream(m)))
    _stream(m)


def _batch(m: Materials) -> None:
    requests = [tonearm.TakeRequest(PROMPT, seed, seconds=SECONDS) for seed in range(5)]
    assert len(list(m.model.generate_batch(requests, batch_size=2))) == 5
    next(iter(m.model.generate_batch(requests, batch_size=2, order="completion")))


def _compare(m: Materials) -> None:
    tonearm.compare(m.model, PROMPT, [{m.vector: "raw:0.5"}], seconds=SECONDS).save("compared")


def _measure(m: Materials) -> None:
    assert len(list(tonearm.measure_files([m.corpus]))) == 12


def _learn(m: Materials) -> None:
    vector = tonearm.learn(m.model, ["fast"], ["slow"], "tempo", pooling="mean", seconds=SECONDS)
    tonearm.load_vector(tonearm.save_vector(vector, "tempo"))


def _learn_from_audio(m: Materials) -> None:
    sides = [[m.file(LOUD) / label] for label in ("tone", "noise")]
    tonearm.learn_from_audio(m.model, *sides, "tone", segment_seconds=SEGMENT)


def _load(m: Materials) -> None:
    tonearm.load(m.checkpoint, device="cpu").generate(PROMPT, seconds=SECONDS, seed=1)


def _load_in_vain(m: Materials) -> None:
    broken = Path("broken")
    broken.mkdir(exist_ok=True)
    (broken / "config.json").write_text("{}")
    with pytest.raises(tonearm.TonearmError):
        tonearm.load(broken)


USES = {
    "generate": lambda m: m.model.generate(PROMPT, seconds=SECONDS, seed=1).save("take.ogg"),
    "stream": _stream_to_its_end,
    "stream closed early": _stream_closed_early,
    "stream cancelled": _stream_cancelled,
    "stream dropped": _stream_dropped,
    "batch": _batch,
    "compare": _compare,
    "measure": _measure,
    "learn": _learn,
    "learn from audio": _learn_from_audio,
    "load": _load,
    "load in vain": _load_in_vain,
}


@pytest.mark.parametrize("use", USES)
def test_handles_and_threads_are_given_back(use: str, materials: Materials, tmp_path: Path) -> None:
    def run() -> list[Any]:
        USES[use](materials)
        before = handles_and_threads()
        for _ in range(REPEATS):
            USES[use](materials)
        return [before, handles_and_threads()]

    before, after = in_a_fork(run, tmp_path)
    assert before == after


def test_a_model_that_is_not_used_is_freed(materials: Materials, tmp_path: Path) -> None:
    def run() -> list[int]:
        sizes = []
        for _ in range(30):
            _load(materials)
            gc.collect()
            sizes.append(resident_bytes())
        return sizes

    sizes = in_a_fork(run, tmp_path)
    slope = np.polyfit(np.arange(20), sizes[10:], 1)[0]
    weights = sum(file.stat().st_size for file in materials.checkpoint.iterdir())
    assert slope < weights / 10, f"{slope:.0f} bytes a load"
