"""Velocity from a pair of layers, with refusals instead of arrows made of rounding error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._counts import cell_sizes, count_matrix, normalise, shared_counts
from splicedvae._errors import DataError, VelocityError
from splicedvae._keys import Layers, Obs, Obsp, Sources, Uns, Var
from splicedvae.velocity._account import VelocityAccount
from splicedvae.velocity._balanced import BALANCED, MAX_ROUNDS, balanced_sizes, fit_balanced
from splicedvae.velocity._ground import MIN_GENES, check_graph, is_prepared, prepare
from splicedvae.velocity._projection import project
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
#: Below this the picture rests on so few genes that the account says so.
FEW_GENES: Final = 20

_STOCHASTIC: Final = "stochastic"
_DETERMINISTIC: Final = "deterministic"
_GIVEN: Final = "given"
_UMAP_BASIS: Final = "umap"
_PERCENTILES: Final = [5, 95]


def compute_velocity(
    adata: AnnData,
    *,
    spliced_layer: str = Layers.SPLICED,
    unspliced_layer: str = Layers.UNSPLICED,
    settings: VelocitySettings | None = None,
    source: str = Sources.MEASURED,
    bases: Sequence[str] = (_UMAP_BASIS,),
) -> AnnData:
    """Compute RNA velocity from two layers with scVelo.

    Layers are normalised, moments are taken over the given graph, the steady-state slope is fitted,
    and velocities are projected onto the embedding (Bergen et al. 2020, *Nature Biotechnology* 38,
    1408). scVelo's models normalise each layer by its own cell sizes; the balanced one, the
    default, does so without what a cell's choice of genes does to them (see `VelocitySettings`).
    Genes whose ratio does not vary beyond rounding are left out and counted.

    Parameters
    ----------
    adata
        A result of `prepare`, or any AnnData, which is then prepared with the same layers and
        settings; not changed.
    spliced_layer
        Layer of spliced counts, measured or predicted, not normalised.
    unspliced_layer
        Layer of unspliced counts, likewise.
    settings
        scVelo's model, and how to prepare; ``None`` for the defaults.
    source
        Where the layers come from, for the account.
    bases
        Embeddings to project onto: ``"umap"`` for ``obsm["X_umap"]``.

    Returns
    -------
    AnnData
        A new object, cells x chosen genes, under scVelo's names: layers ``spliced`` and
        ``unspliced`` (normalised), ``Ms``, ``Mu``, ``velocity``, ``variance_velocity``
        (stochastic only); ``var["velocity_genes"]``, ``["velocity_gamma"]``,
        ``["velocity_r2"]``; ``obs["velocity_length"]`` and ``["velocity_confidence"]``;
        ``uns["velocity_graph"]``, ``["velocity_graph_neg"]``, ``["velocity_params"]``;
        ``obsm["velocity_umap"]``. ``uns["splicedvae"]["velocity"]`` is the account
        (`VelocityAccount.from_adata` reads it). Genes left out have velocity 0.

    Raises
    ------
    DataError
        If a layer or embedding is absent or holds what cannot be counts.
    VelocityError
        If there is nothing to draw but rounding error: no unspliced or spliced counts, too few
        genes with shared counts, with varying ratios, or with a slope to fit, or too few cells.
    """
    settings = VelocitySettings() if settings is None else settings
    ground = _as_ground(adata, spliced_layer, unspliced_layer, settings)
    _check_bases(ground, bases)
    spliced = count_matrix(ground, spliced_layer)
    unspliced = count_matrix(ground, unspliced_layer)
    layers = (spliced_layer, unspliced_layer)
    _check_counts(spliced, unspliced, layers, settings)
    variation = ratio_variation(spliced, unspliced)
    _refuse_degenerate(variation, layers)

    sizes = (
        _sizes(ground, spliced_layer, spliced),
        _sizes(ground, unspliced_layer, unspliced),
    )
    if settings.mode == BALANCED:
        totals = sizes[0] + sizes[1]
        _refuse_common_shift(spliced, unspliced, totals)
        sizes = balanced_sizes(spliced, unspliced, totals)
    spliced, unspliced = normalise(spliced, sizes[0]), normalise(unspliced, sizes[1])
    work = _moments(ground, spliced, unspliced)
    usable = np.flatnonzero(variation.varies)
    fitted = work[:, usable].copy()
    fallbacks = _fit(fitted, settings)
    mode_used = str(fitted.uns[Uns.VELOCITY_PARAMS]["mode"])
    notes: list[str] = []

    n_velocity_genes = int(fitted.var[Var.VELOCITY_GENES].sum())
    if n_velocity_genes < FEW_GENES:
        notes.append(
            f"The velocity rests on {n_velocity_genes} genes, so single genes shape the picture."
        )
    notes += _silence_empty_cells(fitted, _empty_cells(ground))
    _graph(fitted, settings)

    result = _assemble(ground, work)
    _spread_genes(result, fitted, usable)
    result.var[Var.RATIO_SD] = variation.sd.astype(np.float32)
    result.var[Var.DEGENERATE] = variation.counted & ~variation.varies
    _project_all(result, bases)
    n_degenerate = int(result.var[Var.DEGENERATE].sum())
    if n_degenerate:
        notes.insert(
            0,
            f"{n_degenerate} of {ground.n_vars} genes were left out because their ratio does not "
            "vary between cells beyond rounding.",
        )
    n_uncounted = int((~variation.counted).sum())
    if n_uncounted:
        notes.append(
            f"{n_uncounted} of {ground.n_vars} genes have no counts in this source and were left "
            "out."
        )
    account = VelocityAccount(
        source=source,
        layers=layers,
        settings=settings,
        mode_used=mode_used,
        n_cells=ground.n_obs,
        n_genes=ground.n_vars,
        n_genes_degenerate=n_degenerate,
        n_genes_uncounted=n_uncounted,
        n_velocity_genes=n_velocity_genes,
        largest_ratio_sd=float(variation.sd.max()),
        fallbacks=tuple(fallbacks),
        notes=(*_ground_notes(ground), *notes),
    )
    result.uns[Uns.ROOT][Uns.VELOCITY] = account.to_uns()
    return result


def true_velocity(
    adata: AnnData,
    *,
    layer: str = Layers.TRUE_VELOCITY,
    spliced_layer: str = Layers.SPLICED,
    settings: VelocitySettings | None = None,
    source: str = Sources.TRUE,
    bases: Sequence[str] = (_UMAP_BASIS,),
) -> AnnData:
    """Project a known velocity, such as a simulation's, with scVelo's graph.

    Nothing is fitted: the velocities are those of the layer, and only what lies between them and
    a picture (graph, projection, confidence) is the same as for fitted ones.

    Parameters
    ----------
    adata
        A result of `prepare`; not changed.
    layer
        Layer of ds/dt, cells x genes, in spliced counts per unit of time.
    spliced_layer
        Layer of spliced counts, whose moments say where a cell is.
    settings
        Its mode decides whether cosines are taken of square roots, as scVelo does for the
        stochastic model; ``None`` for the defaults.
    source
        Name for the account.
    bases
        Embeddings to project onto.

    Returns
    -------
    AnnData
        As from `compute_velocity`, without ``unspliced``, ``Mu`` and fitted parameters.

    Raises
    ------
    DataError
        If the object was not prepared or a layer is absent or not finite.
    VelocityError
        If fewer than five genes have a velocity, or no counts are there.
    """
    settings = VelocitySettings() if settings is None else settings
    if not is_prepared(adata):
        raise DataError(
            "The data were not prepared, expected the common genes and neighbours of all "
            "velocities; call splicedvae.velocity.prepare first."
        )
    check_graph(adata)
    _check_bases(adata, bases)
    if layer not in adata.layers:
        raise DataError(
            f"The data hold no layer '{layer}', expected known velocities there; "
            "name the layer of a simulation."
        )
    known = adata.layers[layer]
    velocity = np.asarray(
        known.toarray() if sparse.issparse(known) else known, dtype=np.float32
    ).copy()
    if not np.isfinite(velocity).all():
        raise DataError(f"The layer '{layer}' holds NaN or infinite values, expected velocities.")
    moving = np.any(velocity != 0, axis=0)
    if moving.sum() < MIN_GENES:
        raise VelocityError(
            f"{int(moving.sum())} genes of the layer '{layer}' have a velocity, expected at least "
            f"{MIN_GENES}; simulate more genes with dynamics."
        )
    spliced = count_matrix(adata, spliced_layer)
    if spliced.nnz == 0:
        raise VelocityError(
            f"The layer '{spliced_layer}' holds no counts, expected the spliced counts that say "
            "where a cell is; name another layer."
        )
    work = _moments(adata, normalise(spliced, _sizes(adata, spliced_layer, spliced)), None)
    work.layers[Layers.VELOCITY] = velocity
    work.var[Var.VELOCITY_GENES] = moving
    work.uns[Uns.VELOCITY_PARAMS] = {
        "mode": settings.mode,
        "fit_offset": False,
        "perc": list(_PERCENTILES),
    }
    notes = _silence_empty_cells(work, _empty_cells(adata))
    _graph(work, settings)
    result = _assemble(adata, work)
    _spread_genes(result, work, np.arange(adata.n_vars))
    _project_all(result, bases)
    account = VelocityAccount(
        source=source,
        layers=(layer,),
        settings=settings,
        mode_used=_GIVEN,
        n_cells=adata.n_obs,
        n_genes=adata.n_vars,
        n_genes_degenerate=0,
        n_genes_uncounted=0,
        n_velocity_genes=int(moving.sum()),
        largest_ratio_sd=float("nan"),
        notes=(*_ground_notes(adata), *notes),
    )
    result.uns[Uns.ROOT][Uns.VELOCITY] = account.to_uns()
    return result


def _as_ground(
    adata: AnnData, spliced_layer: str, unspliced_layer: str, settings: VelocitySettings
) -> AnnData:
    """Return the prepared object itself, or prepare one, refusing absent and empty layers first."""
    if is_prepared(adata):
        check_graph(adata)
        return adata
    layers = (spliced_layer, unspliced_layer)
    pair = [count_matrix(adata, layer) for layer in layers]
    _refuse_empty(pair[0], pair[1], layers)
    return prepare(
        adata, spliced_layer=spliced_layer, unspliced_layer=unspliced_layer, settings=settings
    )


def _check_bases(ground: AnnData, bases: Sequence[str]) -> None:
    for basis in bases:
        if f"X_{basis}" not in ground.obsm:
            raise DataError(
                f"The data hold no embedding 'X_{basis}', expected coordinates to draw on; "
                "name another basis or compute it."
            )


def _refuse_empty(
    spliced: sparse.csr_matrix, unspliced: sparse.csr_matrix, layers: tuple[str, str]
) -> None:
    for name, matrix in zip(layers, (spliced, unspliced), strict=True):
        if matrix.nnz == 0:
            raise VelocityError(
                f"The layer '{name}' holds no counts in the genes used, expected spliced and "
                "unspliced counts; predict the layers with a trained model or name others."
            )


def _check_counts(
    spliced: sparse.csr_matrix,
    unspliced: sparse.csr_matrix,
    layers: tuple[str, str],
    settings: VelocitySettings,
) -> None:
    _refuse_empty(spliced, unspliced, layers)
    shared = shared_counts(spliced, unspliced)
    enough = int(((shared >= settings.min_shared_counts) & (shared > 0)).sum())
    if enough < MIN_GENES:
        raise VelocityError(
            f"{enough} of {shared.size} genes have at least {settings.min_shared_counts} counts in "
            f"cells where '{layers[0]}' and '{layers[1]}' are both non-zero, expected {MIN_GENES} "
            "such genes or more; give deeper data or lower min_shared_counts."
        )


def _refuse_degenerate(variation: RatioVariation, layers: tuple[str, str]) -> None:
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


def _sizes(ground: AnnData, layer: str, matrix: sparse.csr_matrix) -> NDArray[np.float64]:
    """Cell sizes of a layer over all genes if `prepare` saw it, over the chosen ones otherwise."""
    name = Obs.INITIAL_SIZE + layer
    if name in ground.obs:
        return np.asarray(ground.obs[name], dtype=np.float64)
    return cell_sizes(matrix)


def _empty_cells(ground: AnnData) -> NDArray[np.bool_]:
    return np.asarray(np.asarray(ground.X.sum(axis=1)).ravel() == 0, dtype=np.bool_)


def _moments(
    ground: AnnData, spliced: sparse.csr_matrix, unspliced: sparse.csr_matrix | None
) -> AnnData:
    """Make the object scVelo works on: layers, moments and graph, nothing from the user's file."""
    work = AnnData(
        obs=pd.DataFrame(index=ground.obs_names), var=pd.DataFrame(index=ground.var_names)
    )
    work.obsp[Obsp.DISTANCES] = sparse.csr_matrix(ground.obsp[Obsp.DISTANCES])
    work.obsp[Obsp.CONNECTIVITIES] = sparse.csr_matrix(ground.obsp[Obsp.CONNECTIVITIES])
    work.uns[Uns.NEIGHBORS] = dict(ground.uns[Uns.NEIGHBORS])
    with quiet_scvelo():
        from scvelo.preprocessing.neighbors import get_connectivities

        weights = get_connectivities(work)
    pairs = [(Layers.SPLICED, Layers.MS, spliced)]
    if unspliced is not None:
        pairs.append((Layers.UNSPLICED, Layers.MU, unspliced))
    for name, moment, counts in pairs:
        single = sparse.csr_matrix(counts, dtype=np.float32)
        work.layers[name] = single
        work.layers[moment] = np.asarray((weights @ single).toarray(), dtype=np.float32)
    return work


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


