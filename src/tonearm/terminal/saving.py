"""Saving of takes as folders, in a thread, so that the music goes on meanwhile."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tonearm.files.atomic_folder import atomic_folder
from tonearm.live import Session
from tonearm.live.state import TakeState
from tonearm.live.take_store import MAX_TAKES
from tonearm.live.takes import Format

FULL = MAX_TAKES - 2  # takes of a session from which on the oldest one is saved unasked
POLL = 0.05  # seconds


class TakeSaver:
    """Saves takes of a session, each one once.

    Args:
        session: of the takes.
        folder: that receives a folder per take.
        kind: of the audio files.
    """

    def __init__(self, session: Session, folder: Path, kind: Format):
        self._session, self._folder, self._kind = session, folder, kind
        self._saved: dict[int, Future[Path]] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tonearm-saving")

    def save(self, number: int) -> "Future[Path]":
        """Save a take, unless it was saved or is being saved; the future has its folder.

        The future raises TonearmError where the take cannot be exported or written.
        """
        if self._is_unsaved(number):
            self._saved[number] = self._worker.submit(self._write, number)
        return self._saved[number]

    def unsaved(self, takes: tuple[TakeState, ...]) -> list[int]:
        """Numbers of the takes that are ready, and neither saved nor being saved."""
        return [one.number for one in takes if one.ready and self._is_unsaved(one.number)]

    def _is_unsaved(self, number: int) -> bool:
        answer = self._saved.get(number)
        return answer is None or (answer.done() and answer.exception() is not None)

    def due(self, takes: tuple[TakeState, ...]) -> list[int]:
        """The take, if any, that has to be saved before the session releases it; named once."""
        if len(takes) < FULL:
            return []
        return [number for number in self.unsaved(takes) if number not in self._saved][:1]

    def save_all(self) -> "dict[int, Future[Path]]":
        """End the performance, complete all takes, and save those that were not saved.

        Returns:
            Futures of all takes that were saved, done, by the number of the take.
        """
        while any(not (one.ready or one.fault) for one in self._session.state.takes):
            time.sleep(POLL)
        for number in self.unsaved(self._session.state.takes):
            self.save(number)
        for answer in self._saved.values():
            answer.exception()  # waits
        return dict(self._saved)

    def close(self) -> None:
        """End the thread, after the take that is being saved."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _write(self, number: int) -> Path:
        folder = self._free_folder()
        with atomic_folder(folder, f"steered.{self._kind}", lambda path: False) as temporary:
            self._session.write_files(number, self._kind, temporary)
        return folder

    def _free_folder(self) -> Path:
        number = 1
        while (folder := self._folder / f"take-{number}").exists():
            number += 1
        return folder
