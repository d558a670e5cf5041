"""Measure how often the verdict on a velocity errs, on data whose answer is known.

    python benchmarks/verdict.py --sets 200 --seed 20000 --report benchmarks/verdict.md

Simulated lineages (with velocity) and the same counts made without one, and parts of the pancreas
of ``SPLICEDVAE_DATA``, as measured and with permuted ratios. For each a model is
trained on 80% of the cells and judged on the others as a run does it. A "trust" is false where
there is no velocity, or where the arrows do not follow the true ones; a "do not show" is false on
the others. `benchmarks/verdict.md` was made so.
"""

from __future__ import annotations

import argparse
import logging
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.stats import beta

from splicedvae import SplicedVAE, datasets, io
from splicedvae._core.keys import Layers, Obs, Sources, Split
from splicedvae.evaluation import (
    GeneMean,
    judge_velocity,
    ratio_metrics,
    select_genes,
    shuffle_within_genes,
    split_cells,
)
from splicedvae.pipeline import _velocities
from splicedvae.runs.verdict import facts_in
from splicedvae.velocity import VelocitySettings, prepare

PANCREAS = "mouse_pancreas_e15_3548cells_2000genes.h5ad"
TOPOLOGIES = ("linear", "bifurcation", "trifurcation", "tree", "cycle")
#: Minimum cosine of the arrows to the true ones in the embedding for a correct "trust".
RIGHT = 0.3


def _rebuilt(cells: AnnData, spliced: sparse.csr_matrix) -> AnnData:
    """Give cells other spliced counts of the same totals, and no true velocity."""
    totals = sparse.csr_matrix(cells.X)
    made = AnnData(
        X=totals,
        obs=cells.obs.copy(),
        var=cells.var[[]].copy(),
        layers={
            Layers.SPLICED: sparse.csr_matrix(spliced, dtype=np.float32),
            Layers.UNSPLICED: sparse.csr_matrix(totals - spliced, dtype=np.float32),
        },
        uns=dict(cells.uns),
    )
    return made


def _drawn(cells: AnnData, ratio: np.ndarray, rng: np.random.Generator) -> AnnData:
    """Draw spliced counts of the same totals with given ratios, cells x genes."""
    totals = sparse.csr_matrix(cells.X).tocoo()
    drawn = rng.binomial(totals.data.astype(int), ratio[totals.row, totals.col])
    return _rebuilt(cells, sparse.csr_matrix((drawn, (totals.row, totals.col)), shape=totals.shape))


def _means(cells: AnnData) -> np.ndarray:
    s = np.asarray(cells.layers[Layers.SPLICED].sum(axis=0)).ravel()
    n = np.asarray(cells.X.sum(axis=0)).ravel()
    return (s + 1) / (n + 2)


def constant(cells: AnnData, rng: np.random.Generator) -> AnnData:
    """One ratio per gene."""
    return _drawn(cells, np.tile(_means(cells), (cells.n_obs, 1)), rng)


def shuffled(cells: AnnData, rng: np.random.Generator) -> AnnData:
    """Permute the measured ratios within genes."""
    pair = shuffle_within_genes(
        sparse.csr_matrix(cells.layers[Layers.SPLICED]),
        sparse.csr_matrix(cells.layers[Layers.UNSPLICED]),
        seed=int(rng.integers(2**31)),
        alike=True,
    )
    # A ratio of many molecules given to another number of them.
    return _rebuilt(cells, sparse.csr_matrix(np.round(pair[0].toarray())))


def cell_factor(cells: AnnData, rng: np.random.Generator) -> AnnData:
    """One ratio per gene, and a share of nuclear molecules per cell that all genes have."""
    logits = np.log(_means(cells) / (1 - _means(cells)))
    ratio = 1 / (1 + np.exp(-(logits + rng.normal(0, 0.5, (cells.n_obs, 1)))))
    return _drawn(cells, ratio, rng)


