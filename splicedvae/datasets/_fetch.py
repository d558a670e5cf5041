"""Files of public data sets: downloaded once, checked whenever they are used."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import h5py
import pooch
import requests
from tqdm.auto import tqdm

from splicedvae import __version__
from splicedvae._core.downloading import failure
from splicedvae._core.errors import DownloadError
from splicedvae.datasets._registry import DATASETS, PublicDataset

#: Environment variable that names the cache folder.
CACHE_VARIABLE = "SPLICEDVAE_CACHE"
_TIMEOUT = 30
_PIECE = 1 << 18

logger = logging.getLogger("splicedvae.datasets")


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Folder in which downloads are kept.

    Parameters
    ----------
    cache_dir
        The folder; when not given, the one that the environment variable ``SPLICEDVAE_CACHE``
        names, or else the place that the operating system has for caches.
    """
    if cache_dir is not None:
        return Path(cache_dir).expanduser()
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path(pooch.os_cache("splicedvae"))


def find(name: str) -> PublicDataset:
    """Look up a public data set.

    Raises
    ------
    DownloadError
        There is none of that name.
    """
    if name not in DATASETS:
        raise DownloadError(
            f"The public data set {name!r} is unknown; give one of "
            f"{', '.join(repr(known) for known in DATASETS)}."
        )
    return DATASETS[name]


def fetch(
    name: str,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    url: str | None = None,
    known_hash: str | None = None,
    progress: bool = True,
) -> Path:
    """Download the file of a public data set, or find it in the cache.

    A file in the cache is used without any request, after its checksum was verified; one that
    fails is downloaded again. Where no checksum is published, the first download (or the file
    found in the cache folder) is trusted, which is logged, and its SHA-256 is recorded next to it
    and verified from then on.

    Parameters
    ----------
    name
        One of the names that ``available`` lists.
    cache_dir
        Folder to keep the file in; see ``cache_folder``.
    url
        Another address to download from, such as a mirror.
    known_hash
        Checksum to verify instead of the published or recorded one, as ``algorithm:digest`` or a
        plain SHA-256.
    progress
        Whether to show a progress bar.

    Returns
    -------
    Path of the verified file.

    Raises
    ------
    DownloadError
        The name is unknown, the download fails, or what came is not the file that was expected.
    """
    entry = find(name)
    given = None if known_hash is None else _normalised(known_hash)
    folder = cache_folder(cache_dir)
    target = folder / entry.file_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        expected = given or entry.known_hash or _recorded(target)
        if target.is_file():
            if expected is None:
                _require_hdf5(entry, target, remove=False)
                _record(entry, target, "found in the cache folder")
                return target
            if _matches(target, expected):
                if given is not None and entry.known_hash is None:
                    _write_record(target, _digest(target, "sha256"))
                return target
            logger.warning(
                "The cached file of %r does not have the checksum %s; it is downloaded again.",
                entry.name,
                expected,
            )
        _download(entry, target, url or entry.url, expected, progress=progress)
        if expected is None:
            _require_hdf5(entry, target, remove=True)
            _record(entry, target, "downloaded for the first time")
        elif entry.known_hash is None:
            _write_record(target, _digest(target, "sha256"))
    except OSError as error:
        # What the network raises has become a DownloadError; this is the disk.
        raise DownloadError(
            f"The data set {entry.name!r} could not be saved in the cache folder "
            f"({error.strerror or type(error).__name__}); name a writable folder with free "
            f"space, by {CACHE_VARIABLE} or cache_dir=."
        ) from error
    return target


def verify(entry: PublicDataset, path: Path, known_hash: str | None = None) -> None:
    """Check that a file which a user brought is the file of a public data set.

    Parameters
    ----------
    entry
        The data set.
    path
        The file.
    known_hash
        Checksum to verify instead of the published one.

    Raises
    ------
    DownloadError
        There is no such file, or its checksum differs.
    """
    if not path.is_file():
        raise DownloadError(
            f"There is no file {path.name!r} at the path given for the data set {entry.name!r}; "
            "correct the path, or leave it out to download the file."
        )
    expected = entry.known_hash if known_hash is None else _normalised(known_hash)
    if expected is None:
        logger.warning("No checksum of %r is published: its file is used unchecked.", entry.name)
    elif not _matches(path, expected):
        raise DownloadError(
            f"The file {path.name!r} given for the data set {entry.name!r} does not have "
            f"the checksum {expected}; download it again, or read it as your own data with "
            "splicedvae.io.read."
        )


class _Bar(tqdm):
    """A progress bar that is truthy before its total is known, as pooch requires."""

    def __bool__(self) -> bool:
        return True


