"""`read` and `from_anndata`: from whatever a person has to one shape of data."""

from __future__ import annotations

import copy as copying
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.gene_identity import (
    ID_COLUMNS,
    SYMBOL_COLUMNS,
    UNNAMED,
    name_numbers,
    texts_of,
)
from splicedvae._core.keys import Ambiguous, Layers, Uns, Var
from splicedvae._core.layers import named_layers
from splicedvae._core.messages import about, file_name, keeping, shown, shown_list
from splicedvae._core.native import native
from splicedvae._core.notes import Note
from splicedvae._core.writable import make_writable
from splicedvae.io._cleaning import Cleaner
from splicedvae.io._digest import sha256, sha256_of_anndata
from splicedvae.io._features import only_genes
from splicedvae.io._layers import partly_predicted
from splicedvae.io._memory import is_in_memory
from splicedvae.io._opening import check_all, open_checked
from splicedvae.io._recognise import Asked, Recognised, predicted_layers, recognise
from splicedvae.io._result import ReadResult

if TYPE_CHECKING:
    from splicedvae.io._backed import BackedCounts

#: Layers of the package itself, which stay as they are.
OWN_LAYERS = {value for key, value in vars(Layers).items() if key.isupper()}
#: Layers of a prediction.
PREDICTED = (
    Layers.SPLICED,
    Layers.UNSPLICED,
    Layers.PREDICTED_SPLICED,
    Layers.PREDICTED_UNSPLICED,
    Layers.RATIO,
)
_MEASURED = (Layers.SPLICED, Layers.UNSPLICED, Layers.AMBIGUOUS)
#: Columns that hold names where an index only numbers the genes, after the usual ones.
_INDEXES = ("_index", "index", "gene", "genes", "name", "names", "feature", "features", "row_names")
#: What readers make of a missing name; a gene may be called so, but not several.
_MISSING_NAMES = ("nan", "None", "NaN", "<NA>")


def read(
    path: str | os.PathLike[str],
    *,
    total: str | None = None,
    spliced_layer: str | None = None,
    unspliced_layer: str | None = None,
    ambiguous_layer: str | None = None,
    ambiguous: Ambiguous | None = None,
    max_bytes: int | None = None,
) -> ReadResult:
    """Read single-cell counts from a file or folder, in this process.

    `splicedvae.io.gate.read` does the same with the file opened in a process of its own, with
    bounds on memory and time: for files of unknown origin, and as command line and dashboard do.

    Accepted are h5ad, loom, Cell Ranger's h5, zarr (folder or zip), and folders (or zips of
    them) of Matrix Market files as Cell Ranger, STARsolo with or without Velocyto, alevin-fry
    and kallisto | bustools write them.

    Parameters
    ----------
    path
        File or folder.
    total
        Where raw total counts are: ``"X"``, ``"raw.X"``, the name of a layer,
        ``"spliced + unspliced"`` or ``"spliced + unspliced + ambiguous"``. ``None`` searches X,
        raw.X and layers under the usual names; where X holds only some of the measured layers,
        such as the spliced one, the sum of all of them is taken.
    spliced_layer, unspliced_layer, ambiguous_layer
        Names of the layers; ``None`` finds them under their usual names. Decimals left by ambient
        removal or estimation are rounded, those of unclear origin only when named here; layers
        with usual names that hold no counts are left out, and refused when named.
    ambiguous
        Where ambiguous counts go: ``"spliced"`` adds them to the spliced ones, ``"apart"`` keeps
        them in a layer of their own; totals made of layers hold them either way. ``None`` does as
        the tool advises whose names the layers have: ``"spliced"`` for kb's nac workflow and
        alevin-fry's USA mode; else ``"apart"``, as with velocyto and STARsolo, unless there are
        more ambiguous than spliced counts.
    max_bytes
        Bytes that the file's arrays may take in memory; ``None`` takes the environment variable
        ``SPLICEDVAE_MAX_BYTES``, else half of the free memory, at least 1 GiB.

    Returns
    -------
    The data in one shape, with notes on what was taken from where.

    Raises
    ------
    DataError
        The file cannot be read, is not safe to read, or holds no raw counts. The message is one
        sentence with the file's name.

    Examples
    --------
    >>> result = splicedvae.io.read("cells.h5ad")  # doctest: +SKIP
    >>> result.total_source, result.has_measured_layers  # doctest: +SKIP
    ('X', True)
    """
    name = file_name(os.fspath(path))
    opened = open_checked(path, max_bytes=max_bytes)
    digest = sha256(path)
    notes = list(opened.notes)
    with about(name), keeping(notes):
        return _result(
            opened.adata,
            notes,
            name=name,
            digest=digest,
            asked=Asked(total, spliced_layer, unspliced_layer, ambiguous_layer, ambiguous),
            copy=False,
        )


