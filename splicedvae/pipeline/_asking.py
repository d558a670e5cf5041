"""Query a trained model before a prediction: its genes, the novelty of a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from splicedvae._core.errors import GenesError, RunError
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.gene_match import match_genes
from splicedvae._core.novelty import NOVEL
from splicedvae._core.orthologs import Orthologs, has_orthologs, translated
from splicedvae.runs import files
from splicedvae.runs.answering import ModelSource, need_trained
from splicedvae.runs.run import Run
from splicedvae.store import COUNTS_SHARE, StoredModel
from splicedvae.triage import ModelFit, SpeciesGuess, guess_species

if TYPE_CHECKING:
    from anndata import AnnData


#: Share of a file's cells with names of training cells from which they are taken for those.
#: Barcodes of two experiments repeat by chance in about one of a hundred cells.
_SAME_CELLS: Final = 0.2
#: Asks for the species of data to be read off its genes.
AUTO: Final = "auto"


@dataclass(frozen=True)
class TrainedOn:
    """What a run's models were trained on."""

    #: Genes of the models, in their order.
    identity: GeneIdentity
    #: Cells of the run, held-out ones among them.
    n_cells: int
    #: Name of the file, without its folder, or what a card says of the data.
    file: str
    #: Species that a card names; ``None`` reads it off the genes.
    named_species: str | None = None
    #: Share of the counts of training that each gene has, shape (n_genes,); None if not known.
    shares: NDArray[np.float64] | None = None

    @property
    def genes(self) -> pd.Index:
        """Names of the genes."""
        return self.identity.names

    @cached_property
    def species(self) -> SpeciesGuess:
        """What a card, or names and identifiers of the genes, say about their species."""
        if self.named_species is not None:
            return SpeciesGuess(self.named_species, "certain", "the card of the model says so")
        return guess_species(self.genes, self.identity.identifiers)


def trained_on(source: ModelSource | Run) -> TrainedOn:
    """Read what models were trained on, without its counts.

    Parameters
    ----------
    source
        A finished run, or what `splicedvae.runs.open_models` gave.

    Raises
    ------
    RunError
        If its predictions are damaged or missing.
    """
    from anndata.io import read_elem

    run = source if isinstance(source, Run) else source.run
    if run is None:
        assert isinstance(source, ModelSource)
        return _of_stored(source)
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


def _of_stored(source: ModelSource) -> TrainedOn:
    """Read what a stored model was trained on off its card and its table of genes."""
    assert source.stored is not None
    stored: StoredModel = source.stored
    card = stored.card
    return TrainedOn(
        stored.identity,
        card.n_cells,
        card.source.title or card.title,
        card.species or None,
        stored.genes[COUNTS_SHARE].to_numpy(),
    )


def cells_seen(source: ModelSource, cells: AnnData) -> NDArray[np.bool_]:
    """Say which cells models were trained on.

    Parameters
    ----------
    source
        The models.
    cells
        Cells x genes with totals in ``X``.

    Returns
    -------
    Shape (n_cells,). By names and counts for a run. By names alone for a stored model, and only
    where a fifth of the cells has names of training cells, as barcodes repeat by chance.
    """
    if source.stored is None:
        from splicedvae.pipeline.assessment import trained_on as trained_cells

        return trained_cells(need_trained(source), cells)
    seen = source.stored.known_cells(cells.obs_names)
    return seen if seen.mean() >= _SAME_CELLS else np.zeros(len(seen), dtype=bool)


def known_cells_note(n_seen: int) -> str:
    """Say that cells of a file have names of cells that a stored model was trained on.

    Parameters
    ----------
    n_seen
        How many.
    """
    return (
        f"{n_seen:,} of these cells have the names of training cells of the model: if they "
        "are the same cells, predictions are better here than on new cells."
    )


