"""Query a trained model before a prediction: its genes, the novelty of a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from splicedvae._core.errors import RunError
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.gene_match import match_genes
from splicedvae._core.novelty import NOVEL
from splicedvae.runs import files
from splicedvae.triage import ModelFit, SpeciesGuess, guess_species

if TYPE_CHECKING:
    from anndata import AnnData

    from splicedvae.runs.run import Run


@dataclass(frozen=True)
class TrainedOn:
    """What a run's models were trained on."""

    #: Genes of the models, in their order.
    identity: GeneIdentity
    #: Cells of the run, held-out ones among them.
    n_cells: int
    #: Name of the file, without its folder.
    file: str

    @property
    def genes(self) -> pd.Index:
        """Names of the genes."""
        return self.identity.names

    @cached_property
    def species(self) -> SpeciesGuess:
        """What names and identifiers of the genes say about their species."""
        return guess_species(self.genes, self.identity.identifiers)


def trained_on(run: Run) -> TrainedOn:
    """Read what a run's models were trained on, without its counts.

    Parameters
    ----------
    run
        A finished run.

    Raises
    ------
    RunError
        If its predictions are damaged or missing.
    """
    from anndata.io import read_elem

    file = run.path / files.PREDICTIONS
    try:
        with h5py.File(file, "r") as stored:
            genes = GeneIdentity.of(read_elem(stored["var"]))
            n_cells = len(_index(stored["obs"]))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise RunError(
            f"The file {file.name} of the run cannot be read: the folder is damaged, train again."
        ) from error
    data = run.config.data.replace("\\", "/").rstrip("/")
    return TrainedOn(genes, n_cells, data.rsplit("/", 1)[-1])


def fit_of(known: TrainedOn, genes: pd.Index | pd.DataFrame, species: SpeciesGuess) -> ModelFit:
    """Compare a model's genes and species with those of a file, without any counts.

    Parameters
    ----------
    known
        What the model was trained on, of `trained_on`.
    genes
        The file's ``var``, or the names of its genes alone.
    species
        The file's, of `splicedvae.triage.guess_species`.

    Returns
    -------
    A fit without novelty, for `splicedvae.triage.judge_with_model`; `novelty` finds that.
    """
    var = genes if isinstance(genes, pd.DataFrame) else pd.DataFrame(index=genes)
    found = match_genes(known.identity, var)
    return ModelFit(len(known.genes), found.n_found, known.species.sure, species.sure)


def _index(group: h5py.Group) -> pd.Index:
    values = group[group.attrs["_index"]]
    return pd.Index(np.asarray(values.asstr()[()], dtype=object))


@dataclass(frozen=True)
class Novelty:
    """Novelty of cells relative to a model's training cells; see `SplicedVAE.get_novelty`."""

    #: 0 to 1.
    value: float
    #: Above it, predictions are hardly better than each gene's mean.
    novel_above: float


def novelty(run: Run, adata: AnnData, *, batch_key: str | None = None) -> Novelty:
    """Compare cells with those that a run's model was trained on.

    Parameters
    ----------
    run
        A finished training run.
    adata
        Cells x genes with totals in ``X``, as `splicedvae.io.read` gives.
    batch_key
        Column of ``obs`` with batches, if the model was trained with batches.

    Raises
    ------
    GenesError
        If too few of the model's genes are in the data.
    DataError
        If batches are needed and not named, or are not those of training.
    RunError
        If no model of the run has a record of its training cells.
    """
    from splicedvae.pipeline._prediction import totals_only

    model = run.model()
    wanted = model.registry_["setup_args"]["batch_key"]
    aligned, _ = model.align(adata)
    totals = totals_only(aligned, batch_key if wanted is not None else None)
    if wanted is not None and batch_key is not None and wanted != batch_key:
        totals.obs[wanted] = totals.obs[batch_key]
    value = model.get_novelty(totals)
    if not np.isfinite(value):
        raise RunError(
            f"The model of {run.name!r} has no components to compare cells with: train it "
            "again with this version."
        )
    return Novelty(value, NOVEL)
