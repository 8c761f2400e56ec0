"""Study core: takes are made once, measured once per fingerprint, and survive any stop."""

import gc
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import tonearm.studies.measure_groups as measure_groups
from tests.steering.vectors import scales_of, vector_of
from tonearm import Steer, Steering, TakeRequest, TonearmError
from tonearm.audio import Clip
from tonearm.steering import as_steering
from tonearm.studies.measure_groups import Group
from tonearm.studies.plan import Processing, Stack, Study, Trial, take_key
from tonearm.studies.run import Settings, run
from tonearm.studies.store import Store, StoredTrial, Values
from tonearm.studies.stored_audio import StoredAudio

PROMPTS = ("a folk tune", "a jazz tune", "a rock song")
SECONDS = 0.4


@pytest.fixture
def peak(monkeypatch):
    """A group of one cheap measure; its calls are counted."""
    calls = []

    def measure(requests):
        calls.append(len(requests))
        return [{"peak": float(np.abs(r.clip.samples).max()), "of": r.text} for r in requests]

    def load():
        return Group("peak", "peak 1", True, measure)

    monkeypatch.setitem(measure_groups.LOADERS, "peak", load)
    measure_groups.group.cache_clear()
    yield calls
    measure_groups.group.cache_clear()


def trials(steering=Steering(), condition="plain", **fields):
    return [
        Trial(
            TakeRequest(prompt, 10 + i, steering, seconds=SECONDS),
            {"condition": condition, "prompt": i},
            ("peak",),
            **fields,
        )
        for i, prompt in enumerate(PROMPTS)
    ]


def study(vectors=None, **stages):
    stages = stages or {"plain": lambda found: trials()}
    return Study("test", stages, vectors or {}, {"seconds": SECONDS})


def counted(model, monkeypatch):
    made = []
    original = type(model).generate_batch

    def generate_batch(self, requests, **options):
        made.append(len(requests))
        return original(self, requests, **options)

    monkeypatch.setattr(type(model), "generate_batch", generate_batch)
    return made


def test_a_take_is_made_and_measured_once(melody, monkeypatch, tmp_path, peak):
    made = counted(melody, monkeypatch)
    with Store(tmp_path) as store:
        first = run(study(), melody, store, Settings(workers=0))
        again = run(study(), melody, store, Settings(workers=0))
    assert first == again and [record["prompt"] for record in first] == [0, 1, 2]
    assert sum(made) == sum(peak) == 3
    assert [record["of"] for record in first] == list(PROMPTS)


def test_a_stored_take_is_the_take_rounded_to_16_bits(melody, tmp_path, peak):
    with Store(tmp_path) as store:
        (record, *_) = run(study(), melody, store, Settings(workers=0))
        key = record["take"]
        take = melody.generate(PROMPTS[0], seconds=SECONDS, seed=10)
        clip = store.clip(key)
        assert np.array_equal(store.codes(key), take.codes)
    assert clip.sample_rate == take.clip.sample_rate
    assert np.abs(clip.samples - take.clip.samples).max() <= 0.5 / 2**15 + 1e-9
    assert record["peak"] == float(np.abs(clip.samples).max())


def test_audio_beyond_full_scale_is_kept(tmp_path):
    samples = np.linspace(-3, 3, 1000, dtype=np.float32)
    audio = StoredAudio.of(Clip(samples, 16_000))
    with Store(tmp_path) as store:
        store.add_take("k", {}, audio, None)
        assert np.array_equal(store.clip("k").samples, audio.clip.samples)
        with pytest.raises(TonearmError, match="no codes of a take k"):
            store.codes("k")
    assert np.abs(audio.clip.samples[0] - samples).max() < 2e-4


def test_another_fingerprint_measures_again_and_generates_nothing(
    melody, monkeypatch, tmp_path, peak
):
    with Store(tmp_path) as store:
        run(study(), melody, store, Settings(workers=0))
        made = counted(melody, monkeypatch)
        better = Group("peak", "peak 2", True, lambda rs: [{"peak": 9.0} for _ in rs])
        monkeypatch.setitem(measure_groups.LOADERS, "peak", lambda: better)
        measure_groups.group.cache_clear()
        records = run(study(), melody, store, Settings(workers=0))
    assert [record["peak"] for record in records] == [9.0] * 3
    assert not made


