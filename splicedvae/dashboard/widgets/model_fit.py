"""Which trained models there are, what they were trained on, and how they fit a file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

import pandas as pd
import streamlit as st

from splicedvae import pipeline, triage
from splicedvae._core.errors import RunError
from splicedvae.dashboard import cache, reading
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.runs import Run

_COMPARED: Final = "_novelty"


@dataclass(frozen=True)
class Candidate:
    """A finished training, and how its model fits the file that is open."""

    run: Run
    known: pipeline.TrainedOn
    fit: triage.ModelFit


def candidates(stored: StoredFile, contents: reading.Contents) -> list[Candidate]:
    """Return the finished trainings, the one that fits a file best first.

    Parameters
    ----------
    stored
        The file.
    contents
        What was read of it.

    Returns
    -------
    Models of the file's species before others, then by the share of their genes it has. Damaged
    runs are left out; the list of runs tells of them.
    """
    found = [
        run for run in selection.all_runs()[0] if run.is_finished and run.config.kind == "train"
    ]
    demo = selection.shipped_run()
    if demo is not None:
        found.append(demo)
    fits = []
    for run in found:
        try:
            known = _known(cache.key_of(run))
        except RunError:
            continue
        fit = pipeline.fit_of(known, contents.genes, contents.summary.species)
        compared = _compared().get((stored.sha256, cache.key_of(run)))
        if compared is not None:
            fit = dataclasses.replace(fit, novelty=compared.value, novel_above=compared.novel_above)
        fits.append(Candidate(run, known, fit))
    return sorted(fits, key=lambda one: (one.fit.other_species, -one.fit.share))


def best(found: list[Candidate]) -> triage.ModelFit | None:
    """Return the fit that a verdict speaks of: the least new of those compared, else the first."""
    compared = [one.fit for one in found if one.fit.novelty is not None and one.fit.fits]
    if compared:
        return min(compared, key=lambda fit: fit.novelty or 0.0)
    return found[0].fit if found else None


def compare(stored: StoredFile, run: Run, batch_key: str | None) -> None:
    """Compare a file's cells with those a model was trained on, and keep what was found.

    Parameters
    ----------
    stored
        The file.
    run
        The finished training.
    batch_key
        Column of the cells with batches, if the model needs it.

    Raises
    ------
    SplicedVAEError
        If they cannot be compared.
    """
    _compared()[stored.sha256, cache.key_of(run)] = pipeline.novelty(
        run, reading.cells(stored), batch_key=batch_key
    )


def _compared() -> dict[tuple[str, cache.Key], pipeline.Novelty]:
    kept: dict[tuple[str, cache.Key], pipeline.Novelty] = st.session_state.setdefault(_COMPARED, {})
    return kept


@st.cache_resource(max_entries=256, ttl="2h", show_spinner=False)
def _known(key: cache.Key) -> pipeline.TrainedOn:
    return pipeline.trained_on(Run(key[0]))


def is_simulated(genes: pd.Index) -> bool:
    """Say whether a model knows the genes of `datasets.simulate` alone, as the demo does."""
    return bool(genes.str.fullmatch(r"Gene\d+").all())
