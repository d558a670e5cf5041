"""What a server sends with every answer, keeps closed, and warns of when it is started."""

from __future__ import annotations

import asyncio
import logging

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

    with caplog.at_level(logging.WARNING):
        asyncio.run(begin())
    assert ("open, start and delete every run" in caplog.text) is warned
