"""What a run takes over from its file as it is: the file's own embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splicedvae._core.keys import Obsm


def embeddings(
    obsm: Mapping[Any, Any], kept: NDArray[np.bool_], note: Callable[[str], None]
) -> dict[str, NDArray[np.float32]]:
    """Take a file's UMAP and t-SNE, in which its readers know their cells.

    Parameters
    ----------
    obsm
        Of the file.
    kept
        Which cells the run has.
    note
        Called with why one was left out.

    Returns
    -------
    The first two dimensions of each that is whole, by the run's name.
    """
    found: dict[str, NDArray[np.float32]] = {}
    by_name = {str(name).lower(): name for name in reversed(list(obsm))}
    for ours, theirs in Obsm.OF_FILE.items():
        name = next((by_name[one] for one in theirs if one in by_name), None)
        if name is None:
            continue
        try:
            points = np.asarray(obsm[name], dtype=np.float32)
        except (TypeError, ValueError):
            note(f"The file's embedding {name!r} was left out, because it holds no numbers.")
            continue
        if points.ndim != 2 or points.shape[1] < 2:
            note(
                f"The file's embedding {name!r} was left out, because it has shape {points.shape}, "
                "expected two columns."
            )
            continue
        points = points[kept, :2]
        if not np.isfinite(points).all() or not np.ptp(points, axis=0).all():
            note(
                f"The file's embedding {name!r} was left out, because some cells have no position "
                "in it, or all the same."
            )
            continue
        found[ours] = points
    return found
