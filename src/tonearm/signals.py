"""Termination signals of live sessions."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupt_on_termination() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP, as on Ctrl-C."""
    handlers: dict[signal.Signals, Any] = {signal.SIGTERM: signal.default_int_handler}
    if hasattr(signal, "SIGHUP"):  # uvicorn handles SIGTERM, but not SIGHUP
        handlers[signal.SIGHUP] = lambda *_: signal.raise_signal(signal.SIGTERM)
    with _handled(handlers):
        yield


@contextmanager
def ignore_termination() -> Iterator[None]:
    """Ignore SIGTERM and SIGHUP, so that only Ctrl-C ends the process.

    A terminal that is closed sends SIGHUP twice: from the shell, and from the system after the
    shell's own end.
    """
    with _handled(dict.fromkeys(_requests(), signal.SIG_IGN)):
        yield


def _requests() -> list[signal.Signals]:
    return [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def _handled(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    """Set signal handlers; outside the main thread, where Python allows none, set none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, handler) for one, handler in handlers.items()}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