@pytest.mark.parametrize("is_measured", [True, False])
def test_a_take_without_its_audio_is_made_again(melody, monkeypatch, tmp_path, peak, is_measured):
    """As the error about a damaged file promises."""
    reported = []
    with Store(tmp_path) as store:
        first = run(study(), melody, store, Settings(workers=0))
        removed = sorted((tmp_path / "audio").rglob("*.flac"))[:2]
        for file in removed:
            file.unlink()
        if not is_measured:
            store._database.execute("DELETE FROM measurements")
        made, before = counted(melody, monkeypatch), sum(peak)
        again = run(study(), melody, store, Settings(workers=0), lambda *one: reported.append(one))
        assert again == first and all(file.is_file() for file in removed)
        assert [store.clip(record["take"]).sample_rate for record in again] == [1600] * 3
    assert sum(made) == 2 and sum(peak) - before == (0 if is_measured else 3)
    assert reported[-1] == ((2, 2) if is_measured else (3, 3))


def test_a_store_that_keeps_no_audio_is_complete_without_it(melody, monkeypatch, tmp_path, peak):
    with Store(tmp_path, keeps_audio=False) as store:
        first = run(study(), melody, store, Settings(workers=0))
        monkeypatch.setattr(type(melody), "generate_batch", None)
        assert run(study(), melody, store, Settings(workers=0)) == first
    assert not list(tmp_path.rglob("*.flac"))


def test_a_take_that_is_processed_is_made_where_no_trial_has_made_it(melody, tmp_path, peak):
    stretch = Processing("time stretch", {"rate": 2.0})
    stretched = [replace(trial, processing=stretch) for trial in trials()]
    with Store(tmp_path) as store:
        records = run(study(stretched=lambda found: stretched), melody, store, Settings(workers=0))
        plain = [
            melody.generate(text, seconds=SECONDS, seed=10 + i) for i, text in enumerate(PROMPTS)
        ]
        for record, take in zip(records, plain, strict=True):
            assert store.clip(record["take"]).seconds == pytest.approx(
                take.clip.seconds / 2, rel=0.01
            )
    assert len(records) == sum(peak) == 3


def test_a_limit_stops_a_run_that_the_next_one_completes(melody, monkeypatch, tmp_path, peak):
    two = study(first=lambda found: trials(), second=lambda found: trials(condition="again"))
    with Store(tmp_path) as store:
        assert len(run(two, melody, store, Settings(workers=0, limit=2))) == 2
        assert store.counts("test") == {"first": (2, 3)}
        made = counted(melody, monkeypatch)
        records = run(two, melody, store, Settings(workers=0))
        assert store.counts("test") == {"first": (3, 3), "second": (3, 3)}
    assert sum(made) == 1  # the takes of the second stage are those of the first
    assert [record["condition"] for record in records] == ["plain"] * 3 + ["again"] * 3


def test_a_later_stage_reads_the_records_of_the_earlier_ones(melody, tmp_path, peak):
    def faster(found):
        assert [record["stage"] for record in found.records] == ["plain"] * 3
        stretch = Processing("time stretch", {"rate": 2.0})
        return [replace(trial, processing=stretch, facts={"faster": True}) for trial in trials()]

    both = study(plain=lambda found: trials(), stretched=faster)
    with Store(tmp_path) as store:
        records = run(both, melody, store, Settings(workers=0))
        clips = [store.clip(record["take"]) for record in records]
    assert len({record["take"] for record in records}) == 6
    for before, after in zip(clips[:3], clips[3:], strict=True):
        assert after.seconds == pytest.approx(before.seconds / 2, rel=0.01)


def test_divergences_are_those_of_the_model_and_measured_once(melody, monkeypatch, tmp_path, peak):
    vectors = {"push": vector_of(melody, "push")}
    steering = Steering(steers=(Steer(vector="push", strength=0.3, source_layer=1),))
    steered = [replace(trial, groups=("peak", "divergence")) for trial in trials(steering)]
    forced = study(vectors, steered=lambda found: steered)
    with Store(tmp_path) as store:
        records = run(forced, melody, store, Settings(workers=0))
        takes = [melody.generate(p, seconds=SECONDS, seed=10 + i) for i, p in enumerate(PROMPTS)]
        requests = [trial.request for trial in steered]
        expected = melody.divergence(requests, takes, vectors=vectors)
        found = [record["divergence"]["value"] for record in records]
        assert found == pytest.approx(expected, rel=1e-5) and min(found) > 0
        monkeypatch.setattr(type(melody), "divergence", None)
        assert run(forced, melody, store, Settings(workers=0)) == records


