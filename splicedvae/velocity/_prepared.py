"""The common ground of all velocities: one choice of genes, one neighbor graph, one embedding.

Two velocities can be compared only if they differ only in the spliced and unspliced
counts. Everything else therefore comes from the total counts, which all sources share.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import ArpackError

from splicedvae._core.counts import cell_sizes, count_matrix, gene_sums, normalise, shared_counts
from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.keys import Layers, Obs, Obsm, Obsp, Uns
from splicedvae._core.layers import named_layers
from splicedvae._core.records import own_record, own_root
from splicedvae._core.umap_learn import load_umap
from splicedvae.velocity._settings import VelocitySettings

#: Fewer cells than this leave neighborhoods that are nearly the whole data set.
MIN_CELLS: Final = 30
#: scVelo's cosines are taken after subtracting the mean over genes; with fewer genes they are
#: plus or minus one whatever the data say.
MIN_GENES: Final = 5

#: Layers that hold ratios, moments or velocities, whose sum over genes is not a cell size.
_NOT_COUNTS: Final = frozenset(
    {
        Layers.RATIO,
        Layers.RATIO_LOWER,
        Layers.RATIO_UPPER,
        Layers.RATIO_SCVI,
        Layers.TRUE_RATIO,
        Layers.TRUE_VELOCITY,
        Layers.MS,
        Layers.MS_EXPECTED,
        Layers.MU,
        Layers.VELOCITY,
        Layers.VARIANCE_VELOCITY,
    }
)


def prepare(
    adata: AnnData,
    *,
    spliced_layer: str = Layers.SPLICED,
    unspliced_layer: str = Layers.UNSPLICED,
    total_layer: str | None = None,
    settings: VelocitySettings | None = None,
    genes: Sequence[str] | None = None,
    representation: str | None = None,
    keep_umap: bool = False,
) -> AnnData:
    """Choose genes, find neighbors and embed the cells, from the total counts alone.

    The two layers serve only to say which genes are eligible (counts in cells where both are not
    zero); without them, genes with enough total counts are.

    Parameters
    ----------
    adata
        Cells x genes; not changed.
    spliced_layer
        Layer of spliced counts that decides on eligible genes, if it is there.
    unspliced_layer
        Layer of unspliced counts, likewise.
    total_layer
        Layer of raw total counts; ``None`` for ``X``.
    settings
        Genes, components, neighbors and seed; ``None`` for the defaults.
    genes
        Names of the genes to use instead of a choice, such as genes chosen on training cells.
    representation
        A name in ``adata.obsm`` (a model's latent space) to find neighbors in instead of the
        principal components of the totals.
    keep_umap
        Keep ``obsm["X_umap"]`` of the data, if there is one, instead of computing it.

    Returns
    -------
    AnnData
        A new object, cells x chosen genes, with all layers of the input: ``X`` the logarithm of
        normalized totals, ``obsm["X_pca"]`` and ``["X_umap"]``, ``obsp["connectivities"]`` and
        ``["distances"]``, each layer's cell sizes over all genes in
        ``obs["initial_size_LAYER"]`` (so let all layers be there before), and an account in
        ``uns["splicedvae"]["velocity_ground"]``. Rows are those of the input.

    Raises
    ------
    DataError
        If the totals are absent, negative or normalized already, or a named gene or
        representation is not there.
    VelocityError
        If there are too few cells or eligible genes, or the cells do not differ.
    """
    settings = VelocitySettings() if settings is None else settings
    _check_cells(adata, settings)
    if not adata.var_names.is_unique:
        raise DataError(
            "The gene names are not unique, expected one column a gene; "
            "make them unique (adata.var_names_make_unique()) or sum the columns."
        )
    totals = count_matrix(adata, total_layer)
    _refuse_normalised(totals, total_layer)
    sizes = cell_sizes(totals)
    notes: list[str] = []

    present = [layer in adata.layers for layer in (spliced_layer, unspliced_layer)]
    if all(present):
        counts = shared_counts(
            count_matrix(adata, spliced_layer), count_matrix(adata, unspliced_layer)
        )
        rule = f"counts in cells where '{spliced_layer}' and '{unspliced_layer}' are both non-zero"
    else:
        counts = gene_sums(totals)
        rule = "total counts"
        if any(present):
            missing = unspliced_layer if present[0] else spliced_layer
            notes.append(
                f"The layer '{missing}' is missing, so genes were selected by their total counts."
            )
    logged = normalise(totals, sizes)
    np.log1p(logged.data, out=logged.data)
    chosen = (
        _named_genes(adata, genes)
        if genes is not None
        else _choose_genes(logged, counts, rule, settings)
    )

    ground = _bare_copy(adata, chosen)
    ground.X = sparse.csr_matrix(logged[:, chosen], dtype=np.float32)
    for name in named_layers(adata):
        if name not in _NOT_COUNTS:
            ground.obs[Obs.INITIAL_SIZE + name] = np.asarray(
                adata.layers[name].sum(axis=1), dtype=np.float64
            ).ravel()
    empty = gene_sums(sparse.csr_matrix(ground.X.T)) == 0
    if empty.any():
        notes.append(
            f"{int(empty.sum())} of {adata.n_obs} cells have no counts in the genes used; "
            "they are kept, without a velocity."
        )
    notes += _find_neighbours(ground, settings, representation)
    if keep_umap and Obsm.UMAP in adata.obsm:
        ground.obsm[Obsm.UMAP] = np.asarray(adata.obsm[Obsm.UMAP], dtype=np.float32)
        notes.append("The UMAP is the one in the data.")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sc.tl.umap(ground, random_state=settings.seed)
        ground.obsm[Obsm.UMAP] = np.asarray(ground.obsm[Obsm.UMAP], dtype=np.float32)
    root = own_root(ground.uns)
    root[Uns.GROUND] = {
        "settings": settings.to_uns(),
        "n_genes": int(chosen.size),
        "representation": Obsm.PCA if representation is None else representation,
        "notes": notes,
    }
    ground.uns[Uns.ROOT] = root
    return ground


def is_prepared(adata: AnnData) -> bool:
    """Return whether an AnnData came from `prepare`.

    Parameters
    ----------
    adata
        Any object, fresh or back from a file.
    """
    return (
        bool(own_record(adata.uns, Uns.GROUND))
        and Obsp.CONNECTIVITIES in adata.obsp
        and Obsp.DISTANCES in adata.obsp
    )


def check_prepared(adata: AnnData) -> None:
    """Refuse what did not come from `prepare`, or lost edges of its graph since.

    Raises
    ------
    DataError
        If it was not prepared, or for the reason of `check_graph`.
    """
    if not is_prepared(adata):
        raise DataError(
            "The data was not prepared, expected the common genes and neighbors of all "
            "velocities; call splicedvae.velocity.prepare first."
        )
    check_graph(adata)


def check_graph(adata: AnnData) -> None:
    """Refuse a neighbor graph that lost edges when cells were removed after `prepare`.

    Raises
    ------
    DataError
        If some cell has no more than half the neighbors of another.
    """
    degree = np.diff(sparse.csr_matrix(adata.obsp[Obsp.DISTANCES]).indptr)
    if degree.min() == 0 or degree.min() * 2 <= degree.max():
        raise DataError(
            f"The neighbor graph has {degree.min()} neighbors for one cell and "
            f"{degree.max()} for another, expected about the same for all; prepare again "
            "after selecting cells."
        )


def _check_cells(adata: AnnData, settings: VelocitySettings) -> None:
    if adata.n_obs < MIN_CELLS:
        raise VelocityError(
            f"The data has {adata.n_obs} cells, expected at least {MIN_CELLS} for a "
            "neighbor search; give more cells."
        )
    n_neighbors = settings.neighbors_among(adata.n_obs)
    if adata.n_obs <= n_neighbors:
        raise VelocityError(
            f"The data has {adata.n_obs} cells, expected more than the {n_neighbors} "
            "neighbors requested; give more cells or set fewer neighbors."
        )


def _refuse_normalised(totals: sparse.csr_matrix, layer: str | None) -> None:
    """Refuse totals that were scaled to a common sum, with or without a logarithm after it."""
    if totals.nnz == 0:
        raise VelocityError(
            "The total counts are all zero, expected raw counts; check the file or the layer."
        )
    if np.array_equal(totals.data, np.round(totals.data)):
        return
    name = "X" if layer is None else f"The layer '{layer}'"
    exponential = totals.copy()
    with np.errstate(over="ignore"):
        np.expm1(exponential.data, out=exponential.data)
    for candidate in (totals, exponential):
        sums = cell_sizes(candidate)
        sums = sums[sums > 0]
        if np.isfinite(sums).all() and sums.std() < 1e-3 * sums.mean():
            raise DataError(
                f"{name} holds fractions that sum to the same value in every cell, expected "
                "raw total counts; give the counts before normalization (total_layer)."
            )


def _named_genes(adata: AnnData, genes: Sequence[str]) -> NDArray[np.intp]:
    positions = adata.var_names.get_indexer(pd.Index(genes))
    missing = [gene for gene, position in zip(genes, positions, strict=True) if position < 0]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(genes)} named genes are not in the data "
            f"(first: '{missing[0]}'), expected all; name genes of this data set."
        )
    if np.unique(positions).size < MIN_GENES:
        raise VelocityError(
            f"{np.unique(positions).size} genes are named, expected at least {MIN_GENES}; "
            "name more genes."
        )
    return np.unique(positions)


def _choose_genes(
    logged: sparse.csr_matrix,
    counts: NDArray[np.float64],
    rule: str,
    settings: VelocitySettings,
) -> NDArray[np.intp]:
    """Choose highly variable genes of the totals among those with enough counts."""
    eligible = np.flatnonzero((counts >= settings.min_shared_counts) & (counts > 0))
    if eligible.size < MIN_GENES:
        raise VelocityError(
            f"{eligible.size} of {counts.size} genes have at least {settings.min_shared_counts} "
            f"{rule}, expected {MIN_GENES} such genes or more; give deeper data or lower "
            "min_shared_counts."
        )
    if settings.n_top_genes is None or settings.n_top_genes >= eligible.size:
        return eligible
    if settings.n_top_genes < MIN_GENES:
        raise VelocityError(
            f"n_top_genes is {settings.n_top_genes}, expected at least {MIN_GENES}; raise it."
        )
    scratch = AnnData(X=sparse.csr_matrix(logged[:, eligible], dtype=np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = sc.pp.highly_variable_genes(
            scratch, n_top_genes=settings.n_top_genes, flavor="seurat", inplace=False
        )
    # With ties at the threshold scanpy returns a few more than requested; the best are used.
    dispersion = np.nan_to_num(
        np.asarray(table["dispersions_norm"], dtype=np.float64), nan=-np.inf, posinf=np.inf
    )
    best = np.argsort(-dispersion, kind="stable")[: settings.n_top_genes]
    return eligible[np.sort(best)]


def _bare_copy(adata: AnnData, genes: NDArray[np.intp]) -> AnnData:
    """Copy cells x genes without graphs, embeddings and velocities of an earlier analysis."""
    copy = AnnData(
        obs=adata.obs.loc[:, [not str(name).startswith("velocity") for name in adata.obs]].copy(),
        var=adata.var.iloc[genes]
        .loc[:, [not str(name).startswith("velocity") for name in adata.var]]
        .copy(),
    )
    for name in named_layers(adata):
        copy.layers[name] = adata.layers[name][:, genes].copy()
    for name, value in adata.obsm.items():
        if not str(name).startswith("velocity") and name not in {Obsm.PCA, Obsm.UMAP}:
            copy.obsm[name] = value.copy()
    stale = {Uns.NEIGHBORS, "pca", "umap"}
    for name, value in adata.uns.items():
        if name not in stale and not str(name).startswith("velocity"):
            copy.uns[name] = _deep_copy(value)
    return copy


def _deep_copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _deep_copy(item) for name, item in value.items()}
    return value.copy() if hasattr(value, "copy") else value


def _find_neighbours(
    ground: AnnData, settings: VelocitySettings, representation: str | None
) -> list[str]:
    """Fill obsm["X_pca"] and obsp; return sentences on what differs from the settings."""
    notes: list[str] = []
    n_neighbors = settings.neighbors_among(ground.n_obs)
    if n_neighbors < settings.n_neighbors:
        notes.append(
            f"Each cell has {n_neighbors} neighbors instead of {settings.n_neighbors}, "
            f"because more would blur the differences among {ground.n_obs} cells."
        )
    n_pcs = min(settings.n_pcs, ground.n_obs - 1, ground.n_vars - 1)
    if n_pcs < settings.n_pcs:
        notes.append(
            f"{n_pcs} principal components were used instead of {settings.n_pcs}, the most "
            f"that {ground.n_obs} cells and {ground.n_vars} genes allow."
        )
    spread = ground.X.max(axis=0) - ground.X.min(axis=0)
    if spread.max() == 0:
        raise VelocityError(
            "All cells have the same counts in the genes used, expected cells that differ; "
            "check the file."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # Without mask_var, scanpy would obey a var["highly_variable"] left in the file.
            sc.pp.pca(ground, n_comps=n_pcs, random_state=settings.seed, mask_var=None)
        except (np.linalg.LinAlgError, ArpackError) as error:
            raise VelocityError(
                f"The principal components of {ground.n_vars} genes did not converge, expected "
                "counts that vary between cells; remove constant genes or empty cells."
            ) from error
        if representation is None:
            used = Obsm.PCA
        elif representation in ground.obsm:
            used = representation
        else:
            names = ", ".join(f"'{name}'" for name in ground.obsm)
            raise DataError(
                f"The data has no obsm entry '{representation}' (found: {names}), expected "
                "a latent space there; name another or none."
            )
        if not np.isfinite(np.asarray(ground.obsm[used], dtype=np.float64)).all():
            raise DataError(
                f"The obsm entry '{used}' holds NaN or infinite values, expected "
                "coordinates; compute it again."
            )
        load_umap()
        sc.pp.neighbors(
            ground,
            n_neighbors=n_neighbors,
            use_rep=used,
            random_state=settings.seed,
        )
    distances = _without_cells_themselves(sparse.csr_matrix(ground.obsp[Obsp.DISTANCES]))
    # Cells with identical counts lie at distance zero, which scVelo reads as "no neighbor".
    positive = distances.data[distances.data > 0]
    smallest = positive.min() * 1e-3 if positive.size else 1.0
    distances.data[distances.data <= 0] = smallest
    ground.obsp[Obsp.DISTANCES] = distances
    ground.obsp[Obsp.CONNECTIVITIES] = sparse.csr_matrix(ground.obsp[Obsp.CONNECTIVITIES])
    return notes


def _without_cells_themselves(distances: sparse.csr_matrix) -> sparse.csr_matrix:
    """Drop the diagonal, which scanpy's approximate search, from 8,192 cells on, leaves in."""
    rows = np.repeat(np.arange(distances.shape[0]), np.diff(distances.indptr))
    kept = rows != distances.indices
    start = np.concatenate([[0], np.cumsum(kept)])[distances.indptr]
    return sparse.csr_matrix(
        (distances.data[kept], distances.indices[kept], start), shape=distances.shape
    )
