"""Velocity from a pair of layers, with refusals instead of arrows made of rounding error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.counts import count_matrix, normalise
from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.keys import Layers, Obs, Obsp, Sources, Uns, Var
from splicedvae._core.layers import named_layers
from splicedvae._core.records import own_root
from splicedvae._core.shares import FEW_GENES, effective_genes, shares_of
from splicedvae.velocity._account import VelocityAccount
from splicedvae.velocity._fit import (
    PERCENTILES,
    fit_pair,
    layer_sizes,
    moments,
    refuse_empty,
    silence_empty_cells,
)
from splicedvae.velocity._graph import (
    embeddings_of,
    project_onto,
    velocity_confidence,
    velocity_graph,
)
from splicedvae.velocity._neighbours import Neighbours
from splicedvae.velocity._prepared import (
    MIN_GENES,
    check_graph,
    check_prepared,
    is_prepared,
    prepare,
)
from splicedvae.velocity._settings import VelocitySettings

_GIVEN: Final = "given"
_UMAP_BASIS: Final = "umap"


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

    Layers are normalized, moments are taken over the given graph, the steady-state slope is fitted,
    and velocities are projected onto the embedding (Bergen et al. 2020, *Nature Biotechnology* 38,
    1408). scVelo's models normalize each layer by its own cell sizes; the balanced one, the
    default, does so without what a cell's choice of genes does to them (see `VelocitySettings`).
    Genes whose ratio does not vary beyond rounding are left out and counted.

    Parameters
    ----------
    adata
        A result of `prepare`, or any AnnData, which is then prepared with the same layers and
        settings; not changed.
    spliced_layer
        Layer of spliced counts, measured or predicted, not normalized.
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
        ``unspliced`` (normalized), ``Ms``, ``Mu``, ``velocity``, ``variance_velocity``
        (stochastic only); ``var["velocity_genes"]``, ``["velocity_gamma"]``,
        ``["velocity_r2"]``; ``obs["velocity_length"]``, ``["velocity_confidence"]`` and
        ``["velocity_effective_genes"]`` (how many genes draw the cell's arrow);
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
    return velocity_on(
        ground,
        Neighbours(ground),
        spliced_layer=spliced_layer,
        unspliced_layer=unspliced_layer,
        settings=settings,
        source=source,
        bases=bases,
    )


def velocity_on(
    ground: AnnData,
    neighbours: Neighbours,
    *,
    spliced_layer: str,
    unspliced_layer: str,
    settings: VelocitySettings,
    source: str,
    bases: Sequence[str],
) -> AnnData:
    """Compute a velocity as `compute_velocity` does, with neighbors that several sources share."""
    embeddings = embeddings_of(ground, bases)
    spliced = count_matrix(ground, spliced_layer)
    unspliced = count_matrix(ground, unspliced_layer)
    layers = (spliced_layer, unspliced_layer)
    fit = fit_pair(
        ground,
        neighbours,
        spliced,
        unspliced,
        (
            layer_sizes(ground, spliced_layer, spliced),
            layer_sizes(ground, unspliced_layer, unspliced),
        ),
        layers=layers,
        settings=settings,
    )
    variation, fitted = fit.variation, fit.fitted
    notes: list[str] = []

    n_velocity_genes = int(fitted.var[Var.VELOCITY_GENES].sum())
    if n_velocity_genes < FEW_GENES:
        notes.append(
            f"The velocity rests on {n_velocity_genes} genes, so single genes dominate the figure."
        )
    notes += fit.notes
    velocity_graph(fitted, neighbours, settings)
    velocity_confidence(fitted, neighbours, settings)
    carriers = _carriers(fitted)
    if n_velocity_genes >= FEW_GENES:
        notes += carriers

    result = _assemble(ground, fit.work)
    _spread_genes(result, fitted, fit.usable)
    result.var[Var.RATIO_SD] = variation.sd.astype(np.float32)
    result.var[Var.DEGENERATE] = variation.counted & ~variation.varies
    _project_all(result, embeddings)
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
        mode_used=str(fitted.uns[Uns.VELOCITY_PARAMS]["mode"]),
        n_cells=ground.n_obs,
        n_genes=ground.n_vars,
        n_genes_degenerate=n_degenerate,
        n_genes_uncounted=n_uncounted,
        n_velocity_genes=n_velocity_genes,
        largest_ratio_sd=float(variation.sd.max()),
        fallbacks=fit.fallbacks,
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
    a figure (graph, projection, confidence) is the same as for fitted ones.

    Parameters
    ----------
    adata
        A result of `prepare`; not changed.
    layer
        Layer of ds/dt, cells x genes, in spliced counts per unit of time.
    spliced_layer
        Layer of spliced counts, whose moments say where a cell is.
    settings
        Its mode decides whether cosines are taken of square roots; ``None`` for the defaults.
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
    check_prepared(adata)
    embeddings = embeddings_of(adata, bases)
    if layer not in adata.layers:
        raise DataError(
            f"The data has no layer '{layer}', expected known velocities there; name the "
            "layer of a simulation."
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
            f"The layer '{spliced_layer}' holds no counts, expected the spliced counts that "
            "give a cell's position; name another layer."
        )
    neighbours = Neighbours(adata)
    scaled = normalise(spliced, layer_sizes(adata, spliced_layer, spliced))
    work = moments(neighbours, adata.var_names, scaled, n_jobs=settings.n_jobs)
    work.layers[Layers.VELOCITY] = velocity
    work.var[Var.VELOCITY_GENES] = moving
    work.uns[Uns.VELOCITY_PARAMS] = {
        "mode": settings.mode,
        "fit_offset": False,
        "perc": list(PERCENTILES),
    }
    notes = silence_empty_cells(work, adata)
    velocity_graph(work, neighbours, settings)
    velocity_confidence(work, neighbours, settings)
    result = _assemble(adata, work)
    _spread_genes(result, work, np.arange(adata.n_vars))
    _project_all(result, embeddings)
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
    refuse_empty(pair[0], pair[1], layers)
    return prepare(
        adata, spliced_layer=spliced_layer, unspliced_layer=unspliced_layer, settings=settings
    )


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
    for name in named_layers(work):
        result.layers[name] = work.layers[name]
    result.uns = _copied(ground.uns)
    result.uns[Uns.ROOT] = own_root(result.uns)
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


def _project_all(result: AnnData, embeddings: dict[str, NDArray[np.floating[Any]]]) -> None:
    for basis, arrows in project_onto(result, embeddings).items():
        result.obsm[f"{Layers.VELOCITY}_{basis}"] = arrows
    result.uns[Uns.VELOCITY_PARAMS]["embeddings"] = list(embeddings)


def _carriers(fitted: AnnData) -> list[str]:
    """Write how many genes draw each cell's arrow, and return a note if they are few."""
    shares = shares_of(fitted)
    found = effective_genes(shares)
    fitted.obs[Obs.EFFECTIVE_GENES] = found.astype(np.float32)
    if not np.isfinite(found).any() or np.nanmean(found) >= FEW_GENES:
        return []
    mean = shares[np.isfinite(found)].mean(axis=0)
    names = fitted.var_names[fitted.var[Var.VELOCITY_GENES].to_numpy(dtype=bool)]
    largest = int(mean.argmax())
    return [
        f"A cell's arrow rests on about {np.nanmean(found):.0f} of {len(names)} velocity "
        f"genes (effective number), {names[largest]} alone contributes {mean[largest]:.0%}: "
        "compare with the velocity without such genes."
    ]


def _ground_notes(ground: AnnData) -> list[str]:
    return [str(note) for note in ground.uns[Uns.ROOT][Uns.GROUND]["notes"]]
