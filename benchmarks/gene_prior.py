"""Measure what the features of genes say of their ratios, and what the model gains by them.

    python benchmarks/gene_prior.py --report benchmarks/gene_prior.md

uses the tables and counts of ``SPLICEDVAE_DATA`` (default ../shared/data), in three parts:

1. log u/s of about 1,900 genes in each of 21 published data sets (the steady-state slopes of
   `genes/genewise_log_gamma_human18_mouse3.csv.gz`). A linear model of the features is fitted to
   one data set and asked about another, for every ordered pair: leave one data set out, and leave
   one species out. The share of a gene's own deviation that is kept
   (`GenePrior.moved`) was chosen on this table.
2. Mean ratios of one experiment's genes predicted for another experiment, from the raw counts:
   these chose nothing.
3. Skill within a tissue, of models with the prior and of the same models whose genes have names
   that say nothing, on the pancreas with a fifth of the cells held out.
"""

from __future__ import annotations

import argparse
import os
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.special import expit

from splicedvae import io
from splicedvae._core.gene_features import gene_features
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.keys import Layers
from splicedvae._core.orthologs import Orthologs, translated
from splicedvae.model import GenePrior
from splicedvae.model._gene_prior import KEPT_IN_SPECIES, KEPT_IN_TISSUE
from splicedvae.model._sums import level_with

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SPLICEDVAE_DATA", REPOSITORY.parent / "shared" / "data"))
SLOPES = DATA / "genes" / "genewise_log_gamma_human18_mouse3.csv.gz"
COUNTS = {
    "pancreas (591 cells)": "mouse_pancreas_e15.h5ad",
    "pancreas (3,548 cells)": "mouse_pancreas_e15_3548cells_2000genes.h5ad",
    "dentate gyrus (100 cells)": "mouse_dentate_gyrus_100cells.h5ad",
}
#: Asked model and data: the pancreas files are of one experiment.
ELSEWHERE = (
    ("pancreas (591 cells)", "dentate gyrus (100 cells)"),
    ("dentate gyrus (100 cells)", "pancreas (591 cells)"),
    ("dentate gyrus (100 cells)", "pancreas (3,548 cells)"),
)
#: Shares of the own deviation that were compared.
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
#: Pseudo-counts that a slope of the table is given: it says nothing of its own noise.
WORTH = 200.0


def transfer() -> pd.DataFrame:
    """Ask each data set of the table about each other one.

    Returns
    -------
    A row per ordered pair: correlations over genes, in all and of genes that were not in the first.
    """
    slopes = pd.read_csv(SLOPES)
    slopes["id"] = slopes["gene_id"].str.split(".").str[0]
    sets = {
        (name, species): part.drop_duplicates("id").set_index("id")["log_gamma"]
        for (name, species), part in slopes.groupby(["dataset", "species"])
    }
    rows = []
    for first, second in permutations(sets, 2):
        known, asked = sets[first], sets[second]
        identity = GeneIdentity.of_names(known.index)
        features = gene_features(identity, first[1])
        # Of log u/s, as many molecules for every gene.
        ratio = expit(-known.to_numpy())
        prior = GenePrior.fit(WORTH * ratio, WORTH * (1 - ratio), features, first[1])
        assert prior is not None
        own, other = -known.to_numpy(), features
        names = known.index
        if first[1] != second[1]:
            pair = Orthologs(data=second[1], model=first[1])
            names = pd.Index(translated(identity, pair).identifiers)
            other = gene_features(GeneIdentity.of_names(names), second[1])
        truth = -asked.reindex(names).to_numpy()
        seen = np.isfinite(truth)
        expected, there = prior.mean(features), prior.mean(other)
        new = asked[~asked.index.isin(names)]
        of_new = prior.mean(gene_features(GeneIdentity.of_names(new.index), second[1]))
        row = {
            "first": first[0],
            "second": second[0],
            "kind": "another tissue" if first[1] == second[1] else "another species",
            "n_genes": int(seen.sum()),
            "own": _r(own[seen], truth[seen]),
            "features": _r(there[seen], truth[seen]),
            "new": _r(of_new, -new.to_numpy()),
        }
        for share in SHARES:
            row[f"kept {share}"] = _r((there + share * (own - expected))[seen], truth[seen])
        rows.append(row)
    return pd.DataFrame(rows)


