"""Where stored models lie: with the package, and in the user's own folder."""

from __future__ import annotations

import re
import shutil
import tempfile
import uuid
import warnings
from pathlib import Path
from typing import Final

from splicedvae._core.errors import DataError, StoreError
from splicedvae._core.files import replacing, write_text
from splicedvae._core.places import user_folder
from splicedvae.io import Limits, unpack_zip
from splicedvae.store._card import checked_name
from splicedvae.store._folder import (
    CARD,
    DIGESTS,
    FILES,
    MAX_BYTES,
    StoredModel,
    is_stored_model,
    read_stored,
    write_digests,
)

#: Environment variable that names the user's folder of models.
MODELS_VARIABLE: Final = "SPLICEDVAE_MODELS"
#: Beginning of the address of a repository of the Hugging Face hub.
HUB: Final = "hf://"
#: Files of a zip with a model; a few more than a model has, for those that a system adds.
_MAX_ENTRIES: Final = 200
_REFERENCE: Final = re.compile(r"([a-z0-9][a-z0-9._-]*)(?:@([0-9a-f]{8,64}))?")


def is_address(source: str) -> bool:
    """Say whether a source is an address and no path.

    Parameters
    ----------
    source
        What was given.
    """
    return source.startswith(("http://", "https://", HUB))


def models_folder() -> Path:
    """Return the folder that holds the models which this user added.

    Returns
    -------
    What the environment variable ``SPLICEDVAE_MODELS`` names, else the system's place for a
    user's data. It may not exist yet.
    """
    return user_folder(MODELS_VARIABLE, "models")


def bundled_folder() -> Path:
    """Return the folder of the models that come with the package; it is read-only."""
    return Path(__file__).parents[1] / "bundled"


def list_models() -> list[StoredModel]:
    """Return the models that were added and those that come with the package, by name.

    Warns
    -----
    UserWarning
        For each folder that holds no readable model, which is left out.
    """
    found: dict[str, StoredModel] = {}
    for folder, place in ((bundled_folder(), "bundled"), (models_folder(), "added")):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.name.startswith((".", "_")) or not path.is_dir():
                continue
            try:
                stored = read_stored(path, place="bundled" if place == "bundled" else "added")
            except StoreError as error:
                warnings.warn(f"A model of the store is not listed: {error}", stacklevel=2)
                continue
            # The name of the folder counts: by it the model is found and removed.
            found.setdefault(stored.card.name, stored)
    return sorted(found.values(), key=lambda stored: stored.name)


def find_model(name: str) -> StoredModel:
    """Return the stored model of a name.

    Parameters
    ----------
    name
        Its name, or a reference: the name, ``@`` and the beginning of the digest that is wanted.

    Raises
    ------
    StoreError
        If there is no such model, it is damaged, or has another digest.
    """
    wanted = _REFERENCE.fullmatch(name)
    for folder in (bundled_folder(), models_folder()) if wanted else ():
        path = folder / wanted[1] if wanted else folder
        if wanted is None or not path.is_dir():
            continue
        stored = read_stored(path, place="bundled" if folder == bundled_folder() else "added")
        if wanted[2] and not stored.digest.startswith(wanted[2]):
            raise StoreError(
                f"The model {wanted[1]!r} of this store has the digest "
                f"{stored.digest[:16]}, but {wanted[2][:16]} was requested: add the "
                "requested version, or name the model without a digest."
            )
        return stored
    raise StoreError(
        f"There is no model {name[:60]!r} in the store: `splicedvae models list` shows the "
        "available ones, and `splicedvae models add` adds others."
    )


def open_stored(name: str | Path) -> StoredModel:
    """Return the stored model of a folder or of a name.

    Parameters
    ----------
    name
        A folder that holds a stored model, or what `find_model` takes.

    Raises
    ------
    StoreError
        As for `find_model`.
    """
    if is_stored_model(Path(name)):
        return read_stored(name)
    return find_model(str(name))


