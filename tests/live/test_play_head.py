"""Recorded sections and loops follow the play head, forks the music, and nothing deferred is lost."""

import gc
import weakref
from itertools import pairwise

import numpy as np
import pytest

from tests.live.players import TIMEOUT, playing, ready_take, write_take_with_audio
from tests.live.test_session import do, state
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.live import AudioBlock, Notice, commands, playback, transport
from tonearm.live.clip_positions import ClipPositions
from tonearm.musicgen.melody import CHROMA_RATE
from tonearm.replaying import replay
from tonearm.steering import Control


def test_a_position_is_that_of_its_piece_also_where_music_repeats():
    positions = ClipPositions()
    assert positions.at(7, default=3) == 3
    for position, sample in ((100, 40), (110, 50), (120, 40)):  # the third repeats the first
        positions.add(position, sample, 10, played=0)
    assert [positions.at(at, 0) for at in (90, 100, 115, 120, 129, 130, 200)] == [
        40, 40, 55, 40, 49, 50, 50,
    ]  # fmt: skip
    positions.add(130, 50, 10, played=125)
    assert positions.at(100, 0) == 40  # the first one that is kept
    positions.clear()
    assert positions.at(125, default=9) == 9


def test_a_section_covers_the_played_samples(melody):
    """The music is computed 3 s further ahead."""
    with playing(melody, lead=3.0) as (session, player):
        player.playing = False
        do(session, commands.Play())
        rate = session.sample_rate
        player.until_samples(3 * rate)
        for seconds, command in (
            (0.5, commands.Record(on=True)),
            (1.25, commands.Record(on=False)),
            (1.5, commands.Record(on=True)),
            (2.5, commands.Stop()),
        ):
            session.playhead(round(seconds * rate))
            do(session, command)
        take = ready_take(session)
    assert take.recorded == ((0.5, 1.25), (1.5, 2.5))


def test_a_section_of_a_phrase_is_the_one_that_repeats(melody, monkeypatch):
    monkeypatch.setattr(playback, "FIRST_PHRASE", 0.4)
    monkeypatch.setattr(playback, "PHRASE", 30.0)  # never complete
    with playing(melody, mode="phrase") as (session, player):
        player.playing = False
        do(session, commands.Play())
        player.until(lambda one: one.blocks and one.blocks[-1].stop > session.sample_rate)
        length = session._transport._playback._player.length
        session.playhead(length + 100)  # in the second pass
        do(session, commands.Record(on=True))
        session.playhead(length + 300)
        do(session, commands.Record(on=False))
        do(session, commands.Stop())
        ((begun, ended),) = ready_take(session).recorded
    rate = session.sample_rate
    assert (round(begun * rate), round(ended * rate)) == (100, 300)


