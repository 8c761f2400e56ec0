"""Transport of a session: starts, forks, loops and ends performances, one after the other."""

import time
from collections.abc import Callable
from typing import Literal

from tonearm.audio import Clip
from tonearm.backend import ModelShape
from tonearm.errors import TonearmError
from tonearm.generation.stream import Stream
from tonearm.live.events import Notice, Subscriber
from tonearm.live.output import SessionOutput
from tonearm.live.performance import Performance
from tonearm.live.playback import FORK_EXTRA_LEAD, Playback
from tonearm.live.settings import Settings
from tonearm.live.speed import measure_speed
from tonearm.steering.controls import MUTE, Control

FORK_PROMPT = 4.0  # seconds of the music that a fork continues
BAR_WITHOUT_TEMPO = 2.0  # seconds
BEATS_PER_BAR = 4
MAX_PERFORMANCE_SECONDS = 3600.0  # seconds of a performance, after which a fork continues it
FORK_RETRY_SECONDS = 10.0  # seconds after which a fork that was not possible is tried again
IDLE_SECONDS = 600.0  # seconds without a client's play head, after which a performance ends


class Transport:
    """All calls come from one thread.

    status  of the session
    count   performances so far
    start   position at which the performance began to sound
    loop_bars  of the last loop

    Args:
        shape: of the model.
        settings: that performances start with.
        output: of the session.
        playback: of performances, to the output.
        finish: called with every performance that has ended.
        publish: called with a notice where a performance ends by itself.
    """

    def __init__(
        self,
        shape: ModelShape,
        settings: Settings,
        output: SessionOutput,
        playback: Playback,
        finish: Callable[[Performance], None],
        publish: Subscriber,
    ):
        self.status: Literal["stopped", "starting", "playing", "ended"] = "starting"
        self.count = self.start = self.loop_bars = 0
        self._shape, self._settings, self._output = shape, settings, output
        self._playback, self._finish, self._publish = playback, finish, publish
        self._last_heads: float = time.monotonic()
        self._continue_at = MAX_PERFORMANCE_SECONDS  # seconds of the performance
        # number of the last performance that a fork did not continue
        self._not_continued: int | None = None

    @property
    def performance(self) -> Performance | None:
        """The performance that plays."""
        return self._playback.performance

    def playing(self, what: str) -> Performance:
        """The performance that plays. Raises TonearmError where there is nothing to `what`."""
        if self.performance is None:
            raise TonearmError(f"nothing plays, so there is nothing to {what}; play first")
        return self.performance

    def prepare(self) -> None:
        """Measure the speed with the knobs of the desk, which also prepares everything for play."""
        if self._playback.mode is None:
            stream = self._settings.stream(seed=0)
            self._playback.measured_speed = measure_speed(iter(stream))
            stream.cancel()
            self._playback.choose_mode()
        self.status = "stopped"

    def play(self) -> None:
        """Start a performance in place of the one that plays.

        Deferred actions run first, because they were requested before.

        Raises:
            TonearmError: settings that are not possible; the current performance continues.
        """
        self._playback.run_deferred()
        seed = self._settings.next_seed()
        stream = self._settings.stream(seed)
        self.end()
        self._output.begin_run()
        self._playback.choose_mode()
        self._playback.begin(self._performance_of(stream, seed, skip=0))

    def fork(self, seed: int | None) -> None:
        """Continue the newest music with another performance, without a gap.

        A section that is being recorded ends in this performance, and another one begins in the
        other performance.

        Args:
            seed: of the other performance; default: that of the settings.

        Raises:
            TonearmError: nothing plays, too little has been played, or settings that are not
                possible.
        """
        before, rate = self.playing("fork"), self._rate
        music, end = self._playback.newest_music(FORK_PROMPT)
        part = music.shape[1] % (rate // self._shape.frame_rate)
        music = music[:, part:]  # whole frames, of which takes consist
        if music.shape[1] < rate:
            raise TonearmError(
                "less than 1 s has been played, too little to continue; wait for more"
            )
        seed = self._settings.next_seed() if seed is None else seed
        melody_start = before.melody_start + (end - music.shape[1]) / rate
        stream = self._settings.stream(seed, Clip(music, rate), melody_start)
        performance = self._performance_of(stream, seed, music.shape[1], melody_start)
        if before.recording:
            self._end_section(before, end)
            performance.record(True)
            performance.note("the recording continues")
        try:
            self._playback.continue_with(performance)
        finally:
            self._finish(before)

    def record(self, on: bool) -> None:
        """Begin or end a recorded section at the play head.

        Raises:
            TonearmError: nothing plays.
        """
        performance = self.playing("record")
        if on:
            performance.record(True, self._playback.head_sample)
        else:
            self._end_section(performance, self._playback.head_sample)

    def _end_section(self, performance: Performance, sample: int) -> None:
        if not performance.record(False, sample):
            text = "the recorded section was discarded, because it ended before it began"
            self._publish(Notice(text, "warning"))

    def loop(self, bars: int, tempo: float | None) -> None:
        """Repeat the newest bars; 0 continues the music.

        Args:
            bars: of four beats.
            tempo: in BPM; None where it is not known.

        Raises:
            TonearmError: nothing plays, or too little has been played.
        """
        self.playing("loop")
        if not bars:
            self._playback.end_loop()
            return
        bar = BEATS_PER_BAR * 60 / tempo if tempo else BAR_WITHOUT_TEMPO
        seconds = self._playback.loop(bars, bar)
        self.loop_bars = bars
        # a fork that waited has come first, so that another performance plays
        self.playing("loop").note(f"loop of {seconds:.2f} s")

    def set(
        self,
        control: Control,
        announce: Callable[[int, int], None],
        refuse: Callable[[BaseException], None],
    ) -> None:
        """Change a setting of the performance that plays.

        Args:
            control: of the performance.
            announce: called with the frame and the position at which it takes effect.
            refuse: called with the reason where it does not.

        Raises:
            TonearmError: nothing plays, or a control that is not possible.
        """
        frame = self.playing("set").stream.set(control)
        self._playback.follow(frame, announce, refuse)

    def set_prompt(
        self,
        text: str,
        announce: Callable[[int, int], None],
        refuse: Callable[[BaseException], None],
    ) -> None:
        """Change the prompt of the performance that plays; as `set`."""
        frame = self.playing("set").stream.set_prompt(text)
        self._playback.follow(frame, announce, refuse)

    def run_with_extra_lead(self, extra_lead: float, action: Callable[[], None]) -> None:
        """Call `action` once extra lead has built up; see `Playback.run_with_extra_lead`."""
        self._playback.run_with_extra_lead(extra_lead, action)

    def played(self, sample: int) -> None:
        """Count the position that a client plays."""
        self._output.played(sample)
        self._last_heads = time.monotonic()

    def advance(self) -> bool:
        """Compute or emit the next piece; False where there is nothing to do."""
        performance = self.performance
        if performance is None:
            return False
        if time.monotonic() - self._last_heads > IDLE_SECONDS:
            self.end()
            self._publish(
                Notice(f"stopped: no client has played for {IDLE_SECONDS / 60:g} minutes")
            )
            return True
        if performance.seconds > self._continue_at:
            self._continue_at = performance.seconds + FORK_RETRY_SECONDS
            self.run_with_extra_lead(FORK_EXTRA_LEAD, lambda: self._continue(performance))
        is_busy = self._playback.advance(self._settings.lead)
        if self._playback.is_over:
            self.end()
        return is_busy

    def _continue(self, performance: Performance) -> None:
        """Fork a long performance, unless another one plays now."""
        if performance is not self.performance:
            return
        try:
            self.fork(None)
        except TonearmError as error:
            if performance.number != self._not_continued:  # said once
                text = f"the take is long, and a fork cannot continue it yet: {error}"
                self._publish(Notice(text, "warning"))
            self._not_continued = performance.number
        else:
            self._publish(
                Notice(
                    f"take ended after {MAX_PERFORMANCE_SECONDS / 60:g} minutes; a fork continues it"
                )
            )

    @property
    def run_start(self) -> int:
        """Position at which the music began to sound, forks not counted."""
        return self._output.begun

    def end(self) -> None:
        """End the performance that plays, if any; it becomes a take."""
        performance = self.performance
        if performance is not None:
            self.status = "stopped"
            if performance.recording:
                self._end_section(performance, self._playback.head_sample)
            try:
                self._playback.end()
            finally:
                self._finish(performance)

    def close(self) -> None:
        """End the performance that plays; no other one follows."""
        try:
            self.end()
        finally:
            self.status = "ended"

    @property
    def _rate(self) -> int:
        return self._shape.sample_rate

    def _performance_of(
        self, stream: Stream, seed: int, skip: int, melody_start: float = 0.0
    ) -> Performance:
        """The next performance, which begins at the newest sample."""
        self._settings.use_seed(seed)
        if self._settings.controls[MUTE]:
            stream.set(Control(target=MUTE, value=1.0))
        self.count += 1
        self.start, self.status = self._output.position, "playing"
        self._last_heads, self._continue_at = time.monotonic(), MAX_PERFORMANCE_SECONDS
        return Performance(
            stream,
            number=self.count,
            prompt=self._settings.prompt,
            seed=seed,
            desk=tuple(knob.name for knob in self._settings.desk),
            sample_rate=self._rate,
            frame_rate=self._shape.frame_rate,
            skip=skip,
            melody_start=melody_start,
        )
