"""Models from a real server over HTTP: as a zip, as a folder, and what goes wrong."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
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


COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(Quiet):
    """As much of the Hugging Face hub as a download of one repository asks for."""

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/owner/pancreas/"):
            there = sorted(Path(self.directory).iterdir())
            tree = [
                {"type": "file", "oid": "0" * 40, "size": file.stat().st_size, "path": file.name}
                for file in there
            ]
            names = [{"rfilename": file.name} for file in there]
            known = {"id": "owner/pancreas", "sha": COMMIT, "siblings": names, "tags": []}
            answer = tree if "/tree/" in self.path else known
            self._answer(json.dumps(answer).encode(), "application/json")
            return
        self._file(whole=True)

    def do_HEAD(self) -> None:
        self._file(whole=False)

    def _file(self, *, whole: bool) -> None:
        start = "/owner/pancreas/resolve/"
        file = Path(self.directory) / self.path.rpartition("/")[2]
        if not self.path.startswith(start) or not file.is_file():
            self.send_error(404)
            return
        self._answer(file.read_bytes(), "application/octet-stream", whole=whole)

    def _answer(self, content: bytes, kind: str, *, whole: bool = True) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if whole:
            self.wfile.write(content)


def test_a_repository_of_the_hub_is_added(store: Path, copy: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    (copy / "README.md").write_text("not fetched")
    handler = functools.partial(Hub, directory=str(copy))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        # The hub's package reads its endpoint when it is imported.
        ended = subprocess.run(
            [sys.executable, "-m", "splicedvae.cli", "models", "add", "hf://owner/pancreas"],
            env={**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        missing = subprocess.run(
            [sys.executable, "-m", "splicedvae.cli", "models", "add", "hf://owner/nothing"],
            env={**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        server.shutdown()
        thread.join()
    assert ended.returncode == 0, ended.stderr
    assert [file.name for file in store.iterdir()] == ["simulated-lineage"]
    assert not (store / "simulated-lineage" / "README.md").exists()
    assert missing.returncode == 1
    assert "could not be downloaded" in missing.stderr
    assert "Traceback" not in missing.stderr
