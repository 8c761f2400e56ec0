"""The requests that HARP sends; all others are refused before Gradio receives them.

    GET  /                              a sentence for a person who opens the address in a browser
    POST /gradio_api/upload             the selection
    POST /gradio_api/call/NAME          a call of controls, process or cancel, with its values
    GET  /gradio_api/call/NAME/EVENT    the result of the call
    GET  /gradio_api/file=PATH          the take

Gradio has many more routes, such as a page with scripts of other hosts, and loads files that a value
names by its URL; none of that is reached.
"""

import hmac
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tonearm.errors import TonearmError
from tonearm.text import first_line, quoted

CONTROLS, PROCESS, CANCEL = "controls", "process", "cancel"
API = "/gradio_api"
CALL = re.compile(rf"{API}/call/({CONTROLS}|{PROCESS}|{CANCEL})", re.ASCII)
RESULT = re.compile(rf"{CALL.pattern}/\w+", re.ASCII)
UPLOAD, FILE = f"{API}/upload", f"{API}/file="
FILE_TYPE = {"_type": "gradio.FileData"}
MAX_BODY = 2**16  # bytes of a call
PAGE = "This is the HARP endpoint of Tonearm. Open this address in HARP, as a custom path.\n"
Receive = Any  # of ASGI


def is_known(method: str, path: str, folder: Path) -> bool:
    """Whether HARP sends such a request.

    Args:
        method: of HTTP.
        path: without a token.
        folder: of the files that may be read.
    """
    if method == "POST":
        return path == UPLOAD or CALL.fullmatch(path) is not None
    if method != "GET":
        return False
    if path.startswith(FILE):
        return is_within(path.removeprefix(FILE), folder)
    return RESULT.fullmatch(path) is not None


def is_within(path: str, folder: Path) -> bool:
    """Whether a path, its links followed, is within a folder."""
    try:
        return Path(path).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a null character, a loop of links
        return False


def checked_call(body: bytes, count: int, folder: Path) -> bytes:
    """Check the body of a call, and reduce it to its values.

    Args:
        body: JSON with `data`: texts, numbers, true, false, null, and files by their path.
        count: values of the call.
        folder: of uploaded files.

    Returns:
        JSON with `data` alone.

    Raises:
        TonearmError: no such body, another number of values, or a file that was not uploaded.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise TonearmError(f"the call is not JSON: {first_line(error)}") from None
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, list):
        raise TonearmError("the call has no list of values; send them as data")
    if len(data) != count:
        raise TonearmError(
            f"{len(data)} values were sent, and the call takes {count}; load the endpoint again"
        )
    return json.dumps({"data": [_checked_value(value, folder) for value in data]}).encode()


def _checked_value(value: object, folder: Path) -> object:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    path = value.get("path") if isinstance(value, dict) else None
    if not isinstance(path, str):
        raise TonearmError("a value of the call is neither a text, a number nor a file")
    if not (is_within(path, folder) and Path(path).is_file()):
        raise TonearmError(f"the file {quoted(path)} was not uploaded; upload it first")
    return {"path": path, "meta": FILE_TYPE}


class Routes:
    """ASGI middleware with these checks.

    Args:
        app: of Gradio, mounted at the token where there is one.
        token: first part of all paths; None where none is needed.
        counts: values of each call.
        folder: of uploads and answers.
    """

    def __init__(self, app: Any, token: str | None, counts: Mapping[str, int], folder: Path):
        self._app, self._token, self._counts, self._folder = app, token, counts, folder

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Any) -> None:
        """Answer a request, refuse it, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        path = self._path_of(scope["path"])
        if path == "/" and scope["method"] == "GET":
            await _answer(send, 200, PAGE, "text/plain; charset=utf-8")
        elif path is None or not is_known(scope["method"], path, self._folder):
            await _refuse(send, 404, "there is no such route")
        elif call := CALL.fullmatch(path):
            try:
                count = self._counts[call.group(1)]
                body = checked_call(await _body_of(receive), count, self._folder)
            except TonearmError as error:
                await _refuse(send, 422, str(error))
                return
            await self._app(_with_length(scope, len(body)), _replay(body, receive), send)
        else:
            await self._app(scope, receive, send)

    def _path_of(self, path: str) -> str | None:
        """The path without the token; None where the token is missing or wrong."""
        if self._token is None:
            return path
        given, _, rest = path.removeprefix("/").partition("/")
        is_right = hmac.compare_digest(given.encode(), self._token.encode())
        return f"/{rest}" if is_right else None


async def _body_of(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise TonearmError("the call was broken off")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise TonearmError(f"the call is larger than {MAX_BODY // 1024} KiB")
        if not message.get("more_body"):
            return b"".join(parts)


def _with_length(scope: Mapping[str, Any], length: int) -> dict[str, Any]:
    headers = [(name, text) for name, text in scope["headers"] if name != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body first, and then the messages that follow it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Any:
        return waiting.pop() if waiting else await receive()

    return next_message


async def _refuse(send: Any, status: int, reason: str) -> None:
    await _answer(send, status, json.dumps({"detail": reason}), "application/json")


async def _answer(send: Any, status: int, text: str, kind: str) -> None:
    headers = [(b"content-type", kind.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