def _r(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def _sums(cells: AnnData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    s, u = (
        np.asarray(cells.layers[name].sum(axis=0), dtype=float).ravel()
        for name in (Layers.SPLICED, Layers.UNSPLICED)
    )
    return s, u


def elsewhere() -> pd.DataFrame:
    """Predict the mean ratios of one experiment's genes for another, from raw counts."""
    files = {name: io.read(DATA / file).adata for name, file in COUNTS.items()}
    rows = []
    for first, second in ELSEWHERE:
        cells, asked = files[first], files[second]
        s, u = _sums(cells)
        identity = GeneIdentity.of(cells.var)
        features = gene_features(identity, "mouse")
        prior = GenePrior.fit(s, u, features, "mouse")
        assert prior is not None
        enough = np.asarray((cells.layers[Layers.UNSPLICED] > 0).sum(axis=0)).ravel() >= 10
        place = asked.var_names.get_indexer(cells.var_names)
        both = enough & (place >= 0)
        ts, tu = (part[place[both]] for part in _sums(asked))
        n = ts + tu
        mean = np.log(s[both] + 1) - np.log(u[both] + 1)
        moved = level_with(prior.moved(mean, features[both]), mean, n)
        new = ~asked.var_names.isin(cells.var_names[enough])
        ns, nu = (part[new] for part in _sums(asked))
        counted = ns + nu >= 20
        of_new = prior.mean(gene_features(GeneIdentity.of(asked.var[new]), "mouse"))
        truth = np.log(ns[counted] + 0.5) - np.log(nu[counted] + 0.5)
        rows.append(
            {
                "from": first,
                "to": second,
                "genes": int(both.sum()),
                "skill": 1 - _loss(moved, ts, n) / _loss(mean, ts, n),
                "rmse, mean of training": _error(mean, ts, n),
                "rmse, moved": _error(moved, ts, n),
                "new genes": int(counted.sum()),
                "r of new genes": _r(of_new[counted], truth),
            }
        )
    return pd.DataFrame(rows)


def _loss(logits: NDArray[np.floating], s: NDArray[np.floating], n: NDArray[np.floating]) -> float:
    return float((n * np.logaddexp(0, logits) - s * logits).sum() / n.sum())


def _error(logits: NDArray[np.floating], s: NDArray[np.floating], n: NDArray[np.floating]) -> float:
    there = n > 0
    squares = np.square(expit(logits[there]) - s[there] / n[there])
    return float(np.sqrt((n[there] * squares).sum() / n.sum()))


def within(seeds: list[int]) -> pd.DataFrame:
    """Train with the prior and without it, and compare skill on held-out cells."""
    import scvi

    from splicedvae import SplicedVAE
    from splicedvae.evaluation import GeneMean, ratio_metrics, select_genes, split_cells

    cells = io.read(DATA / COUNTS["pancreas (591 cells)"]).adata
    labels = list(cells.obs["clusters"])
    rows = []
    for seed in seeds:
        apart = split_cells(cells.n_obs, held_out=0.2, stratify=labels, seed=seed)
        for least in (20, 5):
            train, test = cells[apart == "train"].copy(), cells[apart != "train"].copy()
            genes = select_genes(train, min_cells=least, min_shared_counts=0, n_top_genes=None)
            train, test = train[:, genes].copy(), test[:, genes].copy()
            mean = GeneMean().fit(train).predict(test)
            for names in ("with the prior", "without"):
                if names == "without":
                    # Names that say nothing: nothing else differs.
                    for part in (train, test):
                        part.var = pd.DataFrame(index=[f"gene-{k}" for k in range(part.n_vars)])
                scvi.settings.seed = seed
                SplicedVAE.setup_anndata(train)
                model = SplicedVAE(train)
                model.train(enable_progress_bar=False)
                assert (model.gene_prior is None) == (names == "without")
                query = AnnData(test.X, obs=test.obs[[]], var=test.var[[]])
                ratio = {"splicedvae": model.get_splicing_ratio(query).to_numpy()}
                found = ratio_metrics(
                    test.layers[Layers.SPLICED],
                    test.layers[Layers.UNSPLICED],
                    ratio,
                    gene_mean=mean[0],
                )
                skill = found.loc[found["metric"] == "skill", "value"].iloc[0]
                rows.append({"seed": seed, "min_cells": least, "model": names, "skill": skill})
                print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def report(pairs: pd.DataFrame, moved: pd.DataFrame, skill: pd.DataFrame | None) -> str:
    """Write the three tables in Markdown.

    Parameters
    ----------
    pairs, moved, skill
        Of `transfer`, `elsewhere` and `within`.
    """
    kinds = pairs.groupby("kind").median(numeric_only=True)
    lines = [
        "# A prior on a gene's ratio from what the gene is",
        "",
        "`python benchmarks/gene_prior.py --report benchmarks/gene_prior.md`. Features: lengths of "
        "introns and mRNA, half-life of the mRNA.",
        "",
        "**Leave one data set out, leave one species out.** 21 data sets, about 1,900 genes each; "
        "correlation over genes of predicted and measured log u/s, median over ordered pairs.",
        "",
        "| asked of | pairs | own mean | features alone | both | genes not in the first |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind, share in (("another tissue", KEPT_IN_TISSUE), ("another species", KEPT_IN_SPECIES)):
        row = kinds.loc[kind]
        lines.append(
            f"| {kind} | {(pairs['kind'] == kind).sum()} | {row['own']:.2f} | "
            f"{row['features']:.2f} | {row[f'kept {share}']:.2f} | {row['new']:.2f} |"
        )
    lines += [
        "",
        "Both, by the share of a gene's deviation from its kind that is kept:",
        "",
        "| | " + " | ".join(f"{share:g}" for share in SHARES) + " |",
        "| --- |" + " --- |" * len(SHARES),
    ]
    lines += [
        f"| {kind} | " + " | ".join(f"{kinds.loc[kind, f'kept {s}']:.2f}" for s in SHARES) + " |"
        for kind in ("another tissue", "another species")
    ]
    lines += [
        "",
        "**Raw counts of another experiment**, which chose nothing: mean ratio of each gene "
        "with ten unspliced molecules or more in the first, its skill over the mean of training "
        "and root mean square error, weighted by molecules. The share of all molecules that are "
        "spliced is kept.",
        "",
        "| from | to | genes | skill | RMSE, mean of training | RMSE, moved | new genes | r of "
        "their logits |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {a} | {b} | {n:,} | {gain:.3f} | {before:.3f} | {after:.3f} | {new:,} | {r:.2f} |"
        for a, b, n, gain, before, after, new, r in moved.itertuples(index=False)
    ]
    if skill is not None:
        wide = skill.pivot_table(index=["min_cells", "seed"], columns="model", values="skill")
        gain = wide["with the prior"] - wide["without"]
        lines += [
            "",
            f"**Within a tissue**: skill on held-out pancreas cells, {skill['seed'].nunique()} "
            "seeds (mean ± standard deviation).",
            "",
            "| genes with both layers in | with the prior | without | gain |",
            "| --- | --- | --- | --- |",
        ]
        for least, part in wide.groupby(level="min_cells"):
            own = gain.xs(least, level="min_cells")
            cells = [
                f"{one.mean():.4f} ± {one.std():.4f}"
                for one in (part["with the prior"], part["without"], own)
            ]
            lines.append(f"| {least} training cells | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure all three and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, nargs="*", default=[2, 3, 4])
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    skill = within(given.seeds) if given.seeds else None
    text = report(transfer(), elsewhere(), skill)
    print(text)
    if given.report is not None:
        given.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
