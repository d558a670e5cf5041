"""What an AnnData carries along made fit to be written, before any work is done on it.

Annotation from other tools can be of kinds that anndata cannot write: nullable strings, reserved
or doubled names, structured arrays, objects. It has no bearing on the counts and must not stop
their job at its end. Each entry is tried on a file in memory; what cannot be written is converted
or left out, with a sentence.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, Literal

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata._io.specs.registry import IORegistryError
from anndata.io import write_elem
from scipy import sparse

#: Name of a table's index in its file, and so of no column.
_RESERVED: Final = "_index"
_PARTS: Final = ("obsm", "varm", "obsp", "varp", "layers")
#: Number types that all versions of all readers support.
_PLAIN: Final = frozenset("biuf")


class _Told:
    """What was changed, by what was done to it."""

    def __init__(self) -> None:
        self._changed: dict[str, list[str]] = {}

    def add(self, done: str, place: str) -> None:
        self._changed.setdefault(done, []).append(place)

    def notes(self, shown: Callable[[list[str]], str]) -> list[str]:
        return [f"{done}: {shown(places)}." for done, places in self._changed.items()]


_TEXT: Final = "Converted to text, because a file cannot store them otherwise"
_LEFT_OUT: Final = "Left out, because a file cannot store them"
_RENAMED: Final = "Renamed, because a file cannot store their names"
_AS_CATEGORIES: Final = "Texts with missing values were converted to categories"


def make_writable(
    adata: AnnData, *, zarr: bool = False, shown: Callable[[list[str]], str] | None = None
) -> list[str]:
    """Convert or leave out what an AnnData carries along and a file cannot hold.

    Parameters
    ----------
    adata
        Changed in place; ``X`` is not looked at.
    zarr
        Whether it is to be written as zarr.
    shown
        Formats names for a sentence; None joins them.

    Returns
    -------
    A sentence for everything that was changed.
    """
    told = _Told()
    tried = _zarr_takes if zarr else _h5ad_takes
    for part in ("obs", "var"):
        frame = getattr(adata, part)
        made = _frame(frame, part, tried, told)
        if made is not frame:
            setattr(adata, part, made)
    for part in _PARTS:
        mapping = getattr(adata, part)
        index = adata.obs_names if part.startswith("obs") else adata.var_names
        for key in list(mapping):
            if key is not None:  # X, in the layers of anndata 0.13
                _entry(mapping, key, part, tried, told, index)
    _uns(adata, tried, told)
    _raw(adata, tried, told)
    return told.notes(shown or (lambda names: ", ".join(names)))


def _uns(adata: AnnData, tried: Callable[[Any], bool], told: _Told) -> None:
    """Make ``uns`` writable, in a copy of those of its mappings that change."""
    made = _mapping(adata.uns, "uns", tried, told)
    if made is not None:
        adata.uns = made


def _raw(adata: AnnData, tried: Callable[[Any], bool], told: _Told) -> None:
    """Give ``raw`` a table of genes that can be written."""
    raw = adata.raw
    if raw is None:
        return
    var = _frame(raw.var, "raw.var", tried, told)
    if var is not raw.var and raw.X is not None:
        adata.raw = AnnData(X=raw.X, obs=adata.obs[[]], var=var)


def _mapping(
    mapping: Mapping[Any, Any], place: str, tried: Callable[[Any], bool], told: _Told
) -> dict[str, Any] | None:
    """Return a mapping that can be written; None where it can be as it is."""
    out: dict[str, Any] = dict(mapping)
    changed = False
    for key in list(mapping):
        value = mapping[key]
        if isinstance(value, Mapping):
            inner = _mapping(value, f"{place}/{key}", tried, told)
            if inner is not None:
                out[key] = inner
                changed = True
            _rename(out, key, place, told)
        else:
            _entry(out, key, place, tried, told)
        changed = changed or key not in out or out[key] is not value
    return out if changed else None


def _rename(mapping: MutableMapping[Any, Any], key: Any, place: str, told: _Told) -> str:
    """Give an entry a name that files can hold."""
    name = _free(_clean(key), set(map(str, mapping)) - {str(key)})
    if name != key:
        mapping[name] = mapping.pop(key)
        told.add(_RENAMED, f"{place}/{key}")
    return name


def _entry(
    mapping: MutableMapping[Any, Any],
    key: Any,
    place: str,
    tried: Callable[[Any], bool],
    told: _Told,
    index: pd.Index | None = None,
) -> None:
    """Make an entry writable, or leave it out."""
    key = _rename(mapping, key, place, told)
    value = mapping[key]
    where = f"{place}/{key}"
    if isinstance(value, pd.DataFrame):
        made: Any = _frame(value, where, tried, told)
        if index is not None and not made.index.equals(index):
            made = made.set_axis(index)
    elif _is_plain(value):
        return
    else:
        made = value
    if not tried(made):
        text = _as_text(made)
        if index is None and text is not None and tried(text):
            told.add(_TEXT, where)
            mapping[key] = text
        else:
            told.add(_LEFT_OUT, where)
            del mapping[key]
    elif made is not value:
        mapping[key] = made


def _is_plain(value: Any) -> bool:
    """Whether a value is of a kind that can always be written, so that no trial is needed."""
    if sparse.issparse(value) or (isinstance(value, np.ndarray) and value.dtype.names is None):
        return value.dtype.kind in _PLAIN and value.dtype.itemsize <= 8
    if isinstance(value, str):
        return _is_encodable([value])
    return type(value) in (float, bool) or (type(value) is int and abs(value) < 1 << 63)


def _is_encodable(texts: Iterable[str]) -> bool:
    """Whether a file can hold some texts: no lone surrogates, no null characters."""
    joined = "\n".join(texts)
    return "\0" not in joined and joined == joined.encode("utf-8", "replace").decode()


def _as_text(value: Any) -> Any | None:
    """Return a value of mixed or unknown parts as texts; None if that is not informative."""
    if isinstance(value, list | tuple | set | frozenset):
        parts = sorted(map(str, value)) if isinstance(value, set | frozenset) else map(str, value)
        return np.array(list(parts), dtype=object)
    if isinstance(value, np.ndarray) and value.dtype.names is None:
        flat = [_text(part) for part in value.ravel()]
        return np.array(flat, dtype=object).reshape(value.shape)
    if isinstance(value, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        missing = pd.isna(value)
        return _as_text(np.where(missing, "", np.asarray(value, dtype=object)))
    if isinstance(value, str | bytes | np.generic | int | complex | datetime.date | pd.Timedelta):
        return _text(value)
    return None


def _text(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.replace("\0", "").encode("utf-8", "replace").decode()


# --- Tables -------------------------------------------------------------------------------------


def _frame(
    frame: pd.DataFrame, place: str, tried: Callable[[Any], bool], told: _Told
) -> pd.DataFrame:
    """Return a table that can be written; itself where it can be as it is."""
    names = _column_names(frame, place, told)
    columns: dict[str, pd.Series] = {}
    changed = names != list(frame.columns)
    for position, name in enumerate(names):
        column = frame.iloc[:, position]
        made = _column(column, f"{place}/{name}", tried, told)
        changed = changed or made is not column
        if made is not None:
            columns[name] = made
    index = _index(frame.index, place, told)
    if index.name is not None and (index.name in columns or index.name == _RESERVED):
        index = index.rename(None)
    if not changed and index is frame.index:
        return frame
    out = pd.DataFrame(index=index)
    for name, made in columns.items():
        out[name] = made.array
    return out


def _index(index: pd.Index, place: str, told: _Told) -> pd.Index:
    """Return an index of plain texts or numbers; itself where it is one."""
    if isinstance(index, pd.MultiIndex):
        told.add(_TEXT, f"the index of {place}")
        return pd.Index(["_".join(map(_text, row)) for row in index], dtype=object)
    if isinstance(index.dtype, np.dtype) and index.dtype.kind in _PLAIN:
        return index
    plain = index.dtype == object and all(isinstance(value, str) for value in index)
    if plain and _is_encodable(index):
        return index
    return pd.Index([_text(value) for value in index], dtype=object, name=index.name)


def _column_names(frame: pd.DataFrame, place: str, told: _Told) -> list[str]:
    taken: set[str] = set()
    names = []
    for name in frame.columns:
        clean = _free(_clean(name), taken)
        if clean != name:
            told.add(_RENAMED, f"{place}/{name}")
        taken.add(clean)
        names.append(clean)
    return names


def _clean(name: object) -> str:
    """Return a name without what files cannot hold in one."""
    text = _text(name).replace("/", "_")
    if text in ("", ".", ".."):
        return "unnamed"
    return "index" if text == _RESERVED else text


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        free = f"{name}-{number}"
        number += 1
    return free


def _column(
    column: pd.Series, place: str, tried: Callable[[Any], bool], told: _Told
) -> pd.Series | None:
    """Return a column that can be written; itself where it can be as it is, None where not."""
    kind = column.dtype
    if isinstance(kind, np.dtype) and kind.kind in _PLAIN and kind.itemsize <= 8:
        return column
    if isinstance(kind, pd.StringDtype):
        return _texts(column, place, told)
    if isinstance(kind, pd.CategoricalDtype):
        categories = column.cat.categories
        if isinstance(categories.dtype, pd.StringDtype):
            column = column.cat.rename_categories(list(categories))
    elif kind == np.dtype(object) and pd.api.types.infer_dtype(column, skipna=True) in (
        "string",
        "empty",
    ):
        # anndata itself makes categories of the texts of obs and var.
        missing = column.isna()
        may_miss = place.count("/") == 1 and not missing.all()
        if _is_encodable(column[~missing]) and (may_miss or not missing.any()):
            return column
        return _texts(column, place, told)
    elif pd.api.types.is_float_dtype(kind) and not isinstance(kind, np.dtype):
        column = pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index)
    if tried(pd.DataFrame({"column": column.array})):
        return column
    text = column.astype(object).map(_text, na_action="ignore")
    told.add(_TEXT, place)
    return pd.Series(pd.Categorical(text), index=column.index)


def _texts(column: pd.Series, place: str, told: _Told) -> pd.Series:
    """Return texts as plain ones, or as categories where some are missing."""
    missing = column.isna()
    values = column.astype(object).map(_text, na_action="ignore").where(~missing, None)
    if missing.any():
        told.add(_AS_CATEGORIES, place)
        return pd.Series(pd.Categorical(values), index=column.index)
    return pd.Series(values.to_numpy(dtype=object), index=column.index, dtype=object)


# --- Trying -------------------------------------------------------------------------------------


#: Errors that writers raise for unsupported values.
_REFUSALS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    IORegistryError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def _h5ad_takes(value: Any) -> bool:
    with h5py.File("tried.h5", "w", driver="core", backing_store=False) as file:
        return _takes(file, value)


def _zarr_takes(value: Any) -> bool:
    import zarr

    store = zarr.storage.MemoryStore()
    return _takes(zarr.open_group(store, mode="w", zarr_format=zarr_format()), value)


def zarr_format() -> Literal[2, 3]:
    """Version of zarr that anndata writes: its setting, or 3 once that is the only one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(anndata.settings, "zarr_write_format", 3)


def _takes(group: Any, value: Any) -> bool:
    """Whether an entry can be written to a file, and read again."""
    try:
        with (
            warnings.catch_warnings(),
            anndata.settings.override(allow_write_nullable_strings=False),
        ):
            warnings.simplefilter("ignore")
            write_elem(group, "tried", value)
            anndata.io.read_elem(group["tried"])
    except _REFUSALS:
        return False
    return True
