"""Web application of the studio: the page, the manifest, the WebSocket, uploads and exports."""

import asyncio
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from importlib import resources
from itertools import count
from typing import Any, Literal

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from tonearm.errors import TonearmError
from tonearm.live import Session
from tonearm.live.settings import Role
from tonearm.studio import uploads
from tonearm.studio.connection import OVERFLOW, Connection
from tonearm.studio.messages import ReportMessage
from tonearm.studio.osc import OscServer
from tonearm.studio.oscquery import host_info, node_at
from tonearm.studio.safety import Guard
from tonearm.threads import yield_to_music

MAX_CLIENTS = 8
EXPORT_CHUNK_BYTES = 256 * 1024  # bytes of an export that are sent at once
ExportKind = Literal["wav", "flac", "page"]
# files of the page, and their media types; nothing else is served
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Studio:
    """Clients of one session.

    Args:
        session: started.
    """

    def __init__(self, session: Session):
        self.session = session
        self.report = ReportMessage(type="report", buffer_ms=0, underruns=0)
        self._numbers = count(1)
        self._clients: set[str] = set()
        self._uploading = asyncio.Lock()
        # one at a time, since an export of an hour needs much memory
        self._exporter = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="tonearm-export", initializer=yield_to_music
        )

    async def connect(self, socket: WebSocket) -> None:
        """Serve a WebSocket until it closes."""
        await socket.accept()
        if len(self._clients) >= MAX_CLIENTS:
            await socket.close(OVERFLOW, f"{MAX_CLIENTS} clients are connected; close one")
            return
        name = f"page-{next(self._numbers)}"
        self._clients.add(name)
        try:
            before = socket.query_params.get("session", "")
            run, after = (_number(socket, key) for key in ("run", "after"))
            connection = Connection(self.session, socket, name, self._set_report)
            await connection.serve(before, run, after)
        finally:
            self._clients.discard(name)

    def _set_report(self, report: ReportMessage) -> None:
        self.report = report

    async def upload(self, role: Role, request: Request) -> dict[str, Any]:
        """Decode an upload, and start a performance with it.

        Raises:
            TonearmError: another upload is being decoded, or this one is not possible.
        """
        if self._uploading.locked():
            raise TonearmError("another upload is being decoded; wait for it")
        async with self._uploading:
            clip = await uploads.decoded(await uploads.received(request.stream()))
            await asyncio.wrap_future(self.session.use_audio(role, clip))
            return {"role": role, "seconds": round(clip.seconds, 3)}

    async def export(self, number: int, kind: ExportKind) -> bytes:
        """Make the export of a take, one at a time.

        Raises:
            TonearmError: no such take, it is not ready, or it is too long for a page.
        """
        if kind == "page":
            make = partial(self.session.export_page, number)
        else:
            make = partial(self.session.archive, number, kind)
        return await asyncio.get_running_loop().run_in_executor(self._exporter, make)

    async def delivered(
        self, number: int, kind: ExportKind, content: bytes
    ) -> AsyncIterator[bytes]:
        """The parts of an export; the take counts as exported where all of them were sent."""
        for first in range(0, len(content), EXPORT_CHUNK_BYTES):
            yield content[first : first + EXPORT_CHUNK_BYTES]
        if kind != "page":
            self.session.mark_exported(number)

    def close(self) -> None:
        """Drop the exports that wait."""
        self._exporter.shutdown(wait=False, cancel_futures=True)


def _number(socket: WebSocket, key: str) -> int:
    text = socket.query_params.get(key, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def static_files() -> dict[str, bytes]:
    """Files of the page by name; read once, so that no path of a request is ever opened."""
    folder = resources.files("tonearm.studio") / "static"
    return {
        item.name: item.read_bytes()
        for item in folder.iterdir()
        if f".{item.name.rpartition('.')[2]}" in MEDIA_TYPES
    }


def make_app(
    session: Session,
    bound: str = "127.0.0.1",
    token: str | None = None,
    osc: socket.socket | None = None,
) -> Any:
    """Make the ASGI application.

    Args:
        session: started; the caller closes it.
        bound: host that the server is bound to.
        token: that clients must have; None where none is needed.
        osc: bound UDP socket for OSC; None for none.
    """
    files = static_files()
    studio = Studio(session)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as at_end:
            at_end.callback(studio.close)
            if osc is not None:
                port = osc.getsockname()[1]
                transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: OscServer(session, port, lambda: studio.report), sock=osc
                )
                at_end.callback(transport.close)
            yield

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.studio = studio

    @app.exception_handler(TonearmError)
    async def refuse(request: Request, error: Exception) -> Response:
        return JSONResponse({"message": str(error)}, 422)

    @app.get("/")
    async def page() -> Response:
        return Response(files["index.html"], media_type=MEDIA_TYPES[".html"])

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in files:
            return PlainTextResponse("no such file\n", 404)
        return Response(files[name], media_type=MEDIA_TYPES[f".{name.rpartition('.')[2]}"])

    @app.get("/manifest")
    async def manifest() -> Response:
        return Response(session.manifest.model_dump_json(), media_type="application/json")

    @app.websocket("/socket")
    async def connect(websocket: WebSocket) -> None:
        await studio.connect(websocket)

    @app.post("/uploads/{role}")
    async def upload(role: Role, request: Request) -> dict[str, Any]:
        return await studio.upload(role, request)

    @app.delete("/uploads/{role}")
    async def remove(role: Role) -> dict[str, Any]:
        await asyncio.wrap_future(session.use_audio(role, None))
        return {"role": role, "seconds": 0}

    @app.get("/export/{number}/{kind}.zip")
    async def export(number: int, kind: ExportKind) -> Response:
        content = await studio.export(number, kind)
        name = f'attachment; filename="tonearm-{number}-{kind}.zip"'
        headers = {"content-disposition": name, "content-length": str(len(content))}
        return StreamingResponse(
            studio.delivered(number, kind, content), media_type="application/zip", headers=headers
        )

    @app.get("/oscquery{path:path}")
    async def oscquery(path: str, request: Request) -> Response:
        if osc is None:
            return PlainTextResponse("OSC is off; start the studio with --osc 9311\n", 404)
        if "HOST_INFO" in request.query_params:
            return JSONResponse(host_info(osc.getsockname()[1]))
        state = await asyncio.wrap_future(session.snapshot())
        return JSONResponse(node_at(path, session.manifest, state))

    return Guard(app, bound, token)
