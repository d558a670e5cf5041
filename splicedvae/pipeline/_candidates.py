"""Which models there are for a file, the one that fits best first, and why."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae._core.errors import SplicedVAEError
from splicedvae.pipeline._asking import (
    fit_of,
    novelty,
    orthologs_between,
    species_of,
    trained_on,
)
from splicedvae.runs.answering import ModelSource, model_sources, open_models
from splicedvae.triage import ModelFit, SpeciesGuess

#: Stands for the model that fits best, where a name is expected.
BEST: Final = "best"


@dataclass(frozen=True)
class Candidate:
    """A model and how it fits a file."""

    source: ModelSource
    fit: ModelFit

    @property
    def order(self) -> tuple[bool, bool, float, float]:
        """Models that can be asked come first, then the file's species, then more counts."""
        fit = self.fit
        weight = fit.share if fit.training_share is None else fit.training_share
        covered = 0.0 if fit.counts_share is None else fit.counts_share
        return not fit.fits, fit.other_species, -round(weight, 2), -covered

    @property
    def why(self) -> str:
        """Why it is proposed, or what speaks against it, in a sentence."""
        fit = self.fit
        parts = [f"{fit.n_found:,} of its {fit.n_genes:,} genes ({fit.share:.0%})"]
        if fit.training_share is not None:
            parts.append(f"with {fit.training_share:.0%} of the counts it was trained on")
        if fit.counts_share is not None:
            parts.append(f"{fit.counts_share:.0%} of the counts of this file")
        species = fit.model_species or "a species that cannot be inferred from its genes"
        if fit.orthologs is not None:
            species = f"{fit.model_species}, genes through {fit.orthologs}"
        return f"{self.source.name} ({species}): the file has {', '.join(parts)}."

    def with_novelty(self, value: float, novel_above: float) -> Candidate:
        """Return the same with the novelty of the file's cells.

        Parameters
        ----------
        value, novel_above
            Of `splicedvae.pipeline.Novelty`.
        """
        fit = dataclasses.replace(self.fit, novelty=value, novel_above=novel_above)
        return dataclasses.replace(self, fit=fit)


def candidates(
    var: pd.DataFrame,
    species: SpeciesGuess,
    *,
    gene_counts: NDArray[np.floating] | None = None,
    sources: Iterable[ModelSource] | None = None,
) -> list[Candidate]:
    """Compare all models with a file by genes and species, the best first.

    Parameters
    ----------
    var
        The file's genes.
    species
        Of the file.
    gene_counts
        Total counts of each gene, shape (n_genes,); None where not known.
    sources
        The models; all of `model_sources` if None.

    Warns
    -----
    UserWarning
        For each model that cannot be read, which is left out.
    """
    found = []
    for source in model_sources() if sources is None else sources:
        try:
            fit = fit_of(trained_on(source), var, species, gene_counts=gene_counts)
        except SplicedVAEError as error:
            warnings.warn(f"The model {source.name[:60]!r} is not listed: {error}", stacklevel=2)
            continue
        found.append(Candidate(source, fit))
    return sorted(found, key=lambda one: one.order)


def compared(
    name: str,
    adata: AnnData,
    species: SpeciesGuess | None = None,
    *,
    batch_key: str | None = None,
) -> Candidate | None:
    """Return the model of a name, or the one that fits best, with the novelty of the cells.

    Parameters
    ----------
    name
        Run, stored model or folder; `BEST` for the best of all.
    adata
        Cells x genes with totals in ``X``.
    species
        Of the cells, where it is known; None guesses it from the genes.
    batch_key
        Column of ``obs`` with batches, if the model was trained with batches.

    Returns
    -------
    The candidate; its novelty is known if its genes fit. None if there is no model at all.

    Raises
    ------
    RunError
        If there is no such model, it is not finished, or has no record of its training cells.
    StoreError
        If a stored model is damaged.
    DataError
        If batches are needed and not named, or are not those of training.
    """
    sources = None
    if name != BEST:
        sources = [open_models(name)]
        run = sources[0].run
        if run is not None:
            run.need_finished("a finished run is needed")
    species = species_of(adata.var) if species is None else species
    gene_counts = np.asarray(adata.X.sum(axis=0), dtype=np.float64).ravel()
    if sources is not None:
        fit = fit_of(trained_on(sources[0]), adata.var, species, gene_counts=gene_counts)
        best = Candidate(sources[0], fit)
    else:
        found = candidates(adata.var, species, gene_counts=gene_counts)
        if not found:
            return None
        best = found[0]
    if not best.fit.fits:
        return best
    pair = orthologs_between(best.fit.file_species, best.fit.model_species)
    new = novelty(best.source, adata, batch_key=batch_key, orthologs=pair)
    return best.with_novelty(new.value, new.novel_above)