def from_anndata(
    adata: AnnData,
    *,
    name: str = "in memory",
    total: str | None = None,
    spliced_layer: str | None = None,
    unspliced_layer: str | None = None,
    ambiguous_layer: str | None = None,
    ambiguous: Ambiguous | None = None,
) -> ReadResult:
    """Do as `read` does for an AnnData that is in memory already.

    Parameters
    ----------
    adata
        Cells x genes, in memory, backed or of dask arrays. It is never changed, and the result
        shares no counts with it.
    name
        What the data are called in messages.
    total, spliced_layer, unspliced_layer, ambiguous_layer, ambiguous
        As for `read`.

    Returns
    -------
    The data in one shape, with notes on what was taken from where.

    Raises
    ------
    DataError
        It holds no raw counts, or a sparse matrix in it is damaged.
    """
    notes: list[str] = []
    with about(shown(name)), keeping(notes):
        if not is_in_memory(adata):
            adata = adata.to_memory()
        check_all(adata)
        return _result(
            adata,
            notes,
            name=shown(name),
            digest=None,
            asked=Asked(total, spliced_layer, unspliced_layer, ambiguous_layer, ambiguous),
            copy=True,
        )


def _result(
    adata: AnnData,
    notes: list[str],
    *,
    name: str,
    digest: str | None,
    asked: Asked,
    copy: bool,
) -> ReadResult:
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise DataError(
            f"it holds {adata.n_obs:,} cells and {adata.n_vars:,} genes, expected at least "
            "one of each; check the filtering before it was written."
        )
    adata = only_genes(adata, notes)
    predicted = predicted_layers(adata)
    # A folder lists its parts in any order.
    names = tuple(sorted(str(key) for key in named_layers(adata) if key not in predicted))
    found = recognise(adata, notes, asked=asked, copy=copy)
    out = assemble(adata, found, notes, copy=copy, counts=found.total)
    _keep_predicted(out, notes)
    notes += empty_note(int(np.count_nonzero(np.diff(found.total.indptr) == 0)), out.n_obs)
    if digest is None:
        digest = sha256_of_anndata(out)
    result = ReadResult(
        adata=out,
        notes=tuple(notes),
        name=name,
        sha256=digest,
        total_source=found.total_source,
        spliced_source=found.spliced_source,
        unspliced_source=found.unspliced_source,
        counts=found.counts,
        layers=names,
        totals_are_sum=found.are_sum,
        ambiguous_source=found.ambiguous_source,
        ambiguous=found.ambiguous_place,
        ambiguous_share=found.ambiguous_share,
    )
    record(result)
    return result


def _keep_predicted(out: AnnData, notes: list[str]) -> None:
    """Restore what a join of predictions dropped; leave out layers predicted in some cells only."""
    partly = {name: n for name, n in partly_predicted(out).items() if name in out.layers}
    for name in partly:
        del out.layers[name]
    if partly:
        notes.append(
            f"Layers {shown_list(partly)} were predicted in {max(partly.values()):,} of "
            f"{out.n_obs:,} cells only and were left out."
        )
    root = out.uns.get(Uns.ROOT)
    root = dict(root) if isinstance(root, Mapping) else {}
    known = [name for name in PREDICTED if name in predicted_layers(out) and name in out.layers]
    if Uns.PREDICTED not in root and known:
        root[Uns.PREDICTED] = {"layers": known}
        out.uns[Uns.ROOT] = root


