"""The client on a session of a tiny model: keys, messages, the screen, and takes that are kept."""

import io
import json
import time
from contextlib import contextmanager

import numpy as np
import pytest
from rich.console import Console

from tests.live.players import TIMEOUT, playing, ready_take
from tonearm.errors import TonearmError
from tonearm.live import AudioBlock, Notice, commands
from tonearm.live.performance import Performance
from tonearm.live.transport import Transport
from tonearm.midi.client import CLOCK, MidiClient
from tonearm.midi.mapping import MidiMap
from tonearm.replaying import replay
from tonearm.steering import Control
from tonearm.terminal.client import TerminalClient
from tonearm.terminal.play import save_remaining
from tonearm.terminal.player import Player
from tonearm.terminal.rows import rows_of
from tonearm.terminal.saving import TakeSaver
from tonearm.terminal.screen import ASCII, KEYS, TRACK, UNICODE, WIDTH, screen, track_of

SILENCE = np.zeros((1, 100), np.float32)


class Desk:
    """A client whose player is read in step with its ticks."""

    def __init__(self, session, folder):
        self.session = session
        shape = session.manifest.model
        self.player = Player(shape.sample_rate, shape.channels, session.state.lead)
        self.saver = TakeSaver(session, folder, "wav")
        self.client = TerminalClient(session, self.player, self.saver)

    @property
    def state(self):
        return self.session.snapshot().result(TIMEOUT)

    def press(self, *keys):
        for key in keys:
            self.client.press(key)

    def until(self, condition):
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, "it never came true"
            self.player.read(self.session.sample_rate // 50)
            self.client.tick(0.01, "")
            time.sleep(0.005)

    @property
    def lines(self) -> list[str]:
        console = Console(width=WIDTH, record=True, file=io.StringIO(), markup=False)
        console.print(screen(self.client.view("no sound"), UNICODE))
        return console.export_text().splitlines()

    def says(self, part: str) -> bool:
        return any(part in line for line in self.lines)


@pytest.fixture
def desk(melody, tmp_path):
    with playing(melody) as (session, player):
        player.playing = False  # the client's own player reports the play head
        one = Desk(session, tmp_path / "takes")
        yield one
        one.client.close()
        one.saver.close()


def test_keys_turn_a_knob_coarse_fine_to_its_ends_and_to_exact_zero(desk):
    target = "target/brightness"
    expected = 0.0
    for key, change in [("right", 0.2), (",", -0.04), ("shift-right", 0.04), ("page-down", -2.0)]:
        desk.press(key)
        expected += change
        desk.until(lambda: not desk.client._sent)
        assert desk.state.controls[target] == pytest.approx(expected), key
    for key, value in [("end", 4.0), ("right", 4.0), ("home", -4.0), ("0", 0.0)]:
        desk.press(key)
        desk.until(lambda: not desk.client._sent)
        assert desk.state.controls[target] == value, key


def test_steps_back_to_the_middle_are_exactly_zero(desk):
    desk.press(*[",", *["right"] * 7, *["left"] * 7, "."])
    desk.until(lambda: not desk.client._sent)
    assert desk.state.controls["target/brightness"] == 0.0


def test_settings_have_their_own_steps_and_defaults(desk):
    desk.press("down", "down", "left", ".")
    assert desk.client.rows[desk.client.selected].name == "temperature"
    desk.until(lambda: not desk.client._sent)
    assert desk.state.controls["temperature"] == pytest.approx(0.96)
    desk.press("d")
    desk.until(lambda: not desk.client._sent)
    assert desk.state.controls["temperature"] == desk.client.rows[2].default
    desk.press("tab")
    assert desk.client.selected == 0


def test_z_sets_knobs_to_zero_and_leaves_settings(desk):
    desk.press("end", "2", "right", "z")
    desk.until(lambda: not desk.client._sent)
    controls = desk.state.controls
    assert controls["target/brightness"] == 0.0
    assert controls["guidance"] != desk.client.rows[1].default


def test_a_performance_from_play_to_its_saved_take(desk, melody):
    rate = desk.session.sample_rate
    desk.press(" ")
    desk.until(lambda: desk.player.position > rate // 2)
    desk.press("right", "r")
    desk.until(lambda: desk.client.state.recording and desk.client._latency is not None)
    assert desk.says("s measured") and desk.says("recording")
    desk.press("x")
    desk.until(lambda: desk.client.state.listening == "plain")
    assert desk.says("playing B (plain)")
    desk.press("r", "s")
    desk.until(lambda: not desk.client.state.recording)
    desk.press(" ")
    desk.until(lambda: any(take.ready for take in desk.client.state.takes))
    assert desk.says("takes 1, 1 not saved")
    desk.press("s")
    desk.until(lambda: desk.client._message.startswith("saved "))
    assert desk.says("takes 1, 0 not saved")
    (folder,) = (desk.saver._folder).iterdir()
    assert folder.name == "take-1" and (folder / "section-1.wav").is_file()
    assert replay(folder / "steered.json", model=melody).identical
    assert json.loads((folder / "performance.json").read_text())["number"] == 1
    assert list(desk.saver.save_all()) == [1]  # nothing is saved twice
    assert len(list(desk.saver._folder.iterdir())) == 1


def test_takes_that_were_not_saved_are_saved_at_the_end_beside_earlier_ones(desk, tmp_path):
    (tmp_path / "takes" / "take-1").mkdir(parents=True)
    for number in (1, 2):
        desk.press(" ")
        desk.until(lambda: desk.client.state.status == "playing")
        desk.until(lambda: desk.player.buffered > 0.1)
        desk.press(" ")
        ready_take(desk.session, number)
        desk.until(lambda: desk.client.state.status == "stopped")
    saved = {number: answer.result() for number, answer in desk.saver.save_all().items()}
    assert {number: path.name for number, path in saved.items()} == {1: "take-2", 2: "take-3"}
    assert all((path / "steered.wav").is_file() for path in saved.values())


def test_the_oldest_take_is_saved_before_the_session_releases_it(desk, monkeypatch):
    monkeypatch.setattr("tonearm.terminal.saving.FULL", 1)
    desk.press(" ")
    desk.until(lambda: desk.player.buffered > 0.1)
    desk.press(" ")
    desk.until(lambda: desk.client._message.startswith("saved "))
    assert len(list(desk.saver._folder.iterdir())) == 1


def test_a_prompt_is_written_and_sent_or_left(desk):
    desk.press("p", *["backspace"] * 100, *"slow jaz", "z", "q")
    assert desk.says("prompt  slow jazzq_") and not desk.client.is_over
    desk.press("backspace", "enter")
    desk.until(lambda: desk.client.state.prompt == "slow jazz")
    desk.press("p", "x", "escape")
    assert desk.client._text is None and desk.state.prompt == "slow jazz"
    desk.press("p", *["backspace"] * 10, "enter")
    desk.until(lambda: desk.says("command prompt: text"))


def test_the_second_line_of_a_pasted_prompt_is_no_command(desk):
    desk.press("p")
    desk.client.press_all([*"slow", "enter", *"quiet f "])
    desk.until(lambda: desk.state.prompt.endswith("slow"))
    assert not desk.client.is_over and desk.state.status == "stopped"
    desk.client.press_all(["p", "x", "escape", "f", "q"])  # Alt+F is escape and f
    assert not desk.client.is_over and desk.client._text is None
    desk.client.press_all(["q"])
    assert desk.client.is_over


def test_mistakes_are_shown(desk):
    desk.press("f")
    desk.until(lambda: desk.says("nothing plays, so there is nothing to fork"))
    desk.press("l")
    desk.until(lambda: desk.says("nothing plays, so there is nothing to loop"))
    desk.client.apply(Control.physical("brightness", 99.0))
    desk.until(lambda: desk.says("outside its range"))
    assert desk.client.value(desk.client.rows[0]) == 0.0


def test_loops_are_chosen_one_after_the_other_and_a_fork_continues(desk):
    desk.press(" ")
    desk.until(lambda: desk.player.position > 2.2 * desk.session.sample_rate)
    desk.press("l")
    desk.until(lambda: desk.client.state.loop_seconds)
    desk.press("l", "l", "l")
    desk.until(lambda: desk.client.state.loop_seconds is None)
    desk.press("f")
    desk.until(lambda: desk.client.state.performance == 2)


def test_a_state_from_before_a_key_does_not_choose_the_loop_again(desk):
    desk.press(" ")
    desk.until(lambda: desk.player.position > 2.2 * desk.session.sample_rate)
    before = desk.client.state
    assert before.loop_seconds is None
    desk.press("l")
    desk.client._apply_state(before)
    desk.press("l")
    desk.until(lambda: desk.client.state.loop_bars == 2)


def test_a_key_whose_sample_is_never_played_has_no_latency(desk):
    desk.press(" ")
    desk.until(lambda: desk.player.position > 0)
    desk.press("right")
    desk.until(lambda: desk.client._unplayed)
    desk.press(" ")
    desk.until(lambda: desk.client.state.status == "stopped")
    assert desk.client._unplayed == []


def test_controls_of_others_are_shown(desk):
    desk.session.apply(Control.physical("brightness", 2.5), "osc").result(TIMEOUT)
    desk.until(lambda: desk.says("+2.5 st"))


def test_the_end_of_the_session_or_of_the_output_is_an_error_with_its_reason(desk):
    desk.client.receive(Notice("the session failed (OSError: gone)", "error"))
    desk.session.close()
    with pytest.raises(Exception, match="OSError: gone"):
        desk.client.tick(0.0, "")
    with pytest.raises(Exception, match="the output stopped: unplugged"):
        desk.client.tick(0.0, "unplugged")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_take_of_a_session_that_failed_is_saved(desk, monkeypatch):
    desk.press(" ")
    desk.until(lambda: desk.player.buffered > 0.1)

    def failing(self):
        raise RuntimeError("planted")

    monkeypatch.setattr(Transport, "advance", failing)
    with pytest.raises(TonearmError, match=r"the session failed .*planted"):
        desk.until(lambda: False)
    said = []
    save_remaining(desk.session, desk.saver, said.append)
    (folder,) = desk.saver._folder.iterdir()
    assert (folder / "steered.wav").is_file() and said[-1] == f"take 1: {folder}"


def test_a_take_that_could_not_be_completed_is_named_at_the_end(desk, monkeypatch):
    desk.press(" ")
    desk.until(lambda: desk.player.buffered > 0.1)

    def failing(self):
        time.sleep(0.3)  # after the end of the performance
        raise MemoryError("planted")

    monkeypatch.setattr(Performance, "finish", failing)
    with pytest.raises(TonearmError, match=r"take 1: .*planted"):
        save_remaining(desk.session, desk.saver, [].append)


def test_q_ends_it(desk):
    desk.press("q")
    assert desk.client.is_over


def test_every_line_fits_in_80_columns(desk):
    long = "\x1b[31mvery " * 100
    desk.session.command(commands.SetPrompt(text="x" * 900)).result(TIMEOUT)
    desk.client.receive(Notice(long))
    desk.until(lambda: desk.client.state.prompt == "x" * 900)
    assert all(len(line) <= WIDTH for line in desk.lines)
    assert len(desk.lines) <= 24 and all(len(line) <= WIDTH for line in KEYS)
    assert not any("\x1b" in line for line in desk.lines)


def test_a_track_shows_zero_ticks_and_the_value(desk):
    knob, guidance, _ = rows_of(desk.session.manifest, ["brightness"])
    middle = track_of(knob, 0.0, ASCII)
    assert len(middle) == TRACK and middle[TRACK // 2] == "O"
    assert track_of(knob, 4.0, ASCII)[-1] == "O" and "|" in track_of(knob, 4.0, ASCII)
    assert track_of(knob, 0.0, ASCII).count("'") == 2  # hollow: the planted intervals include 0
    assert track_of(guidance, guidance.ends[0], ASCII)[0] == "O"


def test_a_side_that_failed_has_no_track_and_does_not_move(desk):
    knob = rows_of(desk.session.manifest, ["brightness"])[0]
    failed = knob.knob.negative.model_copy(update={"passes": False, "limit": 0.0, "tick": None})
    one = type(knob)(knob.knob.model_copy(update={"negative": failed}))
    assert one.moved(0.0, -0.05) == 0.0
    assert track_of(one, 0.0, ASCII)[: TRACK // 2].strip() == ""


def test_a_take_that_could_not_be_written_stays_unsaved_and_is_tried_again(desk):
    desk.saver._folder.write_text("a file in the way")
    desk.press(" ")
    desk.until(lambda: desk.player.buffered > 0.1)
    desk.press(" ")
    desk.until(lambda: any(take.ready for take in desk.client.state.takes))
    desk.press("s")
    desk.until(lambda: "cannot write" in desk.client._message)
    assert desk.says("takes 1, 1 not saved")
    desk.saver._folder.unlink()
    assert desk.saver.save_all()[1].result().name == "take-1"


def test_a_take_whose_folder_could_not_be_moved_into_place_stays_unsaved(desk, monkeypatch):
    desk.press(" ")
    desk.until(lambda: desk.player.buffered > 0.1)
    desk.press(" ")
    ready_take(desk.session)

    @contextmanager
    def full(folder, *_):
        folder.mkdir(parents=True)
        yield folder
        raise TonearmError("the disk is full")

    monkeypatch.setattr("tonearm.terminal.saving.atomic_folder", full)
    assert "full" in str(desk.saver.save(1).exception(TIMEOUT))
    assert desk.session.unsaved == (1,) and desk.saver.unsaved == [1]
    monkeypatch.undo()
    assert desk.saver.save(1).result(TIMEOUT).is_dir()
    assert desk.session.unsaved == () and desk.saver.unsaved == []


def test_a_take_that_another_client_exported_is_saved(desk):
    desk.press(" ")
    desk.until(lambda: desk.player.buffered > 0.1)
    desk.press(" ")
    ready_take(desk.session)
    assert desk.saver.unsaved == [1]
    desk.session.export(1, "wav")
    assert desk.saver.unsaved == [] and not desk.saver.save_all()


def test_audio_goes_to_the_player_alone(desk):
    desk.press(" ")
    desk.until(lambda: desk.player.position > 0)
    desk.client.receive(AudioBlock(1, 0, SILENCE, SILENCE))
    assert desk.client._events.empty()


def test_m_learns_a_cc_for_the_selected_knob(desk, tmp_path):
    desk.press("m")
    assert desk.says("start with --midi PORT")
    now = [0.0]
    midi = MidiClient(
        desk.session,
        MidiMap(tmp_path / "midi.json"),
        lambda text: desk.client.receive(Notice(text)),
        clock=lambda: now[0],
    )
    desk.client.midi = midi
    desk.press("2", "m")
    assert desk.says("guidance is not a knob")
    desk.press("1", "m")
    midi.receive([0xB0, 74, 127])
    desk.until(lambda: desk.says("CC 74 now turns brightness") and desk.says("+4.0 st"))
    for _ in range(24):
        now[0] += 60 / (24 * 120)
        midi.receive([CLOCK])
    assert desk.says("host 120.0 BPM")
    midi.close()
