"""Models from a real server over HTTP: as a zip, as a folder, and what goes wrong."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from stored_models import zipped

from splicedvae import store as models
from splicedvae._core.errors import DownloadError, StoreError
from splicedvae.store import StoredModel, _fetch


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None: ...


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "www"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_zip_and_a_folder_are_fetched(
    store: Path, made: StoredModel, copy: Path, served: tuple[Path, str]
) -> None:
    folder, address = served
    copy.rename(folder / "pancreas")
    zipped(made.path, folder / "model.zip")
    one = models.add_model(f"{address}/model.zip", digest=made.digest)
    two = models.add_model(f"{address}/pancreas/", name="two")
    assert one.digest == made.digest
    assert two.card.n_genes == made.card.n_genes


def test_a_changed_download_is_refused(store: Path, copy: Path, served: tuple[Path, str]) -> None:
    folder, address = served
    content = bytearray((copy / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(content)
    copy.rename(folder / "pancreas")
    with pytest.raises(StoreError, match="digest"):
        models.add_model(f"{address}/pancreas")
    assert not store.exists() or not list(store.iterdir())


def test_what_is_not_there_or_too_large(
    store: Path, made: StoredModel, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    with pytest.raises(DownloadError, match="HTTP status 404"):
        models.add_model(f"{address}/nothing.zip")
    zipped(made.path, folder / "model.zip")
    monkeypatch.setattr(_fetch, "MAX_BYTES", 1000)
    with pytest.raises(DownloadError, match="no model has"):
        models.add_model(f"{address}/model.zip")
    with pytest.raises(DownloadError, match="offline"):
        models.add_model("http://127.0.0.1:9/model.zip")


def test_the_hub_needs_its_package_and_a_repository(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DownloadError, match="hf://owner/name"):
        models.add_model("hf://nobody")
    monkeypatch.setattr(_fetch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DownloadError, match=r"splicedvae\[hub\]"):
        models.add_model("hf://owner/name")
