"""Client of a session for a terminal: keys become controls and commands, events become a view."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tonearm.errors import TonearmError
from tonearm.live import (
    Applied,
    AudioBlock,
    Event,
    Meters,
    Notice,
    PromptApplied,
    Session,
    StateChanged,
    commands,
)
from tonearm.live.commands import command_of
from tonearm.live.state import SessionState
from tonearm.midi.client import MidiClient
from tonearm.steering.controls import Control
from tonearm.terminal.player import Player
from tonearm.terminal.rows import COARSE, FINE, PAGE, KnobRow, Row, rows_of
from tonearm.terminal.saving import TakeSaver
from tonearm.terminal.view import View
from tonearm.text import first_line

ORIGIN = "terminal"
PLAY = " "  # key that plays or stops
LOOPS = (1, 2, 4)  # bars, one after the other, and none after the longest
MATCH_LIMIT = 12.0  # dB that the plain stream is changed by, at most
MOVES = {
    "right": COARSE,
    "left": -COARSE,
    "+": COARSE,
    "-": -COARSE,
    "shift-right": FINE,
    "shift-left": -FINE,
    ".": FINE,
    ",": -FINE,
    "page-up": PAGE,
    "page-down": -PAGE,
}


@dataclass(frozen=True)
class _Sent:
    """A control that is not answered: its future, the time of its key, its target and value."""

    answer: "Future[Applied]"
    pressed: float
    target: str
    value: float


class TerminalClient:
    """Shows and controls a session; all methods but `receive` belong to one thread.

    Args:
        session: started.
        player: that receives its audio.
        saver: of its takes.
        clock: seconds.
    """

    def __init__(
        self,
        session: Session,
        player: Player,
        saver: TakeSaver,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.is_over = False
        self.midi: MidiClient | None = None  # set where a port is open
        self.state: SessionState = session.state
        self.rows: tuple[Row, ...] = rows_of(session.manifest, self.state.desk)
        self.selected = 0
        self._session, self._player, self._saver, self._clock = session, player, saver, clock
        self._controls = dict(self.state.controls)
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._sent: list[_Sent] = []
        self._unplayed: list[tuple[float, int]] = []  # keys and the samples of their controls
        self._commands: list[tuple[dict[str, Any], Future[None]]] = []
        self._saving: list[Future[Path]] = []
        self._meters: Meters | None = None
        self._latency: float | None = None
        self._message = ""
        self._text: str | None = None  # a prompt that is being written
        self._loop_bars = 0
        self._failure = ""
        self._end = session.subscribe(self.receive)

    def close(self) -> None:
        """Receive no further events."""
        self._end()

    def receive(self, event: Event) -> None:
        """Take an event of the session; called in its threads."""
        if isinstance(event, AudioBlock):
            self._player.write(event)
        else:
            self._events.put(event)

    # Time ---------------------------------------------------------------------------------------

    def tick(self, latency: float, fault: str) -> None:
        """Report the play head, and take in everything that has come.

        Args:
            latency: of the output, in seconds.
            fault: of the output; empty while it plays.

        Raises:
            TonearmError: the session has ended by itself, or the output has.
        """
        if fault:
            raise TonearmError(f"the output stopped: {fault}")
        self._session.playhead(self._player.position)
        while True:
            try:
                self._handle_event(self._events.get_nowait())
            except Empty:
                break
        self._read_answers(latency)
        for number in self._saver.due(self.state.takes):
            self._saving.append(self._saver.save(number))
        if self.state.status == "ended":
            raise TonearmError(self._failure or "the session has ended")

    def _handle_event(self, event: Event) -> None:
        match event:
            case StateChanged(state=state):
                self._apply_state(state)
            case Applied(target=target, value=value):
                self._controls[target] = value
            case Meters():
                self._meters = event
                steered, plain = event.steered.loudness, event.plain.loudness
                if steered is not None and plain is not None:
                    gain = max(-MATCH_LIMIT, min(MATCH_LIMIT, steered - plain))
                    self._player.match(gain)
            case PromptApplied(text=text):
                self._message = f"prompt: {text}"
            case Notice(text=text, level=level):
                self._message = text if level == "info" else f"{level}: {text}"
                self._failure = text if level == "error" else self._failure

    def _apply_state(self, state: SessionState) -> None:
        if self.state.status == "playing" and state.status != "playing":
            self._player.stop()
        if self.state.run != state.run or state.status != "playing":
            self._unplayed.clear()  # their samples may never be played
        if not any(content["name"] == "loop" for content, _ in self._commands):
            self._loop_bars = state.loop_bars  # else the state may be older than the key
        if state.desk != self.state.desk:
            self.rows = rows_of(self._session.manifest, state.desk)
            self.selected = min(self.selected, len(self.rows) - 1)
        self.state, self._controls = state, dict(state.controls)
        self._player.set_lead(state.lead)
        self._player.listen(state.listening == "plain")

    def _read_answers(self, latency: float) -> None:
        for sent in [one for one in self._sent if one.answer.done()]:
            self._sent.remove(sent)
            error = sent.answer.exception()
            if error is not None:
                self._message = first_line(error)
            elif (sample := sent.answer.result().sample) is not None:
                self._unplayed.append((sent.pressed, sample))
        for one in [one for one in self._unplayed if self._player.position >= one[1]]:
            self._unplayed.remove(one)
            self._latency = self._clock() - one[0] + latency
        for content, answer in [one for one in self._commands if one[1].done()]:
            self._commands.remove((content, answer))
            if (error := answer.exception()) is not None:
                self._message = first_line(error)
                if content["name"] == "loop":
                    self._loop_bars = self.state.loop_bars
        for saved in [one for one in self._saving if one.done()]:
            self._saving.remove(saved)
            error = saved.exception()
            self._message = first_line(error) if error else f"saved {saved.result()}"

    # Keys ---------------------------------------------------------------------------------------

    def press_all(self, keys: Sequence[str]) -> None:
        """Carry out the keys that were read at once.

        Keys after the end of a prompt are left out: they are the next line of a pasted text.
        """
        for key in keys:
            writes = self._text is not None
            self.press(key)
            if writes and self._text is None:
                return

    def press(self, key: str) -> None:
        """Carry out a key."""
        if self._text is not None:
            self._write(key)
        elif key in MOVES:
            row = self.rows[self.selected]
            self._set(row, row.moved(self.value(row), MOVES[key]))
        elif key in ("up", "down", "tab"):
            self.selected = (self.selected + (-1 if key == "up" else 1)) % len(self.rows)
        elif key.isdecimal() and key != "0":
            self.selected = min(int(key), len(self.rows)) - 1
        elif (action := self._actions.get(key)) is not None:
            action()

    @property
    def _actions(self) -> dict[str, Callable[[], None]]:
        return {
            "home": lambda: self._set_position(-1),
            "end": lambda: self._set_position(1),
            "0": lambda: self._set(self.rows[self.selected], 0.0),
            "d": lambda: self._set(self.rows[self.selected], self.rows[self.selected].default),
            "z": self.zero,
            PLAY: self._play_or_stop,
            "x": self._switch,
            "p": self._begin_prompt,
            "r": lambda: self._command({"name": "record", "on": not self.state.recording}),
            "l": self._loop,
            "f": lambda: self._command({"name": "fork"}),
            "s": self._save,
            "m": self._learn,
            "q": self._quit,
        }

    def value(self, row: Row) -> float:
        """Value of a row, as it was set last, whether that has taken effect or not."""
        waiting = [one.value for one in self._sent if one.target == row.target]
        return waiting[-1] if waiting else self._controls.get(row.target, row.default)

    def zero(self) -> None:
        """Set all knobs to exactly zero."""
        for row in self.rows:
            if isinstance(row, KnobRow):
                self._set(row, 0.0)

    def _set_position(self, position: float) -> None:
        row = self.rows[self.selected]
        self._set(row, row.value_at(position))

    def _set(self, row: Row, value: float) -> None:
        self.apply(Control(target=row.target, value=value))

    def apply(self, control: Control) -> None:
        """Send a control to the session."""
        answer = self._session.apply(control, ORIGIN)
        self._sent.append(_Sent(answer, self._clock(), control.target, control.value))

    def _command(self, content: dict[str, Any]) -> None:
        try:
            self._commands.append((content, self._session.command(command_of(content))))
        except TonearmError as error:
            self._message = str(error)

    def _play_or_stop(self) -> None:
        self._command({"name": "stop" if self.state.status == "playing" else "play"})

    def _switch(self) -> None:
        to = "steered" if self.state.listening == "plain" else "plain"
        self._command({"name": "ab", "to": to})

    def _loop(self) -> None:
        longer = (bars for bars in LOOPS if bars > self._loop_bars)  # another client chose any
        self._loop_bars = next(longer, 0)
        self._command({"name": "loop", "bars": self._loop_bars})

    def _save(self) -> None:
        """Save all takes that were not saved."""
        numbers = self._saver.unsaved
        if not numbers:
            self._message = "there is nothing to save; stop first, so that the music becomes a take"
        self._saving += [self._saver.save(number) for number in numbers]

    def _learn(self) -> None:
        """Map the selected knob to the next MIDI control that moves."""
        row = self.rows[self.selected]
        if self.midi is None:
            self._message = "no MIDI port is open; start with --midi PORT"
        elif isinstance(row, KnobRow):
            self.midi.learn(row.name)
        else:
            self._message = f"{row.name} is not a knob; select a knob first"

    def _quit(self) -> None:
        self.is_over = True

    # The prompt ---------------------------------------------------------------------------------

    def _begin_prompt(self) -> None:
        self._text = self.state.prompt

    def _write(self, key: str) -> None:
        assert self._text is not None
        if key == "escape":
            self._text = None
        elif key == "enter":
            text, self._text = self._text, None
            self._command({"name": "prompt", "text": text})
        elif key == "backspace":
            self._text = self._text[:-1]
        elif len(key) == 1 and len(self._text) < commands.MAX_PROMPT:
            self._text += key

    # The screen ---------------------------------------------------------------------------------

    def view(self, output: str) -> View:
        """Everything that the screen shows; `output` is the name of the output."""
        played = max(0, self._player.position - self.state.start) / self._session.sample_rate
        return View(
            model=self._session.manifest.model.name,
            state=self.state,
            rows=tuple((row, self.value(row)) for row in self.rows),
            selected=self.selected,
            meters=self._meters,
            seconds=played if self.state.status == "playing" else 0.0,
            buffered=self._player.buffered,
            underruns=self._player.underruns,
            latency=self._latency,
            output=output,
            unsaved=len(self._saver.unsaved),
            text=self._text,
            message=self._message,
            host_tempo=self.midi.host_tempo if self.midi else None,
        )
