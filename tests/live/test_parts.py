"""Parts of a session by themselves: loops, recent audio, speed, identity, commands."""

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.stream import Chunk, Projection
from tonearm.live.commands import Loop, command_of
from tonearm.live.events import AudioBlock
from tonearm.live.identity import IdentityMeter
from tonearm.live.looping import LoopPlayer, without_click
from tonearm.live.performance import Performance
from tonearm.live.projection_meter import ProjectionMeter
from tonearm.live.recent import RecentAudio
from tonearm.live.speed import SpeedMeter, measure_speed


def ramp(first: int, count: int) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.float32)[None]


def played(player: LoopPlayer, leaving: bool, count: int) -> np.ndarray:
    """One pass, `count` samples at a time."""
    parts = [player.take(count, leaving)[0]]
    while player.position:
        parts.append(player.take(count, leaving)[0])
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("count", [3, 7, 100])
def test_a_pass_ends_in_the_lead_in_and_the_last_one_as_the_piece(count):
    piece, lead_in = ramp(10, 20), ramp(5, 5)
    player = LoopPlayer((piece, piece), (lead_in, lead_in))
    first = played(player, False, count)
    np.testing.assert_array_equal(first[:, :15], piece[:, :15])
    assert first[0, 15] == pytest.approx(25)  # where the fade begins
    assert first[0, -1] == pytest.approx(9)  # the sample before the piece
    np.testing.assert_array_equal(played(player, True, count), piece)


def test_the_step_between_two_pieces_is_spread():
    joined = without_click(np.ones((1, 8), np.float32), np.array([0.0], np.float32), 4)
    assert joined[0].tolist() == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]


def test_recent_audio_keeps_its_capacity_and_one_run():
    recent = RecentAudio(10)
    for first in range(0, 40, 4):
        recent.append(AudioBlock(1, first, ramp(first, 4), -ramp(first, 4)))
    steered, plain, end = recent.last(7)
    assert end == 40 and steered[0].tolist() == list(range(33, 40))
    np.testing.assert_array_equal(plain, -steered)
    assert [block.first for block in recent.after(34)] == [32, 36]
    assert recent.last(1000)[0].shape[1] <= 14
    recent.append(AudioBlock(2, 100, ramp(0, 4), ramp(0, 4)))
    assert [block.run for block in recent.after(0)] == [2]


def test_pieces_of_the_audio_prompt_are_not_new_music(melody):
    rate = melody.shape.sample_rate
    time = np.arange(rate) / rate
    prompt = Clip(0.3 * np.sin(2 * np.pi * 50 * time).astype(np.float32), rate)
    stream = melody.stream(
        "a folk tune", seconds=2.0, seed=1, continue_from=prompt, chunk_seconds=0.1, twin=True
    )
    performance = Performance(
        stream,
        number=1,
        prompt="",
        seed=1,
        desk=(),
        sample_rate=rate,
        frame_rate=melody.shape.frame_rate,
    )
    found = []
    while performance.next() is not None:
        found.append((performance.position, performance.is_new))
    length = stream.prompt_frames * rate // melody.shape.frame_rate
    assert not found[0][1] and found[-1][1]
    assert all(
        is_new == (before >= length)
        for (before, _), (_, is_new) in zip([(0, False), *found], found, strict=False)
    )


def test_speed_is_measured_after_the_first_chunk():
    times = iter([0.0, 0.5, 1.0, 1.0])
    chunks = [Chunk(np.zeros((1, 100)), 0, 100)] * 3  # of 1 s each
    assert measure_speed(chunks, lambda: next(times)) == pytest.approx(2.0)
    assert measure_speed(chunks[:1], iter([0.0, 1.0]).__next__) == 0


def test_the_speed_of_a_performance_forgets_its_start():
    meter = SpeedMeter()
    assert meter.speed is None
    for _ in range(50):
        meter.add(0.1, 0.2)
    assert meter.speed == pytest.approx(0.5)
    for _ in range(300):
        meter.add(0.1, 0.05)
    assert meter.speed == pytest.approx(2.0, rel=0.05)


def test_identity_names_the_first_sample_that_differs():
    meter = IdentityMeter(10)
    meter.add(ramp(0, 10), ramp(0, 10))
    assert meter.identity.identical and meter.identity.steered == meter.identity.plain
    other = ramp(0, 10)
    other[0, 5] = 9
    meter.add(ramp(0, 10), other)
    assert meter.identity.differs_at == 1.5 and meter.identity.steered != meter.identity.plain


def test_hashes_do_not_depend_on_the_blocks():
    audio = np.random.default_rng(0).standard_normal((2, 12)).astype(np.float32)
    whole, parts = IdentityMeter(10), IdentityMeter(10)
    whole.add(audio, audio)
    for first in range(0, 12, 5):
        parts.add(audio[:, first : first + 5], audio[:, first : first + 5])
    assert whole.identity == parts.identity


def test_projections_are_averages_that_follow():
    meter = ProjectionMeter()
    meter.add({"v": Projection(1.0, 0.0, True)}, 0.1)
    assert meter.states["v"].steered == 1.0
    meter.add({"v": Projection(3.0, 0.0, True)}, 0.5)
    assert meter.states["v"].steered == pytest.approx(3 - 2 / np.e, abs=1e-3)
    for _ in range(20):
        meter.add({"v": Projection(3.0, 2.0, True)}, 0.5)
    assert (meter.states["v"].steered, meter.states["v"].plain) == (3.0, 2.0)


def test_commands_are_validated():
    assert command_of({"name": "loop", "bars": 2}) == Loop(bars=2)
    for content, message in (
        ({"name": "explode"}, "unknown"),
        ([1], "unknown"),
        ({"name": "loop", "bars": 99}, "bars"),
        ({"name": "loop", "bars": 1, "more": 1}, "more"),
        ({"name": "lead", "seconds": float("nan")}, "seconds"),
    ):
        with pytest.raises(TonearmError, match=message):
            command_of(content)