LEVEL = as_steering("v=2@set")[0]
PAIR = as_steering("v=raw:2,v=0.3@rotate")[0]
RULES = ("none", "sqrt", "mean", "orthogonal")


def test_keys_differ_where_the_audio_does_and_nowhere_else(melody):
    stack = Stack.of(melody)
    push, other = vector_of(melody, "push"), vector_of(melody, "push", size=9.0)
    request = TakeRequest(PROMPTS[0], 1, Steering(steers=(Steer(vector="v", strength=2.0),)))
    trial = Trial(request, {"a": 1}, ("peak",))

    def key(trial=trial, vectors=None, stack=stack):
        return take_key(trial, stack, vectors or {"v": push})

    def asked(**changes):
        return replace(trial, request=replace(request, **changes))

    same = [
        key(),
        key(replace(trial, facts={"b": 2}, groups=(), text="x")),
        key(asked(steering=Steering(steers=(Steer(vector="w", strength=2.0),))), {"w": push}),
        key(asked(sampling=melody.sampling())),
        key(asked(steering=request.steering.model_copy(update={"combine": "mean"}))),  # of one
    ]
    different = [
        key(vectors={"v": other}),
        *(key(asked(steering=PAIR.model_copy(update={"combine": rule}))) for rule in RULES),
        key(asked(steering=LEVEL)),
        key(asked(steering=LEVEL), {"v": push.with_frame_scales(scales_of(3, seed=1))}),
        key(asked(seed=2)),
        key(asked(prompt="a tune")),
        key(asked(sections=[(1.0, "a tune")])),
        key(asked(sections=[(1.5, "a tune")])),
        key(asked(seconds=3.0)),
        key(asked(steering=Steering())),
        key(asked(sampling=melody.sampling(guidance=1.5))),
        key(asked(melody=Clip(np.zeros(10, np.float32), 16_000))),
        key(replace(trial, processing=Processing("time stretch", {"rate": 2.0}))),
        key(stack=replace(stack, device="cuda")),
    ]
    assert len(set(same)) == 1 and len({*same, *different}) == 1 + len(different)
    with pytest.raises(TonearmError, match="no vector 'v'"):
        take_key(trial, stack, {})


