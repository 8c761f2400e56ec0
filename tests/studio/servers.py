"""A server of the studio in a thread of the test's process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tonearm.live import Session
from tonearm.studio.app import make_app
from tonearm.studio.serve import bind, make_server


@contextmanager
def served(session: Session, port: int = 0) -> Iterator[str]:
    """Serve a session at a port, or at a free one; yields the URL of its page."""
    ready = threading.Event()
    with bind("127.0.0.1", port) as bound:
        server = make_server(make_app(session), ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        assert ready.wait(30), "the server never started"
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
