"""Velocities of measured counts whose ratios were dealt out anew: what chance draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae._core.counts import cell_sizes, count_matrix
from splicedvae._core.errors import VelocityError
from splicedvae._core.keys import Layers, Var
from splicedvae._core.permute import shuffles_within_genes
from splicedvae.velocity._fit import fit_pair, layer_sizes
from splicedvae.velocity._graph import embeddings_of, project_onto, velocity_graph
from splicedvae.velocity._neighbours import Neighbours
from splicedvae.velocity._prepared import check_prepared
from splicedvae.velocity._settings import VelocitySettings

#: Not the numbers that thinned or simulated the counts with the same seed.
_STREAM: Final = 0xC4A2CE


def shuffled_velocities(
    prepared: AnnData,
    n_permutations: int,
    *,
    spliced_layer: str = Layers.SPLICED,
    unspliced_layer: str = Layers.UNSPLICED,
    groups: Sequence[object] | None = None,
    settings: VelocitySettings | None = None,
    seed: int = 0,
    bases: Sequence[str] = ("umap",),
) -> Iterator[AnnData | None]:
    """Compute velocities after the measured ratios of each gene were dealt out anew.

    Ratios change places among cells with about as many molecules of the gene, so that totals,
    neighbours and each gene's noise stay as measured and only what its ratio knows of a cell's
    state is lost. If that is nothing, measured and dealt-out counts are alike in law, and the rank
    of any statistic of the measured velocity among those of the dealt-out ones is a p-value.

    Parameters
    ----------
    prepared
        A result of `prepare`; not changed.
    n_permutations
        How many.
    spliced_layer
        Layer of measured spliced counts.
    unspliced_layer
        Layer of measured unspliced counts.
    groups
        A label per cell, such as its batch, within which ratios are dealt out; ``None`` deals
        among all cells.
    settings
        Those of the measured velocity; ``None`` for the defaults.
    seed
        Seed of the permutations.
    bases
        Embeddings to project onto.

    Yields
    ------
    AnnData | None
        Cells x genes with the layer ``velocity``, ``var["velocity_genes"]`` and the arrows in
        ``obsm``, as of `compute_velocity` but for their length; None where the counts give no
        velocity.

    Raises
    ------
    DataError
        If the object was not prepared, or a layer is absent or not of counts.
    """
    settings = VelocitySettings() if settings is None else settings
    check_prepared(prepared)
    embeddings = embeddings_of(prepared, bases)
    layers = (spliced_layer, unspliced_layer)
    measured = [count_matrix(prepared, layer) for layer in layers]
    sizes = [
        layer_sizes(prepared, layer, matrix) for layer, matrix in zip(layers, measured, strict=True)
    ]
    # Counts outside the genes at hand stay as they are.
    others = [size - cell_sizes(matrix) for size, matrix in zip(sizes, measured, strict=True)]
    neighbours = Neighbours(prepared)
    seeds = np.random.SeedSequence([seed, _STREAM]).generate_state(n_permutations, np.uint64)
    for pair in shuffles_within_genes(*measured, seeds=map(int, seeds), groups=groups, alike=True):
        own = [other + cell_sizes(matrix) for other, matrix in zip(others, pair, strict=True)]
        try:
            fit = fit_pair(
                prepared, neighbours, *pair, (own[0], own[1]), layers=layers, settings=settings
            )
            velocity_graph(fit.fitted, neighbours, settings)
        except VelocityError:
            yield None
            continue
        yield _slim(
            prepared, fit.fitted, fit.usable, project_onto(fit.fitted, embeddings, scaled=False)
        )


def _slim(
    ground: AnnData,
    fitted: AnnData,
    usable: NDArray[np.intp],
    arrows: Mapping[str, NDArray[np.float32]],
) -> AnnData:
    """Put velocity and arrows on the ground's cells and genes, and nothing else."""
    velocity = np.zeros(ground.shape, dtype=np.float32)
    velocity[:, usable] = fitted.layers[Layers.VELOCITY]
    used = np.zeros(ground.n_vars, dtype=bool)
    used[usable] = fitted.var[Var.VELOCITY_GENES]
    result = AnnData(
        obs=ground.obs[[]].copy(),
        var=ground.var[[]].assign(**{Var.VELOCITY_GENES: used}),
        layers={Layers.VELOCITY: velocity},
    )
    for basis, values in arrows.items():
        result.obsm[f"{Layers.VELOCITY}_{basis}"] = values
    return result
