"""Signals that end a process that plays, and the time in which it saves its takes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End as by Ctrl-C when the process is asked to end, or its terminal is closed."""
    handlers: dict[signal.Signals, Any] = {signal.SIGTERM: signal.default_int_handler}
    if hasattr(signal, "SIGHUP"):  # which the studio's server does not know
        handlers[signal.SIGHUP] = lambda *_: signal.raise_signal(signal.SIGTERM)
    with _handled(handlers):
        yield


@contextmanager
def ended_by_interrupt_alone() -> Iterator[None]:
    """Ignore all requests to end but Ctrl-C.

    A terminal that is closed sends SIGHUP twice: from the shell, and from the system after the
    shell's own end.
    """
    with _handled(dict.fromkeys(_requests(), signal.SIG_IGN)):
        yield


def _requests() -> list[signal.Signals]:
    return [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def _handled(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    """Set handlers; in other threads than the first, which receives all signals, set none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, handler) for one, handler in handlers.items()}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