def steady_types(cells: AnnData, rng: np.random.Generator, *, shift_sd: float = 0.5) -> AnnData:
    """Cell types at rest, with ratios of their own in a third of the genes."""
    groups = pd.factorize(cells.obs[Obs.CLUSTERS].astype(str))[0]
    totals = sparse.csr_matrix(cells.X)
    profile = np.stack(
        [np.asarray(totals[groups == k].mean(axis=0)).ravel() for k in range(groups.max() + 1)]
    )
    depth = np.asarray(totals.sum(axis=1)).ravel()
    mean = profile[groups] / profile.sum(axis=1)[groups][:, None] * depth[:, None]
    x = rng.poisson(mean * rng.gamma(10, 0.1, mean.shape)).astype(np.float32)
    at_rest = cells.copy()
    at_rest.X = sparse.csr_matrix(x)
    logits = np.log(_means(cells) / (1 - _means(cells)))
    shift = rng.normal(0, shift_sd, profile.shape) * (rng.random(profile.shape[1]) < 1 / 3)
    return _drawn(at_rest, 1 / (1 + np.exp(-(logits + shift[groups]))), rng)


def backwards(cells: AnnData, rng: np.random.Generator) -> AnnData:
    """Layers that change places: the arrows run against the known transitions."""
    made = cells.copy()
    made.layers[Layers.SPLICED] = cells.layers[Layers.UNSPLICED]
    made.layers[Layers.UNSPLICED] = cells.layers[Layers.SPLICED]
    del made.layers[Layers.TRUE_VELOCITY]
    return made


def cycle_only(cells: AnnData, rng: np.random.Generator) -> AnnData:
    """Cell types at rest, one ratio per gene, and a cell cycle in a fifth more genes.

    The true velocity is that of the cycle, and none in the other genes.
    """
    types = steady_types(cells, rng, shift_sd=0.0)
    cycle = datasets.simulate(
        cells.n_obs, cells.n_vars // 5, topology="cycle", seed=int(rng.integers(2**31))
    )
    both = (types, cycle)
    spliced, unspliced = (
        sparse.csr_matrix(sparse.hstack([one.layers[layer] for one in both]), dtype=np.float32)
        for layer in (Layers.SPLICED, Layers.UNSPLICED)
    )
    motion = np.asarray(cycle.layers[Layers.TRUE_VELOCITY])
    names = [*types.var_names, *(f"cycle{k}" for k in range(cycle.n_vars))]
    return AnnData(
        X=sparse.csr_matrix(spliced + unspliced),
        obs=types.obs.copy(),
        var=pd.DataFrame(index=names),
        layers={
            Layers.SPLICED: spliced,
            Layers.UNSPLICED: unspliced,
            Layers.TRUE_VELOCITY: np.hstack([np.zeros(types.shape, dtype=motion.dtype), motion]),
        },
        uns=dict(cells.uns),
    )


#: How counts without a velocity are made of simulated ones.
WITHOUT: dict[str, Callable[[AnnData, np.random.Generator], AnnData]] = {
    "constant": constant,
    "shuffled": shuffled,
    "cell factor": cell_factor,
    "types at rest": steady_types,
    "backwards": backwards,
}
#: Only the cell cycle moves: the arrows are right where they follow it.
CYCLE = "cell cycle only"


