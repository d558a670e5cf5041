"""Public data sets over real HTTP: what is downloaded, trusted, verified and refused.

A server on this computer plays the hosts; nothing is mocked.
"""

from __future__ import annotations

import hashlib
import http.server
import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import loompy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splicedvae import datasets
from splicedvae._core.errors import DownloadError
from splicedvae._core.keys import Layers, Obs
from splicedvae.datasets._fetch import CACHE_VARIABLE, _normalised

HEX = st.text("0123456789abcdefABCDEF", min_size=63, max_size=65)


class Server:
    """Files served by path, the faults asked for, and every path that was requested."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                body = outer.files.get(self.path.removeprefix("/cut").removeprefix("/unmarked"))
                if body is None:
                    self.send_error(404)
                    return
                sent = body
                if self.path.startswith(("/cut", "/unmarked")):
                    sent = body[: len(body) // 2]
                self.send_response(200)
                # Without a length, the end of the connection is the end of the file.
                if not self.path.startswith("/unmarked"):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}{path}"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An h5ad file with cell types under the name that two of the public sets use."""
    adata = datasets.simulate(60, 30, seed=1, truth=False)
    adata.obs["celltype"] = adata.obs[Obs.CLUSTERS].to_numpy()
    del adata.obs[Obs.CLUSTERS]
    path = tmp_path_factory.mktemp("public") / "data.h5ad"
    adata.write_h5ad(path)
    return path.read_bytes()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def temporary_files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_download_with_checksum_then_cache(server, content, tmp_path, caplog, capfd):
    server.files["/data"] = content
    options = {
        "cache_dir": tmp_path,
        "url": server.url("/data"),
        "known_hash": sha256(content),
    }
    first = datasets.pbmc68k(**options)
    assert first.n_obs == 60
    assert {Layers.SPLICED, Layers.UNSPLICED} <= set(first.layers)
    assert server.requests == ["/data"]
    shown = capfd.readouterr().err
    assert "pbmc68k" in shown
    assert "100%" in shown
    second = datasets.pbmc68k(**options)
    assert server.requests == ["/data"]
    assert (first.X != second.X).nnz == 0
    assert (tmp_path / "pbmc68k.h5ad").read_bytes() == content
    assert temporary_files(tmp_path) == ["pbmc68k.h5ad"]
    # Cell types stand where the rest of the package looks for them.
    assert first.obs[Obs.CLUSTERS].tolist() == first.obs["celltype"].tolist()
    assert first.obs[Obs.CLUSTERS].dtype == "category"


def test_no_bar_when_none_is_wanted(server, content, tmp_path, capfd):
    server.files["/data"] = content
    datasets.fetch("dentategyrus", cache_dir=tmp_path, url=server.url("/data"), progress=False)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "dentategyrus: " not in captured.err
    assert str(tmp_path) not in captured.err


def test_first_use_is_trusted_told_and_verified_later(server, content, tmp_path, caplog):
    server.files["/data"] = content
    options = {"cache_dir": tmp_path, "url": server.url("/data"), "progress": False}
    with caplog.at_level(logging.WARNING, "splicedvae.datasets"):
        path = datasets.fetch("dentategyrus", **options)
    assert sha256(content) in caplog.text
    assert "trusted" in caplog.text
    record = path.with_name(path.name + ".sha256")
    assert record.read_text() == f"{sha256(content)}  {path.name}\n"

    caplog.clear()
    with caplog.at_level(logging.WARNING, "splicedvae.datasets"):
        assert datasets.fetch("dentategyrus", **options) == path
    assert caplog.text == ""
    assert server.requests == ["/data"]

    # One byte changes in the cache: the recorded file is fetched again.
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING, "splicedvae.datasets"):
        datasets.fetch("dentategyrus", **options)
    assert "downloaded again" in caplog.text
    assert path.read_bytes() == content
    assert server.requests == ["/data", "/data"]

    # The host now gives another file: the record holds, and the cached file stays as it is.
    path.write_bytes(damaged)
    server.files["/data"] = content + b"more"
    with pytest.raises(DownloadError, match="checksum") as caught:
        datasets.fetch("dentategyrus", **options)
    assert "known_hash=" in str(caught.value)
    assert path.read_bytes() == damaged
    # Unless the new checksum is given, which is recorded in its turn.
    datasets.fetch("dentategyrus", known_hash=sha256(content + b"more"), **options)
    assert record.read_text().startswith(sha256(content + b"more"))


def test_file_put_into_the_cache_by_hand(server, content, tmp_path, caplog):
    (tmp_path / "10X43_1.h5ad").write_bytes(content)
    with caplog.at_level(logging.WARNING, "splicedvae.datasets"):
        adata = datasets.dentategyrus(cache_dir=tmp_path, url=server.url("/data"))
    assert adata.n_obs == 60
    assert "found in the cache folder" in caplog.text
    assert server.requests == []
    assert (tmp_path / "10X43_1.h5ad.sha256").read_text().startswith(sha256(content))