def test_a_section_that_ends_before_it_begins_is_left_out_with_a_notice(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(3 * session.sample_rate)
        player.playing = False
        do(session, commands.Record(on=True))
        do(session, commands.Loop(bars=1))
        looped_at = session._transport.performance.position
        session.playhead(10**9)  # to the newest sample
        player.until(lambda one: one.blocks[-1].stop > looped_at)
        session.playhead(10**9)  # which is one of the loop
        do(session, commands.Record(on=False))
        assert not state(session).recording
        assert any("was discarded" in note.text for note in player.of(Notice))
        do(session, commands.Stop())
        assert ready_take(session).recorded == ()


def test_a_loop_has_whole_bars_and_another_length_has_the_music_before_it(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(round(4.5 * session.sample_rate))
        bar = transport.BAR_WITHOUT_TEMPO
        do(session, commands.Loop(bars=8))
        bars = state(session).loop_seconds / bar
        assert bars == round(bars) >= 2
        newest = session._transport.performance.position
        before = player.joined()[:, :newest]
        do(session, commands.Loop(bars=1))
        begun = player.blocks[-1].stop
        length = round(state(session).loop_seconds * session.sample_rate)
        player.until(lambda one: one.blocks[-1].stop > begun + 2 * length)
        do(session, commands.Loop(bars=0))
        performance = session._transport.performance
        player.until(lambda _: performance.position > newest + session.sample_rate)
        do(session, commands.Stop())
        ready_take(session)
        audio = player.joined()
        after = np.concatenate(
            [block.steered for block in player.blocks if block.stop > begun], axis=1
        )
    pieces = {tuple(audio[0, at : at + 50]) for at in range(begun, begun + 2 * length)}
    assert tuple(before[0, newest - 500 : newest - 450]) in pieces  # the last bar before all loops
    # the music follows the end of the bar, as without a loop
    end = before[0, newest - 50 :]
    found = [at for at in range(after.shape[1] - 50) if np.array_equal(after[0, at : at + 50], end)]
    take = session.model.decode(session._takes.ready(1).steered).samples[0]
    last = found[-1] + 50
    follows = after[0, last:]
    count = min(len(follows), len(take) - newest)
    assert count > 100
    np.testing.assert_allclose(follows[:count], take[newest : newest + count], atol=1e-5)


def test_a_fork_and_a_prompt_that_wait_come_before_a_start(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(2 * session.sample_rate)
        player.playing = False  # so that they wait
        fork = session.command(commands.Fork(seed=7))
        prompt = session.command(commands.SetPrompt(text="dark piano"))
        do(session, commands.Play())
        fork.result(0)
        prompt.result(0)
        assert state(session).performance == 3
        player.playing = True
        begun = state(session).start
        player.until(lambda one: one.blocks[-1].stop > begun + 1000)
        do(session, commands.Stop())
        ready_take(session, 3)
        take = session._takes.ready(3).steered
    assert (take.provenance.prompt, take.provenance.sections) == ("dark piano", ())


def test_a_control_before_a_fork_is_answered_without_a_sample(melody, monkeypatch):
    """The fork takes its value; it is no error, though the performance before never takes it."""
    monkeypatch.setattr(playback, "FIRST_PHRASE", 1.2)
    monkeypatch.setattr(playback, "PHRASE", 60.0)
    with playing(melody, mode="phrase") as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        answer = session.apply(Control.physical("brightness", 2.0))
        do(session, commands.Fork(seed=2))
        applied = answer.result(TIMEOUT)
        assert (applied.value, applied.sample) == (2.0, None)
        begun = state(session).start
        player.until(lambda one: one.blocks[-1].stop > begun + 100)
        do(session, commands.Stop())
        ready_take(session, 2)
        (steer,) = session._takes.ready(2).steered.provenance.requested.steers
        assert steer.target == 2.0


def test_a_fork_follows_the_melody_from_where_it_is(melody):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 5 * 44_100)).astype(np.float32)
    with playing(melody, seed=4) as (session, player):
        session.use_audio("melody", Clip(noise, 44_100)).result(TIMEOUT)
        player.until_samples(3 * session.sample_rate)
        do(session, commands.Fork())
        begun = state(session).start
        player.until(lambda one: one.blocks[-1].stop > begun + 100)
        do(session, commands.Stop())
        ready_take(session, 2)
        takes = [session._takes.ready(number).steered for number in (1, 2)]
        first, second = (take.inputs["melody"] for take in takes)
        prompt = takes[1].inputs["audio_prompt"].seconds
    assert first.sample_rate == CHROMA_RATE and first.samples.shape[0] == 1
    expected = first.rolled(begun / session.sample_rate - prompt)
    np.testing.assert_array_equal(second.samples, expected.samples)


def test_a_long_performance_is_continued_as_soon_as_that_is_possible(melody, monkeypatch):
    """A fork of silent music is not possible: the music continues, and the fork is tried again."""
    monkeypatch.setattr(transport, "MAX_PERFORMANCE_SECONDS", 1.5)
    monkeypatch.setattr(transport, "FORK_RETRY_SECONDS", 0.5)
    with playing(melody) as (session, player):
        session.apply(Control(target="mute", value=1)).result(TIMEOUT)
        do(session, commands.Play())
        first = weakref.ref(session._transport.performance)
        player.until(lambda one: any("cannot continue it yet" in n.text for n in one.of(Notice)))
        assert state(session).status == "playing"
        session.apply(Control(target="mute", value=0)).result(TIMEOUT)
        player.until(lambda one: any("a fork continues it" in n.text for n in one.of(Notice)))
        assert state(session).performance == 2
        blocks = player.of(AudioBlock)
        assert all(one.stop == two.first for one, two in pairwise(blocks))
        ready_take(session, 1)
        session.snapshot().result(TIMEOUT)
        gc.collect()
        assert first() is None


def test_the_other_acts_that_wait_are_answered_where_one_fails(melody, monkeypatch):
    monkeypatch.setattr(transport.Transport, "fork", lambda *_: 1 / 0)
    with pytest.MonkeyPatch.context() as quiet, playing(melody) as (session, player):
        quiet.setattr("threading.excepthook", lambda *_: None)
        do(session, commands.Play())
        player.until_samples(2 * session.sample_rate)
        player.playing = False
        fork = session.command(commands.Fork())
        prompt = session.command(commands.SetPrompt(text="dark piano"))
        with pytest.raises(ZeroDivisionError):
            fork.result(TIMEOUT)
        assert prompt.exception(TIMEOUT) is None or isinstance(prompt.exception(), TonearmError)
        player.until(lambda one: any("failed (ZeroDivisionError" in n.text for n in one.of(Notice)))


def test_the_stored_melody_of_a_take_replays(melody, tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 96_000)).astype(np.float32)
    with playing(melody) as (session, player):
        write_take_with_audio(session, player, "melody", Clip(noise, 48_000), tmp_path)
    assert replay(tmp_path / "steered.json", model=melody).identical