def _refuse_common_shift(
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
            perc=list(_PERCENTILES),
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


def _silence_empty_cells(fitted: AnnData, empty: NDArray[np.bool_]) -> list[str]:
    """Take the velocity from cells without counts: it would be their neighbours' alone."""
    if not empty.any():
        return []
    for name in (Layers.VELOCITY, Layers.VARIANCE_VELOCITY):
        if name in fitted.layers:
            fitted.layers[name][empty] = 0
    return [
        f"{int(empty.sum())} cells without counts have velocity 0 and no confidence; a confidence "
        "beside them is the mean over their other neighbours."
    ]


def _graph(fitted: AnnData, settings: VelocitySettings) -> None:
    """Compute the velocity graph and the confidences in place."""
    with quiet_scvelo() as scvelo:
        scvelo.tl.velocity_graph(fitted, n_jobs=settings.n_jobs, show_progress_bar=False)
        if fitted.uns[Uns.VELOCITY_GRAPH].nnz == 0:
            raise VelocityError(
                "No cell's velocity points to any neighbour, expected some that do; give more "
                "cells or genes."
            )
        scvelo.tl.velocity_confidence(fitted)
    confidence = np.asarray(fitted.obs[Obs.CONFIDENCE], dtype=np.float64)
    if np.isnan(confidence).any():
        fitted.obs[Obs.CONFIDENCE] = _confidence_among_moving(fitted, confidence)


def _confidence_among_moving(
    fitted: AnnData, confidence: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fill in scVelo's confidence where one neighbour without velocity made it NaN."""
    velocity = np.asarray(fitted.layers[Layers.VELOCITY], dtype=np.float64)
    velocity = velocity[:, np.asarray(fitted.var[Var.VELOCITY_GENES], dtype=bool)]
    velocity = velocity - velocity.mean(axis=1, keepdims=True)
    length = np.linalg.norm(velocity, axis=1)
    unit = np.divide(
        velocity, length[:, None], out=np.zeros_like(velocity), where=length[:, None] > 0
    )
    graph = sparse.csr_matrix(fitted.obsp[Obsp.DISTANCES])
    filled = confidence.copy()
    for cell in np.flatnonzero(np.isnan(confidence)):
        neighbours = graph.indices[graph.indptr[cell] : graph.indptr[cell + 1]]
        neighbours = neighbours[length[neighbours] > 0]
        if length[cell] > 0 and neighbours.size:
            filled[cell] = max(float((unit[neighbours] @ unit[cell]).mean()), 0.0)
    return filled


def _assemble(ground: AnnData, work: AnnData) -> AnnData:
    """Put scVelo's layers on the ground's annotations; the ground's own layers are not carried."""
    own_sizes = [name for name in ground.obs if str(name).startswith(Obs.INITIAL_SIZE)]
    result = AnnData(
        X=ground.X.copy(),
        obs=ground.obs.drop(columns=own_sizes).copy(),
        var=ground.var.copy(),
    )
    for name in ground.obsm:
        result.obsm[name] = ground.obsm[name].copy()
    for name in (Obsp.DISTANCES, Obsp.CONNECTIVITIES):
        result.obsp[name] = work.obsp[name].copy()
    for name in work.layers:
        result.layers[name] = work.layers[name]
    result.uns = _copied(ground.uns)
    result.uns.setdefault(Uns.ROOT, {})
    return result


def _copied(value: Any) -> Any:
    if isinstance(value, dict) or hasattr(value, "items"):
        return {name: _copied(item) for name, item in value.items()}
    return value.copy() if hasattr(value, "copy") else value


def _spread_genes(result: AnnData, fitted: AnnData, usable: NDArray[np.intp]) -> None:
    """Write what was computed on the usable genes into the result, 0 elsewhere."""
    for name in (Layers.VELOCITY, Layers.VARIANCE_VELOCITY):
        if name in fitted.layers:
            values = np.zeros(result.shape, dtype=np.float32)
            values[:, usable] = fitted.layers[name]
            result.layers[name] = values
    for name in fitted.var:
        column = np.asarray(fitted.var[name])
        values = np.zeros(result.n_vars, dtype=bool if column.dtype == bool else np.float32)
        values[usable] = column
        result.var[name] = values
    for name in fitted.obs:
        result.obs[name] = np.asarray(fitted.obs[name])
    for name in (Uns.VELOCITY_GRAPH, Uns.VELOCITY_GRAPH_NEG):
        result.uns[name] = sparse.csr_matrix(fitted.uns[name], dtype=np.float32)
    result.uns[Uns.VELOCITY_PARAMS] = dict(fitted.uns[Uns.VELOCITY_PARAMS])


def _project_all(result: AnnData, bases: Sequence[str]) -> None:
    with quiet_scvelo() as scvelo:
        transitions = scvelo.utils.get_transition_matrix(
            result, self_transitions=True, scale=10, use_negative_cosines=True
        )
    for basis in bases:
        result.obsm[f"{Layers.VELOCITY}_{basis}"] = project(
            sparse.csr_matrix(transitions), np.asarray(result.obsm[f"X_{basis}"])
        )
    result.uns[Uns.VELOCITY_PARAMS]["embeddings"] = list(bases)


def _ground_notes(ground: AnnData) -> list[str]:
    return [str(note) for note in ground.uns[Uns.ROOT][Uns.GROUND]["notes"]]
