"""Throughput benchmark: conditions, ratios within a repeat, and its section of the page."""

import json

import numpy as np
import pytest
from benchmarks import page, throughput
from benchmarks.throughput import (
    Comparison,
    Condition,
    StageClock,
    comparisons_of,
    measure,
    summary,
    takes_per_hour,
)

import tonearm.studies.measure_groups as measure_groups
from tonearm.musicgen import codec
from tonearm.musicgen.codec import ONE_AT_A_TIME, CodecLimit
from tonearm.studies.measure_groups import Group

BATCHES = CodecLimit(4, 10**12)


@pytest.fixture
def peak(monkeypatch) -> list[int]:
    """A group of one cheap measure in place of the benchmark's; the clips of its calls."""
    calls: list[int] = []

    def peaks(requests):
        calls.append(len(requests))
        return [{"peak": float(np.abs(request.clip.samples).max())} for request in requests]

    monkeypatch.setitem(
        measure_groups.LOADERS, "peak", lambda: Group("peak", "peak 1", False, peaks)
    )
    monkeypatch.setattr(throughput, "GROUPS", ("peak",))
    measure_groups.group.cache_clear()
    yield calls
    measure_groups.group.cache_clear()


@pytest.mark.parametrize("own", [ONE_AT_A_TIME, CodecLimit(32, 10**10)])
def test_each_condition_differs_from_the_base_in_one_setting(own):
    comparisons = comparisons_of([1, 16, 48], own)
    base = Condition(48, 1, own)
    conditions = {each for one in comparisons for each in one.conditions}
    assert base in conditions and len(conditions) == 5
    for condition in conditions - {base}:
        changed = [name for name in vars(base) if vars(base)[name] != vars(condition)[name]]
        assert len(changed) == 1
    together, alone = comparisons[0].conditions
    assert alone.codec == ONE_AT_A_TIME and together.codec.rows == 32


def test_ratios_are_of_two_runs_of_one_repeat():
    compared, baseline = Condition(48, 1, ONE_AT_A_TIME), Condition(1, 1, ONE_AT_A_TIME)
    rates = {compared: [10.0, 40.0, 30.0], baseline: [5.0, 10.0, 30.0]}
    found = summary(Comparison("many", "one", (compared, baseline)), rates)
    assert (found["ratio"], found["lowest"], found["highest"]) == (2.0, 1.0, 4.0)
    assert (found["compared_per_hour"], found["baseline_per_hour"]) == (30, 10)


def test_a_run_makes_and_measures_all_takes_under_its_condition(melody, peak, monkeypatch):
    sizes = []
    real = codec._decode_whole

    def spy(checkpoint, codes):
        sizes.append(len(codes))
        return real(checkpoint, codes)

    monkeypatch.setattr(codec, "_decode_whole", spy)
    assert takes_per_hour(melody, Condition(3, 0, BATCHES), takes=5, seconds=0.4) > 0
    assert sizes == [3, 3, 2, 3, 2] and sum(peak) == sum(sizes)
    assert codec.codec_limit(melody.checkpoint.device) == ONE_AT_A_TIME  # it is put back


def test_every_repeat_runs_every_condition_once_in_turn(monkeypatch):
    runs = []

    def rate(model, condition, takes, seconds):
        runs.append((condition, takes, seconds))
        return float(len(runs))

    monkeypatch.setattr(throughput, "takes_per_hour", rate)
    comparisons = comparisons_of([2, 3], ONE_AT_A_TIME)
    rates = measure(None, comparisons, takes=7, seconds=1.5, repeats=2)
    conditions = list(rates)
    assert runs == [(condition, 7, 1.5) for condition in 2 * conditions]
    assert rates[conditions[0]] == [1.0, 1.0 + len(conditions)]


def test_the_clock_keeps_the_duration_of_the_last_stage(monkeypatch):
    times = iter([10.0, 13.0, 20.0, 21.0, 25.0])
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(times))
    clock = StageClock()
    for done in (0, 8, 0, 3, 5):
        clock(done, 8)
    assert clock.seconds == 5.0


def test_the_page_has_a_section_for_each_device(tmp_path):
    comparison = Comparison("16 rows", "1 row", (Condition(16, 1, BATCHES),) * 2)
    rates = {comparison.conditions[0]: [1234.0]}
    results = {
        "device": "cpu",
        "checkpoint": "pocket",
        "precision": "float32",
        "takes": 96,
        "seconds": 3.0,
        "repeats": 1,
        "groups": ("signal",),
        "rows": 16,
        "comparisons": [summary(comparison, rates)],
    }
    origin = {"machine": "a machine", "pocket": "pocket-8"}
    page.add_results(tmp_path, "throughput", results, origin)
    page.add_results(tmp_path, "throughput_cuda", results | {"device": "cuda"}, origin)
    text = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert "## Throughput of a study on CPU" in text and "## Throughput of a study on CUDA" in text
    assert text.count("| 16 rows | 1,234 | 1 row | 1,234 | **1.0x** | 1.0x to 1.0x |") == 2
    assert set(json.loads((tmp_path / "performance.json").read_text())) > {"throughput"}
