"""Which trained models there are, of the store and of runs, and how they fit a file."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Final

import pandas as pd
import streamlit as st

from splicedvae import pipeline, triage
from splicedvae._core.errors import SplicedVAEError
from splicedvae.dashboard import cache, reading
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.runs import ModelSource, all_runs
from splicedvae.store import StoredModel, list_models

_COMPARED: Final = "_novelty"
#: What the kept results of a model are found by: a stored model's digest, or a run's key.
Key = tuple[str, float]


@dataclass(frozen=True)
class Candidate:
    """A model, what it was trained on, and how it fits the file that is open."""

    source: ModelSource
    known: pipeline.TrainedOn
    fit: triage.ModelFit

    @property
    def proposal(self) -> pipeline.Candidate:
        """The same as the command line has it, with its order and its reasons in words."""
        return pipeline.Candidate(self.source, self.fit)


def key_of(source: ModelSource) -> Key:
    """Return what the kept results of a model are found by."""
    if source.run is not None:
        return cache.key_of(source.run)
    assert source.stored is not None
    return source.stored.digest, 0.0


def stored_models() -> tuple[list[StoredModel], list[str]]:
    """Return the models of the store, and a sentence for each that cannot be read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = list_models()
    return found, [str(item.message) for item in caught if item.category is UserWarning]


def candidates(stored: StoredFile, contents: reading.Contents) -> list[Candidate]:
    """Return the models of the store and of finished trainings, the best for a file first.

    Parameters
    ----------
    stored
        The file.
    contents
        What was read of it.

    Returns
    -------
    Models that can be asked before others, then those of the file's species, then by how much of
    their training counts lies in genes that the file has. Damaged ones are left out; the list of
    runs and the page of models report them.
    """
    sources = [ModelSource(stored=model) for model in stored_models()[0]]
    sources += [
        ModelSource(run=run)
        for run in all_runs()[0]
        if run.is_finished and run.config.kind == "train"
    ]
    demo = selection.shipped_run()
    if demo is not None:
        sources.append(ModelSource(run=demo))
    fits = []
    for source in sources:
        try:
            key = key_of(source)
            known = _known(key, source)
            fit = _fit(key, stored.sha256, known, contents)
        except SplicedVAEError:
            continue
        compared = _compared().get((stored.sha256, key))
        if compared is not None:
            fit = dataclasses.replace(fit, novelty=compared.value, novel_above=compared.novel_above)
        fits.append(Candidate(source, known, fit))
    return sorted(fits, key=lambda one: one.proposal.order)


def best(found: list[Candidate]) -> triage.ModelFit | None:
    """Return the fit for the verdict: the one with the lowest novelty, else the first."""
    return proposed(found).fit if found else None


def proposed(found: list[Candidate]) -> Candidate:
    """Return the model to propose: the least new of those compared, else the first.

    Parameters
    ----------
    found
        Of `candidates`, at least one.
    """
    compared = [one for one in found if one.fit.novelty is not None and one.fit.fits]
    if compared:
        return min(compared, key=lambda one: one.fit.novelty or 0.0)
    return found[0]


def compare(stored: StoredFile, one: Candidate, batch_key: str | None) -> None:
    """Compare a file's cells with those a model was trained on, and keep what was found.

    Parameters
    ----------
    stored
        The file.
    one
        The model.
    batch_key
        Column of the cells with batches, if the model needs it.

    Raises
    ------
    SplicedVAEError
        If they cannot be compared.
    """
    _compared()[stored.sha256, key_of(one.source)] = pipeline.novelty(
        one.source,
        reading.cells(stored),
        batch_key=batch_key,
        orthologs=pipeline.orthologs_between(one.fit.file_species, one.fit.model_species),
    )


def _compared() -> dict[tuple[str, Key], pipeline.Novelty]:
    kept: dict[tuple[str, Key], pipeline.Novelty] = st.session_state.setdefault(_COMPARED, {})
    return kept


@st.cache_resource(max_entries=256, ttl="2h", show_spinner=False)
def _known(key: Key, _source: ModelSource) -> pipeline.TrainedOn:
    return pipeline.trained_on(_source)


@st.cache_resource(max_entries=1024, ttl="2h", show_spinner=False)
def _fit(
    key: Key, sha256: str, _known: pipeline.TrainedOn, _contents: reading.Contents
) -> triage.ModelFit:
    return pipeline.fit_of(
        _known, _contents.genes, _contents.summary.species, gene_counts=_contents.gene_counts
    )


def is_simulated(genes: pd.Index) -> bool:
    """Return whether a model has only genes of `datasets.simulate`, as the demo does."""
    return bool(genes.str.fullmatch(r"Gene\d+").all())
