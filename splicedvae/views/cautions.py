"""What a reader of a run must know first, in plain sentences that hold for this run."""

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
    "Smoothness is not correctness: a velocity is averaged over neighbours before it is drawn, and "
    "a predicted ratio is smooth by construction, so arrows look orderly, and velocity confidence "
    "is high, whether they are right or not."
)
_COSINE: Final = "velocity_cosine"


def _verdicts(run: Run) -> list[str]:
    """Say of each velocity of a run what it is worth, and why.

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
    """Say in one sentence what each velocity of a run is worth, for a figure of them.

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
    return f"What the arrows are worth: {'; '.join(said)}." if said else ""


def run_cautions(run: Run) -> list[str]:
    """List what a reader must know of a run's velocities: what each is worth, first.

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
    """List what stands behind the streams of a run, whatever each is worth.

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
    """List the two of `stream_cautions` that a slide has room for.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    Plain sentences, `SMOOTHNESS` last.
    """
    return [_cells(run), SMOOTHNESS]


def _cells(run: Run) -> str:
    cells = run.predictions
    if Obs.SPLIT not in cells.obs:
        return (
            f"None of the {cells.n_obs:,} cells trained the models, which were trained on other "
            "data."
        )
    train = int((cells.obs[Obs.SPLIT].astype(str) == Split.TRAIN).sum())
    return (
        f"{train:,} of the {cells.n_obs:,} cells trained the models; the streams are drawn over "
        f"all of them, the numbers come from the {cells.n_obs - train:,} held-out cells alone."
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
        return "Whether they agree with a measured velocity is still being computed."
    try:
        metrics = run.metrics
    except RunError:
        return (
            "The file has no measured spliced and unspliced counts, so nothing here could be "
            "compared with a measured velocity."
        )
    parts = []
    for source in (Sources.SPLICEDVAE, Sources.SCVI, Sources.SHUFFLED):
        genes = value_of(metrics, source, f"{_COSINE}_genes")
        umap = value_of(metrics, source, f"{_COSINE}_umap")
        if np.isfinite(genes) and np.isfinite(umap):
            parts.append(
                f"{Sources.LABELS[source]} {genes:z.2f} over genes and {umap:z.2f} on the map"
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
            f" Two halves of the measured molecules agree with each other by {ceiling[0]:.2f} "
            f"and {ceiling[1]:.2f}. What shuffled ratios reach is chance, drawn orderly by "
            "smoothing: on the map a stream says little, over genes it says more."
        )
    return text
