"""Thread of a session, which owns its settings and its transport: makes calls and computes music."""

from contextlib import ExitStack
from threading import Thread

from tonearm.errors import TonearmError
from tonearm.live.call_queue import CallQueue
from tonearm.live.events import Notice, Subscriber
from tonearm.live.metering import MeterThread
from tonearm.live.state_publisher import StatePublisher
from tonearm.live.transport import Transport
from tonearm.live.warning_notices import warnings_as_notices

MAX_WAIT_SECONDS = 0.5  # longest wait for something to do


class SessionThread:
    """Alternates between the calls of clients and the next piece of music.

    However it ends, the performance that plays becomes a take, and every call is answered.

    Args:
        calls: of clients; the thread ends when they are closed.
        transport: of the session.
        meters: started when everything is prepared.
        state: published at the beginning, while music plays, and at the end.
        publish: called with a notice where something fails, and with warnings.
    """

    def __init__(
        self,
        calls: CallQueue,
        transport: Transport,
        meters: MeterThread,
        state: StatePublisher,
        publish: Subscriber,
    ):
        self._calls, self._transport, self._meters = calls, transport, meters
        self._state, self._publish = state, publish
        self._thread = Thread(target=self._work, name="tonearm-session", daemon=True)

    def start(self) -> None:
        """Start the thread, which measures the speed first."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread, if it was started."""
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        with ExitStack() as at_end:  # each one is called, even where another fails
            at_end.callback(self._calls.refuse)
            at_end.callback(self._state.publish)
            at_end.callback(self._transport.close)
            at_end.enter_context(warnings_as_notices(self._publish))
            self._run()

    def _run(self) -> None:
        try:
            self._prepare()
            while not self._calls.is_closed:
                self._calls.run_waiting()
                try:
                    is_busy = self._transport.advance()
                except TonearmError as error:
                    self._publish(Notice(str(error), "error"))
                    self._transport.end()
                    self._state.publish()
                    continue
                if not is_busy:
                    self._calls.wait(MAX_WAIT_SECONDS)
                self._state.publish_while_playing()
        except Exception as error:
            self._publish(Notice(f"the session failed ({type(error).__name__}: {error})", "error"))
            raise

    def _prepare(self) -> None:
        self._meters.prepare()
        self._transport.prepare()
        self._meters.start()
        self._state.publish()
