"""A stored model: a folder of safetensors, JSON and CSV, each file checked by its digest.

``SHA256SUMS`` names every file with its SHA-256 (``sha256sum -c`` reads it too); its own SHA-256 is
the digest of the model. Nothing in the folder can run when it is read, and counts are not in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from splicedvae._core.errors import StoreError
from splicedvae._core.files import (
    SUMS,
    file_digest,
    parse_sums,
    replacing,
    sums_text,
    write_text,
)
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.keys import Var
from splicedvae.store._card import ModelCard

if TYPE_CHECKING:
    from splicedvae.model import SplicedVAE

CARD: Final = "card.json"
GENES: Final = "genes.csv"
CELLS: Final = "cells.txt"
DIGESTS: Final = SUMS
#: The model itself, as `splicedvae.model.SplicedVAE.to_folder` writes it.
WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"
#: All that a stored model consists of besides its digests.
FILES: Final = (CARD, DESCRIPTION, WEIGHTS, GENES, CELLS)
#: Most bytes of one file of a model, and of all of them.
MAX_BYTES: Final = 512 * 1024**2

#: Column of ``genes.csv``: share of the counts of training that a gene has.
COUNTS_SHARE: Final = "share_of_counts"
#: Hexadecimal digits that are kept of the digest of a cell's name.
_NAME_DIGITS: Final = 8

Place = Literal["bundled", "added", "folder"]


@dataclass(frozen=True)
class StoredModel:
    """A model of the store whose files have their digests.

    Attributes
    ----------
    path
        The folder.
    card
        What it is.
    digest
        SHA-256 of the list of its files' digests, 64 hexadecimal digits.
    place
        ``"bundled"`` with the package, ``"added"`` by the user, or a ``"folder"`` elsewhere.
    """

    path: Path
    card: ModelCard
    digest: str
    place: Place = "folder"

    @property
    def name(self) -> str:
        """Name by which it is asked for."""
        return self.card.name

    @property
    def reference(self) -> str:
        """Name and digest, which say which weights were meant for good."""
        return f"{self.name}@{self.digest[:16]}"

    @property
    def told(self) -> str:
        """Which model answers and what it must not be used for, for a reader of the results."""
        card = self.card
        not_for = f" Not for: {' '.join(card.not_for)}" if card.not_for else ""
        return (
            f"Predictions are from the stored model {self.reference}: {card.title}, "
            f"{card.n_cells:,} cells x {card.n_genes:,} genes.{not_for}"
        )

    @property
    def files(self) -> tuple[str, ...]:
        """Names of its files."""
        return (*FILES, DIGESTS)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum((self.path / name).stat().st_size for name in (*FILES, DIGESTS))

    @cached_property
    def genes(self) -> pd.DataFrame:
        """The genes in the model's order, their names as index.

        Columns: identifiers and symbols if the names do not give them, the mean spliced fraction
        in training, and the share of the training counts.
        """
        try:
            text = (self.path / GENES).read_text(encoding="utf-8")
            # A gene may be called NA, null or 1: names are text.
            table = pd.read_csv(StringIO(text), keep_default_na=False, dtype=str)
            table = table.set_index(table.columns[0])
            for name in (Var.GENE_MEAN, COUNTS_SHARE):
                table[name] = pd.to_numeric(table[name].replace("", np.nan))
        except (ValueError, KeyError, IndexError, OSError) as error:
            raise StoreError(
                f"The table of genes of the model {self.name!r} cannot be read: download "
                "the model again from its publisher."
            ) from error
        return table

    @cached_property
    def identity(self) -> GeneIdentity:
        """Which genes the model knows, in its order."""
        return GeneIdentity.of(self.genes.drop(columns=[Var.GENE_MEAN, COUNTS_SHARE]))

    def model(self) -> SplicedVAE:
        """Load the model, ready to answer on AnnData without S/U.

        Raises
        ------
        RunError
            If weights and description do not fit each other.
        """
        from splicedvae.model import SplicedVAE

        return SplicedVAE.from_folder(self.path)

    def known_cells(self, names: Iterable[object]) -> NDArray[np.bool_]:
        """Say which cells have the name of a cell that the model was trained on.

        Parameters
        ----------
        names
            Of cells. Barcodes of droplets repeat by chance in about one of a hundred cells.

        Returns
        -------
        Shape (n_names,).
        """
        known = set((self.path / CELLS).read_text(encoding="ascii").split())
        return np.array([_name_digest(name) in known for name in names], dtype=bool)


def _name_digest(name: object) -> str:
    return hashlib.sha256(str(name).encode("utf-8", "replace")).hexdigest()[:_NAME_DIGITS]


def is_stored_model(folder: Path) -> bool:
    """Say whether a folder looks like a stored model, before it is checked.

    Parameters
    ----------
    folder
        The folder.
    """
    return (folder / CARD).is_file() and (folder / DIGESTS).is_file()


def read_stored(folder: Path | str, *, place: Place = "folder") -> StoredModel:
    """Open a stored model and check every file of it.

    Parameters
    ----------
    folder
        The folder.
    place
        What it is of the store.

    Raises
    ------
    StoreError
        If a file is missing, does not have its digest, or the card cannot be understood.
    """
    folder = Path(folder)
    if not is_stored_model(folder):
        raise StoreError(
            f"The folder {folder.name!r} is not a stored model, expected {CARD} and "
            f"{DIGESTS} in it: name a folder made by `splicedvae models add`."
        )
    try:
        listed = (folder / DIGESTS).read_bytes()
        expected = _digests(listed, folder.name)
        for name, digest in expected.items():
            _check(folder / name, digest)
        card = ModelCard.from_json((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"The model in the folder {folder.name!r} cannot be read: check its "
            "permissions, or download it again from its publisher."
        ) from error
    return StoredModel(folder, card, hashlib.sha256(listed).hexdigest(), place)


def _digests(listed: bytes, folder: str) -> dict[str, str]:
    """Read the list of digests: exactly the files of a model, each once."""
    found = parse_sums(listed)
    if found is None or sorted(found) != sorted(FILES):
        raise StoreError(
            f"The list of digests ({DIGESTS}) of the model {folder[:60]!r} does not name "
            f"each file of a model once ({', '.join(FILES)}): download the model again from "
            "its publisher."
        )
    return dict(found)


def _check(file: Path, expected: str) -> None:
    if not file.is_file() or file.is_symlink():
        raise StoreError(
            f"The model in the folder {file.parent.name!r} has no file {file.name}: it is "
            "incomplete, download it again from its publisher."
        )
    if file.stat().st_size > MAX_BYTES:
        raise StoreError(
            f"The file {file.name} of the model in {file.parent.name!r} has more than "
            f"{MAX_BYTES // 1024**2:,} MiB, the maximum for a model: download it again "
            "from its publisher."
        )
    if file_digest(file) != expected:
        raise StoreError(
            f"The file {file.name} of the model in {file.parent.name!r} does not match its "
            "digest, it was damaged or changed: download the model again from its "
            "publisher."
        )


def write_stored(
    folder: Path | str,
    card: ModelCard,
    model: SplicedVAE,
    *,
    gene_means: pd.Series,
    gene_counts: NDArray[np.floating],
    cell_names: Iterable[object],
    small: bool = True,
) -> StoredModel:
    """Write a trained model with its card and digests.

    Parameters
    ----------
    folder
        Where to; it must not exist.
    card
        What the model is.
    model
        The model.
    gene_means
        Mean spliced fraction of each gene in training, by the model's names of genes.
    gene_counts
        Total counts of each gene in training, in the model's order; shape (n_genes,).
    cell_names
        Of the cells that it was trained on. Beginnings of their digests are kept, so that a
        prediction can say that the model saw these cells.
    small
        As for `splicedvae.SplicedVAE.to_folder`.

    Returns
    -------
    The stored model.

    Raises
    ------
    StoreError
        If something lies at the folder, or the card does not fit the model.
    """
    folder = Path(folder)
    if folder.exists():
        raise StoreError(f"{folder.name!r} exists: choose another folder.")
    if card.n_genes != len(model.genes):
        raise StoreError(
            f"The card of {card.name!r} says {card.n_genes:,} genes but the model has "
            f"{len(model.genes):,}: correct the card."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder) as temporary:
        model.to_folder(temporary, small=small)
        _gene_table(model, gene_means, gene_counts).to_csv(temporary / GENES, index_label="gene")
        known = sorted({_name_digest(name) for name in cell_names})
        write_text(temporary / CELLS, "\n".join(known) + "\n")
        write_text(temporary / CARD, card.to_json())
        write_digests(temporary)
    return read_stored(folder)


def write_digests(folder: Path) -> None:
    """Write the digests of a model's files.

    Parameters
    ----------
    folder
        The folder, with all `FILES`.
    """
    write_text(folder / DIGESTS, sums_text(folder, FILES))


def _gene_table(model: SplicedVAE, means: pd.Series, counts: NDArray[np.floating]) -> pd.DataFrame:
    table = model.gene_identity.frame()
    table[Var.GENE_MEAN] = means.reindex(table.index).round(6)
    share = np.asarray(counts, dtype=np.float64) / max(float(np.sum(counts)), 1.0)
    table[COUNTS_SHARE] = [float(f"{value:.4g}") for value in share]
    return table
