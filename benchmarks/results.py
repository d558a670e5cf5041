"""Make the numbers that README and docs/results.md quote: the whole job, over several seeds.

    python benchmarks/results.py --seeds 0 1 2

trains on the pancreas counts named by SPLICEDVAE_DATA (default ../shared/data) and on a simulation
that anybody can make, with the package's defaults, and writes docs/results.md. Each seed splits,
trains and evaluates anew; a difference inside the spread is no difference.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path

import pandas as pd

from splicedvae import __version__, datasets, io
from splicedvae._keys import Obs, Sources
from splicedvae.runs import RunConfig, execute
from splicedvae.velocity import VelocitySettings

REPOSITORY = Path(__file__).resolve().parents[1]
PANCREAS = "mouse_pancreas_e15.h5ad"

#: Rows of the table: metric, coverage, what a person reads, digits.
ROWS = (
    ("rmse", 1, "RMSE, entries with a molecule", 4),
    ("rmse", 5, "RMSE, entries with 5 molecules", 4),
    ("pearson", 1, "Pearson r, entries with a molecule", 3),
    ("pearson", 5, "Pearson r, entries with 5 molecules", 3),
    ("skill", 1, "skill over the gene mean", 4),
    ("within_gene_r", 1, "r within genes", 3),
    ("within_gene_r_by_cluster", 1, "r within genes, pooled by cluster", 3),
    ("velocity_cosine_genes", 1, "velocity: cosine to the measured, genes", 2),
    ("velocity_cosine_umap", 1, "velocity: cosine to the measured, UMAP", 2),
    ("velocity_cosine_genes_true", 1, "velocity: cosine to the true, genes", 2),
    ("velocity_cosine_umap_true", 1, "velocity: cosine to the true, UMAP", 2),
)
PREDICTORS = (*Sources.PREDICTORS, Sources.SHUFFLED, Sources.MEASURED)


def one_seed(file: Path, seed: int) -> pd.DataFrame:
    """Do the whole job with one seed and return its metrics."""
    config = RunConfig(
        data=str(file),
        data_sha256=io.sha256(file),
        name=f"{file.stem}, seed {seed}",
        cluster_key=Obs.CLUSTERS,
        velocity=VelocitySettings(seed=seed),
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        metrics = execute(config, Path(folder) / "run").metrics
    return metrics.assign(seed=seed)


def written(values: pd.Series, digits: int) -> str:
    """Write a mean with its standard deviation over seeds."""
    values = values.dropna()
    if values.empty:
        return ""
    spread = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"


def table(metrics: pd.DataFrame) -> str:
    """Write the table of all predictors as Markdown."""
    labels = [Sources.LABELS[p] for p in PREDICTORS]
    lines = [
        f"| metric | {' | '.join(labels)} | noise ceiling |",
        f"| --- |{' --- |' * (len(labels) + 1)}",
    ]
    for metric, coverage, words, digits in ROWS:
        rows = metrics[(metrics["metric"] == metric) & (metrics["coverage"] == coverage)]
        if rows.empty:
            continue
        cells = [
            written(rows.loc[rows["predictor"] == predictor, "value"], digits)
            for predictor in PREDICTORS
        ]
        ceiling = written(rows.groupby("seed")["ceiling"].first(), digits)
        lines.append(f"| {words} | {' | '.join(cells)} | {ceiling} |")
    return "\n".join(lines)


def main() -> None:
    """Run all seeds and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "results.md")
    arguments = parser.parse_args()
    data = Path(os.environ.get("SPLICEDVAE_DATA", REPOSITORY.parent / "shared" / "data"))
    parts: list[tuple[str, str]] = []
    if (data / PANCREAS).is_file():
        metrics = pd.concat([one_seed(data / PANCREAS, seed) for seed in arguments.seeds])
        parts.append(("Mouse pancreas E15.5 (GSE132188), 591 cells, 20% held out", table(metrics)))
    else:
        print(f"{PANCREAS} is not at hand: set SPLICEDVAE_DATA to the folder that holds it.")
    with tempfile.TemporaryDirectory() as folder:
        simulated = []
        for seed in arguments.seeds:
            file = Path(folder) / f"simulated_{seed}.h5ad"
            datasets.simulate(2000, 300, seed=seed).write_h5ad(file)
            simulated.append(one_seed(file, seed))
        parts.append(
            (
                "Simulated bifurcation (`splicedvae.datasets.simulate`), 2,000 cells x 300 genes",
                table(pd.concat(simulated)),
            )
        )
    text = TEXT.format(
        version=__version__,
        seeds=", ".join(map(str, arguments.seeds)),
        words=" ".join(map(str, arguments.seeds)),
        python=platform.python_version(),
        tables="\n\n".join(f"## {title}\n\n{lines}" for title, lines in parts),
    )
    arguments.out.write_text(text, encoding="utf-8")
    print(text)


TEXT = """# Results

Made by `python benchmarks/results.py --seeds {words}` with splicedvae {version} on Python {python}:
the package's defaults, seeds {seeds}, mean ± standard deviation over seeds. Every number is of
held-out cells, whose ratios were predicted from total counts alone.

{tables}

## How to read them

- **RMSE and Pearson r say little.** The gene mean, a constant per gene, comes within a hair of
  every model, and it gives no velocity at all: unspliced counts are then proportional to spliced.
- **Skill** is 1 - NLL / NLL of the gene mean, per molecule. It is small for every model, because
  most of what is left is the chance of single molecules.
- **Ridge on PCA** is a logistic regression of each gene on 20 principal components of the totals
  with one penalty for all genes, chosen inside the training cells: what is reached without deep
  learning. The **gene x group mean** knows a cell's cluster and no more.
- **r within genes** is what velocity lives on: each gene's own mean is taken away first.
- **Noise ceiling** of a ratio is what the true ratio would reach against such noisy counts: from
  the binomial noise of the entries, or, for counts pooled by cluster, from two halves of the
  molecules. It knows of sampling noise only; real counts scatter more, so the truth stays somewhat
  below it. For velocities the column is the agreement of two velocities, each from half of the
  measured molecules: it says how far the measured one can be reproduced, not how far it is true.
  A prediction can lie above it, as it has less noise than half of a measurement.
- **Shuffled ratios** are SplicedVAE's own, dealt out anew among the cells of each gene: they know
  nothing of a cell's state. What they reach is chance, made orderly by smoothing.
- **Velocity cosines** are computed among held-out cells only, with neighbours and moments of their
  own: smoothing over training cells would leak their spliced and unspliced counts into the
  answer. What a number has above the shuffled ratios is what the model knows, and a difference
  inside the spread is no difference. [When to trust a velocity](trust.md) says why the balanced
  model is used, and what scVelo's models draw of chance.
- The measured velocity has a value of its own where the truth is known (simulation): it is noisy
  too.
"""


if __name__ == "__main__":
    main()
