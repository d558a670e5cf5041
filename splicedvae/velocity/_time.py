"""Where a velocity starts and ends, and a time along it: scVelo's, with refusals as sentences.

scVelo's functions stop with a Python error where an eigenvalue is not found, return zeros where no
cell is a root, and set numpy's global seed. Here the first two become notes, the third is undone.

A latent time needs scVelo's dynamical model, which is not fitted; the velocity pseudotime needs the
velocity graph alone. Both follow the arrows: if the arrows are reversed, so are they.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.sparse.linalg import ArpackError

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Obs, Obsp, Uns
from splicedvae.velocity._scvelo import quiet_scvelo

_NAMES: Final = (Obs.ROOT_CELLS, Obs.END_POINTS, Obs.PSEUDOTIME)
_WORDS: Final = {Obs.ROOT_CELLS: "root cell", Obs.END_POINTS: "end cell"}
#: scVelo's tolerances of an eigenvalue (its ``eps``) tried where its own, 0.001, finds nothing.
#: Walking back, cells that no other cell moves to lose what is there, and the largest eigenvalue
#: stays below 1: on simulated lineages between 0.8 and 0.98 where it is not 1.
_TOLERANCES: Final = (0.1, 0.2)


def velocity_time(result: AnnData) -> pd.DataFrame:
    """Find root cells, end cells and the velocity pseudotime of each cell.

    Roots and ends are the stationary states of the velocity's transition matrix, backward and
    forward; the pseudotime is a random walk's distance from the likeliest root, averaged with that
    to the likeliest end (Bergen et al. 2020, *Nature Biotechnology* 38, 1408;
    ``scvelo.tl.terminal_states`` and ``velocity_pseudotime``). Where scVelo finds no such state at
    its usual tolerance, as a walk can leave its graph, the nearly stationary ones are taken.

    Parameters
    ----------
    result
        A result of `compute_velocity` or `true_velocity`, with its graphs; not changed.

    Returns
    -------
    One row a cell with ``root_cells`` and ``end_points`` from 0 to 1 (likeliest), and
    ``velocity_pseudotime`` from 0 to 1; missing if it is not known. ``attrs["notes"]`` says why.

    Raises
    ------
    DataError
        If the velocity graph is absent.
    """
    if Uns.VELOCITY_GRAPH not in result.uns or Obsp.DISTANCES not in result.obsp:
        raise DataError(
            "The velocity has no graph, expected a velocity graph; pass the result of "
            "compute_velocity."
        )
    work = _bare(result)
    notes: list[str] = []
    with _seed_kept(), quiet_scvelo() as scvelo:
        try:
            scvelo.tl.terminal_states(work)
        except (ArpackError, ValueError, TypeError) as error:
            notes.append(
                "Root and end cells were not found, because the eigenvectors of the "
                f"transition matrix did not converge ({type(error).__name__})."
            )
        else:
            notes += _loosened(scvelo, work)
            notes += _unfound(work)
            notes += _paced(scvelo, work)
    table = pd.DataFrame(index=result.obs_names.copy())
    for name in _NAMES:
        values = np.full(result.n_obs, np.nan)
        if name in work.obs:
            values = work.obs[name].to_numpy(dtype=np.float64, copy=True)
        values[~np.isfinite(values)] = np.nan
        table[name] = values
    missing = int(table[Obs.PSEUDOTIME].isna().sum())
    if 0 < missing < result.n_obs:
        notes.append(
            f"{missing:,} of {result.n_obs:,} cells cannot be reached along the velocity "
            "and have no pseudotime."
        )
    table.attrs["notes"] = notes
    return table


def _bare(result: AnnData) -> AnnData:
    """Take the graphs alone: scVelo copies what it is given."""
    work = AnnData(obs=pd.DataFrame(index=[f"{number}" for number in range(result.n_obs)]))
    for name in (Obsp.DISTANCES, Obsp.CONNECTIVITIES):
        work.obsp[name] = sparse.csr_matrix(result.obsp[name])
    degree = np.diff(sparse.csr_matrix(result.obsp[Obsp.DISTANCES]).indptr)
    work.uns[Uns.NEIGHBORS] = {
        "connectivities_key": Obsp.CONNECTIVITIES,
        "distances_key": Obsp.DISTANCES,
        "params": {"n_neighbors": int(degree.max()) + 1, "method": "umap"},
    }
    for name in (Uns.VELOCITY_GRAPH, Uns.VELOCITY_GRAPH_NEG):
        work.uns[name] = sparse.csr_matrix(result.uns[name])
    return work


def _is_found(work: AnnData, name: str) -> bool:
    """Say whether a state was found: scVelo writes a constant column where none was."""
    values = work.obs[name].to_numpy(dtype=np.float64)
    return bool(np.isfinite(values).all() and np.ptp(values) > 0)


def _loosened(scvelo: Any, work: AnnData) -> list[str]:
    """Look for what was not found with a larger tolerance, in place; what was found stays."""
    notes = []
    for tolerance in _TOLERANCES:
        missing = [name for name in _NAMES[:2] if not _is_found(work, name)]
        if not missing:
            break
        kept = work.obs[[*_NAMES[:2]]].copy()
        try:
            scvelo.tl.terminal_states(work, eps=tolerance)
        except (ArpackError, ValueError, TypeError):
            # The usual tolerance did without an error: what it found stays.
            work.obs[[*_NAMES[:2]]] = kept
            continue
        for name in _NAMES[:2]:
            if name not in missing:
                work.obs[name] = kept[name]
            elif _is_found(work, name):
                notes.append(
                    f"The {_WORDS[name]}s are from a random walk that is stationary only "
                    f"within {tolerance:g}, because scVelo's usual tolerance found none."
                )
    return notes


def _unfound(work: AnnData) -> list[str]:
    """Turn scVelo's constant columns, which mean "none found", into missing values."""
    notes = []
    for name, words in _WORDS.items():
        if not _is_found(work, name):
            work.obs[name] = np.nan
            notes.append(f"This velocity has no clear {words}.")
    return notes


def _paced(scvelo: object, work: AnnData) -> list[str]:
    """Compute the pseudotime, in place."""
    if work.obs[Obs.ROOT_CELLS].isna().any():
        return ["There is no velocity pseudotime without a root cell."]
    end = None if work.obs[Obs.END_POINTS].isna().any() else Obs.END_POINTS
    if end is None:
        del work.obs[Obs.END_POINTS]
    try:
        scvelo.tl.velocity_pseudotime(  # type: ignore[attr-defined]
            work, root_key=Obs.ROOT_CELLS, end_key=end
        )
    except (ArpackError, ValueError, TypeError) as error:
        return [
            "There is no velocity pseudotime, because the eigenvectors of the velocity "
            f"graph did not converge ({type(error).__name__})."
        ]
    return []


@contextmanager
def _seed_kept() -> Iterator[None]:
    """Put numpy's global random state back, which scVelo seeds."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