def test_many_forks_that_are_deferred_come_one_after_the_other(melody):
    """Far more than Python's limit of nested calls allows."""
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(2 * session.sample_rate)
        playback_ = session._transport._playback
        depths, nested = [], 0

        def act():
            nonlocal nested
            nested += 1
            depths.append(nested)
            playback_.run_deferred()  # as the start of a fork does
            nested -= 1

        done = session._calls.submit(
            lambda answer: (
                [playback_._deferred.add(0.0, 0, act) for _ in range(3000)],
                playback_.run_deferred(),
                answer.set_result(None),
            )
        )
        done.result(TIMEOUT)
        assert depths == [1] * 3000


def test_a_long_audio_prompt_is_played_as_time_passes(melody):
    """It is one piece of the stream; clients get no more of it than the lead allows."""
    rate = melody.shape.sample_rate
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 3 * rate)).astype(np.float32)
    with playing(melody, lead=0.5) as (session, player):
        player.playing = False
        session.use_audio("continue_from", Clip(noise, rate)).result(TIMEOUT)
        player.until_samples(round(0.5 * rate))
        for _ in range(3):
            state(session)
        longest = round(playback.LONGEST_BLOCK * rate)
        assert player.blocks[-1].stop <= 0.5 * rate + longest
        assert all(block.steered.shape[1] <= longest for block in player.blocks)
        do(session, commands.Record(on=True))
        session.playhead(round(0.4 * rate))
        do(session, commands.Record(on=False))
        player.playing = True
        session.playhead(player.blocks[-1].stop)
        player.until_samples(4 * rate)
        do(session, commands.Stop())
        take = ready_take(session)
        whole = melody.decode(session._takes.ready(1).steered).samples
        played = player.joined()
    assert take.recorded == ((0.0, 0.4),)
    count = min(played.shape[1], whole.shape[1])
    np.testing.assert_allclose(played[:, :count], whole[:, :count], atol=1e-5)


def test_a_section_that_ends_at_a_fork_is_no_fault(melody):
    """The play head has not reached the fork when the recording ends."""
    with playing(melody, lead=2.0) as (session, player):
        do(session, commands.Play())
        player.until_samples(2 * session.sample_rate)
        player.playing = False
        do(session, commands.Record(on=True))
        do(session, commands.Fork(seed=3))
        do(session, commands.Record(on=False))
        do(session, commands.Stop())
        first, second = ready_take(session, 1), state(session).takes
    assert len(first.recorded) == 1 and all(not one.recorded for one in second[1:])
    assert not any("was discarded" in note.text for note in player.of(Notice))


def test_a_loop_that_is_not_possible_leaves_the_one_that_plays(melody, monkeypatch):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(round(2.5 * session.sample_rate))
        do(session, commands.Loop(bars=1))
        before = state(session)
        monkeypatch.setattr(transport, "BAR_WITHOUT_TEMPO", 1000.0)
        with pytest.raises(TonearmError, match="less than a bar"):
            do(session, commands.Loop(bars=2))
        after = state(session)
        assert (after.loop_bars, after.loop_seconds) == (before.loop_bars, before.loop_seconds)
