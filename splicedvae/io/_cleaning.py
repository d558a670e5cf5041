"""Names from a file as terminals, pages and other files can take them.

A name can hold sequences that steer a terminal, turn the direction of writing, or end a text early.
They are replaced once, when a file is read, so that nothing behind it meets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from splicedvae._core.messages import STEERING, clean, shown_list


class Cleaner:
    """Cleans names, and says where some were changed."""

    def __init__(self) -> None:
        self._changed: list[str] = []

    @property
    def notes(self) -> list[str]:
        """A sentence on what was changed; none where nothing was."""
        if not self._changed:
            return []
        places = shown_list(dict.fromkeys(self._changed))
        return [
            "Characters that steer a terminal or turn the direction of writing were replaced in "
            f"names: {places}."
        ]

    def index(self, index: pd.Index, where: str) -> pd.Index:
        """Clean an index of texts; itself where it is clean."""
        if not _steers(index):
            return index
        self._changed.append(where)
        return pd.Index([clean(name) for name in index], dtype=object, name=index.name)

    def table(self, table: pd.DataFrame, where: str) -> None:
        """Clean names of columns, categories and texts of a table, in place."""
        if _steers(table.columns):
            self._changed.append(f"columns of {where}")
            table.columns = [clean(str(name)) for name in table.columns]
        if table.index.name is not None:
            table.index.name = clean(str(table.index.name))
        for place in range(table.shape[1]):
            column = table.iloc[:, place]
            made = self._column(column, f"{where}/{table.columns[place]}")
            if made is not column:
                table.isetitem(place, made.array)

    def _column(self, column: pd.Series, where: str) -> pd.Series:
        if isinstance(column.dtype, pd.CategoricalDtype):
            if not _steers(column.cat.categories):
                return column
            texts = column.astype(object).map(_cleaned, na_action="ignore")
            made = pd.Series(pd.Categorical(texts), index=column.index)
        elif column.dtype == object and _steers(column):
            made = column.map(_cleaned, na_action="ignore")
        else:
            return column
        self._changed.append(where)
        return made

    def keys(self, mapping: Mapping[Any, Any], where: str) -> dict[Any, Any]:
        """Return a mapping with clean keys, also of mappings in it."""
        out: dict[Any, Any] = {}
        for key, value in mapping.items():
            name = clean(str(key))
            if name != key:
                self._changed.append(where)
            inner = self.keys(value, where) if isinstance(value, Mapping) else value
            out.setdefault(name, inner)
        return out


def _cleaned(value: object) -> object:
    return clean(value) if isinstance(value, str) else value


def _steers(names: pd.Index | pd.Series) -> bool:
    """Whether a text among some holds what is replaced."""
    texts = [text for text in np.asarray(names, dtype=object) if isinstance(text, str)]
    return STEERING.search(" ".join(texts)) is not None
