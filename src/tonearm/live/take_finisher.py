"""Completion of the takes of performances that have ended, in a thread of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tonearm.errors import TonearmError
from tonearm.live.events import Notice, Subscriber
from tonearm.live.performance import Performance
from tonearm.live.state import TakeState
from tonearm.live.take_store import MAX_TAKES, TakeStore
from tonearm.live.takes import FinishedTake
from tonearm.process_memory import return_free_memory
from tonearm.text import first_line
from tonearm.threads import yield_to_music


class TakeFinisher:
    """Completes one take after the other.

    Args:
        takes: where they are kept.
        publish: called with a notice where a take is released.
        completed: called in the thread when a take is ready, or has failed.
    """

    def __init__(self, takes: TakeStore, publish: Subscriber, completed: Callable[[], object]):
        self._takes, self._publish, self._completed = takes, publish, completed
        self._executor = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="tonearm-takes", initializer=yield_to_music
        )

    def finish(self, performance: Performance) -> None:
        """Complete the take of a performance; one without music of its own becomes no take."""
        if performance.position <= performance.skip:
            performance.stream.cancel()
            return
        waiting = TakeState(
            number=performance.number, prompt=performance.prompt, seed=performance.seed
        )
        self._keep(waiting)
        self._executor.submit(self._complete, performance, waiting)

    def close(self) -> None:
        """End the thread, after all takes are complete."""
        self._executor.shutdown(wait=True)

    def _complete(self, performance: Performance, waiting: TakeState) -> None:
        try:
            steered, plain = performance.finish()
            log, recorded = tuple(performance.log), tuple(performance.recorded)
            take = FinishedTake(performance.number, steered, plain, log, recorded)
            self._takes.complete(take)
        except Exception as error:  # of the model; the session continues
            reason = str(error) if isinstance(error, TonearmError) else first_line(error)
            self._takes.complete(waiting.model_copy(update={"fault": reason}))
        self._completed()
        return_free_memory()

    def _keep(self, take: TakeState) -> None:
        released = self._takes.keep(take)
        if released is not None:
            text = (
                f"take {released} was discarded before it was exported; only the newest "
                f"{MAX_TAKES} are kept"
            )
            self._publish(Notice(text, "warning"))
