"""Server of the studio: one process, one session, one port."""

import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from tonearm.errors import TonearmError
from tonearm.studio.messages import MAX_TEXT
from tonearm.studio.safety import TOKEN

# a page at another address than this machine's own has no sound, since browsers allow it in a
# secure context alone
LOCAL_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}
GRACE_SECONDS = 1  # for clients at the end


class _Server(uvicorn.Server):
    """Calls a function when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]):
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def bind(
    host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM, option: str = "--port"
) -> socket.socket:
    """Bind a socket.

    Args:
        host: name or address of an interface.
        port: 0 for a free one.
        kind: of the socket, for TCP or UDP.
        option: that chooses the port, for messages.

    Raises:
        TonearmError: the port is in use, or there is no such interface.
    """
    if not 0 <= port <= 65_535:
        raise TonearmError(f"port {port} is not possible; use 1 to 65535, or 0 for a free one")
    try:
        family = socket.getaddrinfo(host, port, type=kind)[0][0]
        bound = socket.socket(family, kind)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TonearmError(
            f"cannot listen at {host}:{port} ({reason}); choose another --host or {option}, "
            f"such as {option} 0 for a free one"
        ) from error
    return bound


def address(host: str, bound: socket.socket, token: str | None) -> str:
    """The URL of the page; of a server at all interfaces, that on this machine."""
    host = LOCAL_OF.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    query = f"?{TOKEN}={token}" if token else ""
    return f"http://{shown}:{bound.getsockname()[1]}/{query}"


def serve(app: Any, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve an application until Ctrl-C.

    Args:
        app: of `tonearm.studio.app.make_app`.
        bound: of `bind`.
        ready: called when connections are accepted.

    Raises:
        KeyboardInterrupt: by Ctrl-C.
    """
    make_server(app, ready).run(sockets=[bound])


def make_server(app: Any, ready: Callable[[], None]) -> uvicorn.Server:
    """The server, which its `should_exit` ends."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws_max_size=2 * MAX_TEXT,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )
    return _Server(config, ready)