def test_damaged_audio_is_reported(tmp_path):
    with Store(tmp_path) as store:
        store.add_take("k", {}, StoredAudio.of(Clip(np.full(100, 0.5), 16_000)), None)
        (file,) = (tmp_path / "audio").rglob("*.flac")
        soundfile.write(file, np.zeros(100), 16_000, format="FLAC")
        with pytest.raises(TonearmError, match="not the audio that was stored"):
            store.clip("k")
        file.write_bytes(b"fLaC")
        with pytest.raises(TonearmError, match="missing or damaged"):
            store.clip("k")
        with pytest.raises(TonearmError, match="no take z"):
            store.clip("z")


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(TonearmError, match="holds no study"):
        Store.existing(tmp_path)
    (tmp_path / "store.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(TonearmError, match="is no store, or is damaged"):
        Store(tmp_path)
    later = tmp_path / "later"
    Store(later).close()
    with sqlite3.connect(later / "store.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(TonearmError, match="store of version 99"):
        Store(later)


WRITER = """
import json, sys
import numpy as np
from pathlib import Path
from tonearm.audio import Clip
from tonearm.studies.store import Store, Values
from tonearm.studies.stored_audio import StoredAudio
store = Store(Path(sys.argv[1]))
done = sum(store.has_values(str(i), "g", "1", {}) for i in range(10_000))
print("ready", flush=True)
for i in range(done, 10_000):
    clip = Clip(np.random.default_rng(i).uniform(-1, 1, 4000).astype(np.float32), 16_000)
    store.add_take(str(i), {"i": i}, StoredAudio.of(clip), np.full((4, 10), i % 1000))
    store.add_values([Values(str(i), "g", "1", {}, {"i": i})])
    print(i, flush=True)
"""


def test_a_store_survives_kills_at_random_moments(tmp_path):
    """After each kill every take that was reported is whole, and the next process continues."""
    draw, reported = random.Random(0), -1
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        for _ in range(draw.randint(2, 6)):
            reported = int(process.stdout.readline())
        time.sleep(draw.uniform(0, 0.03))
        os.kill(process.pid, signal.SIGKILL)
        lines = process.stdout.read().split("\n")
        process.wait()
        reported = max([reported, *(int(line) for line in lines[:-1] if line)])
        with Store(tmp_path) as store:
            for i in range(reported + 1):
                expected = np.random.default_rng(i).uniform(-1, 1, 4000)
                assert np.abs(store.clip(str(i)).samples[0] - expected).max() < 1e-4
                assert (store.codes(str(i)) == i % 1000).all()
                assert store.has_values(str(i), "g", "1", {})
    assert reported > 15


def test_two_processes_share_a_store(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER.replace("10_000", "60"), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    with Store(tmp_path) as store:
        assert all((store.codes(str(i)) == i).all() for i in range(60))
        assert store._database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_stage_that_is_set_again_removes_those_after_it(tmp_path):
    """A smoke run in the same folder leaves no stage in a whole one."""
    with Store(tmp_path) as store:
        store.set_study("s", {}, {})
        for index, stage in enumerate(("one", "two", "three")):
            trials = [StoredTrial("k", (), {}, {"stage of": stage})]
            store.set_stage("s", stage, trials, index)
        store.set_stage("s", "one", [StoredTrial("k", (), {}, {"stage of": "one"})], 0)
        assert len(store.counts("s")) == 3  # another process, or a run that is resumed
        store.set_stage("s", "two", [StoredTrial("k", (), {}, {"again": True})] * 2, 1)
        assert store.counts("s") == {"one": (1, 1), "two": (2, 2)}


def test_a_take_that_is_made_again_with_other_audio_is_measured_again(tmp_path):
    first, other = (StoredAudio.of(Clip(np.full(10, level), 16_000)) for level in (0.1, 0.2))
    with Store(tmp_path) as store:
        store.add_take("k", {}, first, np.zeros((2, 3), np.int64))
        store.add_values([Values("k", "peak", "peak 1", {}, {"peak": 0.1})])
        store.add_take("k", {}, first, np.ones((2, 3), np.int64))
        assert store._database.execute("SELECT count(*) FROM measurements").fetchone() == (1,)
        store.add_take("k", {}, other, np.ones((2, 3), np.int64))
        assert store._database.execute("SELECT count(*) FROM measurements").fetchone() == (0,)
        assert (store.codes("k") == 1).all()


def test_trials_share_measurements_by_text(tmp_path):
    audio = StoredAudio.of(Clip(np.zeros(10), 16_000))
    with Store(tmp_path) as store:
        store.add_take("k", {}, audio, None)
        store.set_study("s", {"n": 1}, {"g": "1", "h": "1"})
        texts = [{"text": "a", "other_text": "b"}, {"text": "c", "other_text": "d"}]
        store.set_stage(
            "s", "one", [StoredTrial("k", ("g", "h"), t, {"i": i}) for i, t in enumerate(texts)]
        )
        store.add_values(
            [Values("k", "g", "1", {}, {"g": 1}), Values("k", "h", "1", texts[0], {"h": 2})]
        )
        store.add_values([Values("k", "h", "0", texts[1], {"h": 3})])
        assert store.records("s") == [{"i": 0, "stage": "one", "take": "k", "g": 1, "h": 2}]
        assert store.counts("s") == {"one": (1, 2)}
        assert json.loads(json.dumps(store.details("s"))) == {"n": 1}
        with pytest.raises(TonearmError, match="no study 't'; it has s"):
            store.records("t")


@pytest.mark.parametrize(("table", "column"), [("measurements", "record"), ("trials", "facts")])
def test_a_damaged_value_leaves_no_query_open(tmp_path, monkeypatch, table, column):
    faults = []
    monkeypatch.setattr(sys, "unraisablehook", lambda fault: faults.append(str(fault.exc_value)))
    with Store(tmp_path) as store:
        store.set_study("mine", {}, {"peak": "1"})
        trials = []
        for key in ("a", "b"):
            store.add_take(key, {}, StoredAudio.of(Clip(np.zeros(100), 16_000)), None)
            trials.append(StoredTrial(key, ("peak",), {}, {}))
        store.set_stage("mine", "plain", trials)
        store.add_values([Values(key, "peak", "1", {}, {"peak": 1.0}) for key in ("a", "b")])
        store._database.execute(f"UPDATE {table} SET {column} = '{{'")
        with pytest.raises(TonearmError, match="a value is no JSON") as caught:
            store.records("mine")
    del caught
    gc.collect()
    assert faults == []
