"""From a pair of layers to residuals: all of a velocity but its graph, which takes the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.counts import cell_sizes, normalise, shared_counts
from splicedvae._core.errors import VelocityError
from splicedvae._core.keys import Layers, Obs, Var, VelocityMode
from splicedvae.velocity._balanced import BALANCED, MAX_ROUNDS, balanced_sizes, fit_balanced
from splicedvae.velocity._kernels import over_cells, weighted_rows, weighted_sums
from splicedvae.velocity._neighbours import Neighbours
from splicedvae.velocity._prepared import MIN_GENES
from splicedvae.velocity._scvelo import quiet_scvelo
from splicedvae.velocity._settings import VelocitySettings
from splicedvae.velocity._variation import (
    MIN_LOG_ODDS_SD,
    MIN_RATIO_SD,
    RatioVariation,
    ratio_variation,
)

#: scVelo's own conditions on a velocity gene.
MIN_R2: Final = 0.01
MIN_SLOPE: Final = 0.01
#: Moments are float32 sums over some 30 cells: a residual that is smaller than this fraction of
#: the unspliced moments, in root mean square, is their rounding. It comes about when a ratio
#: varies between cells but by one factor for all genes, which normalisation takes out again.
MIN_RESIDUAL: Final = 1e-5
#: Percentiles of the counts that scVelo's slopes run through.
PERCENTILES: Final = [5, 95]

_STOCHASTIC: Final = "stochastic"
_DETERMINISTIC: Final = "deterministic"


@dataclass(frozen=True, eq=False)
class PairFit:
    """A pair of layers with moments and residuals, on the common ground.

    Attributes
    ----------
    work
        Cells x all genes: normalised layers, moments and neighbour graph.
    fitted
        The same for the genes whose ratio varies, with velocity, slope and velocity genes.
    usable
        Positions of these genes among all.
    variation
        How the ratio varies within each gene.
    fallbacks
        Sentences on what was replaced.
    notes
        Sentences on what a reader should know.
    """

    work: AnnData
    fitted: AnnData
    usable: NDArray[np.intp]
    variation: RatioVariation
    fallbacks: tuple[str, ...]
    notes: tuple[str, ...]


def fit_pair(
    ground: AnnData,
    neighbours: Neighbours,
    spliced: sparse.csr_matrix,
    unspliced: sparse.csr_matrix,
    sizes: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    layers: tuple[str, str],
    settings: VelocitySettings,
) -> PairFit:
    """Fit slopes to two matrices of counts and take the residuals.

    Parameters
    ----------
    ground
        A result of `prepare`, for names and empty cells; not changed.
    neighbours
        Those of the ground.
    spliced, unspliced
        Counts, cells x genes of the ground, not normalised.
    sizes
        Counts of either layer per cell over all genes.
    layers
        What the two are called in refusals.
    settings
        Which model, and the counts that a gene needs.

    Raises
    ------
    VelocityError
        If there is nothing to fit but rounding error.
    """
    refuse_uncounted(spliced, unspliced, layers, settings)
    variation = ratio_variation(spliced, unspliced)
    refuse_degenerate(variation, layers)
    if settings.mode == BALANCED:
        refuse_common_shift(spliced, unspliced, sizes[0] + sizes[1])
    scaled = scaled_layers(spliced, unspliced, sizes, settings.mode)
    work = moments(
        neighbours,
        ground.var_names,
        *scaled,
        steps=settings.smoothing_steps,
        n_jobs=settings.n_jobs,
    )
    usable = np.flatnonzero(variation.varies)
    fitted = work[:, usable].copy()
    fallbacks = _fit(fitted, settings)
    return PairFit(
        work=work,
        fitted=fitted,
        usable=usable,
        variation=variation,
        fallbacks=tuple(fallbacks),
        notes=tuple(silence_empty_cells(fitted, ground)),
    )


def scaled_layers(
    spliced: sparse.csr_matrix,
    unspliced: sparse.csr_matrix,
    sizes: tuple[NDArray[np.float64], NDArray[np.float64]],
    mode: VelocityMode,
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Scale both layers as a model does.

    Parameters
    ----------
    spliced, unspliced
        Counts, not normalised.
    sizes
        Counts of either layer per cell over all genes; the balanced model takes their sum and
        finds the sizes of this pair itself.
    mode
        The model.
    """
    if mode == BALANCED:
        sizes = balanced_sizes(spliced, unspliced, sizes[0] + sizes[1])
    return normalise(spliced, sizes[0]), normalise(unspliced, sizes[1])


