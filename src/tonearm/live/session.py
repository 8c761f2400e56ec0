"""Session: plays a performance while it is decoded, and carries out controls and commands.

    any thread        Session ─► CallQueue
    session's thread  CallQueue ─► CommandHandler ─► Settings, Transport ─► Playback ─► SessionOutput
    further threads   TakeFinisher, MeterThread
    to clients        Subscribers

One thread owns all settings and the music (SessionThread). Other threads put calls into its queue;
it answers through futures, and publishes events to subscribers. It computes as far as `lead`
seconds beyond the play head that clients report, and rests otherwise.

Where the model is slower than real time, the session plays in phrases: the last phrase repeats
while the next one is computed, and controls act in the next one.
"""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.defaults import LIVE_CHUNK, LIVE_LEAD, LIVE_PROMPT
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.files.free_name import free_name
from tonearm.live.build_manifest import first_desk, manifest_of
from tonearm.live.call_queue import CallQueue
from tonearm.live.command_handler import CommandHandler
from tonearm.live.events import Applied, AudioBlock, Notice, Subscriber
from tonearm.live.export import Format, archive, page_archive, write_files
from tonearm.live.manifest import Manifest
from tonearm.live.metering import MeterThread
from tonearm.live.output import SessionOutput
from tonearm.live.playback import Playback
from tonearm.live.recent import RecentAudio
from tonearm.live.session_thread import SessionThread
from tonearm.live.settings import ROLES, Role, Settings, check_playing
from tonearm.live.state import Mode, SessionState
from tonearm.live.state_publisher import StatePublisher
from tonearm.live.subscribers import Subscribers
from tonearm.live.take_finisher import TakeFinisher
from tonearm.live.take_store import TakeStore
from tonearm.live.transport import Transport
from tonearm.model import Model
from tonearm.steering.controls import Control
from tonearm.text import quoted

RECENT_SECONDS = 40.0  # of audio that are kept


