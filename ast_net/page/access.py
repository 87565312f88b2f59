"""Refuses requests that do not come from the page itself, and forbids the page to load others.

Any website may try to reach a server on this machine, through the browser of who visits it. It can
send requests, with its own origin in them; it can open WebSockets, to which the browser's same-
origin policy does not apply; and it can give its own name this machine's address (DNS rebinding).
"""

from starlette import datastructures, responses
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The names of this machine that an attacker's DNS cannot give away.
_HOSTS = ("127.0.0.1", "localhost")
_POLICY_VIOLATION = 1008
_HEADERS = {
    # Everything comes from this server; videos and files to download are the page's own.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; media-src blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class OnlyThePage:
    """Passes on the requests of the page, and refuses all others with 403."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request or a WebSocket; see the ASGI specification."""
        reason = _refusal(scope)
        if reason is None:
            await self._application(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": reason})
        else:
            refusal = responses.PlainTextResponse(reason, 403)
            await refusal(scope, receive, _with_headers(send))


def _refusal(scope: Scope) -> str | None:
    """Returns why a request is refused; None if it may be the page's own."""
    headers = datastructures.Headers(scope=scope)
    host, origin = headers.get("host", ""), headers.get("origin")
    if host.partition(":")[0] not in _HOSTS:
        return f"expected the host {' or '.join(_HOSTS)}"
    # A browser leaves the origin out only where it reads a page or its files.
    reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    if origin != f"http://{host}" and not (origin is None and reads):
        return f"expected the origin http://{host}"
    return None


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            datastructures.MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return send_with_headers
