"""Files that visitors give: names never become paths, content decides identity."""

from __future__ import annotations

import io as streams
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_files import comments_without_end
from hypothesis import given
from hypothesis import strategies as st

from splicedvae import io
from splicedvae._core.errors import DataError, ReaderDiedError
from splicedvae.dashboard import reading, uploads


@pytest.fixture(autouse=True)
def _own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("SPLICEDVAE_DATA_PATHS", raising=False)


@given(st.text(max_size=400))
def test_a_name_is_no_path(name: str) -> None:
    clean = uploads.clean_name(name)
    assert clean == Path(clean).name
    assert 1 <= len(clean) <= 80
    assert not clean.startswith(".")
    assert clean.isascii()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../x.h5ad", "x.h5ad"),
        ("..\\..\\x.h5ad", "x.h5ad"),
        ("a\x00b.h5ad", "a_b.h5ad"),
        ("n" * 300 + ".h5ad", "n" * 75 + ".h5ad"),
        ("...", "file"),
        ("data.zarr.zip", "data.zarr.zip"),
    ],
)
def test_names_of_the_unlucky(given: str, kept: str) -> None:
    assert uploads.clean_name(given) == kept


def test_an_upload_is_kept_by_its_content(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    stored = uploads.add_upload("../../x.h5ad", streams.BytesIO(content))
    file = Path(stored.path)
    assert file.read_bytes() == content
    assert file.resolve().is_relative_to((tmp_path / "runs").resolve())
    assert stored.sha256 == io.sha256(file)
    assert uploads.find(stored.id) == stored
    again = uploads.add_upload("other.h5ad", streams.BytesIO(content))
    assert again == stored
    assert [item.id for item in uploads.stored_files()] == [stored.id]
    assert not list(uploads.folder().glob(".new-*"))
    uploads.remove(stored)
    with pytest.raises(DataError, match="upload it again"):
        uploads.find(stored.id)


def test_an_empty_upload_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        uploads.add_upload("x.h5ad", streams.BytesIO())
    assert uploads.stored_files() == []


@pytest.mark.parametrize("wanted", ["", "..", "../../etc", "0" * 16, "<script>", "A" * 16])
def test_an_id_from_the_address_is_no_path(wanted: str) -> None:
    with pytest.raises(DataError):
        uploads.find(wanted)


def test_no_folder_is_open_by_default(tmp_path: Path) -> None:
    file = tmp_path / "x.h5ad"
    file.write_bytes(b"1")
    assert uploads.allowed_files() == {}
    with pytest.raises(DataError, match="outside"):
        uploads.add_path(file)


def test_only_what_lies_in_an_allowed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    for place in (allowed, secret):
        place.mkdir()
        (place / "x.h5ad").write_bytes(place.name.encode())
    (allowed / "link.h5ad").symlink_to(secret / "x.h5ad")
    (allowed / "notes.txt").write_text("no counts")
    monkeypatch.setenv("SPLICEDVAE_DATA_PATHS", f"{allowed}{os.pathsep}{tmp_path / 'missing'}")
    assert list(uploads.allowed_files()) == ["allowed/x.h5ad"]
    stored = uploads.add_path(allowed / "x.h5ad")
    assert Path(stored.path) == (allowed / "x.h5ad").resolve()
    assert uploads.find(stored.id) == stored
    for outside in (secret / "x.h5ad", allowed / "link.h5ad", allowed / ".." / "secret" / "x.h5ad"):
        with pytest.raises(DataError, match="outside"):
            uploads.add_path(outside)
    uploads.remove(stored)
    assert (allowed / "x.h5ad").exists()
    stored = uploads.add_path(allowed / "x.h5ad")
    monkeypatch.delenv("SPLICEDVAE_DATA_PATHS")
    with pytest.raises(DataError):
        uploads.find(stored.id)


def test_all_uploads_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SPLICEDVAE_MAX_DISK_GB", "0.003")
    for number in range(2):
        uploads.add_upload(f"{number}.h5ad", streams.BytesIO(bytes([number]) * 1_400_000))
    with pytest.raises(DataError, match="more than this server allows"):
        uploads.add_upload("2.h5ad", streams.BytesIO(b"x" * 1_400_000))
    assert len(uploads.stored_files()) == 2
    assert len(list(uploads.folder().iterdir())) == 2


def test_a_file_that_ended_its_server_is_gone_after_the_restart() -> None:
    """A server that is killed while it reads a file leaves its mark."""
    deadly = uploads.add_upload("deadly.h5ad", streams.BytesIO(b"deadly"))
    sound = uploads.add_upload("sound.h5ad", streams.BytesIO(b"sound"))
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    (uploads.folder() / deadly.id / f".reading-{gone.pid}-0badf00d").touch()
    with uploads.being_read(sound.id):
        uploads.clear_leftovers()
        assert [item.id for item in uploads.stored_files()] == [sound.id]
    assert [place.name for place in (uploads.folder() / sound.id).glob(".reading-*")] == []
    (uploads.folder() / sound.id / f".reading-{os.getpid()}-0badf00d").touch()
    uploads.clear_leftovers()
    assert uploads.stored_files() == []


def test_an_upload_whose_reader_died_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLICEDVAE_READ_SECONDS", "1")
    with comments_without_end(tmp_path).open("rb") as content:
        stored = uploads.add_upload("deadly.zip", content)
    with pytest.raises(ReaderDiedError, match=r"^deadly\.zip: reading it took more than 1 s"):
        reading.contents(stored)
    assert uploads.stored_files() == []
    assert not Path(stored.path).exists()