class Session:
    """Plays a model live.

    All methods may be called from any thread. Use it as a context manager, or call `close`.

    Args:
        model: to play.
        prompt: the music in words.
        seed: of all performances, until it is unlocked; default: a random one for each.
        lead: seconds between the play head and the newest sample.
        mode: "live" or "phrase"; default: by the speed, which is measured first.
        desk: names of the knobs of the first performance; default: the preferred ones.
        chunk_seconds: length of a chunk.

    Raises:
        TonearmError: a knob that the model does not have, a prompt, seed, mode or lead that is not
            possible, or a model that cannot stream.
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
        chunk_seconds: float = LIVE_CHUNK,
    ):
        check_playing(mode, lead)
        self.id = secrets.token_hex(8)  # by which clients that connect again recognise it
        self.model, shape = model, model.shape
        self.manifest: Manifest = manifest_of(model, lead=lead, chunk_seconds=chunk_seconds)
        settings = Settings(
            model,
            self.manifest,
            prompt=prompt,
            seed=seed,
            lead=lead,
            desk=first_desk(self.manifest.knobs) if desk is None else desk,
            chunk_seconds=chunk_seconds,
        )
        settings.stream(0 if seed is None else seed).cancel()  # checks prompt, seed and knobs
        self._subscribers, self._calls, self._takes = Subscribers(), CallQueue(), TakeStore()
        publish, rate = self._subscribers.publish, shape.sample_rate
        self._recent = RecentAudio(round(RECENT_SECONDS * rate))
        self._output = SessionOutput(rate, self._recent, publish)
        self._meters = MeterThread(self._recent, rate, publish)
        self._finisher = TakeFinisher(self._takes, publish, self._publish_take)
        playback = Playback(
            self._output,
            rate,
            round(chunk_seconds * rate),
            mode,
            self._publish_mode,
        )
        self._transport = Transport(
            shape, settings, self._output, playback, self._finisher.finish, publish
        )
        self._state = StatePublisher(
            settings,
            self._transport,
            playback,
            self._output,
            self._takes,
            self.manifest.lookahead,
            publish,
        )
        self._handler = CommandHandler(
            self.manifest, settings, self._transport, self._meters, self._state, publish
        )
        self._thread = SessionThread(
            self._calls, self._transport, self._meters, self._state, publish
        )

    def start(self) -> "Session":
        """Start the thread, which measures the speed first."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End the performance, which becomes a take, and all threads.

        Takes can be exported afterwards.
        """
        self._calls.close()
        self._thread.join()
        self._calls.refuse()
        self._meters.close()
        self._finisher.close()

    def __enter__(self) -> "Session":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Send all events to a subscriber; the function that is returned ends it."""
        return self._subscribers.add(subscriber)

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
        boundary.instance(control, "control", Control, "a Control, such as Control.amount(...)")
        return self._calls.submit(partial(self._handler.apply, control, origin))

    def command(self, command: Any) -> "Future[None]":
        """Carry out a command of `tonearm.live.commands`.

        Returns:
            A future that ends with the command, and raises TonearmError where it is not possible.
        """
        return self._calls.submit(partial(self._handler.carry_out, command))

    def use_audio(self, role: Role, clip: Clip | None) -> "Future[None]":
        """Start a performance that continues a clip, or follows its melody; None removes it."""
        if role not in ROLES:
            raise TonearmError(f"role {quoted(role)} is unknown; use one of {', '.join(ROLES)}")
        if clip is not None:
            boundary.instance(clip, "clip", Clip, "a Clip, such as Clip.read(path), or None")
        return self._calls.submit(partial(self._handler.use_audio, role, clip))

    def playhead(self, sample: int) -> None:
        """Report the position that a client plays; the furthest one grants further samples."""
        self._calls.submit(partial(self._handler.set_playhead, boundary.integer(sample, "sample")))

    def notify(self, text: str) -> None:
        """Send all subscribers a message for the person who plays."""
        self._subscribers.publish(Notice(text))

    def recent_after(self, sample: int) -> list[AudioBlock]:
        """Blocks that were published already and end after a position, for a new client."""
        return self._recent.after(sample)

    def snapshot(self) -> "Future[SessionState]":
        """The state, as of a moment between two steps."""
        return self._calls.submit(self._handler.snapshot)

    def export(self, number: int, kind: Format) -> bytes:
        """A ZIP archive of a take, which counts as exported then; see `archive`."""
        content = self.archive(number, kind)
        self._takes.mark_exported(number)
        return content

    def archive(self, number: int, kind: Format) -> bytes:
        """A ZIP archive of a take; see `tonearm.live.export.archive`. It can take seconds.

        The take counts as exported when the caller says so (`mark_exported`), since the archive may
        not reach its receiver.

        Raises:
            TonearmError: no such take, or it is not ready.
        """
        return archive(self._takes.ready(number), self.model.decode, kind)

    def write_files(self, number: int, kind: Format, folder: Path) -> None:
        """Write the files of a take to an existing folder; see `tonearm.live.export.write_files`.

        The take counts as exported when the caller says so (`mark_exported`), since the folder may
        be a temporary one.

        Raises:
            TonearmError: no such take, it is not ready, or a file cannot be written.
        """
        write_files(self._takes.ready(number), self.model.decode, kind, folder)

    def mark_exported(self, number: int) -> None:
        """Count a take as exported, whose archive or files are in their place."""
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

        A file of an earlier session is kept; this one has another name then.

        Returns:
            The path of the ZIP archive.

        Raises:
            TonearmError: no such take, it is not ready, or the archive cannot be written.
        """
        path = folder / f"take-{number}.zip"
        if path.exists():
            path = free_name(folder, path.stem, path.suffix)
        with atomic_write(path) as temporary:
            temporary.write_bytes(self.archive(number, "flac"))
        self._takes.mark_exported(number)
        return path

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self.model.shape.sample_rate

    @property
    def head(self) -> int:
        """The furthest position that a client has reported."""
        return self._output.head

    @property
    def status(self) -> str:
        """Status of the state, from any thread."""
        return self._transport.status

    @property
    def state(self) -> SessionState:
        """A snapshot; `snapshot` gives one from outside the session's thread."""
        return self._state.state

    def _publish_mode(self, text: str) -> None:
        """Publish the mode that was chosen while the music plays, before its first block."""
        self._state.publish()
        self._subscribers.publish(Notice(text, "warning"))

    def _publish_take(self) -> None:
        """Publish the state with a take that is complete, also after the session's thread ended."""

        def answered(answer: "Future[None]") -> None:
            if answer.exception() is not None and self._transport.status == "ended":
                self._state.publish()

        self._calls.submit(self._handler.publish_state).add_done_callback(answered)