def design(number: int, base: int) -> list[dict[str, Any]]:
    """List the sets: half with a velocity, half without, sizes and topologies in turn."""
    kinds = ["velocity", *WITHOUT, "shallow", CYCLE, "real", "real shuffled", "real constant"]
    weights = [7, 2, 2, 1, 2, 1, 1, 1, 3, 1, 1]
    order = [kind for kind, weight in zip(kinds, weights, strict=True) for _ in range(weight)]
    return [
        {
            "set": k,
            "seed": base + k,
            "kind": order[k % len(order)],
            "topology": TOPOLOGIES[(k // len(order) + k) % len(TOPOLOGIES)],
            "n_cells": (300, 600, 1200)[(k // 3) % 3],
        }
        for k in range(number)
    ]


def counts_of(given: dict[str, Any], folder: Path) -> tuple[AnnData, tuple[tuple[str, str], ...]]:
    """Make the counts of one set, with the transitions that are known of them."""
    rng = np.random.default_rng(given["seed"])
    kind = given["kind"]
    if kind.startswith("real"):
        read = io.read(folder / PANCREAS).adata
        some = np.sort(rng.choice(read.n_obs, given["n_cells"], replace=False))
        cells = read[some].copy()
        if kind == "real":
            return cells, ()
        return (shuffled if "shuffled" in kind else constant)(cells, rng), ()
    cells = datasets.simulate(
        given["n_cells"],
        300,
        topology=given["topology"],
        mean_depth=20 if kind == "shallow" else None,
        seed=given["seed"],
    )
    pairs = tuple(map(tuple, cells.uns["splicedvae"]["simulation"]["transitions"]))
    if kind in WITHOUT:
        cells = WITHOUT[kind](cells, rng)
    elif kind == CYCLE:
        cells = cycle_only(cells, rng)
    return cells, pairs if kind == "backwards" else ()


def judged(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train on one set, and judge SplicedVAE's and the measured velocity as a run does."""
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    import scvi

    cells, pairs = counts_of(given, folder)
    cells = cells[np.asarray(cells.X.sum(axis=1)).ravel() > 0].copy()
    seed = given["seed"]
    scvi.settings.seed = seed
    labels = cells.obs[Obs.CLUSTERS].astype(str).to_numpy() if Obs.CLUSTERS in cells.obs else None
    split = np.asarray(split_cells(cells.n_obs, held_out=0.2, stratify=labels, seed=seed))
    train = split == Split.TRAIN
    genes = np.asarray(select_genes(cells[train].copy()))
    cells = cells[:, genes].copy()
    kept = np.asarray(cells.X.sum(axis=1)).ravel() > 0
    cells, train = cells[kept].copy(), train[kept]
    training = cells[train].copy()
    SplicedVAE.setup_anndata(training)
    model = SplicedVAE(training)
    model.train(enable_progress_bar=False, accelerator="cpu")
    test = cells[~train].copy()
    settings = VelocitySettings()
    mean = np.asarray(GeneMean().fit(training).predict(training[:1])[0])
    totals = AnnData(X=test.X, obs=test.obs[[]], var=test.var[[]])
    ratio = model.get_counted_splicing_ratio(totals)
    dense = np.concatenate(list(model.iter_splicing_ratio(totals)))
    tables = [
        ratio_metrics(
            test.layers[Layers.SPLICED],
            test.layers[Layers.UNSPLICED],
            {Sources.SPLICEDVAE: dense},
            gene_mean=mean,
        )
    ]
    beside = _velocities.velocity_cells(cells, {}, how="with-introns", measured=True)
    ground = prepare(beside, settings=settings)
    evidence, notes = _velocities.evidence(beside, ground, settings, batches=None, seed=seed)
    agreement, told = _velocities.held_out_agreement(
        test,
        {Sources.SPLICEDVAE: ratio},
        {},
        how="with-introns",
        settings=settings,
        seed=seed,
        transitions=pairs,
    )
    metrics = pd.concat([*tables, evidence, agreement], ignore_index=True)
    depths = np.asarray(cells.X.sum(axis=1)).ravel()
    facts = facts_in(metrics, {}, depths, Sources.SPLICEDVAE)
    own = facts_in(metrics, {}, depths, Sources.MEASURED)
    true = metrics[
        (metrics["predictor"] == Sources.SPLICEDVAE)
        & (metrics["metric"] == "velocity_cosine_umap_true")
    ]["value"]
    found = judge_velocity(facts)
    return {
        **given,
        "answer": found.answer,
        "short": found.short,
        "measured": judge_velocity(own).answer,
        "true_map": float(true.iloc[0]) if len(true) else np.nan,
        "n_genes": cells.n_vars,
        **asdict(facts),
        "notes": " ".join([*notes, *told])[:500],
    }


def _safely(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    from splicedvae._core.errors import SplicedVAEError

    try:
        return judged(given, folder)
    except SplicedVAEError as error:
        # Refused: nothing is shown.
        return {**given, "answer": "do not show", "short": f"refused: {error}"}


def has_velocity(table: pd.DataFrame) -> pd.Series:
    """Return which sets hold a velocity that a correct answer shows."""
    known = table["kind"].isin(["velocity", CYCLE, "real"])
    wrong = table["true_map"].notna() & (table["true_map"] < RIGHT)
    return known & ~wrong


def main() -> None:
    """Judge all sets and print the rates of error."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("verdict.csv"))
    parser.add_argument("--report", type=Path, help="Markdown file to write the rates to.")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SPLICEDVAE_DATA", "../shared/data"))
    )
    given = parser.parse_args()
    # What is in the table already stays.
    rows = pd.read_csv(given.out).to_dict("records") if given.out.exists() else []
    done = {row["set"] for row in rows}
    sets = [one for one in design(given.sets, given.seed) if one["set"] not in done]
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        for row in pool.map(_safely, sets, [given.data] * len(sets)):
            rows.append(row)
            pd.DataFrame(rows).to_csv(given.out, index=False)
            print(row["set"], row["kind"], row["answer"], row["short"][:80], flush=True)
    text = report(pd.DataFrame(rows), given.seed)
    print(text)
    if given.report is not None:
        given.report.write_text(text, encoding="utf-8")


def report(table: pd.DataFrame, seed: int) -> str:
    """Write the rates of error in Markdown, with every wrong answer.

    Parameters
    ----------
    table
        A row for each set, of `judged`.
    seed
        Seed of the first set.
    """
    there = has_velocity(table)
    trusted, refused = table["answer"] == "trust", table["answer"] == "do not show"
    counts = pd.crosstab(table["kind"], table["answer"]).reindex(
        columns=["trust", "look closer", "do not show"], fill_value=0
    )
    lines = [
        "# Errors of the verdict",
        "",
        f"`python benchmarks/verdict.py --sets {len(table)} --seed {seed}`: sets of 300, 600 or "
        "1,200 cells, of which a fifth is held out. Kinds: `benchmarks/verdict.py` says how each "
        "is made. No number of the rule was changed after these sets were seen.",
        "",
        "| kind | trust | look closer | do not show |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {kind} | {' | '.join(map(str, row))} |" for kind, row in counts.iterrows()]
    lines += [
        "",
        _rate("False trust", int((trusted & ~there).sum()), int((~there).sum()), "without one"),
        _rate("False “do not show”", int((refused & there).sum()), int(there.sum()), "with one"),
        "",
        f"A simulated velocity whose arrows follow the true ones by less than {RIGHT} (mean cosine "
        "in the embedding, held-out cells) counts as none.",
    ]
    wrong = table[(trusted & ~there) | (refused & there)]
    if len(wrong):
        lines += ["", "Every wrong answer:", ""]
        for row in wrong.itertuples():
            told = f"- set {row.set}, {row.kind}, {row.topology}, {row.n_cells} cells: {row.short}"
            if np.isfinite(row.true_map):
                told += f" (cosine to the true arrows {row.true_map:.2f})"
            lines.append(told)
    return "\n".join(lines) + "\n"


def _rate(name: str, wrong: int, n: int, which: str) -> str:
    low, high = proportion_interval(wrong, n)
    return (
        f"{name}: {wrong} of {n} sets {which} ({wrong / max(n, 1):.1%}, 95% interval {low:.1%} to "
        f"{high:.1%})."
    )


def proportion_interval(found: int, n: int) -> tuple[float, float]:
    """Return the 95% interval of a proportion after Clopper and Pearson."""
    low = beta.ppf(0.025, found, n - found + 1) if found else 0.0
    high = beta.ppf(0.975, found + 1, n - found) if found < n else 1.0
    return float(low), float(high)


if __name__ == "__main__":
    main()