def empty_note(n_empty: int, n_cells: int) -> list[str]:
    """Say how many cells hold no counts; nothing where all do."""
    if not n_empty:
        return []
    return [
        f"{n_empty:,} of {n_cells:,} cells hold no counts; they are kept here but no model "
        "can be trained on them."
    ]


def assemble(
    adata: AnnData,
    found: Recognised,
    notes: list[str],
    *,
    copy: bool,
    counts: sparse.csr_matrix | None,
) -> AnnData:
    """Build a new AnnData with the matrices under their names and everything else kept."""
    var = adata.var if found.var is None else found.var
    if found.var is not None:
        notes.append(
            f"raw.X has {len(found.var):,} genes and X {adata.n_vars:,}; all of raw's were used."
        )
    obs = _frame(adata.obs, "obs", notes)
    var = _frame(var, "var", notes)
    cleaner = Cleaner()
    for table, where in ((obs, "obs"), (var, "var")):
        cleaner.table(table, where)
    cells = cleaner.index(_text_index(obs.index), "cells")
    obs.index = _unique(cells, "cells", notes)
    var.index = cleaner.index(_text_index(var.index), "genes")
    _name_genes(var, notes)
    uns = cleaner.keys(copying.deepcopy(dict(adata.uns)) if copy else adata.uns, "uns")
    if len(adata.obsp) or len(adata.varp):
        notes.append(
            f"Matrices between cells or genes ({shown_list([*adata.obsp, *adata.varp])}) "
            "were left out; neighbors are recomputed."
        )
    if "neighbors" in uns:
        del uns["neighbors"]
    out = AnnData(
        X=counts,
        obs=obs,
        var=var,
        uns=uns,
        obsm=_rows(cleaner.keys(adata.obsm, "obsm"), obs.index, copy=copy),
        varm={}
        if found.var is not None
        else _rows(cleaner.keys(adata.varm, "varm"), var.index, copy=copy),
    )
    notes += cleaner.notes
    for key, matrix in zip(
        _MEASURED, (found.spliced, found.unspliced, found.ambiguous), strict=True
    ):
        if matrix is not None:
            out.layers[key] = matrix
    dropped = _other_layers(adata, found, out, copy=copy)
    if dropped:
        notes.append(f"Layers {shown_list(dropped)} were left out.")
    # What has no bearing on the counts must not stop their job when its result is written.
    notes += make_writable(out, shown=shown_list)
    return out


def _other_layers(adata: AnnData, found: Recognised, out: AnnData, *, copy: bool) -> list[str]:
    """Keep the package's own layers; give the names of those that were left out."""
    keep = OWN_LAYERS | predicted_layers(adata)
    dropped = []
    for key in named_layers(adata):
        if key in found.used_layers or f"layers/{key}" == found.total_source:
            continue
        stale = found.var is not None or (key in _MEASURED and key not in predicted_layers(adata))
        if key in keep and key not in out.layers and not stale:
            matrix = _copied(adata.layers[key], copy)
            if key in _MEASURED:
                matrix = sparse.csr_matrix(matrix, dtype=np.float32)
            out.layers[key] = matrix
        else:
            dropped.append(key)
    return dropped


def _copied(value: Any, copy: bool) -> Any:
    value = native(value)
    return value.copy() if copy and hasattr(value, "copy") else value


def _rows(mapping: Mapping[str, Any], index: pd.Index, *, copy: bool) -> dict[str, Any]:
    return {key: _named(_copied(value, copy), index) for key, value in mapping.items()}


def _named(value: Any, index: pd.Index) -> Any:
    """Give the rows of a table the names that cells or genes have now."""
    return value.set_axis(index) if isinstance(value, pd.DataFrame) else value


def _frame(frame: pd.DataFrame, where: str, notes: list[str]) -> pd.DataFrame:
    """Copy a frame so that its columns can be written again: mixed ones become text."""
    out = native(frame).copy()
    mixed = []
    for column in out.columns:
        if out[column].dtype != object:
            continue
        if pd.api.types.infer_dtype(out[column], skipna=True) in ("string", "empty"):
            continue
        missing = out[column].isna()
        out[column] = out[column].map(_text).where(~missing, None)
        mixed.append(column)
    if mixed:
        notes.append(
            f"Columns of {where} with mixed values ({shown_list(mixed)}) were converted to text."
        )
    if any(not isinstance(column, str) for column in out.columns):
        out.columns = [str(column) for column in out.columns]
    return out


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _text_index(index: Iterable[object]) -> pd.Index:
    return pd.Index([_text(value) for value in index], dtype=object)