def add_model(
    source: str | Path, *, name: str | None = None, digest: str | None = None
) -> StoredModel:
    """Bring a model into the user's folder: from a folder, a zip, an address or the hub.

    Parameters
    ----------
    source
        A folder with a stored model; a zip of one; an address (``https://...``) of a zip or of
        such a folder; or ``hf://owner/name``, with ``@revision`` if one is meant, for a repository
        of the Hugging Face hub, which needs the package huggingface_hub.
    name
        Name to give it; its own if None.
    digest
        Digest that the model must have, or at least its first 16 digits.

    Returns
    -------
    The model in the user's folder.

    Raises
    ------
    StoreError
        If it is damaged, has another digest than was expected, or its name is taken.
    DownloadError
        If it cannot be fetched.
    """
    if digest is not None and not re.fullmatch(r"[0-9a-f]{16,64}", digest):
        raise StoreError(
            f"{digest[:70]!r} is not a digest of a model, expected 16 to 64 hexadecimal "
            "digits: copy it from the model's publisher."
        )
    with tempfile.TemporaryDirectory(prefix="splicedvae-model-") as scratch:
        if is_address(str(source)):
            # requests takes a while to import, and most models are here already.
            from splicedvae.store._fetch import fetch

            place = fetch(str(source), Path(scratch))
        else:
            place = Path(source).expanduser()
        folder = place if place.is_dir() else _unpacked(place, Path(scratch) / "unpacked")
        stored = read_stored(folder)
        if digest is not None and not stored.digest.startswith(digest):
            raise StoreError(
                f"The model {stored.name!r} has the digest {stored.digest[:16]}, expected "
                f"{digest[:16]}: it is another model or version, do not use it."
            )
        return _keep(stored, name)


def _keep(stored: StoredModel, name: str | None) -> StoredModel:
    """Copy the files of a checked model into the user's folder."""
    name = checked_name(name or stored.name)
    target = models_folder() / name
    if (bundled_folder() / name).exists() or target.exists():
        raise StoreError(
            f"The store already has a model {name!r}: remove it first, or give this one "
            "another name."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            temporary.mkdir()
            for file in (*FILES, DIGESTS):
                shutil.copyfile(stored.path / file, temporary / file)
            # What was copied is what was checked.
            copied = read_stored(temporary)
            if name != stored.name:
                write_text(temporary / CARD, copied.card.renamed(name).to_json())
                write_digests(temporary)
    except OSError as error:
        raise StoreError(
            f"The model could not be saved ({error.strerror or type(error).__name__}): free "
            f"some space, or set {MODELS_VARIABLE} to a writable folder."
        ) from error
    return read_stored(target, place="added")


def _unpacked(file: Path, target: Path) -> Path:
    """Unpack a zip and return the folder of the model in it."""
    if not file.is_file():
        raise StoreError(
            f"There is no model at {file.name!r}: name a folder, a zip, an address, a "
            "finished run or hf://owner/name."
        )
    target.mkdir()
    try:
        unpack_zip(file, target, Limits(max_bytes=MAX_BYTES, max_entries=_MAX_ENTRIES))
    except DataError as error:
        raise StoreError(f"The file {file.name!r} holds no model that can be added: {error}") from (
            error
        )
    found = [path.parent for path in target.rglob(CARD)]
    if len(found) != 1:
        raise StoreError(
            f"The zip {file.name!r} holds {len(found)} stored models, expected one: pack "
            "the folder of one model."
        )
    return found[0]


def remove_model(name: str) -> None:
    """Remove a model that was added, for good.

    Parameters
    ----------
    name
        Its name.

    Raises
    ------
    StoreError
        If there is none of this name among those that were added.
    """
    folder = models_folder() / checked_name(name)
    if not folder.is_dir():
        if (bundled_folder() / name).is_dir():
            raise StoreError(
                f"The model {name!r} is part of the package and cannot be removed: only "
                "added models can be removed."
            )
        raise StoreError(
            f"There is no added model {name!r}: `splicedvae models list` shows the available ones."
        )
    trash = folder.with_name(f".trash-{uuid.uuid4().hex[:8]}")
    folder.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)
