"""Checks of every request before the application receives it: Host, Origin, token, headers.

A page of another site could otherwise send requests to a server on this machine: by its own
scripts (Origin), or after its name was resolved to this machine (Host).
"""

import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

COOKIE = "tonearm_token"  # and the port, since servers on other ports share the cookies of a host
TOKEN = "token"
LOCAL_NAMES = ("localhost",)
HOST = re.compile(r"[\w.:\[\]-]+", re.ASCII)  # of a Host header, which becomes part of the policy
# answers to a refused request
WRONG_HOST = (421, "unknown host name; open the address that the server printed")
WRONG_ORIGIN = (403, "requests from other sites are refused")
OWN_SITES = ("same-origin", "none")  # of Sec-Fetch-Site: this server's pages, and the address bar
NO_TOKEN = (403, "the token is missing or wrong; open the address that the server printed")


def new_token() -> str:
    """A token for a server that other machines can reach."""
    return secrets.token_urlsafe(24)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is that of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOCAL_NAMES


def host_name(header: str) -> str | None:
    """The name in a Host header (`name` or `name:port`), in lower case; None for a malformed one."""
    if not HOST.fullmatch(header):
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # is checked when it is read
    except ValueError:  # brackets without an address, or a port that is not a number
        return None
    return parts.hostname or None


def host_is_allowed(header: str, bound: str) -> bool:
    """Whether a Host header names this server, where no token protects it.

    Args:
        header: `name` or `name:port`.
        bound: host that the server is bound to.

    Returns:
        False for names that anybody could point at this machine. Addresses are allowed where the
        server is bound to more than the loopback.
    """
    name = host_name(header)
    if name is None:
        return False
    if is_loopback(bound):
        return is_loopback(name)
    if name in (bound.lower(), socket.gethostname().lower(), *LOCAL_NAMES):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origin_is_allowed(origin: str | None, host: str) -> bool:
    """Whether the Origin of a request is this server; programs other than browsers send none."""
    return origin is None or origin in (f"http://{host}", f"https://{host}")


def site_is_allowed(site: str | None, mode: str | None, path: str) -> bool:
    """Whether a request comes from this server's page, from a person, or from no browser.

    Requests for images and the like have no Origin; browsers mark them by Sec-Fetch-Site.

    Args:
        site: Sec-Fetch-Site header; None where there is none.
        mode: Sec-Fetch-Mode header.
        path: of the request; a link of another site may open the page.
    """
    return site is None or site in OWN_SITES or (mode == "navigate" and path == "/")


def policy(host: str) -> str:
    """The Content-Security-Policy of all answers: nothing but this server's own files."""
    return (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
        f"img-src 'self' data: blob:; media-src blob:; connect-src 'self' ws://{host} wss://{host}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


class Guard:
    """ASGI middleware with these checks.

    Args:
        app: the application.
        bound: host that the server is bound to.
        token: that clients must have, in the URL or as a cookie; None where none is needed.
        any_name: allow every host name, since the application checks a token of its own.
    """

    def __init__(self, app: Any, bound: str, token: str | None, any_name: bool = False):
        self._app, self._bound, self._token = app, bound, token
        self._any_name = any_name or token is not None

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Refuse a request, or hand it on and add headers to its answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
        }
        host = headers.get("host", "")
        fault = self._fault(scope, headers, host)
        if fault is not None:
            await _refuse(scope, send, *fault)
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if self._token and TOKEN in query and scope["type"] == "http" and scope["path"] == "/":
            # Lax: a link in a mail opens the page; what other sites send is refused by its origin
            cookie = f"{_cookie(host)}={self._token}; Path=/; HttpOnly; SameSite=Lax"
            await _answer(send, 303, b"", [("location", "/"), ("set-cookie", cookie)], host)
            return

        async def send_with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_headers(host)]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _fault(
        self, scope: Mapping[str, Any], headers: Mapping[str, str], host: str
    ) -> tuple[int, str] | None:
        # with a token every name is allowed, such as that of an HTTPS proxy: a page that was resolved
        # to this machine has no cookie of it
        is_named = (
            host_name(host) is not None if self._any_name else host_is_allowed(host, self._bound)
        )
        if not is_named:
            return WRONG_HOST
        site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        if not (
            origin_is_allowed(headers.get("origin"), host)
            and site_is_allowed(site, mode, scope["path"])
        ):
            return WRONG_ORIGIN
        return None if self._has_token(scope, headers) else NO_TOKEN

    def _has_token(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
        if self._token is None:
            return True
        query = parse_qs(scope["query_string"].decode("latin-1"))
        cookie: SimpleCookie = SimpleCookie()
        with suppress(CookieError):
            cookie.load(headers.get("cookie", ""))
        own = cookie.get(_cookie(headers.get("host", "")))
        given = [*query.get(TOKEN, ()), *([] if own is None else [own.value])]
        return any(hmac.compare_digest(one.encode(), self._token.encode()) for one in given)


def _cookie(host: str) -> str:
    """Name of the cookie for a Host header."""
    port = urlsplit(f"//{host}").port
    return COOKIE if port is None else f"{COOKIE}_{port}"


def _headers(host: str) -> list[tuple[bytes, bytes]]:
    fields = {
        "content-security-policy": policy(host),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }
    return [(name.encode(), text.encode("latin-1")) for name, text in fields.items()]


async def _refuse(scope: Mapping[str, Any], send: Any, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    text = [("content-type", "text/plain; charset=utf-8")]
    await _answer(send, status, f"{reason}\n".encode(), text, "")


async def _answer(
    send: Any, status: int, body: bytes, headers: list[tuple[str, str]], host: str
) -> None:
    encoded = [(name.encode(), text.encode()) for name, text in headers]
    start = {"type": "http.response.start", "status": status, "headers": encoded + _headers(host)}
    await send(start)
    await send({"type": "http.response.body", "body": body})
