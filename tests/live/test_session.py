"""Sessions of a tiny model: pacing, controls, loops, forks, and takes that replay bit for bit."""

import io
import json
import threading
import zipfile
from itertools import pairwise

import numpy as np
import pytest

from tests.live.players import TIMEOUT, Player, playing, ready_take, write_take_with_audio
from tonearm.audio import Clip
from tonearm.defaults import LIVE_CHUNK
from tonearm.errors import TonearmError
from tonearm.generation.waiting_changes import MAX_WAITING
from tonearm.live import (
    Applied,
    AudioBlock,
    Notice,
    PromptApplied,
    Session,
    StateChanged,
    command_handler,
    commands,
    playback,
    take_store,
    transport,
)
from tonearm.live import settings as live_settings
from tonearm.live.state import TakeState
from tonearm.replaying import replay
from tonearm.steering import Control, Steer


def do(session: Session, command) -> None:
    session.command(command).result(TIMEOUT)


def state(session: Session):
    return session.snapshot().result(TIMEOUT)


def test_a_play_of_a_client_that_does_not_know_the_performance_joins_it(melody):
    with playing(melody) as (session, _):
        do(session, commands.Play(after=0))
        do(session, commands.Play(after=0))
        assert state(session).performance == 1
        do(session, commands.Play(after=1))
        assert state(session).performance == 2
        do(session, commands.Stop())
        do(session, commands.Play(after=0))  # nothing plays
        assert state(session).performance == 3


