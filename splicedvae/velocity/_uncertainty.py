"""Uncertainty of a velocity: its spread over posterior draws of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.counts import cell_sizes, count_matrix
from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.keys import Layers, Obs, Obsm, Var
from splicedvae.velocity._fit import PairFit, fit_pair
from splicedvae.velocity._graph import embeddings_of, project_onto, velocity_graph
from splicedvae.velocity._neighbours import Neighbours
from splicedvae.velocity._prepared import check_prepared
from splicedvae.velocity._settings import VelocitySettings

MIN_DRAWS: Final = 2
_UMAP_BASIS: Final = Obsm.UMAP.removeprefix("X_")

#: Spliced and unspliced counts, and the sizes of both per cell over all genes.
Sample: TypeAlias = (
    tuple[sparse.csr_matrix, sparse.csr_matrix]
    | tuple[sparse.csr_matrix, sparse.csr_matrix, NDArray[np.floating], NDArray[np.floating]]
)


def velocity_uncertainty(
    prepared: AnnData,
    samples: Iterable[Sample],
    settings: VelocitySettings | None = None,
    *,
    bases: Sequence[str] = (_UMAP_BASIS,),
) -> pd.DataFrame:
    """Measure how far each cell's velocity differs between posterior draws of the counts.

    Every draw gets sizes, moments and slopes of its own on the common genes, neighbors and
    embedding, as a source of `compute_velocity` does. What is measured is the model's own
    uncertainty, as the intrinsic one of veloVI is (Gayoso et al. 2024, *Nature Methods* 21, 50):
    a confident but biased model shows little of it.

    Parameters
    ----------
    prepared
        A result of `prepare`; not changed.
    samples
        Draws of spliced and unspliced counts, each of shape (n_cells, n_genes) with the cells and
        genes of ``prepared``, not normalized. They are taken one at a time and not kept. A draw
        may bring two more arrays of shape (n_cells,): its spliced and unspliced counts per cell
        over all genes of the file, as `prepare` writes them into ``obs["initial_size_LAYER"]``.
        Give them where the velocity that is judged had them; without them a cell's size is its
        sum over the chosen genes, as for layers that `prepare` has not seen. The balanced model
        uses only the sum of the two, which is the same in all draws if a total is what is divided.
    settings
        The model; ``None`` for the defaults.
    bases
        Embeddings: ``"umap"`` for ``obsm["X_umap"]``. Without any, the velocity graph is
        not computed.

    Returns
    -------
    pandas.DataFrame
        One row a cell. ``velocity_direction_uncertainty`` is 1 - R, with R the length of the mean
        of the draws' unit vectors: 0 where all draws point the same way, about 1 where they point
        any way. R squared is estimated by the mean cosine between two different draws, since the
        mean of a few unit vectors is long whatever they are. ``velocity_length_uncertainty`` is
        the standard deviation of the velocity's length over its mean. Both are computed in gene
        space, and with the embedding's name after them (``_umap``) of the arrows there, whose
        lengths are relative to the other cells' as they are drawn. In a draw a gene that is not a
        velocity gene has velocity 0, so that genes that come and go add to the uncertainty. Draws
        in which a cell does not move have no direction; NaN where fewer than two do, or where all
        lengths are zero. ``attrs`` holds ``n_draws`` and ``notes``, sentences on what was replaced.

    Raises
    ------
    DataError
        If the object was not prepared, an embedding is absent, or a draw does not hold counts of
        these cells and genes.
    VelocityError
        If there are fewer than two draws, or one of them carries no velocity.
    """
    settings = VelocitySettings() if settings is None else settings
    check_prepared(prepared)
    embeddings = embeddings_of(prepared, bases)
    neighbours = Neighbours(prepared)
    over_genes = _Spread(prepared.n_obs, prepared.n_vars)
    over_maps = {basis: _Spread(*points.shape) for basis, points in embeddings.items()}
    fallbacks: Counter[str] = Counter()
    n_draws = 0
    for sample in samples:
        n_draws += 1
        fit = _fit_draw(prepared, neighbours, sample, n_draws, settings)
        fallbacks.update(fit.fallbacks)
        moving = np.asarray(fit.fitted.var[Var.VELOCITY_GENES], dtype=bool)
        over_genes.add(fit.fitted.layers[Layers.VELOCITY][:, moving], fit.usable[moving])
        if embeddings:
            velocity_graph(fit.fitted, neighbours, settings)
            for basis, arrows in project_onto(fit.fitted, embeddings).items():
                over_maps[basis].add(arrows)
    if n_draws < MIN_DRAWS:
        raise VelocityError(
            f"Found {n_draws} posterior draws of the counts, expected at least {MIN_DRAWS} "
            "to compare; draw more."
        )
    table = pd.DataFrame(index=prepared.obs_names.copy())
    spreads = {"": over_genes, **{f"_{basis}": spread for basis, spread in over_maps.items()}}
    for suffix, spread in spreads.items():
        table[f"{Obs.DIRECTION_UNCERTAINTY}{suffix}"] = spread.direction()
        table[f"{Obs.LENGTH_UNCERTAINTY}{suffix}"] = spread.length()
    table.attrs["n_draws"] = n_draws
    table.attrs["notes"] = [
        f"In {times} of {n_draws} draws: {sentence}" for sentence, times in fallbacks.items()
    ]
    return table


def _fit_draw(
    ground: AnnData,
    neighbours: Neighbours,
    sample: Sample,
    number: int,
    settings: VelocitySettings,
) -> PairFit:
    """Fit one draw, whose layers are called by its number in refusals."""
    given: tuple[Any, ...] = tuple(sample)
    if len(given) not in {2, 4}:
        raise DataError(
            f"Draw {number} holds {len(given)} arrays, expected spliced and unspliced counts, "
            "alone or with the sizes of both; give two or four."
        )
    layers = (f"{Layers.SPLICED} of draw {number}", f"{Layers.UNSPLICED} of draw {number}")
    pair = [_checked(ground, counts, layer) for counts, layer in zip(given, layers, strict=False)]
    sizes = (
        [_checked_sizes(ground, values, number) for values in given[2:]]
        if len(given) == 4
        else [cell_sizes(matrix) for matrix in pair]
    )
    return fit_pair(
        ground,
        neighbours,
        pair[0],
        pair[1],
        (sizes[0], sizes[1]),
        layers=layers,
        settings=settings,
    )


def _checked(ground: AnnData, counts: Any, layer: str) -> sparse.csr_matrix:
    if counts.shape != ground.shape:
        raise DataError(
            f"'{layer}' has the shape {counts.shape}, expected {ground.shape}; give the prepared "
            "cells and genes, in their order."
        )
    holder = AnnData(obs=pd.DataFrame(index=ground.obs_names), var=ground.var[[]])
    holder.layers[layer] = sparse.csr_matrix(counts)
    return count_matrix(holder, layer)


def _checked_sizes(ground: AnnData, values: Any, number: int) -> NDArray[np.float64]:
    sizes = np.asarray(values, dtype=np.float64)
    if sizes.shape != (ground.n_obs,) or not np.isfinite(sizes).all() or (sizes < 0).any():
        raise DataError(
            f"The cell sizes of draw {number} are not {ground.n_obs} sums of counts, "
            "expected one per cell, finite and not negative; sum the draw over all genes."
        )
    return sizes


class _Spread:
    """Sums over draws that say how far vectors differ, without keeping the draws."""

    def __init__(self, n_cells: int, n_dimensions: int) -> None:
        self._directions = np.zeros((n_cells, n_dimensions), dtype=np.float32)
        self._n_moving = np.zeros(n_cells)
        self._n = 0
        self._mean_length = np.zeros(n_cells)
        self._squares = np.zeros(n_cells)

    def add(self, vectors: NDArray[np.float32], dimensions: NDArray[np.intp] | None = None) -> None:
        """Take a draw's vectors; dimensions that are not named are zero in it."""
        length = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1))
        moves = length > 0
        inverse = np.divide(1.0, length, out=np.zeros_like(length), where=moves)
        unit = vectors * inverse.astype(np.float32)[:, None]
        if dimensions is None:
            self._directions += unit
        else:
            self._directions[:, dimensions] += unit
        self._n_moving += moves
        self._n += 1
        away = length - self._mean_length
        self._mean_length += away / self._n
        self._squares += away * (length - self._mean_length)

    def direction(self) -> NDArray[np.float64]:
        """Return 1 - R per cell, R squared being the mean cosine between two draws."""
        n = self._n_moving
        resultant = np.square(self._directions, dtype=np.float64).sum(axis=1)
        squared = np.full(n.size, np.nan)
        np.divide(resultant - n, n * (n - 1), out=squared, where=n >= MIN_DRAWS)
        return np.asarray(1 - np.sqrt(np.clip(squared, 0, 1)), dtype=np.float64)

    def length(self) -> NDArray[np.float64]:
        """Return the coefficient of variation of the length per cell."""
        sd = np.sqrt(self._squares / (self._n - 1))
        found = np.full(sd.size, np.nan)
        np.divide(sd, self._mean_length, out=found, where=self._mean_length > 0)
        return found
