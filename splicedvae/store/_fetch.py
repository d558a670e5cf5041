"""Bring a model from an address: nothing is trusted before its digests were checked.

What comes is bounded in size, lies in a folder of its own under names that are known beforehand,
and is opened only by `splicedvae.store.read_stored`.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from splicedvae import __version__
from splicedvae._core.downloading import failure
from splicedvae._core.errors import DownloadError
from splicedvae.store._folder import DIGESTS, FILES, MAX_BYTES
from splicedvae.store._places import HUB

_TIMEOUT: Final = 30
_PIECE: Final = 1 << 18


def fetch(address: str, folder: Path) -> Path:
    """Download a model.

    Parameters
    ----------
    address
        Of a zip, of a folder with a stored model, or of a repository of the hub.
    folder
        An empty folder to write into.

    Returns
    -------
    The zip, or the folder of the model; nothing in it was checked yet.

    Raises
    ------
    DownloadError
        If it cannot be fetched, or is too large.
    """
    if address.startswith(HUB):
        return _from_hub(address, folder)
    with requests.Session() as session:
        session.headers["User-Agent"] = f"splicedvae/{__version__}"
        if urlsplit(address).path.endswith(".zip"):
            file = folder / "model.zip"
            _download(session, address, file)
            return file
        parts = urlsplit(address)
        base = parts._replace(path=parts.path.rstrip("/"))
        target = folder / "model"
        target.mkdir()
        for name in (DIGESTS, *FILES):
            _download(session, base._replace(path=f"{base.path}/{name}").geturl(), target / name)
    return target


def _download(session: requests.Session, url: str, file: Path) -> None:
    """Download one file, up to the most bytes that a model may have."""
    name = urlsplit(url).path.rpartition("/")[2]
    left = MAX_BYTES
    try:
        with session.get(url, stream=True, timeout=_TIMEOUT) as answer, file.open("xb") as sink:
            answer.raise_for_status()
            for piece in answer.iter_content(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise DownloadError(
                        f"The file {name!r} of the model has more than "
                        f"{MAX_BYTES // 1024**2:,} MiB, which no model has: check the address."
                    )
                sink.write(piece)
    except requests.exceptions.RequestException as error:
        raise DownloadError(
            f"The file {name!r} of the model could not be downloaded "
            f"({failure(error, _TIMEOUT)}): check the address and the network, or get the model as "
            "a zip and add that."
        ) from error


def _from_hub(address: str, folder: Path) -> Path:
    """Download the files of a model from a repository of the Hugging Face hub."""
    repository, _, revision = address.removeprefix(HUB).strip("/").partition("@")
    if repository.count("/") != 1:
        raise DownloadError(
            f"{address[:80]!r} names no repository of the hub, hf://owner/name was expected: "
            "correct it."
        )
    if importlib.util.find_spec("huggingface_hub") is None:
        raise DownloadError(
            "Models of the Hugging Face hub need the package huggingface_hub, which is not "
            "installed: install it with pip install 'splicedvae[hub]', or download the repository "
            "and add its folder."
        )
    hub: Any = importlib.import_module("huggingface_hub")
    errors: Any = importlib.import_module("huggingface_hub.errors")
    target = folder / "model"
    try:
        hub.snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=[DIGESTS, *FILES],
            local_dir=target,
        )
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError, ValueError) as error:
        raise DownloadError(
            f"The repository {repository[:80]!r} of the hub could not be downloaded "
            f"({type(error).__name__}): check its name and the network, or download it by hand and "
            "add its folder."
        ) from error
    return target