def test_cut_file_put_into_the_cache_by_hand(content, tmp_path):
    cut = tmp_path / "10X43_1.h5ad"
    cut.write_bytes(content[:5000])
    with pytest.raises(DownloadError, match="not a whole HDF5 file; remove it"):
        datasets.dentategyrus(cache_dir=tmp_path)
    assert cut.exists()
    assert temporary_files(tmp_path) == [cut.name]


@pytest.mark.parametrize("name", ["pancreas", "dentategyrus"])
@pytest.mark.parametrize("known", [True, False])
def test_connection_that_breaks_off(server, content, tmp_path, name, known):
    server.files["/data"] = content
    with pytest.raises(DownloadError, match="broke off") as caught:
        datasets.load(
            name,
            cache_dir=tmp_path,
            url=server.url("/cut/data"),
            known_hash=sha256(content) if known else None,
        )
    assert repr(name) in str(caught.value)
    assert temporary_files(tmp_path) == []


def test_cut_file_of_unknown_length(server, content, tmp_path):
    server.files["/data"] = content
    url = server.url("/unmarked/data")
    with pytest.raises(DownloadError, match="not a whole HDF5 file and was removed"):
        datasets.dentategyrus(cache_dir=tmp_path, url=url)
    assert temporary_files(tmp_path) == []
    with pytest.raises(DownloadError, match=r"checksum .* removed"):
        datasets.dentategyrus(cache_dir=tmp_path, url=url, known_hash=sha256(content))
    assert temporary_files(tmp_path) == []


@pytest.mark.parametrize("page", [b"", b"<html>Please sign in</html>"])
def test_page_instead_of_the_file(server, tmp_path, page):
    server.files["/data"] = page
    with pytest.raises(DownloadError, match="not a whole HDF5 file and was removed"):
        datasets.forebrain(cache_dir=tmp_path, url=server.url("/data"))
    assert temporary_files(tmp_path) == []


def test_published_checksum_is_enforced(server, content, tmp_path):
    server.files["/data"] = content
    with pytest.raises(DownloadError, match=datasets.DATASETS["pancreas"].known_hash):
        datasets.pancreas(cache_dir=tmp_path, url=server.url("/data"))
    assert temporary_files(tmp_path) == []


def test_cached_file_that_fails_while_offline(content, tmp_path):
    path = tmp_path / "endocrinogenesis_day15.h5ad"
    path.write_bytes(content)
    with pytest.raises(DownloadError, match="does not have its checksum in the cache"):
        datasets.pancreas(cache_dir=tmp_path, url=f"http://127.0.0.1:{free_port()}/data")
    assert path.read_bytes() == content


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_missing_file_on_the_server(server, tmp_path):
    with pytest.raises(DownloadError, match="HTTP status 404") as caught:
        datasets.bonemarrow(cache_dir=tmp_path, url=server.url("/gone"))
    one_sentence(caught.value, "bonemarrow", "human_cd34_bone_marrow.h5ad", tmp_path)


def test_refused_connection(tmp_path):
    with pytest.raises(DownloadError, match="offline") as caught:
        datasets.pbmc68k(cache_dir=tmp_path, url=f"http://127.0.0.1:{free_port()}/data")
    one_sentence(caught.value, "pbmc68k", "pbmc68k.h5ad", tmp_path)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "data", "ftp://127.0.0.1/data"])
def test_address_of_another_kind(tmp_path, url):
    with pytest.raises(DownloadError, match="http://"):
        datasets.pbmc68k(cache_dir=tmp_path, url=url)
    assert temporary_files(tmp_path) == []


def one_sentence(error: DownloadError, name: str, file: str, folder: Path) -> None:
    """Check that a message names the set, says what to do, and shows no folder."""
    message = str(error)
    assert repr(name) in message
    assert repr(file) in message
    assert "by hand" in message
    assert "path=" in message
    assert "\n" not in message
    assert message.endswith(".")
    assert str(folder) not in message


def test_cache_folder_from_the_environment(server, content, tmp_path, monkeypatch):
    server.files["/data"] = content
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "named"))
    path = datasets.fetch("forebrain", url=server.url("/data"), progress=False)
    assert path == tmp_path / "named" / "hgForebrainGlut.loom"
    assert datasets.cache_folder() == tmp_path / "named"
    assert datasets.cache_folder(tmp_path) == tmp_path
    monkeypatch.delenv(CACHE_VARIABLE)
    assert "splicedvae" in datasets.cache_folder().name.lower()


