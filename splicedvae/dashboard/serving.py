"""What a server does below the pages: headers of its answers, closed addresses, and a warning.

The warning is for the person who starts it: the pages start trainings and delete files, and nobody
signs in.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

#: Sent with every answer. Streamlit's pages need inline styles and scripts, so the policy forbids
#: what none of them uses: plugins, another base address, and other sites' frames around a page.
HEADERS: Final = {
    "Content-Security-Policy": "base-uri 'self'; frame-ancestors 'self'; object-src 'none'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
#: Ends of addresses that are answered by 404: they count what visitors do.
CLOSED: Final = ("/_stcore/metrics", "/_stcore/script-health-check")


class Guard:
    """ASGI middleware that sends `HEADERS` with every answer and keeps `CLOSED` addresses closed.

    Parameters
    ----------
    app
        What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Parameters
        ----------
        scope, receive, send
            As ASGI gives them.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        if str(scope["path"]).rstrip("/").endswith(CLOSED):
            closed = PlainTextResponse("There is nothing at this address.", status_code=404)
            await closed(scope, receive, with_headers)
            return
        await self.app(scope, receive, with_headers)


def middleware() -> list[Middleware]:
    """Return what `streamlit.App` is given."""
    return [Middleware(Guard)]


def is_shared(address: str | None) -> bool:
    """Say whether a server on an address can be reached from other machines.

    Parameters
    ----------
    address
        A name or an IP address; ``None`` is all addresses of the machine.
    """
    if address is None:
        return True
    if address == "localhost":
        return False
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        # A name of the machine is for others to find it by.
        return True


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[dict[str, Any] | None]:
    """Warn when the server starts if other machines can reach it.

    Parameters
    ----------
    app
        The dashboard.
    """
    address = st.get_option("server.address")
    if is_shared(address):
        logger.warning(
            "The dashboard can be reached from other machines (address %s), and whoever reaches it "
            "can open, start and delete every run and file: put a sign-in before it "
            "(docs/operations.md), or leave the address out.",
            address or "0.0.0.0",
        )
    yield None