def _download(
    entry: PublicDataset, target: Path, url: str, expected: str | None, *, progress: bool
) -> None:
    """Download to ``target``, which is only replaced by a file with the expected checksum."""
    by_hand = (
        f"download the file manually from {url} and pass it as path=, or put it as "
        f"{entry.file_name!r} into the cache folder set by {CACHE_VARIABLE} or cache_dir=."
    )
    # A file that is here by now failed its checksum, and stays until a good one replaces it.
    failed = (
        "does not have its checksum in the cache and could not be downloaded again"
        if target.is_file()
        else "could not be downloaded"
    )
    bar = _Bar(desc=entry.name, unit="B", unit_scale=True, disable=not progress)
    downloader = pooch.HTTPDownloader(
        progressbar=bar,
        chunk_size=_PIECE,
        timeout=_TIMEOUT,
        headers={"User-Agent": f"splicedvae/{__version__}"},
    )
    try:
        with _quiet_pooch():
            pooch.retrieve(
                url,
                known_hash=expected,
                fname=target.name,
                path=target.parent,
                downloader=downloader,
            )
    except requests.exceptions.RequestException as error:
        raise DownloadError(
            f"The data set {entry.name!r} {failed} ({failure(error, _TIMEOUT)}): {by_hand}"
        ) from error
    except ValueError as error:
        # pooch reports a wrong checksum this way; it has removed the download.
        raise DownloadError(
            f"The download of the data set {entry.name!r} does not have the checksum "
            f"{expected} and was removed; try again, and if its publisher has replaced the "
            "file, pass the new checksum as known_hash=."
        ) from error
    finally:
        bar.close()


@contextlib.contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch from printing where files lie; what matters is logged here."""
    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def _require_hdf5(entry: PublicDataset, target: Path, *, remove: bool) -> None:
    """Check that a file without a checksum opens, which one that was cut off does not."""
    try:
        with h5py.File(target, "r"):
            return
    except OSError as error:
        if remove:
            target.unlink()
            raise DownloadError(
                f"The download of the data set {entry.name!r} is not a complete HDF5 file "
                "and was removed; try again, or download the file manually and pass it as "
                "path=."
            ) from error
        raise DownloadError(
            f"The file {target.name!r} in the cache folder, used for the data set "
            f"{entry.name!r}, is not a complete HDF5 file; remove it to download it again."
        ) from error


def _record(entry: PublicDataset, target: Path, how: str) -> None:
    """Trust a file on first use, and say so."""
    digest = _digest(target, "sha256")
    _write_record(target, digest)
    logger.warning(
        "No checksum of %r is published: its file, %s, is trusted, and its SHA-256 %s is verified "
        "from now on.",
        entry.name,
        how,
        digest,
    )


def _record_path(target: Path) -> Path:
    return target.with_name(target.name + ".sha256")


def _write_record(target: Path, digest: str) -> None:
    """Write the checksum next to the file, in sha256sum's format, atomically."""
    record = _record_path(target)
    draft = record.with_name(f"{record.name}.{os.getpid()}")
    draft.write_text(f"{digest}  {target.name}\n", encoding="ascii")
    draft.replace(record)


def _recorded(target: Path) -> str | None:
    """Read the checksum recorded next to a file; None if there is none."""
    record = _record_path(target)
    if not record.is_file():
        return None
    found = re.match(r"[0-9a-f]{64}(?=\s)", record.read_text(encoding="ascii", errors="replace"))
    if found is None:
        raise DownloadError(
            f"The record {record.name!r} in the cache folder holds no SHA-256; remove it, and "
            f"{target.name!r} with it unless you trust that file."
        )
    return f"sha256:{found[0]}"


def _normalised(known_hash: str) -> str:
    """Write a checksum as ``algorithm:digest``, refusing what cannot be one."""
    algorithm, separator, digest = known_hash.strip().rpartition(":")
    algorithm = algorithm.lower() if separator else "sha256"
    fixed = algorithm in hashlib.algorithms_guaranteed and not algorithm.startswith("shake")
    size = hashlib.new(algorithm).digest_size * 2 if fixed else 0
    if not fixed or not re.fullmatch(rf"[0-9a-fA-F]{{{size}}}", digest):
        raise DownloadError(
            f"The checksum {known_hash!r} cannot be parsed; give 'algorithm:digest' such as "
            "'md5:...', or the 64 hexadecimal digits of a SHA-256."
        )
    return f"{algorithm}:{digest.lower()}"


def _digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _matches(path: Path, expected: str) -> bool:
    """Whether a file has a checksum given as ``algorithm:digest``."""
    algorithm, _, digest = expected.partition(":")
    return _digest(path, algorithm) == digest