def layer_sizes(ground: AnnData, layer: str, matrix: sparse.csr_matrix) -> NDArray[np.float64]:
    """Cell sizes of a layer over all genes if `prepare` saw it, over the chosen ones otherwise."""
    name = Obs.INITIAL_SIZE + layer
    if name in ground.obs:
        return np.asarray(ground.obs[name], dtype=np.float64)
    return cell_sizes(matrix)


def moments(
    neighbours: Neighbours,
    var_names: pd.Index,
    spliced: sparse.csr_matrix,
    unspliced: sparse.csr_matrix | None = None,
    *,
    steps: int = 1,
    n_jobs: int = 1,
) -> AnnData:
    """Make the object scVelo works on: layers, moments and graph, nothing from the user's file.

    Moments are written into dense rows at once, without the sparse product in between that
    ``scvelo.pp.moments`` makes: most of their entries are not zero. With more than one step they
    are moments of moments.
    """
    work = neighbours.bare(var_names)
    pairs = [(Layers.SPLICED, Layers.MS, spliced)]
    if unspliced is not None:
        pairs.append((Layers.UNSPLICED, Layers.MU, unspliced))
    for name, moment, counts in pairs:
        single = sparse.csr_matrix(counts, dtype=np.float32)
        work.layers[name] = single
        smooth = _over_neighbours(
            neighbours, weighted_sums, (single.indptr, single.indices, single.data), single, n_jobs
        )
        for _ in range(steps - 1):
            smooth = _over_neighbours(neighbours, weighted_rows, (smooth,), smooth, n_jobs)
        work.layers[moment] = smooth
    return work


def _over_neighbours(
    neighbours: Neighbours,
    kernel: Callable[..., None],
    values: tuple[NDArray[Any], ...],
    like: sparse.csr_matrix | NDArray[np.float32],
    n_jobs: int,
) -> NDArray[np.float32]:
    """Average rows over the neighbours of each cell."""
    weights = neighbours.weights
    out = np.zeros(like.shape, dtype=np.float32)
    start, others, amounts = weights.indptr, weights.indices, weights.data
    over_cells(kernel, neighbours.order, n_jobs, start, others, amounts, *values, out)
    return out


def refuse_empty(
    spliced: sparse.csr_matrix, unspliced: sparse.csr_matrix, layers: tuple[str, str]
) -> None:
    """Refuse layers without counts."""
    for name, matrix in zip(layers, (spliced, unspliced), strict=True):
        if matrix.nnz == 0:
            raise VelocityError(
                f"The layer '{name}' holds no counts in the genes used, expected spliced and "
                "unspliced counts; predict the layers with a trained model or name others."
            )


def refuse_uncounted(
    spliced: sparse.csr_matrix,
    unspliced: sparse.csr_matrix,
    layers: tuple[str, str],
    settings: VelocitySettings,
) -> None:
    """Refuse layers without counts, or with too few genes that have them in the same cells."""
    refuse_empty(spliced, unspliced, layers)
    shared = shared_counts(spliced, unspliced)
    enough = int(((shared >= settings.min_shared_counts) & (shared > 0)).sum())
    if enough < MIN_GENES:
        raise VelocityError(
            f"{enough} of {shared.size} genes have at least {settings.min_shared_counts} counts in "
            f"cells where '{layers[0]}' and '{layers[1]}' are both non-zero, expected {MIN_GENES} "
            "such genes or more; give deeper data or lower min_shared_counts."
        )


