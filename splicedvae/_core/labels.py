"""Labels of cells as text: the same however a file stores them, and never a missing one."""

from __future__ import annotations

import numbers

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from splicedvae._core.errors import DataError

#: What missing labels became where a file was written as text.
_MISSING = frozenset({"", "nan", "NaN", "None", "<NA>", "NaT"})


def label_texts(values: pd.Series) -> NDArray[np.object_]:
    """Write labels as text; whole numbers alike whether stored as integers or not.

    Parameters
    ----------
    values
        Labels of the cells: text, numbers or categories.

    Returns
    -------
    Text, and ``None`` where a label is missing, shape (n_cells,).
    """
    codes, labels = pd.factorize(values.astype(object), use_na_sentinel=True)
    texts = np.array([*(_text(label) for label in labels), None], dtype=object)
    found: NDArray[np.object_] = texts[codes]
    return found


def batch_labels(values: pd.Series) -> NDArray[np.object_]:
    """Write the batches of cells as text, as `label_texts` does.

    Parameters
    ----------
    values
        Column of ``obs`` with the batches.

    Raises
    ------
    DataError
        Some cells have none.
    """
    texts = label_texts(values)
    missing = int(sum(text is None for text in texts))
    if missing:
        raise DataError(
            f"{missing:,} of {len(texts):,} cells have no label in obs column "
            f"'{str(values.name)[:40]}', a batch for every cell was expected; fill in theirs, "
            "leave these cells out, or name no batch key."
        )
    return texts


def _text(label: object) -> str | None:
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace")
    is_whole = isinstance(label, numbers.Real) and float(label).is_integer()
    text = str(int(label)) if is_whole and not isinstance(label, bool | np.bool_) else str(label)  # type: ignore[call-overload]
    return None if text.strip() in _MISSING else text
