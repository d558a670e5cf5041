"""What a reader of a run must know first, in sentences that apply to this run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Obs, Sources, Split
from splicedvae.views._parts import value_of
from splicedvae.views._streams import sources, velocity_table, verdicts

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: Holds for every velocity that was ever drawn.
SMOOTHNESS: Final = (
    "Smoothness is not correctness: a velocity is averaged over neighbors before it is "
    "drawn, and a predicted ratio is smooth by construction. Arrows look orderly and "
    "velocity confidence is high whether they are right or not."
)
_COSINE: Final = "velocity_cosine"


def _verdicts(run: Run) -> list[str]:
    """State the verdict on each velocity of a run, with reasons.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    A plain sentence or several for each source that was tried, the answer first; none of the
    known velocity of a simulation.
    """
    said = []
    for source, found in verdicts(run).items():
        label = Sources.LABELS.get(source, source)
        if found.answer == "refused":
            message = run.velocity_account[source].get("message", "")
            said.append(f"The {label} velocity was refused: {message}")
        elif found.answer != "known":
            grounds = " ".join(reason.sentence for reason in found.reasons)
            said.append(f"{label} velocity: {found.answer}. {grounds}".strip())
    return said


def worth_of_streams(run: Run) -> str:
    """Summarize the verdicts of a run's velocities in one sentence, for a figure.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    A sentence; empty where nothing was judged.
    """
    said = [
        f"{Sources.LABELS.get(source, source)} – {found.short}"
        for source, found in verdicts(run).items()
        if found.reasons
    ]
    return f"Verdicts: {'; '.join(said)}." if said else ""


def run_cautions(run: Run) -> list[str]:
    """List the cautions on a run's velocities, the verdicts first.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    Plain sentences, at least `SMOOTHNESS`.

    Raises
    ------
    RunError
        If the run is not finished.
    """
    return [*_verdicts(run), *stream_cautions(run)]


def stream_cautions(run: Run) -> list[str]:
    """List the facts behind the streams of a run, whatever the verdicts.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    Plain sentences: which cells trained, what was fitted and replaced, how far the streams agree
    with the measured ones, and `SMOOTHNESS`. None is said where it does not hold.
    """
    return [_cells(run), *_fits(run), _agreement(run), SMOOTHNESS]


def reading_cautions(run: Run) -> list[str]:
    """List the two of `stream_cautions` that fit on a slide.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    Plain sentences, `SMOOTHNESS` last.
    """
    return [_cells(run), SMOOTHNESS]


def known_cells(run: Run) -> str | None:
    """Return what a prediction says of cells that its model was trained on.

    Parameters
    ----------
    run
        A run of kind ``"predict"``.

    Returns
    -------
    A sentence, or None where no cell is known to the model.
    """
    return next((note for note in run.notes if note.code == "cells-known-to-model"), None)


def _cells(run: Run) -> str:
    cells = run.predictions
    if Obs.SPLIT not in cells.obs:
        known = known_cells(run)
        if known is not None:
            return known
        return (
            f"None of the {cells.n_obs:,} cells was used in training; the models were "
            "trained on other data."
        )
    train = int((cells.obs[Obs.SPLIT].astype(str) == Split.TRAIN).sum())
    return (
        f"{train:,} of the {cells.n_obs:,} cells were used in training. The streams show "
        f"all cells; the numbers come from the {cells.n_obs - train:,} held-out cells only."
    )


def _fits(run: Run) -> list[str]:
    said = []
    counts = []
    table = velocity_table(run)
    for (source, entry), row in zip(
        ((name, run.velocity_account[name]) for name in sources(run)),
        table.itertuples(),
        strict=True,
    ):
        label = Sources.LABELS.get(source, source)
        if entry.get("state") != "ok":
            continue
        if source != Sources.TRUE:
            counts.append(f"{label} {row.velocity_genes}")
        for sentence in (*entry.get("fallbacks", ()), *entry.get("notes", ())):
            said.append(f"{label}: {sentence}")
    if counts:
        genes = next((str(value) for value in table["genes"] if value != "–"), "the")
        modes = ", ".join(
            dict.fromkeys(str(mode) for mode in table["mode"] if mode not in ("–", "given"))
        )
        said.insert(
            0,
            f"Of {genes} common genes, the {modes} model found enough signal in: "
            f"{', '.join(counts)}.",
        )
    return said


def _agreement(run: Run) -> str:
    if not run.is_judged:
        return "The comparison with the measured velocity is still running."
    try:
        metrics = run.metrics
    except RunError:
        return (
            "The file has no measured spliced and unspliced counts, so no velocity could "
            "be compared with a measured one."
        )
    parts = []
    for source in (Sources.SPLICEDVAE, Sources.SCVI, Sources.SHUFFLED):
        genes = value_of(metrics, source, f"{_COSINE}_genes")
        umap = value_of(metrics, source, f"{_COSINE}_umap")
        if np.isfinite(genes) and np.isfinite(umap):
            parts.append(
                f"{Sources.LABELS[source]} {genes:z.2f} in gene space and {umap:z.2f} in "
                "the embedding"
            )
    if not parts:
        return "The velocities were not compared with the measured one among held-out cells."
    ceiling = [
        value_of(metrics, Sources.SPLICEDVAE, f"{_COSINE}_{where}", column="ceiling")
        for where in ("genes", "umap")
    ]
    text = f"Cosine to the measured velocity among held-out cells: {'; '.join(parts)}."
    if np.isfinite(ceiling).all():
        text += (
            f" The split-half cosine of the measured velocity is {ceiling[0]:.2f} and "
            f"{ceiling[1]:.2f}. Permuted ratios show the level of chance, which also looks "
            "orderly after smoothing: streams in the embedding are weak evidence, "
            "agreement in gene space is stronger."
        )
    return text
