"""Session: decodes a performance while it plays, and carries out controls and commands.

One thread owns all state. Other threads put calls into its queue; it answers through futures, and
publishes events to subscribers. It computes as far as `lead` seconds beyond the play head that
clients report, and rests otherwise.

Where the model is slower than real time, the session plays in phrases: the last phrase repeats
while the next one is computed, and controls act in the next one.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

import numpy as np

from tonearm.audio import Clip
from tonearm.defaults import LIVE_LEAD, LIVE_PROMPT
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.generation.stream import Stream
from tonearm.live import commands
from tonearm.live.desk import check_control, check_setting, steering_of
from tonearm.live.events import (
    Applied,
    AudioBlock,
    Event,
    Notice,
    PromptApplied,
    StateChanged,
    Subscriber,
)
from tonearm.live.manifest import Knob, Manifest, first_desk, manifest_of
from tonearm.live.metering import MeterThread, reading_of
from tonearm.live.output import SessionOutput
from tonearm.live.performance import Performance
from tonearm.live.playback import Playback
from tonearm.live.recent import RecentAudio
from tonearm.live.speed import measure_speed
from tonearm.live.state import Identity, Listening, Mode, SessionState, TakeState
from tonearm.live.take_store import TakeStore
from tonearm.live.takes import Format, RecordedTake, archive, page_archive, write_files
from tonearm.model import Model
from tonearm.steering.controls import GUIDANCE, MUTE, TEMPERATURE, Control
from tonearm.steering.spec import Steer
from tonearm.text import check_text, first_line

CHUNK_SECONDS = 0.08
RECENT = 40.0  # seconds that are kept
FORK_PROMPT = 4.0  # seconds of the music that a fork continues
BAR_WITHOUT_TEMPO = 2.0  # seconds
BEATS_PER_BAR = 4
LONGEST = 3600.0  # seconds of a performance, after which a fork continues it
IDLE = 600.0  # seconds without a client's play head, after which a performance ends
STATE_PERIOD = 0.5  # seconds between two snapshots while music plays
REST = 0.5  # longest wait for something to do
MAX_WAITING = 10_000  # controls and commands in the queue
ENDED = "the session has ended; start another one"
Call = Callable[["Future[Any]"], None]
_log = logging.getLogger(__name__)


class Session:
    """Plays a model live.

    All methods may be called from any thread. Use it as a context manager, or call `close`.

    Args:
        model: to play.
        prompt: the music in words.
        seed: of the first performance; default: a random one.
        lead: seconds between the play head and the newest sample.
        mode: "live" or "phrase"; default: by the speed, which is measured first.
        desk: names of the knobs of the first performance; default: the preferred ones.
        chunk_seconds: length of a chunk.

    Raises:
        TonearmError: a knob that the model does not have, or a model that cannot stream.
    """

    def __init__(
        self,
        model: Model,
        *,
        prompt: str = LIVE_PROMPT,
        seed: int | None = None,
        lead: float = LIVE_LEAD,
        mode: Mode | None = None,
        desk: Sequence[str] | None = None,
        chunk_seconds: float = CHUNK_SECONDS,
    ):
        self.id = secrets.token_hex(8)  # by which clients that connect again recognise it
        self.model, self._chunk_seconds = model, chunk_seconds
        shape = model.shape
        self._rate = shape.sample_rate
        trial = model.stream(
            prompt, seconds=None, seed=seed or 0, chunk_seconds=chunk_seconds, twin=True
        )
        lookahead = trial.lookahead
        trial.cancel()
        self.manifest: Manifest = manifest_of(
            shape, model.vectors, lookahead=lookahead, lead=lead, takes_melody=shape.melody_trained
        )
        names = first_desk(self.manifest.knobs) if desk is None else tuple(desk)
        self._desk = self._knobs(names)
        self._prompt, self._lead = prompt, lead
        self._next_seed, self._seed_locked = seed, seed is not None
        self._controls: dict[str, float] = {
            GUIDANCE: shape.guidance,
            TEMPERATURE: shape.temperature,
            MUTE: 0.0,
        }
        self._listening: Listening = "steered"
        self._research: tuple[Steer, ...] = ()
        self._inputs: dict[Literal["continue_from", "melody"], Clip] = {}
        self._status: Literal["stopped", "starting", "playing", "ended"] = "starting"
        self._count = self._sequence = self._start = 0
        self._recent = RecentAudio(round(RECENT * self._rate))
        self._output = SessionOutput(self._rate, self._recent, self._publish)
        self._playback = Playback(
            self._output,
            self._rate,
            round(chunk_seconds * self._rate),
            mode,
            lambda text: self._publish(Notice(text, "warning")),
        )
        self._last_heads: float = time.monotonic()
        self._takes = TakeStore()
        self._subscribers: list[Subscriber] = []
        self._subscribers_lock = threading.Lock()
        self._calls: SimpleQueue[tuple[Call, Future[Any]]] = SimpleQueue()
        self._calls_lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._published = 0.0
        self._finisher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tonearm-takes")
        self._meters = MeterThread(self._recent, self._rate, self._publish)
        self._thread = threading.Thread(target=self._work, name="tonearm-session", daemon=True)

    # Life ---------------------------------------------------------------------------------------

    def start(self) -> "Session":
        """Start the thread, which measures the speed first."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End the performance, which becomes a take, and all threads.

        Takes can be exported afterwards.
        """
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._refuse_calls()
        self._meters.close()
        self._finisher.shutdown(wait=True)

    def __enter__(self) -> "Session":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # What clients call --------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Send all events to a subscriber; the function that is returned ends it."""
        with self._subscribers_lock:
            self._subscribers.append(subscriber)

        return partial(self._unsubscribe, subscriber)

    def _unsubscribe(self, subscriber: Subscriber) -> None:
        with self._subscribers_lock:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

    def apply(self, control: Control, origin: str = "") -> "Future[Applied]":
        """Change a setting at the next frame.

        The last control of a target wins, whoever sent it, and every subscriber receives it.

        Args:
            control: its target is that of a knob of the manifest, or a setting.
            origin: name of the client.

        Returns:
            A future with the frame and the sample of the change; it raises TonearmError where the
            control is not possible.
        """
        return self._ask(partial(self._apply, control, origin))

    def command(self, command: Any, origin: str = "") -> "Future[None]":
        """Carry out a command of `tonearm.live.commands`.

        Returns:
            A future that ends with the command, and raises TonearmError where it is not possible.
        """
        return self._ask(partial(self._carry_out, command, origin))

    def use_audio(
        self, role: Literal["continue_from", "melody"], clip: Clip | None
    ) -> "Future[None]":
        """Start a performance that continues a clip, or follows its melody; None removes it."""
        return self._ask(partial(self._use_audio, role, clip))

    def playhead(self, sample: int) -> None:
        """Report the position that a client plays; the furthest one grants further samples."""
        self._ask(partial(self._set_head, sample))

    def notify(self, text: str) -> None:
        """Send all subscribers a message for the person who plays."""
        self._publish(Notice(text))

    def recent_after(self, sample: int) -> list[AudioBlock]:
        """Blocks that were published already and end after a position, for a new client."""
        return self._recent.after(sample)

    def snapshot(self) -> "Future[SessionState]":
        """The state, as of a moment between two steps."""
        return self._ask(lambda answer: answer.set_result(self.state))

    def export(self, number: int, kind: Format) -> bytes:
        """A ZIP archive of a take; see `tonearm.live.takes.archive`. It can take seconds.

        Raises:
            TonearmError: no such take, or it is not ready.
        """
        content = archive(self._takes.ready(number), self.model.decode, kind)
        self._takes.mark_exported(number)
        return content

    def write_files(self, number: int, kind: Format, folder: Path) -> None:
        """Write the files of a take to an existing folder; see `tonearm.live.takes.write_files`.

        Raises:
            TonearmError: no such take, it is not ready, or a file cannot be written.
        """
        write_files(self._takes.ready(number), self.model.decode, kind, folder)
        self._takes.mark_exported(number)

    def export_page(self, number: int) -> bytes:
        """A ZIP archive with a page that compares both streams of a take. It can take seconds.

        Raises:
            TonearmError: no such take, it is not ready, or it is too long for a page.
        """
        return page_archive(self._takes.ready(number), self.model.decode)

    @property
    def unsaved(self) -> tuple[int, ...]:
        """Numbers of the takes that can be exported and were not exported as files."""
        return self._takes.unsaved

    def save(self, number: int, folder: Path) -> Path:
        """Write the export of a take, with FLAC files, to a folder, which is made where needed.

        Returns:
            The path of the ZIP archive.

        Raises:
            TonearmError: no such take, it is not ready, or the archive cannot be written.
        """
        path = folder / f"take-{number}.zip"
        with atomic_write(path) as temporary:
            temporary.write_bytes(archive(self._takes.ready(number), self.model.decode, "flac"))
        self._takes.mark_exported(number)
        return path

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self._rate

    @property
    def head(self) -> int:
        """The furthest position that a client has reported."""
        return self._output.head

    @property
    def _performance(self) -> Performance | None:
        return self._playback.performance

    @property
    def state(self) -> SessionState:
        """A snapshot; `snapshot` gives one from outside the session's thread."""
        playback, performance = self._playback, self._performance
        return SessionState(
            status=self._status,
            mode=playback.mode,
            speed=playback.speed,
            run=self._output.run,
            performance=self._count,
            start=self._start,
            prompt=self._prompt,
            seed=performance.seed if performance else self._next_seed,
            seed_locked=self._seed_locked,
            controls=dict(self._controls),
            desk=tuple(knob.name for knob in self._desk),
            playing_desk=performance.desk if performance else (),
            has_melody="melody" in self._inputs,
            listening=self._listening,
            loop_seconds=playback.loop_seconds,
            recording=performance is not None and performance.recording,
            lead=self._lead,
            lookahead=self.manifest.lookahead,
            identity=performance.identity.identity if performance else Identity(),
            projections=performance.needles.states if performance else {},
            takes=self._takes.states,
        )

    # The thread ---------------------------------------------------------------------------------

    def _ask(self, call: Call) -> "Future[Any]":
        """Have the session's thread make a call, which answers through the future."""
        answer: Future[Any] = Future()
        with self._calls_lock:
            refusal = self._refusal()
            if refusal is None:
                self._calls.put((call, answer))
        if refusal is not None:
            answer.set_exception(TonearmError(refusal))
        self._wake.set()
        return answer

    def _refusal(self) -> str | None:
        if self._closing:
            return ENDED
        return (
            "too many controls at once; send fewer" if self._calls.qsize() >= MAX_WAITING else None
        )

    def _work(self) -> None:
        try:
            self._prepare()
            while not self._closing:
                self._wake.clear()
                self._make_calls()
                try:
                    is_busy = self._advance()
                except TonearmError as error:
                    self._publish(Notice(str(error), "error"))
                    self._end_performance()
                    continue
                if not is_busy:
                    self._wake.wait(REST)
                self._publish_state_now_and_then()
        except Exception as error:
            self._publish(Notice(f"the session failed ({type(error).__name__}: {error})", "error"))
            raise
        finally:
            self._end_performance()
            self._status = "ended"
            self._publish_state()
            self._refuse_calls()

    def _prepare(self) -> None:
        """Measure the speed with the knobs of the desk, which also prepares everything for play."""
        noise = np.random.default_rng(0).standard_normal((1, 3 * self._rate)).astype(np.float32)
        reading_of(Clip(0.1 * noise, self._rate))  # compiles
        if self._playback.mode is None:
            stream = self._stream(seed=0)
            self._playback.measured_speed = measure_speed(iter(stream))
            stream.cancel()
            self._playback.choose_mode()
        self._status = "stopped"
        self._meters.start()
        self._publish_state()

    def _make_calls(self) -> None:
        for _ in range(self._calls.qsize()):
            _make(*self._calls.get_nowait())

    def _refuse_calls(self) -> None:
        """Refuse the calls that wait, and all later ones."""
        with self._calls_lock:
            self._closing = True
        while True:
            try:
                _, answer = self._calls.get_nowait()
            except Empty:
                return
            if answer.set_running_or_notify_cancel():
                answer.set_exception(TonearmError(ENDED))

    def _advance(self) -> bool:
        """Compute or emit the next piece; False where there is nothing to do."""
        performance = self._performance
        if performance is None:
            return False
        if time.monotonic() - self._last_heads > IDLE:
            self._end_performance()
            self._publish(Notice(f"stopped: no client has played for {IDLE / 60:g} minutes"))
            return True
        if performance.seconds > LONGEST:
            self._fork(None)
            self._publish(Notice(f"{LONGEST / 60:g} minutes are one take; a fork continues it"))
            return True
        is_busy = self._playback.advance(self._lead)
        if self._playback.is_over:
            self._end_performance()
        return is_busy

    # Controls -----------------------------------------------------------------------------------

    def _apply(self, control: Control, origin: str, answer: "Future[Applied]") -> None:
        self._sequence += 1
        sequence, performance = self._sequence, self._performance
        knobs = {knob.name: knob for knob in self.manifest.knobs}
        if performance is None:
            check_control(control, self._desk, self.model.vectors)
            self._controls[control.target] = control.value
            applied = Applied(sequence, control.target, control.value, origin)
            self._publish(applied)
            answer.set_result(applied)
            return
        if control.vector in performance.desk:
            check_setting(control, knobs[control.vector])
        elif control.vector in {knob.name for knob in self._desk}:
            raise TonearmError(
                f"knob {control.vector!r} is not in this performance; fork it, or play again"
            )
        frame = performance.stream.set(control)
        self._controls[control.target] = control.value

        def announce(frame: int, sample: int) -> None:
            applied = Applied(sequence, control.target, control.value, origin, frame, sample)
            self._publish(applied)
            answer.set_result(applied)

        self._playback.follow(frame, announce, answer.set_exception)

    # Commands -----------------------------------------------------------------------------------

    def _carry_out(self, command: Any, origin: str, answer: "Future[None]") -> None:
        match command:
            case commands.Play():
                self._play()
            case commands.Stop():
                self._end_performance()
            case commands.SetPrompt(text=text):
                self._set_prompt(text)
            case commands.SetSeed(seed=seed, locked=locked):
                self._set_seed(seed, locked)
            case commands.Fork(seed=seed):
                self._fork(seed)
            case commands.Loop(bars=bars):
                self._loop(bars)
            case commands.Record(on=on):
                self._playing("record").record(on)
            case commands.Listen(to=to):
                self._listening = to
            case commands.SetLead(seconds=seconds):
                self._lead = seconds
            case commands.SetDesk(knobs=names):
                self._desk = self._knobs(names)
            case commands.Research(steers=steers):
                self._set_research(steers)
            case _:
                raise TonearmError(f"{command!r} is no command; use one of tonearm.live.COMMANDS")
        if self._performance is not None and not isinstance(command, commands.Play):
            self._performance.note(command.model_dump_json())
        self._publish_state()
        answer.set_result(None)

    def _playing(self, what: str) -> Performance:
        if self._performance is None:
            raise TonearmError(f"nothing plays, so there is nothing to {what}; play first")
        return self._performance

    def _knobs(self, names: Sequence[str]) -> tuple[Knob, ...]:
        return tuple(self.manifest.knob(name) for name in dict.fromkeys(names))

    def _set_seed(self, seed: int | None, locked: bool) -> None:
        performance = self._performance
        if seed is None and locked and performance is not None:
            seed = performance.seed
        self._next_seed, self._seed_locked = seed, locked

    def _set_prompt(self, text: str) -> None:
        check_text(text, "prompt")
        if not text.strip():
            raise TonearmError("the prompt is empty; describe the music in a few words")
        if self._performance is None:
            self._prompt = text
            return
        frame = self._performance.stream.set_prompt(text)
        self._prompt = text
        self._playback.follow(
            frame,
            lambda frame, sample: self._publish(PromptApplied(text, frame, sample)),
            lambda error: self._publish(Notice(f"the prompt was not changed: {error}", "error")),
        )

    def _set_research(self, steers: tuple[Steer, ...]) -> None:
        """Check the steers as a stream would; the names are those of the library alone, no paths."""
        known = {vector.name for vector in self.manifest.vectors}
        for steer in steers:
            if steer.vector not in known:
                raise TonearmError(
                    f"vector {steer.vector!r} is not in the library; there are {', '.join(sorted(known))}"
                )
        before, self._research = self._research, steers
        try:
            self._stream(seed=0).cancel()
        except TonearmError:
            self._research = before
            raise

    def _use_audio(
        self, role: Literal["continue_from", "melody"], clip: Clip | None, answer: "Future[None]"
    ) -> None:
        before = dict(self._inputs)
        if clip is None:
            self._inputs.pop(role, None)
        else:
            self._inputs[role] = clip
        try:
            self._play()
        except TonearmError:
            self._inputs = before
            raise
        finally:
            self._inputs.pop("continue_from", None)  # a prompt is continued once
        self._publish_state()
        answer.set_result(None)

    def _stream(self, seed: int, continue_from: Clip | None = None) -> Stream:
        return self.model.stream(
            self._prompt,
            steer=steering_of(self._desk, self._controls, self._research) or None,
            seconds=None,
            seed=seed,
            guidance=self._controls[GUIDANCE],
            temperature=self._controls[TEMPERATURE],
            continue_from=continue_from or self._inputs.get("continue_from"),
            melody=self._inputs.get("melody"),
            chunk_seconds=self._chunk_seconds,
            twin=True,
        )

    def _seed(self) -> int:
        """The seed of the next performance."""
        return secrets.randbelow(2**31) if self._next_seed is None else self._next_seed

    def _play(self) -> None:
        seed = self._seed()
        stream = self._stream(seed)
        self._end_performance()
        self._output.begin_run()
        self._playback.choose_mode()
        self._playback.begin(self._performance_of(stream, seed, skip=0))

    def _performance_of(self, stream: Stream, seed: int, skip: int) -> Performance:
        """The next performance, which begins at the newest sample."""
        if seed == self._next_seed and not self._seed_locked:
            self._next_seed = None  # it is used
        self._count += 1
        self._start, self._status = self._output.position, "playing"
        self._last_heads = time.monotonic()
        return Performance(
            stream,
            number=self._count,
            prompt=self._prompt,
            seed=seed,
            desk=tuple(knob.name for knob in self._desk),
            sample_rate=self._rate,
            frame_rate=self.model.shape.frame_rate,
            skip=skip,
        )

    def _fork(self, seed: int | None) -> None:
        """Continue the newest music with another performance, without a gap."""
        before, rate = self._playing("fork"), self.model.shape.frame_rate
        music = self._playback.newest_music(FORK_PROMPT)
        if music.shape[1] < self._rate:
            raise TonearmError(
                "less than 1 s has been played, too little to continue; wait for more"
            )
        seed = self._seed() if seed is None else seed
        stream = self._stream(seed, Clip(music, self._rate))
        skip = round(music.shape[1] / self._rate * rate) * self._rate // rate
        self._playback.continue_with(self._performance_of(stream, seed, skip))
        self._finish(before)

    def _loop(self, bars: int) -> None:
        performance = self._playing("loop")
        if not bars:
            self._playback.end_loop()
            return
        tempo = self._meters.latest.steered.tempo if self._meters.latest else None
        bar = BEATS_PER_BAR * 60 / tempo if tempo else BAR_WITHOUT_TEMPO
        self._playback.loop(bars * bar, least=bar)
        performance.note(f"loop of {self._playback.loop_seconds:.2f} s")

    def _end_performance(self) -> None:
        performance = self._performance
        if performance is not None:
            self._playback.end()
            self._status = "stopped"
            self._finish(performance)

    def _finish(self, performance: Performance) -> None:
        """Complete the take of a performance in another thread."""
        if performance.position <= performance.skip:
            performance.stream.cancel()
            return
        performance.record(False)
        waiting = TakeState(
            number=performance.number, prompt=performance.prompt, seed=performance.seed
        )
        self._keep(waiting)
        self._finisher.submit(self._complete, performance, waiting)

    def _complete(self, performance: Performance, waiting: TakeState) -> None:
        try:
            steered, plain = performance.finish()
            log, recorded = tuple(performance.log), tuple(performance.recorded)
            take = RecordedTake(performance.number, steered, plain, log, recorded)
            self._keep(take)
        except Exception as error:  # of the model; the session goes on
            reason = str(error) if isinstance(error, TonearmError) else first_line(error)
            self._keep(waiting.model_copy(update={"fault": reason}))
        self._ask(lambda answer: self._publish_state())

    def _keep(self, take: RecordedTake | TakeState) -> None:
        released = self._takes.keep(take)
        if released is not None:
            text = (
                f"take {released} was released without an export; export takes while they are few"
            )
            self._publish(Notice(text, "warning"))

    # Clients ------------------------------------------------------------------------------------

    def _set_head(self, sample: int, answer: "Future[None]") -> None:
        self._output.played(sample)
        self._last_heads = time.monotonic()
        answer.set_result(None)

    def _publish(self, event: Event) -> None:
        with self._subscribers_lock:
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            try:
                subscriber(event)
            except Exception:  # of a client; the music goes on for the others
                _log.exception("a subscriber failed and receives no further events")
                self._unsubscribe(subscriber)

    def _publish_state(self) -> None:
        self._published = time.monotonic()
        self._publish(StateChanged(self.state))

    def _publish_state_now_and_then(self) -> None:
        if self._performance is not None and time.monotonic() - self._published > STATE_PERIOD:
            self._publish_state()


def _make(call: Call, answer: "Future[Any]") -> None:
    """Make a call; its error becomes the answer, and ends the session unless it is a mistake."""
    if not answer.set_running_or_notify_cancel():
        return
    try:
        call(answer)
    except BaseException as error:
        answer.set_exception(error)
        if not isinstance(error, TonearmError):
            raise
