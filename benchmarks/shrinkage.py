"""Compare the learned shrinkage of the ratio head with fixed ones, inside the training cells.

    python benchmarks/shrinkage.py --shrinkage learned 0 30 300

holds out cells of the pancreas set (SPLICEDVAE_DATA, default ../shared/data) as the evaluation
does, never looks at them, splits the rest again, and prints the skill over the gene mean of each
shrinkage on the inner held-out cells.
"""

from __future__ import annotations

import argparse
import logging
import os
import warnings
from pathlib import Path

import numpy as np
import scvi
from anndata import AnnData

from splicedvae import SplicedVAE, io
from splicedvae._core.keys import Layers, Obs, Split
from splicedvae.evaluation import GeneMean, ratio_metrics, select_genes, split_cells

REPOSITORY = Path(__file__).resolve().parents[1]


def parts(cells: AnnData, seed: int) -> tuple[AnnData, AnnData]:
    """Split cells into training and held-out ones, as a run does."""
    split = split_cells(cells.n_obs, stratify=cells.obs[Obs.CLUSTERS], seed=seed)
    return cells[split == Split.TRAIN].copy(), cells[split == Split.HELD_OUT].copy()


def skill(train: AnnData, test: AnnData, shrinkage: float | None, epochs: int, seed: int) -> float:
    """Train with one shrinkage and return the skill on the other cells, from totals alone."""
    scvi.settings.seed = seed
    train = train.copy()
    SplicedVAE.setup_anndata(train)
    model = SplicedVAE(train, ratio_shrinkage=shrinkage)
    model.train(max_epochs=epochs, enable_progress_bar=False)
    totals = AnnData(test.X.copy(), obs=test.obs[[]].copy(), var=test.var[[]].copy())
    metrics = ratio_metrics(
        test.layers[Layers.SPLICED],
        test.layers[Layers.UNSPLICED],
        {"model": model.get_splicing_ratio(totals).to_numpy()},
        gene_mean=GeneMean().fit(train).ratio,
    )
    return float(metrics.set_index("metric").loc["skill", "value"])


def main() -> None:
    """Print a line for each shrinkage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shrinkage", nargs="+", default=["learned", "0", "30", "300"])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    for name in ("scvi", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    data = Path(os.environ.get("SPLICEDVAE_DATA", REPOSITORY.parent / "shared" / "data"))
    cells = io.read(data / "mouse_pancreas_e15.h5ad").adata
    print("shrinkage  skill over the gene mean, inner held-out cells (mean, sd over seeds)")
    for words in arguments.shrinkage:
        shrinkage = None if words == "learned" else float(words)
        found = []
        for seed in arguments.seeds:
            outer, _ = parts(cells, seed)
            train, test = parts(outer, seed + 1000)
            genes = select_genes(train, n_top_genes=None)
            found.append(
                skill(
                    train[:, genes].copy(), test[:, genes].copy(), shrinkage, arguments.epochs, seed
                )
            )
        print(f"{words:>9}  {np.mean(found):+.4f}  {np.std(found):.4f}", flush=True)


if __name__ == "__main__":
    main()