def refuse_degenerate(variation: RatioVariation, layers: tuple[str, str]) -> None:
    """Refuse ratios that vary within too few genes."""
    n_varying = int(variation.varies.sum())
    if n_varying >= MIN_GENES:
        return
    largest = float(variation.sd.max(initial=0.0))
    pair = f"'{layers[0]}' and '{layers[1]}'"
    if n_varying == 0:
        found = (
            f"The ratios in {pair} do not vary within any gene (largest within-gene standard "
            f"deviation {largest:.1g}, at least {MIN_RATIO_SD:.0e} and {MIN_LOG_ODDS_SD:.1%} of "
            "rho (1 - rho) expected)"
        )
    else:
        found = (
            f"The ratios in {pair} vary within {n_varying} of {variation.sd.size} genes (largest "
            f"within-gene standard deviation {largest:.1g}), at least {MIN_GENES} such genes "
            "expected"
        )
    raise VelocityError(
        f"{found}, so velocity would be rounding error; use a model whose ratios differ between "
        "cells, or measured layers."
    )


def refuse_common_shift(
    spliced: sparse.csr_matrix, unspliced: sparse.csr_matrix, totals: NDArray[np.float64]
) -> None:
    """Refuse ratios that vary by one factor per cell for all genes, which is no kinetics."""
    sizes = balanced_sizes(spliced, unspliced, totals, rounds=MAX_ROUNDS)
    left = ratio_variation(normalise(spliced, sizes[0]), normalise(unspliced, sizes[1]))
    if left.varies.sum() < MIN_GENES:
        raise _one_factor_per_cell(int((~left.varies).sum()), left.varies.size)


def _one_factor_per_cell(n_found: int, n_genes: int) -> VelocityError:
    return VelocityError(
        f"In {n_found} of {n_genes} genes the unspliced counts are the spliced ones times one "
        "factor per cell, so that nothing but rounding error remains after normalisation, expected "
        "ratios that vary differently from gene to gene; use another model or measured layers."
    )


def _fit(fitted: AnnData, settings: VelocitySettings) -> list[str]:
    """Fit the slopes in place; fall back to scVelo's deterministic model if it must be."""
    fallbacks: list[str] = []
    if settings.mode == BALANCED:
        fit_balanced(fitted)
        # r2 is of no use here: where kinetics are strong, a slope through the origin fits badly.
        fitted.var[Var.VELOCITY_GENES] = _enough(fitted, _velocity_genes(fitted, min_r2=-np.inf))
    if settings.mode == _STOCHASTIC:
        reason = _try_stochastic(fitted)
        if reason is not None:
            fallbacks.append(
                f"The stochastic model was replaced by the deterministic one, because {reason}."
            )
    if settings.mode == _DETERMINISTIC or fallbacks:
        _run_scvelo(fitted, _DETERMINISTIC)
        fitted.var[Var.VELOCITY_GENES] = _enough(fitted, _velocity_genes(fitted))
    for name in (Layers.VELOCITY, Layers.VARIANCE_VELOCITY):
        if name in fitted.layers:
            fitted.layers[name] = np.asarray(fitted.layers[name], dtype=np.float32)
    return fallbacks


