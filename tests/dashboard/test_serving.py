"""What a server sends with every answer, keeps closed, and warns of when it is started."""

from __future__ import annotations

import asyncio
import logging
from threading import Thread

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from splicedvae.dashboard import serving


def answer(request: Request) -> PlainTextResponse:
    if request.url.path == "/broken":
        raise ValueError("broken")
    return PlainTextResponse("answered")


@pytest.fixture
def client() -> TestClient:
    app = Starlette(routes=[Route("/{path:path}", answer)], middleware=serving.middleware())
    return TestClient(app, raise_server_exceptions=False)


def test_every_answer_has_the_headers(client: TestClient) -> None:
    for path in ("/", "/_stcore/health", "/_stcore/metrics"):
        found = client.get(path).headers
        assert {name: found.get(name) for name in serving.HEADERS} == serving.HEADERS


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/metrics/", "/app/_stcore/metrics"])
def test_what_counts_visitors_is_closed(client: TestClient, path: str) -> None:
    found = client.get(path)
    assert found.status_code == 404
    assert "answered" not in found.text
    assert client.get("/_stcore/health").text == "answered"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/velocity/", "/velocity/x", "/%2e%2e/%2e%2e/etc/passwd"],
)
def test_a_folder_that_holds_no_page_settles(client: TestClient, path: str) -> None:
    answered = client.get(path)
    assert (answered.status_code == 200) == (path == "/velocity/")


@pytest.mark.parametrize(
    "path", ["/", "/velocity", "/static/js/a.js", "/media/x.png", "/_stcore/x"]
)
def test_pages_and_what_they_need_are_answered(client: TestClient, path: str) -> None:
    assert client.get(path).text == "answered"


def test_folders_below_a_base_address(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "get_option", {"server.baseUrlPath": "lab/velocity"}.get)
    assert client.get("/lab/velocity/diagnostics").status_code == 200
    assert client.get("/lab/velocity/static/js/a.js").status_code == 200
    assert client.get("/lab/velocity/etc/passwd").status_code == 404


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_a_server_of_this_machine_alone_is_not_shared(address: str) -> None:
    assert not serving.is_shared(address)


@pytest.mark.parametrize("address", [None, "0.0.0.0", "::", "192.168.1.7", "lab-server"])
def test_a_server_that_others_reach_is_shared(address: str | None) -> None:
    assert serving.is_shared(address)


@pytest.mark.parametrize(("address", "warned"), [("0.0.0.0", True), ("localhost", False)])
def test_whoever_shares_a_server_is_warned(
    address: str, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(st, "get_option", {"server.address": address}.get)

    async def begin() -> None:
        async with serving.lifespan(st.App("app.py")):
            pass

    # Another test's browser or server may have a loop in this thread.
    thread = Thread(target=asyncio.run, args=(begin(),))
    with caplog.at_level(logging.WARNING):
        thread.start()
        thread.join()
    assert ("open, start and delete every run" in caplog.text) is warned
