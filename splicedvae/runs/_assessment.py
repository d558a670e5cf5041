"""The table of a run: every predictor on the same held-out cells, with baselines and ceilings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae._errors import RunError
from splicedvae._keys import Layers, Obs, Sources, Split
from splicedvae.evaluation import GeneMean, NearestNeighbours, gene_metrics, ratio_metrics
from splicedvae.runs._prediction import totals_only
from splicedvae.runs._run import Run

#: Order of the table's columns.
COLUMNS = ("predictor", "metric", "coverage", "value", "ceiling", "n", "note")


def training_cells(run: Run) -> AnnData:
    """Return the training cells of a run, cells x model genes with totals and measured layers.

    Raises
    ------
    RunError
        If the run keeps no training cells, as one of kind ``"predict"``.
    """
    cells = run.predictions
    if Obs.SPLIT not in cells.obs or Layers.SPLICED not in cells.layers:
        raise RunError(
            f"The run {run.name!r} keeps no training cells, so there are no baselines to compare "
            "with: name a run that was trained."
        )
    return cells[(cells.obs[Obs.SPLIT] == Split.TRAIN).to_numpy()].copy()


def gene_means(train: AnnData) -> NDArray[np.float64]:
    """Return each gene's spliced fraction over the training cells, shape (n_genes,)."""
    return np.asarray(GeneMean().fit(train).predict(train[:1])[0], dtype=np.float64)


def assess(
    train: AnnData,
    test: AnnData,
    ratios: Mapping[str, NDArray[np.float32]],
    *,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Evaluate the models' ratios beside the baselines fitted on the training cells.

    Parameters
    ----------
    train
        Training cells x genes with totals and measured layers: all that the baselines see.
    test
        Other cells x the same genes, with the measured layers to be predicted.
    ratios
        The models' ratios for the test cells by source, each of shape (n_test, n_genes).
    seed
        Seed of the baselines and the ceilings.

    Returns
    -------
    metrics
        Tidy, with the columns `COLUMNS`.
    genes
        One row per gene, its name as index.
    """
    train = train.copy()
    totals = totals_only(test)
    mean = gene_means(train)
    predictions: dict[str, NDArray[np.floating]] = {
        Sources.GENE_MEAN: GeneMean().fit(train).predict(totals),
        Sources.KNN: NearestNeighbours(seed=seed).fit(train).predict(totals),
        **ratios,
    }
    clusters = test.obs[Obs.CLUSTERS].astype(str).to_numpy() if Obs.CLUSTERS in test.obs else None
    spliced, unspliced = test.layers[Layers.SPLICED], test.layers[Layers.UNSPLICED]
    metrics = ratio_metrics(
        spliced, unspliced, predictions, gene_mean=mean, clusters=clusters, seed=seed
    )
    genes = gene_metrics(
        spliced, unspliced, predictions, genes=list(test.var_names), gene_mean=mean
    )
    return metrics[list(COLUMNS)], genes.set_index(genes.columns[0])