def fit_of(
    known: TrainedOn,
    genes: pd.Index | pd.DataFrame,
    species: SpeciesGuess,
    *,
    gene_counts: NDArray[np.floating] | None = None,
) -> ModelFit:
    """Compare a model's genes and species with those of a file, without the counts of cells.

    Where both species are known and differ, genes are found through one-to-one orthologs, and the
    fit says so.

    Parameters
    ----------
    known
        What the model was trained on, of `trained_on`.
    genes
        The file's ``var``, or the names of its genes alone.
    species
        The file's, of `splicedvae.triage.guess_species`.
    gene_counts
        Total counts of each of the file's genes, shape (n_genes,); None where not known.

    Returns
    -------
    A fit without novelty, for `splicedvae.triage.judge_with_model`; `novelty` finds that.
    """
    var = genes if isinstance(genes, pd.DataFrame) else pd.DataFrame(index=genes)
    pair = orthologs_between(species.sure, known.species.sure)
    wanted = known.identity if pair is None else translated(known.identity, pair)
    match = match_genes(wanted, var)
    found = match.position >= 0
    share = None
    if gene_counts is not None and gene_counts.sum() > 0:
        share = float(gene_counts[match.position[found]].sum() / gene_counts.sum())
    return ModelFit(
        len(known.genes),
        match.n_found,
        known.species.sure,
        species.sure,
        counts_share=share,
        training_share=None if known.shares is None else float(known.shares[found].sum()),
        orthologs=None if pair is None else str(pair),
    )


def species_of(var: pd.DataFrame) -> SpeciesGuess:
    """Guess the species of some genes from their names and identifiers."""
    return guess_species(list(var.index), GeneIdentity.of(var).identifiers)


def orthologs_between(data: str | None, model: str | None) -> Orthologs | None:
    """Return between which species genes are mapped; None where they are not.

    Parameters
    ----------
    data, model
        Species of the data and of the model, None where not known.
    """
    if data is None or model is None or not has_orthologs(data, model):
        return None
    return Orthologs(data=data, model=model)


def orthologs_asked(asked: str | None, known: TrainedOn, var: pd.DataFrame) -> Orthologs | None:
    """Return the species between which genes are mapped, as requested.

    Parameters
    ----------
    asked
        Species of the data, ``"auto"`` to read it off the names of its genes, or None.
    known
        What the model was trained on.
    var
        The genes of the data.

    Raises
    ------
    GenesError
        If a species cannot be inferred, is not in the table, or both are the same.
    """
    if asked is None:
        return None
    data = asked
    if asked == AUTO:
        guess = species_of(var)
        if guess.sure is None:
            raise GenesError(
                f"The species of the data cannot be inferred from its genes ({guess.how}): "
                f"name it instead of {AUTO}, such as human."
            )
        data = guess.sure
    model = known.species.species
    if model is None:
        raise GenesError(
            "The species of the model cannot be inferred from its genes, so there are no "
            "orthologs to map through: use a model with named genes."
        )
    return Orthologs(data=data, model=model)


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


def novelty(
    source: ModelSource | Run,
    adata: AnnData,
    *,
    batch_key: str | None = None,
    orthologs: Orthologs | None = None,
) -> Novelty:
    """Compare cells with those that a model was trained on.

    Parameters
    ----------
    source
        A finished training run, or what `open_models` gave.
    adata
        Cells x genes with totals in ``X``, as `splicedvae.io.read` gives.
    batch_key
        Column of ``obs`` with batches, if the model was trained with batches.
    orthologs
        Between which species genes are mapped; None where both are of one species.

    Raises
    ------
    GenesError
        If too few of the model's genes are in the data.
    DataError
        If batches are needed and not named, or are not those of training.
    RunError
        If no model of the run has a record of its training cells.
    """
    from splicedvae.pipeline._prediction import totals_for

    model = source.model()
    aligned, _ = model.align(adata, orthologs=orthologs)
    value = model.get_novelty(totals_for(model, aligned, batch_key))
    if not np.isfinite(value):
        raise RunError(
            f"The model of {source.name!r} has no components to compare cells with: train "
            "it again with this version."
        )
    return Novelty(value, NOVEL)
