"""Details of a velocity: other embeddings, time, driver genes, agreement by cell.

All of it needs the velocity graphs and layers, which pages do not read: it is computed here, once,
and written with the velocity under scVelo's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.keys import Layers, Obs, Obsm, Sources, Uns
from splicedvae.evaluation import cell_agreement, cell_cosines
from splicedvae.velocity import (
    carrying_genes,
    driver_genes,
    project_onto,
    velocity_time,
    without_genes,
)

if TYPE_CHECKING:
    from splicedvae.pipeline._velocities import Velocities

_MAPS: Final = (*Obsm.OF_FILE, Obsm.UMAP_LATENT, Obsm.UMAP_LATENT_SCVI)


def complete(found: Velocities, maps: Mapping[str, NDArray[Any]]) -> None:
    """Add to each velocity its arrows in further embeddings, time, driver genes and agreement.

    Parameters
    ----------
    found
        The velocities over all cells, changed in place: ``obs`` gets ``root_cells``,
        ``end_points``, ``velocity_pseudotime`` and the cosines to the measured velocity, ``var``
        the shares and correlations of `splicedvae.velocity.driver_genes`, ``obsm`` the
        embeddings and the velocity on them, ``uns`` the driver genes of clusters, and the account
        the notes.
    maps
        The file's embeddings and UMAPs of the latent spaces by their name in ``obsm``, of the same
        cells; others are ignored.
    """
    measured = found.results.get(Sources.MEASURED)
    for source, result in found.results.items():
        notes: list[str] = []
        points = {
            name.removeprefix("X_"): np.asarray(maps[name], dtype=np.float32)
            for name in _MAPS
            if name in maps
        }
        for basis, arrows in project_onto(result, points).items() if points else ():
            result.obsm[f"X_{basis}"] = points[basis]
            result.obsm[f"{Layers.VELOCITY}_{basis}"] = arrows
        notes += _without_carriers(result)
        time = velocity_time(result)
        notes += time.attrs["notes"]
        for name in time:
            result.obs[name] = time[name].to_numpy(dtype=np.float32)
        groups = result.obs.get(Obs.CLUSTERS, None)
        genes, clusters = driver_genes(result, groups)
        notes += clusters.attrs["notes"]
        for name in genes:
            result.var[name] = genes[name].to_numpy(dtype=np.float32)
        clusters.attrs = {}
        result.uns[Uns.ROOT][Uns.DRIVERS] = clusters
        if measured is not None and result is not measured:
            try:
                agreement = cell_agreement(measured, result)
            except DataError as error:
                notes.append(f"Single cells were not compared with the measured velocity: {error}")
            else:
                for name in agreement:
                    result.obs[name] = agreement[name].to_numpy(dtype=np.float32)
        found.account[source]["notes"] = [*found.account[source]["notes"], *notes]


def _without_carriers(result: AnnData) -> list[str]:
    """Draw a velocity that few genes carry once more without them."""
    genes = carrying_genes(result)
    if not genes:
        return []
    try:
        other = without_genes(result, genes)
    except VelocityError as error:
        return [f"The velocity without its carrying genes was not computed: {error}"]
    result.obsm[Obsm.UMAP_WITHOUT] = np.asarray(other.obsm[Obsm.UMAP], dtype=np.float32)
    arrows = other.obsm[Obsm.VELOCITY_UMAP]
    basis = Obsm.UMAP_WITHOUT.removeprefix("X_")
    result.obsm[f"{Layers.VELOCITY}_{basis}"] = arrows
    cosine = float(np.nanmean(cell_cosines(result.obsm[Obsm.VELOCITY_UMAP], arrows)))
    return [
        f"Without {', '.join(genes)} its arrows have a cosine of {cosine:.2f} to those "
        "shown; the embedding “without carrying genes” shows them."
    ]
