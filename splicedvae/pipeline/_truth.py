"""The truth that a simulated file knows; other files' entries of the same names are left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import issparse

from splicedvae._core.keys import Layers, Obs
from splicedvae._core.notes import Note
from splicedvae._core.records import is_simulation

#: Code of the notes made here.
LEFT_OUT: Final = "truth-left-out"


def true_time(cells: AnnData, tell: Callable[[Note], None]) -> NDArray[np.float32] | None:
    """Return each cell's time in a simulation, shape (n_cells,); None where it is not known.

    Parameters
    ----------
    cells
        As read from a file.
    tell
        Gets a note where a column of that name is left out.
    """
    if Obs.TRUE_TIME not in cells.obs:
        return None
    if not is_simulation(cells.uns):
        tell(
            Note(
                f"The column {Obs.TRUE_TIME} of obs was left out, as the file does not say that "
                "splicedvae simulated it.",
                LEFT_OUT,
            )
        )
        return None
    time = pd.to_numeric(cells.obs[Obs.TRUE_TIME].astype(object), errors="coerce")
    if not np.isfinite(time.to_numpy(dtype=float)).all():
        tell(
            Note(f"The column {Obs.TRUE_TIME} of obs was left out: not all are numbers.", LEFT_OUT)
        )
        return None
    return time.to_numpy(dtype=np.float32)


def true_velocity(cells: AnnData, tell: Callable[[Note], None]) -> Any | None:
    """Return the velocity of a simulation, cells x genes; None where it is not known.

    Parameters
    ----------
    cells, tell
        As for `true_time`.
    """
    if Layers.TRUE_VELOCITY not in cells.layers:
        return None
    layer = cells.layers[Layers.TRUE_VELOCITY]
    values = layer.data if issparse(layer) else np.asarray(layer)
    if not is_simulation(cells.uns):
        reason = "the file does not say that splicedvae simulated it"
    elif values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        reason = "not all of it are finite numbers"
    else:
        return layer
    tell(Note(f"The layer {Layers.TRUE_VELOCITY} was left out, as {reason}.", LEFT_OUT))
    return None
