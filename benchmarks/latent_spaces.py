"""Compare the latent spaces of SplicedVAE and scVI on 3,548 pancreas cells.

    python benchmarks/latent_spaces.py --out latent --report benchmarks/latent_spaces.md

Both models are trained with their defaults here (the same schedule, all genes seen in 20 training
cells) on four fifths of the cells; the latent states of the held-out fifth are judged:

    silhouette, NMI, ARI   agreement with the published clusters (`evaluation.latent_metrics`)
    cell cycle             share of the variance of the S and the G2M score that the mean of the 15
                           nearest cells explains, in ten folds
    order of fates         the same for the place in the known order, from Ductal (0) to the
                           hormone-producing cells (4)
    pseudotime             rank correlation of diffusion pseudotime, which starts at the ductal
                           cell farthest from the hormone-producing ones, with that place

Seeds choose the held-out cells and the starting weights. One file a seed is kept in --out, so that
an interrupted run goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import scvi
from accuracy import PANCREAS_3548, SEEN, _totals, _trained, _write
from numpy.typing import NDArray
from scipy.stats import spearmanr
from scvi.model import SCVI

from splicedvae._core.epochs import default_epochs
from splicedvae.evaluation import latent_metrics, select_genes, split_cells
from splicedvae.model import LearningRateDecay, plan_options

MODELS = {"splicedvae": "SplicedVAE", "scvi": "scVI"}
#: Place of each cluster in the known order of fates.
PLACES = {
    "Ductal": 0,
    "Ngn3 low EP": 1,
    "Ngn3 high EP": 2,
    "Pre-endocrine": 3,
    "Alpha": 4,
    "Beta": 4,
    "Delta": 4,
    "Epsilon": 4,
}
ROWS = {
    "silhouette_clusters": "silhouette of clusters",
    "nmi_kmeans": "NMI of k-means with clusters",
    "ari_kmeans": "ARI of k-means with clusters",
    "s_score_r2": "cell cycle, R² of the S score",
    "g2m_score_r2": "cell cycle, R² of the G2M score",
    "place_r2": "order of fates, R²",
    "pseudotime": "pseudotime, rank correlation with the order of fates",
}


def one(seed: int) -> pd.DataFrame:
    """Train both models on the cells of one seed and judge their latent spaces."""
    cells = ad.read_h5ad(PANCREAS_3548)
    apart = split_cells(cells.n_obs, held_out=0.2, stratify=list(cells.obs["clusters"]), seed=seed)
    train, test = cells[apart == "train"].copy(), cells[apart != "train"].copy()
    keep = select_genes(train, min_cells=20, **SEEN)
    train, test = train[:, keep].copy(), test[:, keep].copy()
    joint = _trained(train, seed)
    scvi.settings.seed = seed
    SCVI.setup_anndata(train)
    standard = SCVI(train, gene_likelihood="nb")
    epochs = default_epochs(train.n_obs)
    # As in a run, scVI is trained by the schedule of the joint model.
    standard.train(
        max_epochs=epochs,
        train_size=1.0,
        plan_kwargs=plan_options(epochs),
        callbacks=[LearningRateDecay()],
        enable_progress_bar=False,
    )
    query = _totals(test)
    latents = {
        "splicedvae": joint.get_latent_representation(query),
        "scvi": standard.get_latent_representation(query),
    }
    return pd.concat(
        [judged(latent, test.obs, seed).assign(model=name) for name, latent in latents.items()]
    ).assign(seed=seed)


def judged(latent: NDArray[np.float32], obs: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Judge the latent states of the held-out cells by what is known of them."""
    clusters = obs["clusters"].astype(str)
    place = clusters.map(PLACES).to_numpy(dtype=float)
    found = dict(
        latent_metrics(latent, clusters=list(clusters), seed=seed)[["metric", "value"]].to_numpy()
    )
    times = {
        "s_score_r2": obs["S_score"].to_numpy(dtype=float),
        "g2m_score_r2": obs["G2M_score"].to_numpy(dtype=float),
        "place_r2": place,
    }
    for name, time in times.items():
        found[name] = latent_metrics(latent, time=time, seed=seed)["value"].iloc[0]
    found["pseudotime"] = float(spearmanr(pseudotime(latent, place), place).statistic)
    return pd.DataFrame({"metric": list(found), "value": list(found.values())})


def pseudotime(latent: NDArray[np.float32], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Diffusion pseudotime in a latent space, from the ductal cell farthest from the fates."""
    cells = ad.AnnData(np.asarray(latent, dtype=np.float32))
    sc.pp.neighbors(cells, use_rep="X", n_neighbors=15)
    sc.tl.diffmap(cells)
    first = np.flatnonzero(place == 0)
    end = latent[place == place.max()].mean(axis=0)
    cells.uns["iroot"] = int(first[np.linalg.norm(latent[first] - end, axis=1).argmax()])
    sc.tl.dpt(cells)
    time = cells.obs["dpt_pseudotime"].to_numpy(dtype=float)
    return np.where(np.isfinite(time), time, np.nanmax(time[np.isfinite(time)]))


def report(table: pd.DataFrame) -> str:
    """Put means, standard deviations and the difference within a seed into a table."""
    lines = [
        "| | SplicedVAE | scVI | difference |",
        "| --- | --- | --- | --- |",
    ]
    for name, label in ROWS.items():
        part = table[table["metric"] == name].pivot(index="seed", columns="model", values="value")
        part = part.astype(float)
        difference = part["splicedvae"] - part["scvi"]
        cells = [
            f"{values.mean():{sign}.3f} ± {values.std():.3f}"
            for values, sign in ((part["splicedvae"], ""), (part["scvi"], ""), (difference, "+"))
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the seeds, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    tables = []
    for seed in arguments.seeds:
        file = arguments.out / f"{seed}.csv"
        if not file.is_file():
            _write(one(seed), file)
        tables.append(pd.read_csv(file))
    text = report(pd.concat(tables))
    print(text)
    if arguments.report is not None:
        arguments.report.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
