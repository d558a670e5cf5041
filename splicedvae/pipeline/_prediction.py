"""From a trained model and totals alone to the ratios, latent spaces and UMAPs of a run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.keys import Obsm, Sources
from splicedvae._core.labels import batch_labels
from splicedvae._core.orthologs import Orthologs
from splicedvae._core.umap_learn import load_umap

if TYPE_CHECKING:
    from splicedvae.model import Adaptation, SplicedVAE

#: Fewest cells a UMAP is made of.
MIN_CELLS_UMAP = 10


def counts(matrix: Any) -> csr_matrix:
    """Return a matrix as CSR float32 without stored zeros, sorted, not shared with the input."""
    result = csr_matrix(matrix, dtype=np.float32, copy=True)
    result.sum_duplicates()
    result.eliminate_zeros()
    return result


def totals_only(adata: AnnData, batch_key: str | None = None) -> AnnData:
    """Return the totals in an AnnData of their own: nothing measured can reach a model.

    Parameters
    ----------
    adata
        Cells x genes with totals in ``X``.
    batch_key
        Column of ``obs`` to bring along.

    Returns
    -------
    AnnData with the totals, what says which genes they are, and the batch, no layers.
    """
    obs = pd.DataFrame(index=adata.obs_names.copy())
    if batch_key is not None:
        if batch_key not in adata.obs:
            raise DataError(
                f"The data has no column {batch_key[:40]!r} in obs for the batches: name "
                "one of its columns."
            )
        obs[batch_key] = pd.Categorical(batch_labels(adata.obs[batch_key]))
    return AnnData(X=counts(adata.X), obs=obs, var=GeneIdentity.of(adata.var).frame())


def totals_for(model: SplicedVAE, adata: AnnData, batch_key: str | None = None) -> AnnData:
    """Return the totals with batches under the name that a model knows, if it knows any."""
    wanted = model.registry_["setup_args"]["batch_key"]
    totals = totals_only(adata, batch_key if wanted is not None else None)
    if wanted is not None and batch_key is not None and wanted != batch_key:
        totals.obs[wanted] = totals.obs[batch_key]
    return totals


def ratio_of(
    model: SplicedVAE, totals: AnnData, adaptation: Adaptation | None = None
) -> NDArray[np.float32]:
    """Predict the splicing ratio for every gene and cell, shape (n_cells, n_genes)."""
    return np.concatenate(list(model.iter_splicing_ratio(totals, adaptation=adaptation)))


def adaptations_for(
    models: Mapping[str, SplicedVAE],
    totals: AnnData,
    *,
    novelty: float | None = None,
    orthologs: Orthologs | None = None,
) -> tuple[dict[str, Adaptation | None], str]:
    """Decide whether cells of another file are out of distribution, and adapt all models to them.

    Parameters
    ----------
    models
        Trained models by source.
    totals
        Cells x model genes, totals alone.
    novelty
        Of the cells to SplicedVAE, where it is known.
    orthologs
        Between which species genes were mapped; ``None`` where both are of one.

    Returns
    -------
    Adaptations by source, None for none; and a sentence, empty where nothing is adapted.
    """
    found = models[Sources.SPLICEDVAE].adaptation_for(totals, novelty=novelty, orthologs=orthologs)
    if found is None:
        return dict.fromkeys(models), ""
    return {
        source: (
            found
            if source == Sources.SPLICEDVAE
            else model.get_adaptation(totals, novelty=found.novelty, orthologs=orthologs)
        )
        for source, model in models.items()
    }, found.told


def umap(space: NDArray[Any], seed: int) -> NDArray[np.float32] | None:
    """Draw cells of a latent space in two dimensions.

    Parameters
    ----------
    space
        Cells x dimensions.
    seed
        Seed of neighbor search and UMAP.

    Returns
    -------
    Cells x 2, or None with fewer than `MIN_CELLS_UMAP` cells.
    """
    import scanpy as sc

    n_cells = space.shape[0]
    if n_cells < MIN_CELLS_UMAP:
        return None
    load_umap()
    cells = AnnData(X=np.asarray(space, dtype=np.float32))
    with warnings.catch_warnings():
        # umap-learn warns that a seed makes it use one thread, which is wanted.
        warnings.filterwarnings("ignore", message="n_jobs value")
        sc.pp.neighbors(cells, n_neighbors=min(15, n_cells - 1), use_rep="X", random_state=seed)
        sc.tl.umap(cells, random_state=seed)
    return np.asarray(cells.obsm[Obsm.UMAP], dtype=np.float32)


def categories(values: pd.Series) -> pd.Categorical[Any]:
    """Return labels as text categories, in their own order where they have one."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        order: Sequence[Any] = list(values.cat.remove_unused_categories().cat.categories)
    else:
        order = sorted({str(value) for value in values.dropna()})
    text = values.astype(object).map(str, na_action="ignore")
    return pd.Categorical(text, categories=list(dict.fromkeys(str(item) for item in order)))