def _enough(fitted: AnnData, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the velocity genes, or refuse if they are too few."""
    if good.sum() >= MIN_GENES:
        return good
    n_rounding = int(_rounding(fitted).sum())
    if n_rounding > fitted.n_vars // 2:
        raise _one_factor_per_cell(n_rounding, fitted.n_vars)
    raise VelocityError(
        f"{int(good.sum())} of {fitted.n_vars} genes show unspliced counts that follow the "
        f"spliced ones (slope > {MIN_SLOPE}, and r2 > {MIN_R2} for scVelo's models), expected at "
        f"least {MIN_GENES}; give more cells, deeper data or other genes."
    )


def _try_stochastic(fitted: AnnData) -> str | None:
    """Fit the stochastic model in place; return why it cannot be used, if so."""
    # scVelo fits it to the genes that pass the deterministic one, and raises if one alone does.
    _run_scvelo(fitted, _DETERMINISTIC)
    passing = int(_velocity_genes(fitted).sum())
    if passing < MIN_GENES:
        return f"only {passing} of {fitted.n_vars} genes are fit for it"
    try:
        _run_scvelo(fitted, _STOCHASTIC)
    except np.linalg.LinAlgError as error:
        return f"its least-squares fit failed ({str(error).rstrip('.')})"
    # scVelo writes a slope of 0 where the fit gave NaN; the "velocity" is then the unspliced count.
    good = _velocity_genes(fitted) & (np.asarray(fitted.var[Var.VELOCITY_GAMMA]) > 0)
    if good.sum() < MIN_GENES:
        return f"only {int(good.sum())} of {fitted.n_vars} genes could be fitted by it"
    fitted.var[Var.VELOCITY_GENES] = good
    return None


def _run_scvelo(fitted: AnnData, mode: str) -> None:
    fitted.layers.pop(Layers.VARIANCE_VELOCITY, None)
    fitted.var = fitted.var[[]].copy()
    with quiet_scvelo() as scvelo:
        # False would still restrict genes to var["highly_variable"]; only None does not.
        scvelo.tl.velocity(
            fitted,
            mode=mode,
            perc=list(PERCENTILES),
            min_r2=MIN_R2,
            use_highly_variable=None,
        )


def _velocity_genes(fitted: AnnData, *, min_r2: float = MIN_R2) -> NDArray[np.bool_]:
    """Apply scVelo's conditions on genes, which it loosens in silence when few genes pass.

    scVelo also leaves a column out of ``var`` if all genes have the same value in it, which five
    or more genes with counts have only where nothing could be fitted.
    """
    for name in (Var.VELOCITY_R2, Var.VELOCITY_SLOPE, Var.VELOCITY_GAMMA):
        if name not in fitted.var:
            fitted.var[name] = np.zeros(fitted.n_vars, dtype=np.float32)
    finite = np.isfinite(fitted.layers[Layers.VELOCITY]).all(axis=0)
    fitted.layers[Layers.VELOCITY][:, ~finite] = 0
    return np.asarray(
        finite
        & (np.asarray(fitted.var[Var.VELOCITY_R2]) > min_r2)
        & (np.asarray(fitted.var[Var.VELOCITY_SLOPE]) > MIN_SLOPE)
        & ~_rounding(fitted)
        & (fitted.layers[Layers.MS] > 0).any(axis=0)
        & (fitted.layers[Layers.MU] > 0).any(axis=0),
        dtype=np.bool_,
    )


def _rounding(fitted: AnnData) -> NDArray[np.bool_]:
    """Tell which genes' residuals are no more than the rounding of the moments."""
    residual = np.sqrt(np.mean(np.square(fitted.layers[Layers.VELOCITY], dtype=np.float64), axis=0))
    scale = np.sqrt(np.mean(np.square(fitted.layers[Layers.MU], dtype=np.float64), axis=0))
    return np.asarray(residual <= MIN_RESIDUAL * scale, dtype=np.bool_)


def silence_empty_cells(fitted: AnnData, ground: AnnData) -> list[str]:
    """Take the velocity from cells without counts: it would be their neighbours' alone."""
    empty = np.asarray(ground.X.sum(axis=1)).ravel() == 0
    if not empty.any():
        return []
    for name in (Layers.VELOCITY, Layers.VARIANCE_VELOCITY):
        if name in fitted.layers:
            fitted.layers[name][empty] = 0
    return [
        f"{int(empty.sum())} cells without counts have velocity 0 and no confidence; a confidence "
        "beside them is the mean over their other neighbours."
    ]