def test_both_streams_are_those_of_generate(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        session.apply(Control.physical("brightness", 2.0)).result(TIMEOUT)
        player.until_samples(2 * session.sample_rate)
        do(session, commands.Stop())
        length = ready_take(session).seconds
        plain = melody.generate("a folk tune", seed=5, seconds=length).clip.samples
        heard, steered = player.joined("plain"), player.joined("steered")
        np.testing.assert_allclose(heard, plain[:, : heard.shape[1]], atol=1e-5)
        assert not np.array_equal(steered, heard)


def test_blocks_follow_one_another_without_a_gap(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        blocks = player.of(AudioBlock)
        assert blocks[0].first == 0
        assert all(one.stop == two.first for one, two in pairwise(blocks))


def test_the_session_runs_ahead_by_the_lead_and_rests(melody):
    with playing(melody, lead=0.4) as (session, player):
        player.playing = False
        do(session, commands.Play())
        player.until_samples(round(0.4 * session.sample_rate))
        for _ in range(3):  # each snapshot passes through the session's thread
            state(session)
        emitted = player.of(AudioBlock)[-1].stop
        chunk = round(LIVE_CHUNK * session.sample_rate)
        assert emitted <= 0.4 * session.sample_rate + 2 * chunk
        session.playhead(emitted)
        player.until(lambda one: one.blocks[-1].stop > emitted)


def test_a_play_head_beyond_the_newest_sample_grants_nothing(melody):
    with playing(melody, lead=0.4) as (session, player):
        player.playing = False
        do(session, commands.Play())
        session.playhead(10**9)
        state(session)
        assert session.head <= player.of(AudioBlock)[-1].stop


def test_a_control_is_applied_at_the_sample_of_its_frame_and_reaches_everybody(melody):
    with playing(melody) as (session, player):
        other = Player(session)
        do(session, commands.Play())
        player.until_samples(session.sample_rate // 2)
        applied = session.apply(Control.physical("brightness", 2.0), origin="page").result(TIMEOUT)
        hop = melody.shape.sample_rate // melody.shape.frame_rate
        assert applied.sample == applied.frame * hop
        assert (applied.sequence, applied.value, applied.origin) == (1, 2.0, "page")
        other.until(lambda one: applied in one.events)
        player.until_samples(applied.sample + session.sample_rate)
        steered, plain = player.joined("steered"), player.joined("plain")
        first = int((steered != plain).any(axis=0).argmax())
        reach = 0.2 * session.sample_rate  # the codec spreads a frame over its neighbours
        assert applied.sample - reach <= first


def test_the_last_control_wins(melody):
    with playing(melody) as (session, _):
        do(session, commands.Play())
        for value in (1.0, 3.0, 2.0):
            last = session.apply(Control.physical("brightness", value))
        last.result(TIMEOUT)
        assert state(session).controls["target/brightness"] == 2.0


@pytest.mark.parametrize("is_playing", [False, True])
@pytest.mark.parametrize(
    ("control", "message"),
    [
        (Control.physical("brightness", 40.0), "outside its range"),
        (Control.amount("brightness", 0.5), "is set by target/brightness"),
        (Control.physical("nothing", 1.0), "'nothing'"),
    ],
)
def test_controls_that_are_not_possible_are_refused(melody, is_playing, control, message):
    with playing(melody) as (session, _):
        if is_playing:
            do(session, commands.Play())
        before = state(session).controls
        with pytest.raises(TonearmError, match=message):
            session.apply(control).result(TIMEOUT)
        assert state(session).controls == before


def test_most_controls_during_a_loop_are_answered_before_it_ends(melody):
    """No step is taken meanwhile; a fader that moves all the time leaves its last values."""
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(3 * session.sample_rate)
        do(session, commands.Loop(bars=1))
        answers = [session.apply(Control.physical("brightness", i / 1000)) for i in range(2000)]
        state(session)  # every call was made
        assert sum(not one.done() for one in answers) <= MAX_WAITING
        assert answers[0].result(TIMEOUT).frame is None
        assert not player.of(Applied)  # others would show a value that was replaced
        do(session, commands.Loop(bars=0))
        last = answers[-1].result(TIMEOUT)
        assert last.frame is not None and last.value == 1.999
        assert state(session).controls["target/brightness"] == 1.999


def test_guidance_that_a_performance_started_without_acts_from_a_fork_on(melody):
    with playing(melody) as (session, player):
        session.apply(Control(target="guidance", value=1.0)).result(TIMEOUT)
        do(session, commands.Play())
        player.until_samples(2 * session.sample_rate)
        for value in (2.0, 3.0):
            applied = session.apply(Control(target="guidance", value=value)).result(TIMEOUT)
            assert applied.frame is None
        assert sum("without guidance" in notice.text for notice in player.of(Notice)) == 1
        do(session, commands.Fork())
        assert session._transport.performance.stream.sampling.guidance == 3.0
        applied = session.apply(Control(target="guidance", value=2.5)).result(TIMEOUT)
        assert applied.frame is not None


def test_the_strength_of_an_additional_steer_is_set_before_the_start(melody):
    with playing(melody, desk=()) as (session, _):
        steer = Steer(vector="brightness", operator="slerp", strength=0.5)
        do(session, commands.Research(steers=(steer,)))
        session.apply(Control.strength("brightness", 0.25)).result(TIMEOUT)
        with pytest.raises(TonearmError, match="strength"):
            session.apply(Control.strength("brightness", 7.0)).result(TIMEOUT)
        (held,) = state(session).research
        assert held.strength == 0.25
        do(session, commands.Play())
        with pytest.raises(TonearmError, match="slerp"):
            session.apply(Control.strength("brightness", 7.0)).result(TIMEOUT)
        do(session, commands.Research(steers=(Steer(vector="brightness", strength=0.5),)))
        session.apply(Control.strength("brightness", 0.75)).result(TIMEOUT)
        do(session, commands.Stop())
        do(session, commands.Research(steers=()))
        do(session, commands.Play())
        do(session, commands.Research(steers=(steer,)))
        with pytest.raises(TonearmError, match="'brightness' is not in this performance; fork it"):
            session.apply(Control.strength("brightness", 0.25)).result(TIMEOUT)


def test_a_steer_that_only_the_next_performance_has_is_named(melody):
    """The knob of its vector plays, and is set in another way."""
    with playing(melody) as (session, _):
        do(session, commands.Play())
        do(session, commands.Research(steers=(Steer(vector="brightness", strength=0.5),)))
        with pytest.raises(TonearmError, match="'brightness' is not in this performance; fork it"):
            session.apply(Control.strength("brightness", 0.25)).result(TIMEOUT)
        assert session.apply(Control.physical("brightness", 1.0)).result(TIMEOUT).value == 1.0


def test_to_remove_audio_starts_no_music(melody):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 44_100).astype(np.float32)
    with playing(melody) as (session, _):
        session.use_audio("melody", Clip(noise, 44_100)).result(TIMEOUT)
        session.use_audio("continue_from", None).result(TIMEOUT)  # there is none
        assert state(session).performance == 1
        do(session, commands.Stop())
        assert state(session).has_melody
        session.use_audio("melody", None).result(TIMEOUT)
        after = state(session)
        assert (after.status, after.performance, after.has_melody) == ("stopped", 1, False)


def test_a_control_before_the_start_counts_from_the_first_frame(melody):
    with playing(melody) as (session, player):
        applied = session.apply(Control.physical("brightness", 4.0)).result(TIMEOUT)
        assert applied.frame is None and applied.sample is None
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        assert not np.array_equal(player.joined("steered"), player.joined("plain"))


def test_without_controls_both_streams_are_identical_and_the_state_reports_it(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        same = state(session).identity
        assert same.identical and same.steered == same.plain and same.seconds >= 1
        session.apply(Control.physical("brightness", 4.0)).result(TIMEOUT)
        player.until(lambda _: not session.state.identity.identical)
        other = state(session).identity
        assert other.steered != other.plain and other.differs_at > 0


def test_an_export_replays_bit_for_bit(melody, tmp_path):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate // 2)
        session.apply(Control.physical("brightness", 3.0)).result(TIMEOUT)
        do(session, commands.Record(on=True))
        player.until_samples(session.sample_rate)
        do(session, commands.Record(on=False))
        do(session, commands.Stop())
        take = ready_take(session)
        zipfile.ZipFile(io.BytesIO(session.export(1, "wav"))).extractall(tmp_path)
    assert len(take.recorded) == 1
    names = {path.name for path in tmp_path.iterdir()}
    assert {"steered.wav", "steered.json", "plain.wav", "plain.json", "section-1.wav"} <= names
    for name in ("steered", "plain"):
        assert replay(tmp_path / f"{name}.json", model=melody).identical
    log = json.loads((tmp_path / "performance.json").read_text())
    assert '"name":"record"' in log["log"][0]["text"]


def test_takes_that_do_not_exist_are_refused(melody):
    with playing(melody) as (session, _), pytest.raises(TonearmError, match="no take 7"):
        session.export(7, "wav")


def test_a_locked_seed_stays_and_a_free_one_changes(melody):
    with playing(melody) as (session, _):
        do(session, commands.SetSeed(seed=9, locked=True))
        seeds = []
        for _ in range(2):
            do(session, commands.Play())
            seeds.append(state(session).seed)
        do(session, commands.SetSeed(seed=None, locked=False))
        do(session, commands.Play())
        assert seeds == [9, 9] and state(session).seed != 9


def test_a_lock_without_a_seed_keeps_that_of_the_next_performance(melody):
    with playing(melody, seed=None) as (session, _):
        do(session, commands.SetSeed(seed=None, locked=True))
        do(session, commands.Play())
        first = state(session).seed
        assert state(session).next_seed == first
        do(session, commands.Play())
        assert state(session).seed == first


def test_the_seed_of_the_next_performance_is_apart_from_that_which_plays(melody):
    with playing(melody, seed=5) as (session, _):
        do(session, commands.SetSeed(seed=None, locked=False))
        assert state(session).next_seed is None
        do(session, commands.SetSeed(seed=5))
        do(session, commands.Play())
        do(session, commands.SetSeed(seed=7))
        assert (state(session).seed, state(session).next_seed) == (5, 7)


def test_schedules_of_research_begin_with_the_new_music(melody):
    steer = Steer(
        vector="brightness", operator="add", strength=0.1, schedule={"points": ((0, 0), (4, 1))}
    )
    with playing(melody) as (session, player):
        do(session, commands.Research(steers=(steer,)))
        do(session, commands.Play())
        played = session._transport.performance.stream.steering.steers[-1]
        assert played.schedule.points == ((0, 0), (4, 1))
        player.until_samples(2 * session.sample_rate)
        do(session, commands.Fork())
        performance = session._transport.performance
        prompt = performance.skip / session.sample_rate
        assert prompt >= 1
        forked = performance.stream.steering.steers[-1]
        assert forked.schedule.points == ((prompt, 0), (prompt + 4, 1))


def test_a_new_prompt_acts_at_a_frame_and_the_take_replays(melody, tmp_path):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        do(session, commands.SetPrompt(text="a slow jazz piece"))
        player.until(lambda one: any(isinstance(event, PromptApplied) for event in one.events))
        (applied,) = player.of(PromptApplied)
        hop = melody.shape.sample_rate // melody.shape.frame_rate
        assert (applied.text, applied.sample) == ("a slow jazz piece", applied.frame * hop)
        player.until_samples(applied.sample + session.sample_rate)
        blocks = player.of(AudioBlock)
        assert all(one.stop == two.first for one, two in pairwise(blocks))
        do(session, commands.Stop())
        assert ready_take(session).prompt == "a folk tune"
        assert state(session).prompt == "a slow jazz piece"
        zipfile.ZipFile(io.BytesIO(session.export(1, "wav"))).extractall(tmp_path)
    assert replay(tmp_path / "steered.json", model=melody).identical


@pytest.mark.parametrize("text", [" ", "\0", "\u200b"])
def test_prompts_that_are_not_possible_are_refused(melody, text):
    with playing(melody) as (session, _):
        for is_playing in (False, True):
            if is_playing:
                do(session, commands.Play())
            with pytest.raises(TonearmError):
                do(session, commands.SetPrompt(text=text))
            assert state(session).prompt == "a folk tune"


def test_projections_of_both_streams_are_in_the_state(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        reading = state(session).projections["brightness"]
        assert reading.steered == reading.plain
        session.apply(Control.physical("brightness", 4.0)).result(TIMEOUT)
        player.until_samples(2 * session.sample_rate)
        reading = state(session).projections["brightness"]
        assert reading.steered != reading.plain


def test_a_fork_continues_without_a_gap_and_is_its_own_take(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(2 * session.sample_rate)
        before = player.of(AudioBlock)[-1].stop
        do(session, commands.Fork(seed=1))
        player.until(lambda one: one.blocks[-1].stop > before + session.sample_rate)
        blocks = player.of(AudioBlock)
        assert all(one.stop == two.first for one, two in pairwise(blocks))
        assert {block.run for block in blocks} == {1}
        now = state(session)
        assert (now.performance, now.seed) == (2, 1)
        ready_take(session, 1)


def test_a_fork_begins_where_the_frames_that_it_continues_end(melody, monkeypatch):
    """Loops, whose length is that of bars, leave a part of a frame."""
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(2 * session.sample_rate)
        frame = session.sample_rate // melody.shape.frame_rate
        music = player.joined()[:, : 30 * frame + round(0.4 * frame)]
        monkeypatch.setattr(
            session._transport._playback, "newest_music", lambda seconds: (music, 0)
        )
        do(session, commands.Fork())
        fork = session._transport.performance
        assert fork.stream._decoding.request.prompt_frames == 30
        assert fork.skip == 30 * frame


def test_a_performance_that_starts_while_muted_is_silent(melody):
    with playing(melody) as (session, player):
        session.apply(Control(target="mute", value=1)).result(TIMEOUT)
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        assert state(session).controls["mute"] == 1
        assert not player.joined().any()


def test_a_fork_continues_recording_and_both_takes_hold_their_section(melody, tmp_path):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        do(session, commands.Record(on=True))
        player.until_samples(2 * session.sample_rate)
        do(session, commands.Fork(seed=1))
        assert state(session).recording
        forked_at = state(session).start
        player.until(lambda one: one.blocks[-1].stop > forked_at + session.sample_rate)
        do(session, commands.Record(on=False))
        assert not state(session).recording
        do(session, commands.Stop())
        first, second = ready_take(session, 1), ready_take(session, 2)
        session.write_files(2, "wav", tmp_path)
    ((begun, ended),), ((begun_again, _),) = first.recorded, second.recorded
    assert begun < ended == forked_at / session.sample_rate
    assert begun_again == pytest.approx(min(ended, transport.FORK_PROMPT), abs=0.1)
    assert (tmp_path / "section-1.wav").exists()
    log = json.loads((tmp_path / "performance.json").read_text())["log"]
    assert log[0]["text"] == "the recording continues"


def test_a_fork_that_is_not_possible_leaves_the_section_as_it_is(melody):
    with playing(melody) as (session, player):
        player.playing = False
        do(session, commands.Play())
        do(session, commands.Record(on=True))
        with pytest.raises(TonearmError, match="less than 1 s"):
            do(session, commands.Fork())
        assert state(session).recording


def test_a_fork_needs_a_second_of_music(melody):
    with playing(melody, lead=0.1) as (session, player):
        with pytest.raises(TonearmError, match="nothing plays"):
            do(session, commands.Fork())
        player.playing = False
        do(session, commands.Play())
        with pytest.raises(TonearmError, match="less than 1 s"):
            do(session, commands.Fork())


@pytest.mark.parametrize("command", [commands.SetPrompt(text="dark piano"), commands.Fork()])
def test_the_music_is_further_ahead_before_a_pass_over_known_frames(melody, command):
    """A client that plays nothing more, so that all further music is computed ahead of it."""
    with playing(melody, lead=0.4) as (session, player):
        do(session, commands.Play())
        player.until_samples(2 * session.sample_rate)
        player.playing = False
        do(session, command)
        ahead = command_handler.EXTRA_LEADS[type(command)]
        limit = (0.4 + ahead + 2 * LIVE_CHUNK) * session.sample_rate
        block = player.blocks[-1]
        assert ahead * session.sample_rate < block.stop - session.head <= limit


def test_a_command_is_carried_out_where_the_machine_never_gets_ahead(melody):
    """A client that plays every block at once."""
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        do(session, commands.SetPrompt(text="dark piano"))
        do(session, commands.Fork())
        assert state(session).performance == 2


def test_commands_that_wait_are_carried_out_when_the_music_stops(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        waiting = [
            session.command(commands.SetPrompt(text=text)) for text in ("loud", "dark piano")
        ]
        fork = session.command(commands.Fork())
        do(session, commands.Stop())
        for one in waiting:
            one.result(TIMEOUT)
        assert state(session).prompt == "dark piano"
        assert fork.exception(TIMEOUT) is None or "nothing plays" in str(fork.exception())


def test_a_loop_repeats_the_last_bar_and_the_music_follows_it(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(3 * session.sample_rate)
        do(session, commands.Loop(bars=1))
        length = round(state(session).loop_seconds * session.sample_rate)
        begun = player.of(AudioBlock)[-1].stop
        performance = session._transport.performance.position
        player.until(lambda one: one.blocks[-1].stop > begun + 2 * length)
        assert session._transport.performance.position == performance  # nothing new was decoded
        audio = player.joined()[0]
        fade = round(0.006 * session.sample_rate)
        first = audio[begun + fade : begun + length - fade]
        second = audio[begun + length + fade : begun + 2 * length - fade]
        np.testing.assert_array_equal(first, second)
        do(session, commands.Loop(bars=0))
        player.until(lambda _: session._transport.performance.position > performance)


def test_a_loop_comes_after_a_fork_that_waits(melody):
    """The play head does not move, and the fork waits until enough music is computed."""
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(3 * session.sample_rate)
        player.playing = False
        fork = session.command(commands.Fork(seed=2))
        do(session, commands.Loop(bars=1))
        fork.result(0)  # it was carried out first
        now = state(session)
        assert (now.performance, now.loop_seconds is not None) == (2, True)
        assert any("loop of" in entry.text for entry in session._transport.performance.log)


def test_phrases_repeat_while_the_next_one_is_computed(melody, monkeypatch):
    monkeypatch.setattr(playback, "FIRST_PHRASE", 0.4)
    monkeypatch.setattr(playback, "PHRASE", 0.4)
    with playing(melody, mode="phrase") as (session, player):
        do(session, commands.Play())
        answer = session.apply(Control.physical("brightness", 4.0))
        player.until_samples(2 * session.sample_rate)
        applied = answer.result(TIMEOUT)
        assert 0 <= applied.sample <= player.of(AudioBlock)[-1].stop
        blocks = player.of(AudioBlock)
        assert all(one.stop == two.first for one, two in pairwise(blocks))
        do(session, commands.Stop())
        ready_take(session)


def test_a_fork_and_a_loop_in_phrases_leave_no_gap(melody, monkeypatch):
    monkeypatch.setattr(playback, "FIRST_PHRASE", 1.2)
    monkeypatch.setattr(playback, "PHRASE", 1.2)
    with playing(melody, mode="phrase") as (session, player):
        do(session, commands.Play())
        with pytest.raises(TonearmError, match="wait for more"):
            do(session, commands.Loop(bars=1))
        player.until_samples(session.sample_rate)
        do(session, commands.Fork(seed=2))
        begun = player.of(AudioBlock)[-1].stop
        applied = session.apply(Control.physical("brightness", 4.0)).result(TIMEOUT)
        assert applied.sample >= state(session).start
        player.until(lambda one: one.blocks[-1].stop > begun + 2 * session.sample_rate)
        do(session, commands.Loop(bars=1))
        assert state(session).loop_seconds == pytest.approx(1.2, abs=0.2)
        do(session, commands.Loop(bars=0))
        blocks = player.of(AudioBlock)
        assert all(one.stop == two.first for one, two in pairwise(blocks))
        ready_take(session, 1)


def test_the_mode_follows_the_measured_speed(melody, monkeypatch):
    for speed, mode in ((0.5, "phrase"), (3.0, "live")):
        monkeypatch.setattr(transport, "measure_speed", lambda chunks, speed=speed: speed)
        with playing(melody, mode=None) as (session, _):
            assert (state(session).mode, state(session).speed) == (mode, speed)


def test_a_slow_performance_continues_in_phrases_with_a_notice(melody, monkeypatch):
    monkeypatch.setattr(transport, "measure_speed", lambda chunks: 3.0)
    monkeypatch.setattr(playback, "TOO_SLOW", 1e9)
    with playing(melody, mode=None) as (session, player):
        do(session, commands.Play())
        player.until(lambda one: any(isinstance(event, Notice) for event in one.events))
        (notice,) = player.of(Notice)
        assert "phrases" in notice.text and state(session).mode == "phrase"
        # before the first block of a phrase, of which pages keep more than of live music
        last = player.events.index(notice) - 1
        assert isinstance(player.events[last], StateChanged)
        assert player.events[last].state.mode == "phrase"


@pytest.mark.parametrize("is_fast", [True, False])
def test_a_fast_machine_decides_frames_again_and_the_take_replays(
    melody, monkeypatch, tmp_path, is_fast
):
    monkeypatch.setattr(transport, "measure_speed", lambda chunks: 1.5)
    monkeypatch.setattr(playback, "REWINDING", 0.0 if is_fast else 1e9)
    with playing(melody, mode=None) as (session, player):
        usual = state(session).lookahead
        do(session, commands.Play())
        for count in range(1, 6):
            player.until_samples(count * session.sample_rate // 2)
            session.apply(Control(target="target/brightness", value=count % 3)).result(TIMEOUT)
        delay = melody.shape.delay_frames / melody.shape.frame_rate
        expected = usual - delay if is_fast else usual
        assert state(session).lookahead == pytest.approx(expected)
        do(session, commands.Stop())
        ready_take(session)
        session.write_files(1, "wav", tmp_path)
    for name in ("steered", "plain"):
        sidecar = tmp_path / f"{name}.json"
        again = replay(sidecar, model=melody)
        assert again.identical
        assert bool(again.take.provenance.rewinds) == is_fast


def test_research_steers_come_from_the_library_alone(melody):
    with playing(melody) as (session, _):
        with pytest.raises(TonearmError, match="not in the library"):
            do(session, commands.Research(steers=(Steer(vector="/etc/x.safetensors", strength=1),)))
        do(session, commands.Research(steers=(Steer(vector="brightness", strength=0.2),)))
        do(session, commands.Play())
        *_, last = session._transport.performance.stream.steering.steers
        assert last.strength == 0.2


def test_idle_performances_end(melody, monkeypatch):
    monkeypatch.setattr(transport, "IDLE_SECONDS", 0.2)
    with playing(melody) as (session, player):
        player.playing = False
        do(session, commands.Play())
        player.until(
            lambda one: any(
                "no client" in event.text for event in one.events if isinstance(event, Notice)
            )
        )
        assert state(session).status == "stopped"


def test_a_closed_session_refuses_calls_and_leaves_no_thread(melody):
    before = set(threading.enumerate())
    with playing(melody) as (session, _):
        do(session, commands.Play())
    with pytest.raises(TonearmError, match="has ended"):
        session.apply(Control(target="mute", value=1)).result(TIMEOUT)
    left = [one for one in set(threading.enumerate()) - before if one.name.startswith("tonearm")]
    assert not left


def test_every_control_of_a_performance_is_answered(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate // 2)
        answers = [session.apply(Control.physical("brightness", 0.1 * i)) for i in range(20)]
        do(session, commands.Stop())
        for answer in answers:
            assert isinstance(answer.exception(TIMEOUT) or answer.result(), Applied | TonearmError)


def test_a_performance_that_plays_at_the_end_becomes_a_take(melody, tmp_path):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate // 2)
    assert session.unsaved == (1,)
    path = session.save(1, tmp_path / "takes")
    assert session.unsaved == ()
    zipfile.ZipFile(path).extractall(tmp_path)
    assert replay(tmp_path / "steered.json", model=melody).identical


def test_an_export_makes_a_take_saved_and_a_page_does_not(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate // 2)
        do(session, commands.Stop())
        ready_take(session)
        session.export_page(1)
        assert session.unsaved == (1,)
        session.export(1, "wav")
        assert session.unsaved == ()


def test_a_take_that_is_released_without_an_export_is_named(melody, monkeypatch):
    monkeypatch.setattr(take_store, "MAX_TAKES", 2)
    with playing(melody) as (session, player):
        for number in (1, 2, 3):
            do(session, commands.Play())
            start = state(session).start
            player.until(lambda one, start=start: one.blocks and one.blocks[-1].stop > start + 8000)
            do(session, commands.Stop())
            ready_take(session, number)
            if number == 2:
                session.export(2, "wav")
        assert [take.number for take in state(session).takes] == [1, 3]
        assert not player.of(Notice)  # take 2 was exported
        do(session, commands.Play())
        start = state(session).start
        player.until(lambda one: one.blocks[-1].stop > start + 8000)
        do(session, commands.Stop())
        player.until(lambda one: any(isinstance(event, Notice) for event in one.events))
        assert player.of(Notice)[0].text.startswith("take 1 was discarded before it was exported")


def test_a_take_that_was_released_before_it_was_complete_releases_no_other(monkeypatch):
    monkeypatch.setattr(take_store, "MAX_TAKES", 2)
    takes = take_store.TakeStore()
    waiting = [TakeState(number=number, prompt="folk", seed=1) for number in (1, 2, 3)]
    assert [takes.keep(one) for one in waiting] == [None, None, 1]
    for one in waiting:
        takes.complete(one.model_copy(update={"ready": True}))
    assert [(one.number, one.ready) for one in takes.states] == [(2, True), (3, True)]


def test_a_subscriber_that_fails_is_left_out_and_the_music_continues(melody, caplog):
    with playing(melody) as (session, player):

        def failing(event):
            raise RuntimeError("a client's mistake")

        session.subscribe(failing)
        do(session, commands.Play())
        player.until_samples(session.sample_rate // 2)
        assert state(session).status == "playing"
        assert caplog.text.count("a subscriber failed") == 1


def test_every_call_is_answered_when_the_session_ends(melody, monkeypatch):
    """Calls that wait, and a control that was accepted and does not sound yet."""
    monkeypatch.setattr(playback, "FIRST_PHRASE", 60.0)  # no phrase is ever complete
    with playing(melody, mode="phrase") as (session, _):
        do(session, commands.Play())
        waiting = session.apply(Control.physical("brightness", 4.0))
        state(session)
        closing = threading.Thread(target=session.close)
        closing.start()
        calls = [session.snapshot() for _ in range(1000)]
        closing.join(TIMEOUT)
        calls.append(session.command(commands.Play()))
        assert waiting.result(TIMEOUT).sample is None  # it never sounded
        for call in calls:
            assert call.exception(TIMEOUT) is None or "ended" in str(call.exception())
        assert session._transport.performance is None  # no call of a closed session starts to play


def test_a_session_that_was_never_started_refuses_its_calls_when_it_is_closed(melody):
    session = Session(melody, mode="live")
    answer = session.command(commands.Play())
    session.close()
    with pytest.raises(TonearmError, match="has ended"):
        answer.result(TIMEOUT)


def test_a_free_seed_has_no_number_before_it_is_drawn(melody):
    with playing(melody, seed=None) as (session, _):
        assert state(session).seed is None
        do(session, commands.Play())
        assert state(session).seed >= 0


def test_a_take_keeps_its_audio_prompt_at_the_rate_of_the_model(melody, tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 96_000)).astype(np.float32)
    with playing(melody) as (session, player):
        write_take_with_audio(session, player, "continue_from", Clip(noise, 192_000), tmp_path)
        kept = session._takes.ready(1).steered.inputs["audio_prompt"]
    assert (kept.sample_rate, kept.samples.shape) == (
        session.sample_rate,
        (1, session.sample_rate // 2),
    )
    assert replay(tmp_path / "steered.json", model=melody).identical


def test_a_warning_of_the_library_reaches_the_clients_of_its_session(melody):
    """Another session receives nothing of it."""
    melody.checkpoint.warned.clear()
    with playing(melody) as (session, player), playing(melody) as (_, other):
        do(session, commands.Play())
        do(session, commands.SetPrompt(text="folk with a zither"))
        (warned,) = player.of(Notice)
        assert warned.level == "warning" and "does not know" in warned.text
        assert not other.of(Notice)


def test_a_seed_that_was_chosen_outlives_a_start_that_is_not_possible(melody):
    silence = Clip(np.zeros((1, 16_000), np.float32), 16_000)
    with playing(melody, seed=None) as (session, _):
        do(session, commands.SetSeed(seed=9))
        with pytest.raises(TonearmError, match="silent"):
            session.use_audio("continue_from", silence).result(TIMEOUT)
        do(session, commands.Play())
        assert state(session).seed == 9
        do(session, commands.Play())
        assert state(session).seed != 9


def test_a_seed_that_is_locked_before_the_first_start_is_that_of_all_starts(melody):
    with playing(melody, seed=None) as (session, _):
        do(session, commands.SetSeed(locked=True))
        do(session, commands.Play())
        first = state(session).seed
        do(session, commands.Play())
        assert state(session).seed == first


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda session: session.apply("tempo"), "control 'tempo' is of type str"),
        (lambda session: session.playhead("x"), "sample 'x' is of type str"),
        (lambda session: session.playhead(1.5), "sample 1.5 is of type float"),
        (lambda session: session.use_audio("drums", None), "role 'drums' is unknown"),
        (lambda session: session.use_audio("melody", np.zeros(9)), "is of type ndarray"),
        (lambda session: session.command("play").result(TIMEOUT), "'play' is not a command"),
    ],
)
def test_a_mistake_in_python_is_refused_and_the_session_continues(melody, call, message):
    with playing(melody) as (session, player):
        with pytest.raises(TonearmError, match=message):
            call(session)
        do(session, commands.Play())
        player.until_samples(100)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "fast"}, "mode 'fast' is unknown"),
        ({"lead": float("nan")}, "lead of nan s"),
        ({"lead": 9}, "lead of 9 s"),
        ({"desk": ["brightness", "nothing"]}, "'nothing'"),
    ],
)
def test_settings_that_are_not_possible_are_refused(melody, settings, message):
    with pytest.raises(TonearmError, match=message), playing(melody, **settings):
        pass


def test_a_desk_has_as_many_knobs_as_keys_turn(melody, monkeypatch):
    monkeypatch.setattr(live_settings, "MAX_KNOBS", 0)
    with pytest.raises(TonearmError, match="1 knobs are too many; choose 0"), playing(melody):
        pass
