"""Saving of takes as folders in a background thread, without interrupting the music."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tonearm.files.atomic_folder import atomic_folder
from tonearm.files.free_name import free_name
from tonearm.live import Session
from tonearm.live.export import Format
from tonearm.live.state import TakeState
from tonearm.live.take_store import MAX_TAKES

FULL = MAX_TAKES - 2  # from this number of takes on, the oldest one is saved automatically
POLL = 0.05  # seconds


class TakeSaver:
    """Saves takes of a session, each one once; the session knows which ones are not saved.

    Args:
        session: of the takes.
        folder: that receives a folder per take.
        kind: of the audio files.
    """

    def __init__(self, session: Session, folder: Path, kind: Format):
        self._session, self._folder, self._kind = session, folder, kind
        self._answers: dict[int, Future[Path]] = {}  # by the number of the take
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tonearm-saving")

    def save(self, number: int) -> "Future[Path]":
        """Save a take, unless it was saved or is being saved; the future has its folder.

        The future raises TonearmError where the take cannot be exported or written.
        """
        if number not in self._answers or number in self.unsaved:
            self._answers[number] = self._worker.submit(self._write, number)
        return self._answers[number]

    @property
    def unsaved(self) -> list[int]:
        """Numbers of the takes that are ready, and neither saved nor being saved."""
        being_saved = {number for number, one in self._answers.items() if not one.done()}
        return [number for number in self._session.unsaved if number not in being_saved]

    def due(self, takes: tuple[TakeState, ...]) -> list[int]:
        """The take, if any, that has to be saved before the session releases it; named once."""
        if len(takes) < FULL:
            return []
        return [number for number in self.unsaved if number not in self._answers][:1]

    def save_all(self) -> "dict[int, Future[Path]]":
        """End the performance, complete all takes, and save those that were not saved.

        Returns:
            Futures of all takes that were saved, done, by the number of the take.
        """
        while any(not (one.ready or one.fault) for one in self._session.state.takes):
            time.sleep(POLL)
        for number in self.unsaved:
            self.save(number)
        for answer in self._answers.values():
            answer.exception()  # waits
        return dict(self._answers)

    def close(self) -> None:
        """End the thread, after the take that is being saved."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _write(self, number: int) -> Path:
        folder = free_name(self._folder, "take", "")
        with atomic_folder(folder, f"steered.{self._kind}", lambda path: False) as temporary:
            self._session.write_files(number, self._kind, temporary)
        self._session.mark_exported(number)
        return folder
