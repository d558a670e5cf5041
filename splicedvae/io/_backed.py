"""`read_backed`: what `read` does, for files whose totals are to stay on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import h5py
import pandas as pd
from anndata import AnnData
from anndata.experimental import read_dispatched
from anndata.io import read_elem
from scipy import sparse

from splicedvae._core.keys import Counts
from splicedvae._core.messages import about, file_name, keeping, shown
from splicedvae.io import _opening
from splicedvae.io._digest import sha256
from splicedvae.io._features import gene_mask
from splicedvae.io._limits import Limits
from splicedvae.io._names import find_pairs, half_pair
from splicedvae.io._read import OWN_LAYERS, assemble, empty_note, record
from splicedvae.io._recognise import Asked, predicted_layers, recognise
from splicedvae.io._stored import NotInBlocksError, StoredMatrix
from splicedvae.io.formats import _h5ad


@dataclass(frozen=True)
class BackedCounts:
    """Totals that stay in their file, and everything else of it in memory.

    A context manager: the file is closed at its end.

    See Also
    --------
    splicedvae.io.read_backed : From a file.
    """

    #: Cells and genes with all that `ReadResult.adata` has but counts: ``X`` is None.
    adata: AnnData
    #: As for `ReadResult`, and the following likewise.
    notes: tuple[str, ...]
    name: str
    sha256: str
    total_source: str
    _totals: StoredMatrix
    _closing: ExitStack = field(default_factory=ExitStack, repr=False)
    #: It is unknown what the totals contain, because there are no measured layers.
    counts: Counts | None = None
    spliced_source: None = None
    unspliced_source: None = None
    ambiguous_source: None = None
    ambiguous: None = None

    def blocks(self) -> Iterator[sparse.csr_matrix]:
        """Yield the raw totals of the cells in order, some thousand cells at a time.

        Yields
        ------
        Canonical CSR float32, cells x all genes of ``adata``.

        Raises
        ------
        DataError
            The file cannot be read any more.
        """
        blocks = self._totals.blocks()
        while True:
            with about(self.name), _opening.sentences():
                block = next(blocks, None)
            if block is None:
                return
            yield block

    def close(self) -> None:
        """Close the file."""
        self._closing.close()

    def __enter__(self) -> BackedCounts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_backed(
    path: str | os.PathLike[str], *, total: str | None = None, max_bytes: int | None = None
) -> BackedCounts | None:
    """Do as `read` does for an h5ad or zarr file of totals, without bringing them into memory.

    All counts are checked, a block of cells at a time, with the same checks and notes.

    Parameters
    ----------
    path
        File or folder.
    total
        As for `read`.
    max_bytes
        As for `read`; it bounds what the file declares.

    Returns
    -------
    The data, or ``None`` where the file has to be read as a whole: it is not an h5ad file or zarr
    folder, a matrix is stored gene by gene (CSC) or has missing values, features that are no genes
    are among its genes, or it has layers of measured or predicted counts.

    Raises
    ------
    DataError
        As for `read`.
    """
    name = file_name(os.fspath(path))
    closing = ExitStack()
    notes: list[str] = []
    with ExitStack() as guard, about(name), keeping(notes), _opening.sentences():
        guard.callback(closing.close)
        limits = Limits.of(max_bytes)
        place = _opening.existing(path)
        root = _root(place, limits, closing, notes)
        parts = None if root is None else _parts(root)
        if parts is None:
            return None
        try:
            found = recognise(parts, notes, asked=Asked(total), copy=False)
        except NotInBlocksError:
            return None
        totals = found.total
        cells = assemble(parts, found, notes, copy=False, counts=None)
        if totals.shape != cells.shape:
            raise ValueError("the totals have another shape than obs and var")
        notes += empty_note(totals.seen.n_empty, cells.n_obs)
        result = BackedCounts(
            cells, tuple(notes), name, sha256(path), found.total_source, totals, closing
        )
        record(result)
        guard.pop_all()
        return result


def _root(place: Path, limits: Limits, closing: ExitStack, notes: list[str]) -> Any | None:
    """Open the file after the gate's checks; None where its format is not read in blocks."""
    if place.is_file() and not _opening.is_hdf5(place):
        return None
    found = _opening.recognized(place, limits)
    if found is None or not found.in_blocks:
        return None
    if not place.is_dir():
        notes += _opening.claimed_note(place, found)
    return found.code.stored(place, limits, closing)


def _parts(root: Any) -> SimpleNamespace | None:
    """Read all but matrices of cells x genes, which stay in the file.

    Returns
    -------
    What `recognise` and `assemble` ask of an AnnData; None where a matrix cannot stay there.
    """

    def read(key: str) -> Any:
        if key not in root:
            return {}
        element = root[key]
        if isinstance(element, h5py.Group):
            return read_dispatched(element, _h5ad.read_element)
        return read_elem(element)

    small = AnnData(
        obs=read("obs"), var=read("var"), uns=read("uns"), obsm=read("obsm"), varm=read("varm")
    )
    _opening.check_all(small)
    if small.n_obs == 0 or small.n_vars == 0 or gene_mask(small.var) is not None:
        return None
    keys = {part: dict.fromkeys(root[part]) if part in root else {} for part in ("obsp", "varp")}
    stored_layers = root.get("layers", {})
    layers = {key: stored_layers[key] for key in stored_layers}
    places = {f"layers/{shown(key)}": value for key, value in layers.items()}
    x, raw = _present(root, "X"), _present(root, "raw")
    if x is not None:
        places["X"] = x
    if raw is not None:
        if not {"X", "var"} <= set(raw.keys()):
            return None
        places["raw.X"] = raw["X"]
    if OWN_LAYERS & set(layers) or predicted_layers(small) & set(layers) or find_pairs(layers):
        return None
    if half_pair(layers) is not None:  # X may be its counterpart
        return None
    if not all(StoredMatrix.storable(value) for value in places.values()):
        return None
    stored = {where: StoredMatrix(value, where) for where, value in places.items()}
    kept_raw = None
    if raw is not None:
        var: pd.DataFrame = read_elem(raw["var"])
        if gene_mask(var) is not None:
            return None
        kept_raw = SimpleNamespace(X=stored["raw.X"], var=var, var_names=var.index)
    parts: Mapping[str, Any] = {
        "X": stored.get("X"),
        "raw": kept_raw,
        "layers": {key: stored[f"layers/{shown(key)}"] for key in layers},
        **{part: getattr(small, part) for part in ("obs", "var", "uns", "obsm", "varm")},
        "obs_names": small.obs_names,
        "var_names": small.var_names,
        "n_obs": small.n_obs,
        "n_vars": small.n_vars,
        **keys,
    }
    return SimpleNamespace(**parts)


def _present(root: Any, key: str) -> Any | None:
    """Return an element of a file; None if it is absent or empty."""
    if key not in root:
        return None
    element = root[key]
    return None if element.attrs.get("encoding-type") == "null" else element