def test_cache_folder_that_cannot_be_made(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    with pytest.raises(DownloadError, match="cache folder") as caught:
        datasets.pancreas(cache_dir=blocker / "cache")
    assert str(tmp_path) not in str(caught.value)


def test_record_that_cannot_be_read(content, tmp_path):
    (tmp_path / "10X43_1.h5ad").write_bytes(content)
    (tmp_path / "10X43_1.h5ad.sha256").write_text("nothing\n")
    with pytest.raises(DownloadError, match="holds no SHA-256"):
        datasets.dentategyrus(cache_dir=tmp_path)


def test_file_of_the_users_own(content, tmp_path, caplog):
    path = tmp_path / "mine.h5ad"
    path.write_bytes(content)
    adata = datasets.dentategyrus(path, cache_dir=tmp_path / "unused")
    assert adata.n_obs == 60
    assert not (tmp_path / "unused").exists()
    assert "taken as it is" in caplog.text
    assert datasets.pancreas(path, known_hash=f"sha256:{sha256(content)}").n_obs == 60
    with pytest.raises(DownloadError, match=r"splicedvae\.io\.read"):
        datasets.pancreas(path)
    with pytest.raises(DownloadError, match=r"no file 'other\.h5ad'"):
        datasets.pancreas(tmp_path / "other.h5ad")


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha512", "SHA256"])
def test_other_algorithms(server, content, tmp_path, algorithm):
    server.files["/data"] = content
    digest = hashlib.new(algorithm.lower(), content).hexdigest()
    path = datasets.fetch(
        "pancreas",
        cache_dir=tmp_path,
        url=server.url("/data"),
        known_hash=f"{algorithm}:{digest.upper()}",
        progress=False,
    )
    assert path.read_bytes() == content


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80) | st.text("0123456789abcdef:", max_size=70) | HEX)
def test_checksums_are_read_or_refused(text):
    if len(text.strip()) == 64 and set(text.strip()) <= set("0123456789abcdefABCDEF"):
        assert _normalised(text) == f"sha256:{text.strip().lower()}"
    else:
        with pytest.raises(DownloadError) as caught:
            _normalised(text)
        assert "\n" not in str(caught.value)


@given(st.binary(max_size=50), st.sampled_from(["md5", "sha1", "sha256", "sha3_256", "blake2b"]))
def test_every_real_checksum_is_read(content, algorithm):
    digest = hashlib.new(algorithm, content).hexdigest()
    assert _normalised(f" {algorithm.upper()}:{digest.upper()} ") == f"{algorithm}:{digest}"
    assert _normalised(sha256(content)) == f"sha256:{sha256(content)}"


def test_the_list_names_the_functions():
    listed = datasets.available()
    assert set(listed) == set(datasets.DATASETS)
    for name, line in listed.items():
        assert callable(getattr(datasets, name))
        assert line
        assert "\n" not in line
        entry = datasets.DATASETS[name]
        assert entry.url.startswith("http")
        if entry.known_hash is not None:
            assert _normalised(entry.known_hash) == entry.known_hash
    with pytest.raises(DownloadError, match="'pancreas'"):
        datasets.fetch("pancrea")


def test_loom_file_with_types_under_its_own_name(server, tmp_path):
    """The forebrain is a loom file of Velocyto, genes x cells, its types in ``Clusters``."""
    simulated = datasets.simulate(40, 20, seed=2, truth=False)
    layers = {name: simulated.layers[name].T.tocoo() for name in (Layers.SPLICED, Layers.UNSPLICED)}
    types = simulated.obs[Obs.CLUSTERS].cat.codes.to_numpy()
    path = tmp_path / "made.loom"
    loompy.create(
        str(path),
        {"": simulated.X.T.tocoo(), **layers},
        {"Gene": simulated.var_names.to_numpy()},
        {"CellID": simulated.obs_names.to_numpy(), "Clusters": types},
    )
    server.files["/data"] = path.read_bytes()
    adata = datasets.forebrain(cache_dir=tmp_path, url=server.url("/data"))
    assert adata.obs_names.tolist() == simulated.obs_names.tolist()
    assert (adata.layers[Layers.SPLICED] != simulated.layers[Layers.SPLICED]).nnz == 0
    assert adata.obs[Obs.CLUSTERS].astype(int).tolist() == types.tolist()


def test_loading_by_name_is_the_named_function(content, tmp_path):
    path = tmp_path / "data.h5ad"
    path.write_bytes(content)
    for name in datasets.available():
        adata = getattr(datasets, name)(os.fspath(path), known_hash=sha256(content))
        assert isinstance(adata, ad.AnnData)
        assert np.array_equal(adata.X.toarray(), ad.read_h5ad(path).X.toarray())
