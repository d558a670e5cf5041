"""What the bundled models are worth on files with total counts only: an honest table.

    python benchmarks/models.py --data ../shared/data --out models

asks the bundled model that fits best about each file, exactly as the page and `splicedvae` do: a
human PBMC file, a human myoblast time course (both without S/U, another species and tissue), mouse
dentate gyrus and mouse pancreas with their S/U hidden. Where S/U were hidden they judge the
prediction afterwards: skill over the model's own gene means and Pearson r (entries with 5
molecules). Where cells have a known time, the rank correlation of the velocity's pseudotime with it
is given. The table is written to `benchmarks/models.md`. For cells of the pancreas that no training
saw, the model's card has the numbers (`splicedvae models show mouse-pancreas-e15`).
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from splicedvae import io, pipeline, runs, triage
from splicedvae._core.errors import SplicedVAEError
from splicedvae._core.keys import Layers, Obs, Sources, Var
from splicedvae.evaluation import ratio_metrics
from splicedvae.runs import ModelSource, RunConfig
from splicedvae.store import StoredModel, list_models

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "benchmarks" / "models.md"


@dataclass(frozen=True)
class Case:
    """A file to be asked about."""

    file: str
    what: str
    #: Column of obs with the known time of a cell.
    time: str | None = None


CASES = (
    Case("human_pbmc_400cells_totals_only.h5ad", "human PBMC, totals only"),
    Case(
        "human_myoblast_271cells_timecourse_pseudocounts_totals_only.h5ad",
        "human myoblasts, 0 to 72 h, totals only (full-length, no UMIs)",
        time="hours",
    ),
    Case("mouse_dentate_gyrus_100cells.h5ad", "mouse dentate gyrus, S/U hidden"),
    Case("mouse_pancreas_e15.h5ad", "mouse pancreas E15.5, S/U hidden"),
)


def hidden(file: Path, folder: Path) -> Path:
    """Write the totals of a file, without anything measured of S/U."""
    cells = io.read(file).adata
    out = folder / f"totals-{file.name}"
    anndata.AnnData(
        X=cells.X, obs=cells.obs[[]].copy(), var=cells.var.select_dtypes(object).copy()
    ).write_h5ad(out)
    return out


def row(case: Case, data: Path, folder: Path) -> dict[str, object]:
    """Ask the best bundled model about a file, and say what came of it."""
    file = hidden(data / case.file, folder)
    result = io.read(file)
    summary = triage.inspect(result)
    counts = np.asarray(result.adata.X.sum(axis=0)).ravel()
    sources = [ModelSource(stored=model) for model in list_models() if model.place == "bundled"]
    best = pipeline.candidates(
        result.adata.var, summary.species, gene_counts=counts, sources=sources
    )[0]
    fit = best.fit
    told: dict[str, object] = {
        "file": case.what,
        "model": best.source.name,
        "genes found": f"{fit.n_found:,} of {fit.n_genes:,} ({fit.share:.0%})"
        + (", through orthologs" if fit.orthologs else ""),
        "counts in them": "" if fit.counts_share is None else f"{fit.counts_share:.0%}",
    }
    config = RunConfig(
        data=str(file),
        data_sha256=io.sha256(file),
        name=case.what,
        kind="predict",
        counts=best.source.counts,
        model_run=best.source.reference,
        orthologs=fit.file_species if fit.orthologs else None,
    )
    home = folder / f"run-{file.stem}"
    shutil.rmtree(home, ignore_errors=True)
    try:
        run = pipeline.execute(config, home)
    except SplicedVAEError as refused:
        return told | {"novelty": "", "verdict": f"refused: {refused}"}
    facts = runs.velocity_facts(run, Sources.SPLICEDVAE)
    judged = runs.velocity_verdict(run, Sources.SPLICEDVAE)
    seen = any(note.code == "cells-known-to-model" for note in run.notes)
    return told | {
        "novelty": f"{facts.novelty:.2f}",
        **measured(run, data / case.file, case),
        "verdict": f"**{judged.answer}**: {judged.reasons[0].short}",
        "note": "its weights know these cells" if seen else "",
    }


def measured(run: runs.Run, file: Path, case: Case) -> dict[str, str]:
    """Judge a prediction by what was hidden, or by a known time."""
    told = {"skill": "", "r, 5 molecules": "", "pseudotime and time": ""}
    cells = run.predictions
    truth = io.read(file)
    if truth.has_measured_layers:
        wanted = truth.adata[cells.obs_names, cells.var_names]
        table = ratio_metrics(
            wanted.layers[Layers.SPLICED].tocsr(),
            wanted.layers[Layers.UNSPLICED].tocsr(),
            {Sources.SPLICEDVAE: cells.layers[Layers.RATIO].toarray()},
            gene_mean=cells.var[Var.GENE_MEAN].to_numpy(),
        )
        found = table.set_index(["metric", "coverage"])["value"]
        told["skill"] = f"{found['skill', 1]:+.3f}"
        told["r, 5 molecules"] = f"{found['pearson', 5]:.3f}"
    if case.time is not None and Sources.SPLICEDVAE in run.velocity_sources:
        moving = run.velocity_outline(Sources.SPLICEDVAE)
        if Obs.PSEUDOTIME in moving.obs:
            known = truth.adata.obs.loc[moving.obs_names, case.time].astype(float)
            rank = spearmanr(moving.obs[Obs.PSEUDOTIME], known, nan_policy="omit").statistic
            told["pseudotime and time"] = f"{rank:+.2f}"
    return told


def held_out(model: StoredModel) -> dict[str, object]:
    """Say what a card says of cells that an equal training did not see."""
    card = model.card
    skill, r = (card.metric(Sources.SPLICEDVAE, *what) for what in (("skill", 1), ("pearson", 5)))
    return {
        "file": f"{card.evaluation.n_held_out} held-out cells of its own data (card)",
        "model": model.name,
        "genes found": f"{card.n_genes:,} of {card.n_genes:,} (100%)",
        "skill": f"{skill.value:+.3f}" if skill and skill.value is not None else "",
        "r, 5 molecules": f"{r.value:.3f}" if r and r.value is not None else "",
        "verdict": f"**{card.evaluation.verdict}**",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What bundled models are worth on other files.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for runs")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    models = [model for model in list_models() if model.place == "bundled"]
    rows = [row(case, given.data, given.out) for case in CASES]
    table = pd.DataFrame([*rows, *map(held_out, models)]).fillna("")
    cards = "\n".join(f"- {model.reference}: {model.card.title}" for model in models)
    lines = [
        "| " + " | ".join(table.columns) + " |",
        "| " + " | ".join("---" for _ in table) + " |",
    ]
    lines += [
        "| " + " | ".join(str(value) for value in values) + " |" for values in table.to_numpy()
    ]
    given.page.write_text(
        "# What the bundled models are worth on other files\n\n"
        "Made by `python benchmarks/models.py`: the bundled model that fits best answers, as on "
        "the page of a file and by `splicedvae predict`. Skill is over the model's own gene "
        "means, on S/U that were hidden from it; above 0 it is better than a constant per gene.\n\n"
        + "\n".join(lines)
        + f"\n\nModels:\n\n{cards}\n"
    )
    print(given.page.read_text())


if __name__ == "__main__":
    main()
