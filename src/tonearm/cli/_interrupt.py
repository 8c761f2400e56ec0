"""Ctrl-C while libraries are imported: an immediate end of the process.

Import code of libraries is not made for exceptions: a KeyboardInterrupt within NumPy's becomes a
RecursionError, and within the C++ parts of torch an abort.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from tonearm.cli import INTERRUPTED, STOPPED

_IMPORT = "<frozen importlib._bootstrap>"
_received = threading.Event()


@contextmanager
def interrupts_handled() -> Iterator[None]:
    """End the process at Ctrl-C during an import; raise KeyboardInterrupt elsewhere.

    A handler that a caller has installed is kept.
    """
    _received.clear()  # by an earlier command of this process
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_default or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def was_interrupted() -> bool:
    """Whether Ctrl-C was pressed; a library may report the interrupt as an error of its own."""
    return _received.is_set()


def _interrupt(number: int, frame: FrameType | None) -> None:
    _received.set()
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT:
            with suppress(Exception):
                sys.stdout.flush()
            os.write(2, f"{STOPPED}\n".encode())
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt
