"""Soak of the studio: comparison of takes with what was played, verdicts, and a short run."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.soak import soak
from benchmarks.soak_audio import Place, PlayedAudio, first_difference
from benchmarks.soak_monitor import LeadHistory
from benchmarks.soak_report import Outcome, Sample, memory, no_growth, server_errors, underruns
from benchmarks.soak_tally import Tally
from benchmarks.studio_client import Block

from tests.threads import in_a_thread

RATE = 1000
TAKE = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
WHOLE = Place(begin=0, fade=0, loops=[], rate=RATE)
FORK = Place(begin=1000, fade=5, loops=[], rate=RATE)
LOOP = Place(begin=0, fade=0, loops=[2000], rate=RATE)
REPEATED = np.concatenate([TAKE[:, :2000], *[0.5 * TAKE[:, 1000:2000]] * 3, TAKE[:, 2000:4000]], 1)


# the second loop, which begins 300 samples after the first, contains the music before it
TWICE = np.concatenate([REPEATED[:, :5300], *[TAKE[:, 1300:2300]] * 7, TAKE[:, 2300:4000]], 1)


def changed(samples: np.ndarray, at: int, by: float = 1.0) -> np.ndarray:
    copy = samples.copy()
    copy[:, at] += by
    return copy


@pytest.mark.parametrize(
    ("played", "place"),
    [
        (TAKE[:, :4500], WHOLE),
        (changed(TAKE[:, :3000], 7, 1e-7), WHOLE),
        (changed(TAKE[:, 1000:3000], 3), FORK),  # within the fade
        (REPEATED, LOOP),
        (REPEATED, replace(LOOP, loops=[1999, 1999])),  # seconds of the log are rounded
        (TWICE, replace(LOOP, loops=[2000, 2300])),
        (REPEATED[:, :3300], replace(LOOP, rate=2500)),  # the performance ended within the loop
    ],
)
def test_what_was_played_is_found_in_the_take(played, place):
    assert first_difference(played, TAKE, place, 1e-6) == ""


@pytest.mark.parametrize(
    ("played", "place", "fault"),
    [
        (changed(TAKE[:, :4500], 777), WHOLE, "sample 777 of 4500 is not sample 777"),
        (changed(TAKE[:, :4500], 777, np.nan), WHOLE, "sample 777 of 4500"),
        (changed(TAKE[:, 1000:3000], 9), FORK, "sample 9 of 2000 is not sample 1009"),
        (TAKE[:, 1:3000], WHOLE, "sample 0 of 2999"),
        (REPEATED, WHOLE, "sample 2000 of 7000"),
        (changed(REPEATED, 6000), LOOP, "sample 6000 of 7000 is not sample 3000"),
        (REPEATED[:, :3300], LOOP, "3.0 s after a loop were not played"),
        (np.concatenate([TAKE, TAKE[:, :9]], 1), WHOLE, "sample 5000 of 5009"),
    ],
)
def test_another_sample_is_a_fault(played, place, fault):
    assert fault in first_difference(played, TAKE, place, 1e-6)


def block(run: int, first: int, count: int, value: float) -> Block:
    return Block(run, first, np.full((2, count), value, np.float32))


def state(number: int, run: int, start: int, **fields) -> dict:
    return {
        "status": "playing",
        "performance": number,
        "run": run,
        "start": start,
        "mode": "live",
        "controls": {"mute": 0.0},
        **fields,
    }


def test_the_audio_of_performances_is_kept_by_their_positions(tmp_path):
    audio = PlayedAudio(tmp_path, rows=2)
    audio.note(state(1, run=1, start=100))
    audio.receive(block(1, 100, 50, 1.0))
    audio.receive(block(1, 100, 50, 9.0))  # came again after a reconnection
    audio.note(state(2, run=1, start=150))  # a fork
    audio.receive(block(1, 150, 30, 2.0))
    audio.note(state(3, run=2, start=180, mode="phrase"))
    audio.receive(block(2, 180, 10, 3.0))
    assert [audio.of(number).tolist() for number in (1, 2, 3)] == [
        [[1.0] * 50] * 2,
        [[2.0] * 30] * 2,
        [[3.0] * 10] * 2,
    ]
    assert [audio.follows_another(number) for number in (1, 2, 3)] == [False, True, False]
    audio.note_mute(160)
    assert [audio.performances[number].muted for number in (1, 2)] == [False, True]
    audio.release({3})
    assert audio.of(1) is None and audio.of(3) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["run-2.f32"]


def test_a_gap_is_not_a_number(tmp_path):
    audio = PlayedAudio(tmp_path, rows=2)
    audio.note(state(1, run=1, start=0))
    audio.receive(block(1, 0, 10, 1.0))
    audio.receive(block(1, 15, 10, 1.0))
    assert np.isnan(audio.of(1)).sum() == 10


SAMPLE = Sample(0.0, 900.0, 900.0, 7, 9, 0.0, 0, 0, 0.0, 2.0, "live", 1, 1, 3.0, 5, 0)


def outcome(rss=(), late=(), errors="", code=0) -> Outcome:
    samples = [
        replace(SAMPLE, seconds=60.0 * (number + 1), kept_mib=value)
        for number, value in enumerate(rss)
    ]
    return Outcome(SAMPLE, SAMPLE, samples, late, (), Tally(), errors, code)


def test_memory_that_grows_after_the_warm_up_fails():
    early = [900.0 + 10 * minute for minute in range(60)]
    assert memory(outcome([*early, *[1500.0] * 60])).passes is True
    assert memory(outcome([*early, *[1500.0 + minute for minute in range(60)]])).passes is False
    assert memory(outcome(early[:5])).passes is None


def test_resources_that_are_not_given_back_fail():
    assert no_growth("threads", 7, 7).passes and not no_growth("threads", 7, 8).passes


def test_underruns_count_at_steady_leads_while_the_music_is_live():
    one = {"stalled": False, "lead": 0.5, "mode": "live", "after": "fork"}
    others = [{**one, "stalled": True}, {**one, "lead": 0.1}, {**one, "mode": "phrase"}]
    assert underruns(outcome(late=others), 0, 0.3).passes
    found = underruns(outcome(late=[one, *others]), 0, 0.3)
    assert not found.passes and "after fork 1" in found.text


def test_a_lead_that_was_raised_counts_when_the_buffer_has_followed():
    history = LeadHistory()
    for at, lead in ((0, 1.0), (10, 0.2), (11, 0.2), (20, 0.5), (21, 3.0)):
        history.add(at, lead)
    assert [history.settled(at) for at in (9, 11, 24, 25.5, 26.5)] == [1.0, 0.2, 0.2, 0.5, 3.0]


def test_lines_of_the_server_fail_unless_they_are_expected():
    assert server_errors(outcome(errors="WARNING:  Invalid HTTP request received.\n")).passes
    assert not server_errors(outcome(errors="Traceback (most recent call last):\n")).passes
    assert not server_errors(outcome(code=1)).passes


def test_a_short_soak_leaves_nothing_behind_and_its_takes_replay(folder_of, tmp_path):
    found = in_a_thread(
        soak,
        tmp_path,
        seconds=6.0,
        seed=1,
        model=str(folder_of("melody")),
        every=2.0,
        pace=0.1,
        options=["--prompt", "a folk tune", "--mode", "live"],
    )
    assert found.tally.faults == []
    assert "Traceback" not in found.errors and found.code == 0
    assert found.after.threads <= found.before.threads
    assert found.after.files <= found.before.files
    assert found.checked and all(one.identical for one in found.checked)
    assert [one.fault for one in found.checked if one.fault] == []
    assert (tmp_path / "soak.jsonl").read_text().count("\n") == len(found.samples) > 0
