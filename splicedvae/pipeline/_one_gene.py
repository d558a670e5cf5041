"""Data for the page of one gene: its moments, and the intervals of its ratio.

A velocity file holds moments of all genes, a gigabyte for many cells; one gene's are read without
the others. Intervals are not kept in a run: they are drawn from its model, for as many cells as a
figure bears.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem
from numpy.typing import NDArray

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Layers, Obs, Sources
from splicedvae._core.novelty import NOVEL
from splicedvae.runs import files
from splicedvae.runs.answering import open_models
from splicedvae.runs.run import Run

if TYPE_CHECKING:
    from splicedvae.model import SplicedVAE

#: Draws behind an interval.
N_SAMPLES: Final = 60


@dataclass(frozen=True)
class RatioIntervals:
    """Intervals of a model's ratios.

    Attributes
    ----------
    lower, upper
        Ends of the interval, cells x genes of the run's predictions, float32.
    concentration
        Of each gene's counts around the predicted ratio, in pseudo-molecules.
    level
        Probability within.
    """

    lower: pd.DataFrame
    upper: pd.DataFrame
    concentration: pd.Series
    level: float


def gene_moments(run: Run, source: str, gene: str) -> pd.DataFrame:
    """Read the moments of one gene that a velocity was made from.

    Parameters
    ----------
    run
        A finished run.
    source
        One of ``run.velocity_sources``.
    gene
        A gene of that velocity.

    Returns
    -------
    Columns ``Ms`` and ``Mu`` (normalized spliced and unspliced counts, smoothed over neighbors),
    the cells' names as index.

    Raises
    ------
    RunError
        If the run has no velocity of this source, it does not have the gene, or its file holds no
        moments.
    """
    import h5py

    label = Sources.LABELS.get(source, source)
    if source not in run.velocity_sources:
        told = run.velocity_account.get(source, {}).get("message")
        raise RunError(str(told or f"The run {run.name!r} has no {label} velocity."))
    path = run.path / files.VELOCITY / f"{source}.h5ad"
    try:
        with h5py.File(path, "r") as file:
            genes = pd.Index(read_elem(file["var"]).index)
            if gene not in genes:
                raise RunError(
                    f"{gene[:60]!r} is not among the {len(genes):,} genes of the {label} velocity: "
                    "choose a gene with more shared counts."
                )
            stored = file["layers"]
            missing = [
                name
                for name in (Layers.MS, Layers.MU)
                if not isinstance(stored.get(name), h5py.Dataset)
            ]
            if missing:
                raise RunError(
                    f"The {label} velocity of this run has no smoothed counts "
                    f"({', '.join(missing)}): train again to see them."
                )
            place = int(genes.get_loc(gene))
            return pd.DataFrame(
                {
                    name: np.asarray(stored[name][:, place], dtype=np.float32)
                    for name in (Layers.MS, Layers.MU)
                },
                index=read_elem(file["obs"]).index,
            )
    except (OSError, KeyError) as error:
        raise RunError(
            f"The file {path.name} of the run cannot be read: the folder is damaged, train again."
        ) from error


def ratio_intervals(
    run: Run,
    cells: NDArray[np.integer] | None = None,
    *,
    n_samples: int = N_SAMPLES,
    level: float = 0.9,
    seed: int = 0,
) -> RatioIntervals:
    """Draw ratios from the posterior of a run's SplicedVAE, for an interval of each.

    Parameters
    ----------
    run
        A finished run; one that predicts asks the model that it was made with.
    cells
        Rows of the run's predictions; all if None.
    n_samples
        Draws.
    level
        Probability within the interval.
    seed
        Seed of the draws.

    Returns
    -------
    Intervals in these cells. They cover the model's uncertainty on the cell's state and on the
    gene's slopes, not the overdispersion of counts and not the model's bias.

    Raises
    ------
    RunError
        If the model is not there, or the cells are out-of-distribution for it: intervals that are
        fitted in one tissue hold about 70 % of the counts of another instead of 90 %
        (docs/results.md).
    """
    import torch

    from splicedvae.pipeline._prediction import totals_only

    predictions = run.predictions
    own = run.config.kind == "train"
    model = (run if own else open_models(str(run.config.model_run))).model(Sources.SPLICEDVAE)
    whole = totals_only(predictions)
    _name_batches(model, whole, predictions)
    chosen = np.arange(predictions.n_obs) if cells is None else np.asarray(cells)
    genes = predictions.var_names
    where = model.genes.get_indexer(genes)
    # Drawing sets the seed of torch's one generator, which a concurrent training may be using.
    with warnings.catch_warnings(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        # The run's own notes say which genes were missing.
        warnings.simplefilter("ignore", UserWarning)
        adaptation = None if own else model.adaptation_for(whole)
        if adaptation is not None:
            raise RunError(
                "The cells are out of distribution for the model (novelty "
                f"{adaptation.novelty:.2f}, expected at most {NOVEL:g}), where its "
                f"{level:.0%} intervals hold too few counts: to have intervals, train on "
                "such cells with spliced and unspliced counts."
            )
        torch.manual_seed(seed)
        drawn = model.get_splicing_ratio(
            whole[chosen].copy(), n_samples=n_samples, credible_level=level
        )
    assert not isinstance(drawn, pd.DataFrame)
    concentration = model.get_ratio_concentration()
    return RatioIntervals(
        lower=drawn.lower.iloc[:, where],
        upper=drawn.upper.iloc[:, where],
        concentration=concentration.iloc[where],
        level=level,
    )


def _name_batches(model: SplicedVAE, totals: AnnData, predictions: AnnData) -> None:
    """Give the totals their batches under the name that the model asks for."""
    wanted = model.registry_["setup_args"]["batch_key"]
    if wanted is None:
        return
    if Obs.BATCH not in predictions.obs:
        raise RunError(
            "The model was trained with batches, but the run does not record those of its "
            "cells: predict again with the column that holds them."
        )
    totals.obs[wanted] = predictions.obs[Obs.BATCH].astype(str).to_numpy()
