"""Adding, finding and removing models: folders, zips, and what no zip may do."""

from __future__ import annotations

import stat
import warnings
import zipfile
from pathlib import Path

import pytest
from stored_models import zipped

from splicedvae import store as models
from splicedvae._core.errors import StoreError
from splicedvae.store import StoredModel
from splicedvae.store._folder import CARD


def test_a_folder_is_added_found_and_removed(store: Path, made: StoredModel) -> None:
    assert models.list_models() == []
    added = models.add_model(made.path)
    assert added.path == store / made.name
    assert added.place == "added"
    assert added.digest == made.digest
    assert [one.name for one in models.list_models()] == [made.name]
    assert models.find_model(made.name) == added
    assert models.find_model(added.reference) == added
    assert models.open_stored(made.path).place == "folder"
    with pytest.raises(StoreError, match="already"):
        models.add_model(made.path)
    models.remove_model(made.name)
    assert models.list_models() == []
    assert not list(store.iterdir())
    with pytest.raises(StoreError, match="There is no added model"):
        models.remove_model(made.name)


def test_another_name_and_the_digest_it_must_have(store: Path, made: StoredModel) -> None:
    with pytest.raises(StoreError, match="another model or version"):
        models.add_model(made.path, digest="0" * 64)
    with pytest.raises(StoreError, match="not a digest"):
        models.add_model(made.path, digest="xyz")
    added = models.add_model(made.path, name="second", digest=made.digest[:20])
    assert added.card.name == added.name == "second"
    assert added.digest != made.digest
    with pytest.raises(StoreError, match="was requested"):
        models.find_model(f"second@{made.digest[:16]}")
    with pytest.raises(StoreError, match="is not a valid model name"):
        models.add_model(made.path, name="../outside")


def test_a_bundled_model_is_found_first_and_stays(
    store: Path, made: StoredModel, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = copy.with_name("bundled")
    copy.rename(bundled / made.name)
    assert models.find_model(made.name).place == "bundled"
    with pytest.raises(StoreError, match="already"):
        models.add_model(made.path)
    with pytest.raises(StoreError, match="is part of the package"):
        models.remove_model(made.name)


def test_a_damaged_model_is_left_out_and_told(store: Path, made: StoredModel) -> None:
    added = models.add_model(made.path)
    models.add_model(made.path, name="whole")
    (added.path / CARD).write_text("{}")
    with pytest.warns(UserWarning, match="not listed"):
        assert [one.name for one in models.list_models()] == ["whole"]
    with pytest.raises(StoreError, match="digest"):
        models.find_model(made.name)
    models.remove_model(made.name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(models.list_models()) == 1


@pytest.mark.parametrize("inside", ["", "model/", "a/b/"])
def test_a_zip_is_added(store: Path, made: StoredModel, tmp_path: Path, inside: str) -> None:
    assert models.add_model(zipped(made.path, tmp_path / "m.zip", inside)).digest == made.digest


def escaping(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as out:
        out.writestr("../escaped.txt", "x")


def absolute(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as out:
        out.writestr("/tmp/escaped.txt", "x")


def linking(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as out:
        link = zipfile.ZipInfo("model/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(link, "/etc/passwd")


def crowded(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as out:
        for number in range(300):
            out.writestr(f"model/{number}.txt", "x")


def bomb(file: Path) -> None:
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as out, out.open("0", "w") as sink:
        for _ in range(600):
            sink.write(bytes(1 << 20))


def twice(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as out:
        out.writestr("other/card.json", "{}")


@pytest.mark.parametrize("spoil", [escaping, absolute, linking, crowded, bomb, twice])
def test_a_hostile_zip_is_refused(store: Path, made: StoredModel, tmp_path: Path, spoil) -> None:
    file = zipped(made.path, tmp_path / "m.zip")
    spoil(file)
    with pytest.raises(StoreError):
        models.add_model(file)
    assert not (tmp_path / "escaped.txt").exists()
    assert not Path("/tmp/escaped.txt").exists()
    assert not store.exists() or not list(store.iterdir())


def test_what_is_no_model_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.zip").write_text("Dear colleague")
    for source, said in (
        (tmp_path / "letter.zip", "damaged"),
        (tmp_path / "nothing", "no model at"),
        (tmp_path, "not a stored model"),
    ):
        with pytest.raises(StoreError, match=said):
            models.add_model(source)
    for name in ("..", "", "a/b", "A", "x" * 99):
        with pytest.raises(StoreError, match="no model"):
            models.find_model(name)
