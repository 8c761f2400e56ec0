"""Warnings of the library while it plays, such as words that a model does not know, as notices."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tonearm.live.events import Notice, Subscriber

PACKAGE = "tonearm"


class _Publisher(logging.Handler):
    """Publishes the warnings that one thread logs.

    Args:
        publish: called with notices.
        thread: identifier of the thread.
    """

    def __init__(self, publish: Subscriber, thread: int):
        super().__init__(logging.WARNING)
        self._publish, self._thread = publish, thread

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and record.levelno == logging.WARNING:
            self._publish(Notice(record.getMessage(), "warning"))


@contextmanager
def warnings_as_notices(publish: Subscriber) -> Iterator[None]:
    """Publish the warnings that the calling thread logs.

    Args:
        publish: called with notices.
    """
    handler, logger = _Publisher(publish, threading.get_ident()), logging.getLogger(PACKAGE)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
