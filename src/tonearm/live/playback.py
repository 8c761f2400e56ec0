"""Playback of a performance: live, or in phrases where the model is slower than real time.

    live     piece of the stream ─► output, as far as the lead allows
    phrase   piece of the stream ─► next phrase;  the last phrase repeats until the next is complete

A loop holds the stream: nothing new is computed until it ends.

A window begins with a prefill pass over known frames, which takes longer than a chunk lasts. Before
a window, on schedule or for a new prompt, and before a fork, extra lead builds up to cover it.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from tonearm.errors import TonearmError
from tonearm.generation.waiting_changes import TooLate
from tonearm.live.clip_positions import ClipPositions
from tonearm.live.deferred import DeferredActions
from tonearm.live.looping import LoopPlayer, Pair
from tonearm.live.output import SessionOutput
from tonearm.live.performance import Performance
from tonearm.live.speed import LIVE, REWINDING, TOO_SLOW, SpeedMeter
from tonearm.live.state import Mode

PHRASE_LEAD = 3.0  # seconds; covers the computation of some chunks
FIRST_PHRASE, PHRASE = 2.0, 6.0  # seconds
LONGEST_BLOCK = 0.5  # seconds; an audio prompt is one piece of the stream
PROMPT_EXTRA_LEAD = 0.35  # seconds, beyond the lead, before another prompt
FORK_EXTRA_LEAD = 0.7  # before a fork, which opens a stream, too
INITIAL_PREFILL = 0.3  # assumed prefill time of a window in seconds, until one is measured
PREFILL_MARGIN = 1.5  # a prefill that takes this many times the last one leaves half of the lead
BUILD_UP = 0.3  # seconds of music before the end of a window from which extra lead builds up
NO_BAR = "less than a bar ({:.1f} s) has been played; wait for more"
TOO_LATE = "the performance ended before the change took effect"


@dataclass(frozen=True)
class _Change:
    """A change that took effect at a frame.

    frame     of the performance
    announce  called with the frame and the position at which it sounds, once that is known
    refuse    called instead where the performance ends before
    """

    frame: int
    announce: Callable[[int, int], None]
    refuse: Callable[[BaseException], None]


class Playback:
    """Plays one performance after the other; all calls come from one thread.

    Args:
        output: of the session.
        sample_rate: in Hz.
        block: samples of a block of a loop.
        mode: fixed mode; None to choose it by the measured speed.
        warn: called with a message where a performance becomes too slow.
    """

    def __init__(
        self,
        output: SessionOutput,
        sample_rate: int,
        block: int,
        mode: Mode | None,
        warn: Callable[[str], None],
    ):
        self.mode: Mode | None = mode
        self.performance: Performance | None = None
        self.is_over = False  # the performance has no further piece
        self.measured_speed: float | None = None
        self.loop_seconds: float | None = None
        self._output, self._rate, self._block, self._warn = output, sample_rate, block, warn
        self._mode_is_fixed = mode is not None
        self._speed = SpeedMeter()
        self._origin = 0  # position of the first sample of the performance
        self._clip = ClipPositions()
        self._player: LoopPlayer | None = None
        self._player_first: int | None = None  # clip sample of its first; None: of another clip
        self._source: Pair | None = None  # the music before a live loop
        self._source_end = 0  # clip sample after it
        self._rest: Pair | None = None  # of a piece that is longer than a block
        self._phrase_parts: list[Pair] = []
        self._next_phrase: Pair | None = None
        self._phrases = 0
        self._joins_next_phrase = False  # the next phrase does not follow the one that plays
        self._pending: list[_Change] = []
        self._deferred = DeferredActions(sample_rate)
        self._prefill = INITIAL_PREFILL

    @property
    def speed(self) -> float | None:
        """Seconds of music per second of computation; None before it was measured."""
        return self._speed.speed or self.measured_speed

    def choose_mode(self) -> None:
        """Choose the mode of the next performance by the speed, unless it was given."""
        if not self._mode_is_fixed and self.speed is not None:
            self.mode = "live" if self.speed >= LIVE else "phrase"

    def begin(self, performance: Performance) -> None:
        """Play a performance from its start, in the mode that was chosen."""
        self._reset(performance)

    def continue_with(self, performance: Performance) -> None:
        """Play a performance that continues the newest music, without a gap."""
        player, phrases = self._player, self._phrases
        self._reset(performance)
        if self.mode == "phrase":  # the last phrase repeats while the first one is computed
            self._player, self._phrases, self._joins_next_phrase = player, phrases, True
        else:
            self._output.rejoin()

    def end(self) -> None:
        """Play nothing; changes that do not sound yet are refused."""
        self._reset(None)

    def _reset(self, performance: Performance | None) -> None:
        self.performance, self.is_over, self.loop_seconds = performance, False, None
        self._player, self._phrase_parts, self._next_phrase = None, [], None
        self._player_first = self._source = self._rest = None
        self._clip.clear()
        self._phrases, self._joins_next_phrase = 0, False
        pending, self._pending = self._pending, []
        for change in pending:
            change.refuse(TooLate(TOO_LATE))
        self.run_deferred()

    def run_with_extra_lead(self, extra_lead: float, action: Callable[[], None]) -> None:
        """Call `action` once extra lead has built up, so that it causes no underrun; at once if no
        music is computed live.

        Args:
            extra_lead: seconds, beyond the lead.
            action: from the thread of all calls, once.
        """
        self._deferred.add(extra_lead, self._output.position, action)
        if not self._computes_live:
            self.run_deferred()

    def run_deferred(self) -> None:
        """Run all deferred actions; if one fails, the others stay deferred."""
        self._deferred.run()

    @property
    def _computes_live(self) -> bool:
        return self.performance is not None and self.mode == "live" and self._player is None

    def _is_due(self, lead: float) -> bool:
        """Whether the extra lead of the deferred actions has built up, or they cannot wait."""
        return self._deferred.is_overdue(self._output.position) or not self._has_room(lead)

    def _has_room(self, lead: float) -> bool:
        """Whether less music is buffered than the lead, plus extra lead before a prefill."""
        assert self.performance is not None
        until = self.performance.stream.until_window
        ends_soon = until is not None and until < BUILD_UP
        prefill = PREFILL_MARGIN * self._prefill - lead / 2 if ends_soon else 0.0
        further = max(0.0, prefill, self._deferred.extra_lead)
        return self._output.room(lead + further) > 0

    def newest_music(self, seconds: float) -> tuple[np.ndarray, int]:
        """The music that a fork continues: the end of the phrase or of the output.

        Returns:
            Steered samples [C, n], and the clip sample of the performance that follows them.
        """
        assert self.performance is not None
        if self.mode == "phrase" and self._player is not None:
            first, count = self._player_first, round(seconds * self._rate)
            end = self.performance.skip if first is None else first + self._player.length
            return self._player.piece[0][:, -count:], end
        end = self._clip.at(self._output.position, self.performance.skip)
        return self._output.newest(seconds)[0], end

    @property
    def head_sample(self) -> int:
        """The clip sample of the performance at the play head."""
        assert self.performance is not None
        return self._clip.at(self._output.head, self.performance.skip)

    def loop(self, bars: int, bar: float) -> float:
        """Repeat the newest bars, or the last ones before the loop that plays; in phrases, the
        phrase that plays.

        Deferred actions run first, since they were requested earlier.

        Args:
            bars: of the loop, or fewer where fewer have sounded.
            bar: seconds of a bar.

        Returns:
            The seconds that are repeated.

        Raises:
            TonearmError: less than a bar has sounded.
        """
        self.run_deferred()
        if self.mode == "live":
            self._loop_live(bars, bar)
        if self._player is None:
            raise TonearmError(NO_BAR.format(bar))
        self.loop_seconds = self._player.length / self._rate
        return self.loop_seconds

    def _loop_live(self, bars: int, bar: float) -> None:
        assert self.performance is not None
        source = self._source
        if source is None:  # no loop plays
            source = self._output.newest()
            self._source_end = self._clip.at(self._output.position, self.performance.skip)
        whole = min(bars, int(self._output.loopable(source) / bar))
        if not whole:
            raise TonearmError(NO_BAR.format(bar))
        self._source, self._player = source, self._output.loop_of(source, whole * bar)
        self._player_first = self._source_end - self._player.length
        self._output.rejoin()

    def end_loop(self) -> None:
        """Go on with the music after this pass."""
        self.loop_seconds = None

    def follow(
        self,
        frame: "Future[int]",
        announce: Callable[[int, int], None],
        refuse: Callable[[BaseException], None],
    ) -> None:
        """Announce a change of the performance when it is known where its frame sounds.

        Args:
            frame: at which it takes effect.
            announce: called with the frame and its position in the output.
            refuse: called with the reason where it does not take effect.
        """
        performance = self.performance

        def took_effect(frame: "Future[int]") -> None:
            error = frame.exception()
            if error is None and self.performance is not performance:
                error = TooLate(TOO_LATE)
            if error is not None:
                refuse(error)
                return
            change = _Change(frame.result(), announce, refuse)
            if self.mode == "phrase":
                self._pending.append(change)
            else:
                self._announce(change)

        frame.add_done_callback(took_effect)

    def _announce(self, change: _Change) -> None:
        assert self.performance is not None
        change.announce(change.frame, self._origin + self.performance.sample_of(change.frame))

    def advance(self, lead: float) -> bool:
        """Compute or emit the next piece, `lead` seconds ahead of the play head at most.

        Returns:
            False where there is nothing to do.
        """
        performance = self.performance
        if performance is None:
            return False
        if self._computes_live:
            is_busy = self._has_room(lead) and self._advance_live(performance)
            if self._deferred and (self.is_over or self._is_due(lead)):
                self.run_deferred()
                return True
            return is_busy
        was_busy = self.mode == "phrase" and self._advance_phrase(performance)
        is_busy = self._play_loop(lead if self.mode == "live" else max(lead, PHRASE_LEAD))
        return is_busy or was_busy

    def _compute(self, performance: Performance) -> Pair | None:
        before = performance.stream.until_window
        # the speed counts the frames that are decided again, too
        performance.stream.rewinds = self.mode == "live" and (self.speed or 0) >= REWINDING
        piece = performance.next()
        if piece is None:
            self.is_over = True
        else:
            if performance.is_new:  # the audio prompt is known, and takes no decoding
                self._speed.add(piece[0].shape[1] / self._rate, performance.computing)
            after = performance.stream.until_window
            if before is not None and (after is None or after > before):
                self._prefill = performance.computing
        return piece

    def _advance_live(self, performance: Performance) -> bool:
        if self._rest is None:
            self._origin = self._output.position - performance.position
            self._rest = self._compute(performance)
        if self._rest is None:
            return True
        block = round(LONGEST_BLOCK * self._rate)
        steered, plain = self._rest
        first = performance.position - steered.shape[1]
        self._rest = (steered[:, block:], plain[:, block:]) if steered.shape[1] > block else None
        self._emit((steered[:, :block], plain[:, :block]), first)
        speed = self._speed.speed
        if (
            self._rest is None
            and not self._mode_is_fixed
            and speed is not None
            and speed < TOO_SLOW
        ):
            self._switch_to_phrases(performance, speed)
        return True

    def _emit(self, piece: Pair, sample: int | None) -> None:
        if sample is not None:
            output = self._output
            self._clip.add(output.position, sample, piece[0].shape[1], output.head)
        self._output.emit(piece)

    def _switch_to_phrases(self, performance: Performance, speed: float) -> None:
        self.mode, self._phrases = "phrase", 1
        self._player = self._output.loop_of(self._output.newest(), PHRASE)
        self._player_first = performance.position - self._player.length
        self._output.rejoin()
        self.run_deferred()
        self._warn(
            f"decoding runs at {speed:.2f} times real time, so the music continues in phrases: "
            "controls act in the next one"
        )

    def _advance_phrase(self, performance: Performance) -> bool:
        """Compute a piece of the next phrase, unless it is complete or a loop holds the music."""
        is_busy = self._next_phrase is None and self.loop_seconds is None
        if is_busy:
            piece = self._compute(performance)
            if piece is None:
                return True
            self._phrase_parts.append(piece)
            wanted = PHRASE if self._phrases else FIRST_PHRASE
            if sum(one.shape[1] for one, _ in self._phrase_parts) >= wanted * self._rate:
                steered, plain = (
                    np.concatenate(parts, axis=1) for parts in zip(*self._phrase_parts, strict=True)
                )
                self._next_phrase, self._phrase_parts = (steered, plain), []
        if self._player is None and self._next_phrase is not None:
            self._begin_phrase(performance, self._next_phrase)
        return is_busy

    def _begin_phrase(self, performance: Performance, phrase: Pair) -> None:
        grown = sum(one.shape[1] for one, _ in self._phrase_parts)
        first = performance.position - grown - phrase[0].shape[1]  # sample of the clip
        self._origin, self._next_phrase = self._output.position - first, None
        self._player = self._output.loop_after(phrase, has_before=self._phrases > 0)
        self._player_first = first
        self._phrases += 1
        if self._joins_next_phrase:
            self._output.rejoin()
            self._joins_next_phrase = False
        end = first + phrase[0].shape[1]
        pending, self._pending = self._pending, []
        for change in pending:
            if performance.sample_of(change.frame) < end:
                self._announce(change)
            else:
                self._pending.append(change)

    def _play_loop(self, lead: float) -> bool:
        """Emit as much of the loop or phrase as there is room for."""
        is_busy = False
        while self._player is not None and (room := self._output.room(lead)) > 0:
            leaves = self.loop_seconds is None and (
                self.mode == "live" or self._next_phrase is not None
            )
            first, passed = self._player_first, self._player.position
            piece = self._player.take(min(self._block, room), leaves)
            self._emit(piece, None if first is None else first + passed)
            is_busy = True
            if self._player.position == 0 and leaves:
                self._player = self._source = None
        return is_busy
