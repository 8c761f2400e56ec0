"""Client of a session for MIDI messages: control changes (CC) turn knobs, and MIDI Clock shows a
tempo.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from tonearm.errors import TonearmError
from tonearm.live import Event, Session, StateChanged
from tonearm.live.slider_positions import value_at
from tonearm.midi.clock import TICKS_PER_BEAT, ClockEstimator
from tonearm.midi.mapping import ZERO_CC, MidiMap, slider_position_of
from tonearm.steering.controls import Control
from tonearm.text import first_line

ORIGIN = "midi"
CONTROL_CHANGE = 0xB0
CLOCK, START, STOP = 0xF8, 0xFA, 0xFC
TEMPO_CHANGE = 0.5  # BPM, from which on a tempo is announced


class MidiClient:
    """Receives messages, in the thread of the port.

    Args:
        session: started.
        controls: map of CCs to knobs.
        notify: called with a message for the person who plays, from any thread.
        announces_tempo: whether `notify` receives the host's tempo when it changes.
        clock: seconds.
    """

    def __init__(
        self,
        session: Session,
        controls: MidiMap,
        notify: Callable[[str], None],
        announces_tempo: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._session, self._map, self._notify, self._clock = session, controls, notify, clock
        self._announces_tempo = announces_tempo
        self._estimator, self._ticks = ClockEstimator(), 0
        self._announced: float | None = None
        self._learning: str | None = None
        self._state = session.state
        self._end = session.subscribe(self._receive_event)

    def close(self) -> None:
        """Receive no further events of the session."""
        self._end()

    @property
    def host_tempo(self) -> float | None:
        """BPM of the host; None without MIDI Clock."""
        return self._estimator.bpm(self._clock())

    def learn(self, knob: str) -> None:
        """Map a knob to the next MIDI control that moves."""
        self._learning = knob
        self._notify(f"move a MIDI control for {knob}")

    def receive(self, message: Sequence[int]) -> None:
        """Carry out a message; those of other kinds are ignored."""
        if not message:
            return
        if message[0] == CLOCK:
            self._count_tick()
        elif message[0] in (START, STOP):
            self._estimator.reset()
        elif message[0] & 0xF0 == CONTROL_CHANGE and len(message) == 3:
            try:
                self._change(message[1], message[2])
            except TonearmError as error:
                self._notify(str(error))

    def _change(self, cc: int, value: int) -> None:
        if self._learning is not None and cc == ZERO_CC:
            raise TonearmError(f"CC {cc} sets all knobs to zero; move another control")
        if self._learning is not None:
            knob, self._learning = self._learning, None
            self._map.learn(cc, knob)
            self._notify(f"CC {cc} now turns {knob}")
        if cc == ZERO_CC:
            for name in self._state.playing_desk or self._state.desk:
                self._set(name, 0.0)
            return
        found = self._map.knob(cc, self._state.knobs)
        if found is not None:
            self._set(found, slider_position_of(value))

    def _set(self, name: str, position: float) -> None:
        knob = self._session.manifest.knob(name)
        control = Control(target=knob.target, value=value_at(knob, position))
        self._session.apply(control, ORIGIN).add_done_callback(self._notify_of_error)

    def _notify_of_error(self, answer: "Future[Any]") -> None:
        if (error := answer.exception()) is not None:
            self._notify(first_line(error))

    def _count_tick(self) -> None:
        now = self._clock()
        self._estimator.tick(now)
        self._ticks += 1
        if not self._announces_tempo or self._ticks % TICKS_PER_BEAT:
            return
        tempo = self._estimator.bpm(now)
        if tempo is not None and abs(tempo - (self._announced or 0.0)) >= TEMPO_CHANGE:
            self._announced = tempo
            self._notify(f"the host plays at {tempo:.1f} BPM (MIDI Clock)")

    def _receive_event(self, event: Event) -> None:
        if isinstance(event, StateChanged):
            self._state = event.state
