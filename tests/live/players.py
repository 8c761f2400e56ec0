"""A session of a tiny model, and a client that plays it in step."""

import threading
from contextlib import contextmanager

import numpy as np

from tests.knobs.planted import knob_of
from tonearm.live import AudioBlock, Session, commands

TIMEOUT = 60  # seconds


class Player:
    """A subscriber that keeps all events, and plays every block at once until `hold`."""

    def __init__(self, session: Session):
        self.events: list[object] = []
        self.playing = True
        self._session, self._changed = session, threading.Condition()
        session.subscribe(self)

    def __call__(self, event: object) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()
        if isinstance(event, AudioBlock) and self.playing:
            self._session.playhead(event.stop)

    def of(self, kind: type) -> list:
        with self._changed:
            return [event for event in self.events if isinstance(event, kind)]

    def until(self, condition) -> None:
        """Wait until a condition of the player is true."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), TIMEOUT), "it never came true"

    def until_samples(self, count: int) -> None:
        self.until(lambda one: sum(block.steered.shape[1] for block in one.blocks) >= count)

    @property
    def blocks(self) -> list[AudioBlock]:
        return [event for event in self.events if isinstance(event, AudioBlock)]

    def joined(self, name: str = "steered") -> np.ndarray:
        return np.concatenate([getattr(block, name) for block in self.of(AudioBlock)], axis=1)


@contextmanager
def playing(model, **settings):
    """A session of the model, with one knob, `brightness`, and its player."""
    model.vectors["brightness"] = knob_of(model)
    settings = {"prompt": "a folk tune", "seed": 5, "mode": "live"} | settings
    with Session(model, **settings) as session:
        yield session, Player(session)


def write_take_with_audio(session: Session, player: Player, role: str, clip, folder) -> None:
    """Play a second of a performance with audio in a role, and write its take."""
    session.use_audio(role, clip).result(TIMEOUT)
    player.until_samples(session.sample_rate)
    session.command(commands.Stop()).result(TIMEOUT)
    ready_take(session)
    session.write_files(1, "wav", folder)


def ready_take(session: Session, number: int = 1):
    """Wait for a take."""
    import time

    for _ in range(10 * TIMEOUT):
        takes = session.snapshot().result(TIMEOUT).takes
        found = next((one for one in takes if one.number == number), None)
        if found is not None and (found.ready or found.fault):
            assert found.ready, found.fault
            return found
        time.sleep(0.1)
    raise AssertionError(f"take {number} was never ready")
