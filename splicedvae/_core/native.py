"""Arrays in the byte order of this machine: scipy and pandas compute on no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse


def native(value: Any) -> Any:
    """Bring numbers of the other byte order, such as Java programs write, into this machine's.

    Parameters
    ----------
    value
        Array, sparse matrix or table; anything else is given back as it is.

    Returns
    -------
    The same object where nothing was to be changed, else a new one: the given one stays as it is.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.isnative:
            return value
        return value.astype(value.dtype.newbyteorder("="))
    if sparse.issparse(value) and value.format in ("csr", "csc"):
        parts = (value.data, value.indices, value.indptr)
        if all(part.dtype.isnative for part in parts):
            return value
        return type(value)(tuple(native(part) for part in parts), shape=value.shape)
    if sparse.issparse(value) and value.format == "coo" and not value.data.dtype.isnative:
        return type(value)((native(value.data), value.coords), shape=value.shape)
    if isinstance(value, pd.DataFrame):
        return _frame(value)
    return value


def _frame(frame: pd.DataFrame) -> pd.DataFrame:
    foreign = [
        place
        for place, dtype in enumerate(frame.dtypes)
        if isinstance(dtype, np.dtype) and not dtype.isnative
    ]
    if not foreign:
        return frame
    columns = [
        pd.Series(native(frame.iloc[:, place].to_numpy()), index=frame.index)
        if place in foreign
        else frame.iloc[:, place]
        for place in range(frame.shape[1])
    ]
    out = pd.concat(columns, axis=1)
    out.columns = frame.columns
    return out
