"""What a reader must know before believing a stream, in plain language.

Each sentence states something of the run at hand; none is said where it does not hold.
"""

from __future__ import annotations

import numpy as np

from splicedvae._errors import RunError
from splicedvae._keys import Obs, Sources, Split
from splicedvae.dashboard.tables import value_of
from splicedvae.report import views
from splicedvae.runs import Run

_COSINE = "velocity_cosine"


def gene_mean_sentence(run: Run, coverage: int) -> str | None:
    """Say how far a constant for each gene gets, without any velocity.

    Parameters
    ----------
    run
        A finished run.
    coverage
        Least S + U of an entry.

    Returns
    -------
    A sentence, or None where the run was not evaluated.
    """
    reached = value_of(run.metrics, Sources.GENE_MEAN, "pearson", coverage)
    if not np.isfinite(reached):
        return None
    return (
        f"The gene mean alone, one constant for each gene and so no velocity at all, reaches "
        f"r = {reached:.2f}: a high r here says little. What a velocity needs is in the columns "
        "“skill over gene mean” and “within-gene r”."
    )


def stream_cautions(run: Run) -> list[str]:
    """List what stands behind the streams of a run.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    Plain sentences (not Markdown): which cells trained, what was fitted and replaced, how far
    the streams agree with the measured ones, and what smoothness means. What each is worth stands
    beside them (`splicedvae.report.views.verdict`).
    """
    said = [_cells(run), *_fits(run), _agreement(run)]
    said.append(
        "Smoothness is not correctness: a predicted ratio is a smooth function of the cell's "
        "state, so its arrows look orderly, and its velocity confidence is high, whether they "
        "are right or not."
    )
    return [sentence for sentence in said if sentence]


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
    table = views.velocity_table(run)
    for (source, entry), row in zip(
        ((name, run.velocity_account[name]) for name in views.sources(run)),
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
