"""Uploads that attack their reader end in a sentence, and the server serves everyone meanwhile."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import hostile_files
import psutil
import pytest
from browser_pages import SLOW, ready
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

#: One of each kind: time, memory of three readers, another file of the server.
CASES = (
    hostile_files.time_comments,
    hostile_files.memory_chunk,
    hostile_files.memory_zarr_chunk,
    hostile_files.memory_shared_strings,
    hostile_files.other_file_by_unlinked_reference,
)


def test_no_upload_harms_the_server(tmp_path: Path, serve, new_page, monkeypatch) -> None:
    monkeypatch.setenv("SPLICEDVAE_READ_SECONDS", "2")
    monkeypatch.setenv("SPLICEDVAE_MAX_BYTES", str(32 * 1024**2))
    server = serve()
    process = psutil.Process(server.process.pid)
    page = new_page()
    page.goto(f"{server.url}/data")
    ready(page)
    sound = hostile_files.h5ad(tmp_path, "sound.h5ad")
    page.locator("input[type=file]").set_input_files(str(sound))
    expect(page.get_by_text("30", exact=True).first).to_be_visible(timeout=SLOW)
    ready(page)
    before = process.memory_info().rss
    waits: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.3):
            began = time.monotonic()
            waits.append(time.monotonic() - began if server.is_alive() else 1e9)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for case in CASES:
            path, expected = case(tmp_path)
            page.locator("input[type=file]").set_input_files(str(path))
            said = page.get_by_text(re.compile(f"{re.escape(path.name)}: .*({expected})"))
            expect(said.first).to_be_visible(timeout=SLOW)
            ready(page)
    finally:
        stop.set()
        asking.join()
    assert process.is_running()
    assert process.pid == server.process.pid
    assert len(waits) > 10
    assert max(waits) < 10
    assert process.memory_info().rss < 1.2 * before
    kept = [place.name for place in (server.runs / ".uploads").glob("*/*") if place.suffix]
    assert kept.count("sound.h5ad") == 1
    assert not {"comments.zip", "chunk.h5ad", "gzip.zip", "strings.h5ad"} & set(kept)