def _name_genes(var: pd.DataFrame, notes: list[str]) -> None:
    """Give the genes unique names: the index, or a column where the index says nothing."""
    names = texts_of(var.index)
    if name_numbers(var).all():
        column = _naming_column(var)
        if column is not None:
            notes.append(
                f"Genes were only numbered, so their names were read from var {shown(column)}."
            )
            names = texts_of(var[column])
    # A name is missing, not a gene called nan, where several genes have it.
    for text in _MISSING_NAMES:
        if (names == text).sum() > 1:
            names[names == text] = ""
    ids_in = next((c for c in ID_COLUMNS if c in var), None)
    ids = None if ids_in is None else texts_of(var[ids_in])
    nameless = names == ""
    if nameless.any():
        places = np.flatnonzero(nameless)
        names[places] = [f"{UNNAMED}{place}" for place in places] if ids is None else ids[places]
        places = np.flatnonzero(names == "")
        names[places] = [f"{UNNAMED}{place}" for place in places]
        source = "were numbered" if ids is None else f"read them from var {ids_in}"
        notes.append(f"{int(nameless.sum()):,} genes had no name and {source}.")
    index = pd.Index(names, dtype=object)
    if not index.is_unique and not nameless.all():
        var[Var.REPEATED] = index.duplicated(keep=False)
    var.index = _unique(index, "genes", notes, order=ids)


def _naming_column(var: pd.DataFrame) -> str | None:
    """Return the column to take names from: a usual one, else one of unlike words."""
    for column in (*SYMBOL_COLUMNS, *_INDEXES, *ID_COLUMNS):
        if column in var and not name_numbers(var.set_index(column)).all():
            return column
    for column in var.columns:
        if not pd.api.types.is_numeric_dtype(var[column].dtype):
            texts = texts_of(var[column])
            words = ~name_numbers(pd.DataFrame(index=pd.Index(texts))) & (texts != "")
            if len(set(texts[words])) > 0.9 * len(texts):
                return str(column)
    return None


def _unique(
    index: pd.Index, what: str, notes: list[str], order: NDArray[np.object_] | None = None
) -> pd.Index:
    """Names with -1, -2, ... after repeated ones, never meeting a name that is there.

    Where there is an order to go by, numbers do not depend on that of the file.
    """
    if index.is_unique:
        return index
    repeated = index[index.duplicated()]
    taken = set(index)
    counts: dict[str, int] = {}
    seen: set[str] = set()
    names = index.to_numpy(dtype=object, copy=True)
    places = range(len(index)) if order is None else np.argsort(order.astype(str), kind="stable")
    for place in places:
        name = index[place]
        if name not in seen:
            seen.add(name)
            continue
        number = counts.get(name, 0) + 1
        while f"{name}-{number}" in taken:
            number += 1
        counts[name] = number
        taken.add(f"{name}-{number}")
        names[place] = f"{name}-{number}"
    told = (
        f"{len(repeated):,} names of {what} are duplicates (such as {shown(repeated[0])}) "
        "and got a number after them."
    )
    notes.append(Note(told, "names-repeated"))
    return pd.Index(names, dtype=object)


def record(result: ReadResult | BackedCounts) -> None:
    """Write what was taken from where into ``uns``, so that it stays with the data."""
    root = result.adata.uns.get(Uns.ROOT)
    root = dict(root) if isinstance(root, Mapping) else {}
    record: dict[str, Any] = {
        "name": result.name,
        "sha256": result.sha256,
        "total_source": result.total_source,
        "notes": np.array(result.notes, dtype=object),
    }
    for key in ("spliced_source", "unspliced_source", "ambiguous_source", "ambiguous", "counts"):
        value = getattr(result, key)
        if value is not None:
            record[key] = value
    root[Uns.READ] = record
    result.adata.uns[Uns.ROOT] = root
