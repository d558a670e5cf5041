"""Compute every number of docs/results.md: accuracy of ratios and velocities over several seeds.

    python benchmarks/accuracy.py --out accuracy

uses the counts named by SPLICEDVAE_DATA (default ../shared/data) and reproducible simulations, with
the package's defaults, and writes docs/results.md and docs/images/depth.svg. It takes about three
hours on one core. Parts can be run separately (--parts), and each resumes after an interruption:

    cells     pancreas, a fifth of the cells held out
    default   pancreas, a tenth held out, SplicedVAE(adata).train() and nothing else
    halves    pancreas in two halves, the protocol for velocities
    halves_3548  the same on 3,548 cells and 2,000 genes; not part of the page
    transfer  the pancreas models of `cells` on cells of the dentate gyrus
    back      a model of the dentate gyrus on the pancreas
    novelty   of both tissues' cells to the models of both
    pooled    the runs of `cells`, counts pooled by cluster at several minimum counts
    tried     variants of the model on the cells of `default`, two seeds
    stock     expression of scVI with its own defaults, on the split of `cells`
    depth     simulations with known velocity, by topology and depth
    sizes     skill by the number of training cells, of 3,548 pancreas cells; prints its table and
              draws docs/images/training_cells.svg; not part of the page
    page      docs/results.md from what the other parts wrote
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from splicedvae._core.layers import named_layers

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SPLICEDVAE_DATA", REPOSITORY.parent / "shared" / "data"))
PANCREAS = DATA / "mouse_pancreas_e15.h5ad"
PANCREAS_3548 = DATA / "mouse_pancreas_e15_3548cells_2000genes.h5ad"
DENTATE = DATA / "mouse_dentate_gyrus_100cells.h5ad"
TRANSITIONS = (
    ("Ductal", "Ngn3 low EP"),
    ("Ngn3 low EP", "Ngn3 high EP"),
    ("Ngn3 high EP", "Pre-endocrine"),
    ("Pre-endocrine", "Alpha"),
    ("Pre-endocrine", "Beta"),
    ("Pre-endocrine", "Delta"),
    ("Pre-endocrine", "Epsilon"),
)
#: Genes of the issue of accuracy: both layers seen in so many training cells.
SEEN = {"min_shared_counts": 0, "n_top_genes": None}
TOPOLOGIES = ("linear", "bifurcation", "tree")
#: Counts per cell and gene, on average; 0.86 is the pancreas experiment's.
DEPTHS = (0.22, 0.43, 0.86, 1.7)

#: Least molecules of a gene in a cluster for `pooled`.
POOLS = (10, 20, 50, 75, 100, 200)
#: Training cells for `sizes`, of 2,838.
SIZES = (250, 500, 1000, 2000, 2838)
#: Predictors for `sizes`, and what a person reads.
SIZE_PREDICTORS = {
    "splicedvae": "SplicedVAE",
    "scvi": "scVI + head on its frozen latent space",
    "ridge": "ridge on PCA",
}
#: Variants of the model for `tried`: name, words, options.
TRIED: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("no_components", "latent state only, no second expert on components", {"n_components": 0}),
    ("mlp", "a small network instead of the linear head", {"ratio_head": "mlp"}),
    ("latent_20", "20 latent dimensions instead of 10", {"n_latent": 20}),
)


def cells(out: Path, seeds: list[int]) -> None:
    """Hold out a fifth of the pancreas cells."""
    from splicedvae import benchmark

    benchmark.run(
        PANCREAS,
        out / "cells",
        seeds=seeds,
        cluster_key="clusters",
        transitions=TRANSITIONS,
        min_cells=20,
        **SEEN,
    )


def halves(out: Path, seeds: list[int]) -> None:
    """Train on one half of the pancreas cells, judge velocities in the other."""
    from splicedvae import benchmark

    benchmark.run(
        PANCREAS,
        out / "halves",
        design="halves",
        seeds=seeds,
        cluster_key="clusters",
        transitions=TRANSITIONS,
        min_cells=10,
        **SEEN,
    )


def halves_3548(out: Path, seeds: list[int]) -> None:
    """Train on one half of 3,548 pancreas cells, judge velocities in the other; print a table."""
    from splicedvae import benchmark

    folder = out / "halves_3548"
    benchmark.run(
        PANCREAS_3548,
        folder,
        design="halves",
        seeds=seeds,
        cluster_key="clusters",
        transitions=TRANSITIONS,
        min_cells=10,
        **SEEN,
    )
    found = _metrics(out, "halves_3548")
    print(table(found, (*VELOCITY, RATIO[0]), limit="two measured halves"))
    print(differences(found, (*VELOCITY[:3], VELOCITY[5])))


def sizes(out: Path, seeds: list[int]) -> None:
    """Train on more and more of 3,548 pancreas cells, judge ratios of the same held-out fifth."""
    rows = []
    for seed in seeds[:2]:
        for n in SIZES:
            file = out / "sizes" / f"{n}_{seed}.csv"
            if not file.is_file():
                _write(_one_size(n, seed), file)
            rows.append(pd.read_csv(file))
    found = pd.concat(rows)
    _write(found, out / "sizes.csv")
    skill = found[found["metric"] == "skill"]
    print("| training cells | " + " | ".join(SIZE_PREDICTORS.values()) + " |")
    print("| --- |" + " --- |" * len(SIZE_PREDICTORS))
    for n, part in skill.groupby("n_train"):
        values = (part.loc[part["predictor"] == name, "value"] for name in SIZE_PREDICTORS)
        print(f"| {n:,} | " + " | ".join(written(one, 4) for one in values) + " |")
    sizes_figure(skill, REPOSITORY / "docs" / "images" / "training_cells.svg")


def _one_size(n: int, seed: int) -> pd.DataFrame:
    import anndata as ad
    import scvi
    from scvi.model import SCVI

    from splicedvae import SplicedVAE
    from splicedvae._core.epochs import default_epochs
    from splicedvae.evaluation import GeneMean, RidgeOnPCA, select_genes, split_cells

    cells = ad.read_h5ad(PANCREAS_3548)
    apart = split_cells(cells.n_obs, held_out=0.2, stratify=list(cells.obs["clusters"]), seed=seed)
    train, test = cells[apart == "train"].copy(), cells[apart != "train"].copy()
    # Genes are chosen among all training cells, so that all sizes are judged on the same entries.
    keep = select_genes(train, min_cells=20, **SEEN)
    train, test = train[:, keep].copy(), test[:, keep].copy()
    some = np.random.default_rng(seed).permutation(train.n_obs)[:n]
    train = train[np.sort(some)].copy()
    joint = _trained(train, seed)
    scvi.settings.seed = seed
    SCVI.setup_anndata(train)
    standard = SCVI(train, gene_likelihood="nb")
    standard.train(
        train_size=1.0, max_epochs=default_epochs(train.n_obs), enable_progress_bar=False
    )
    layers = {"spliced_layer": "spliced", "unspliced_layer": "unspliced"}
    head = SplicedVAE.from_scvi_model(standard, train, **layers)
    head.train(enable_progress_bar=False)
    query = _totals(test)
    predictions = {
        "splicedvae": joint.get_splicing_ratio(query).to_numpy(),
        "scvi": head.get_splicing_ratio(query).to_numpy(),
        "ridge": RidgeOnPCA(seed=seed).fit(train).predict(test),
        "gene_mean": GeneMean().fit(train).predict(test),
    }
    return _ratio_rows(train, test, predictions).assign(seed=seed, n_train=train.n_obs)


def sizes_figure(skill: pd.DataFrame, file: Path) -> None:
    """Draw the skill over the number of training cells."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    from splicedvae.plotting import PREDICTOR_COLORS

    matplotlib.rcParams.update({"svg.hashsalt": "splicedvae", "font.size": 10})
    figure, axis = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    for name, label in SIZE_PREDICTORS.items():
        values = skill[skill["predictor"] == name].groupby("n_train")["value"]
        mean, sd = values.mean(), values.std().fillna(0)
        color = PREDICTOR_COLORS.get(name, "#444444")
        axis.errorbar(mean.index, mean, yerr=sd, label=label, color=color, capsize=3)
    axis.axhline(0, color="#999999", linewidth=0.8)
    axis.set(xscale="log", xlabel="training cells", ylabel="skill over the gene mean")
    axis.set_xticks(SIZES, [f"{n:,}" for n in SIZES])
    axis.minorticks_off()
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    figure.savefig(file, metadata={"Date": None})


def default(out: Path, seeds: list[int]) -> None:
    """Train with nothing but `SplicedVAE(adata).train()` on nine tenths of the cells."""
    rows = []
    for seed in seeds:
        file = out / "default" / f"{seed}.csv"
        if not file.is_file():
            train, test, baselines = _split(seed, held_out=0.1)
            ratio = {"splicedvae": _trained(train, seed).get_splicing_ratio(test).to_numpy()}
            _write(_ratio_rows(train, test, {**ratio, **baselines(test)}).assign(seed=seed), file)
        rows.append(pd.read_csv(file))
    _write(pd.concat(rows), out / "default.csv")


def pooled(out: Path, seeds: list[int]) -> None:
    """Pool held-out counts of the runs of `cells` by cluster, at several least numbers."""
    from splicedvae._core.keys import Layers, Obs, Split
    from splicedvae.evaluation import GeneMean, NearestNeighbours, RidgeOnPCA, ratio_metrics
    from splicedvae.runs import Run

    rows = []
    for seed in seeds:
        cells = Run(out / "cells" / "runs" / f"seed{seed}_fold0").predictions
        held_out = (cells.obs[Obs.SPLIT] == Split.HELD_OUT).to_numpy()
        train, test = cells[~held_out].copy(), cells[held_out].copy()
        constant = GeneMean().fit(train).predict(test)
        found = {
            "splicedvae": test.layers[Layers.RATIO].toarray(),
            "scvi": test.layers[Layers.RATIO_SCVI].toarray(),
            "ridge": RidgeOnPCA(seed=seed).fit(train).predict(test),
            "knn": NearestNeighbours(seed=seed).fit(train).predict(test),
            "gene_mean": constant,
        }
        # Ratios are stored where something was counted, and only there they are looked at.
        table = ratio_metrics(
            test.layers[Layers.SPLICED],
            test.layers[Layers.UNSPLICED],
            {name: np.where(ratio > 0, ratio, constant) for name, ratio in found.items()},
            gene_mean=constant[0],
            clusters=list(test.obs[Obs.CLUSTERS]),
            min_pooled={f"pooled_{least}": least for least in POOLS},
            seed=seed,
        )
        rows.append(table.assign(seed=seed))
    _write(pd.concat(rows), out / "pooled.csv")


def tried(out: Path, seeds: list[int]) -> None:
    """Train variants of the model on the cells of `default`, to measure the effect of each part."""
    rows = []
    for name, _, options in TRIED:
        for seed in seeds[:2]:
            file = out / "tried" / f"{name}_{seed}.csv"
            if not file.is_file():
                train, test, baselines = _split(seed, held_out=0.1)
                model = _trained(train, seed, **options)
                ratio = {"splicedvae": model.get_splicing_ratio(test).to_numpy()}
                constant = {"gene_mean": baselines(test)["gene_mean"]}
                table = _ratio_rows(train, test, {**ratio, **constant})
                _write(table.assign(seed=seed, variant=name), file)
            rows.append(pd.read_csv(file))
    _write(pd.concat(rows), out / "tried.csv")


def stock(out: Path, seeds: list[int]) -> None:
    """Train scVI with its own options on the cells and genes of `cells`.

    Once on all training cells, as SplicedVAE trains, and once as scVI comes out of the box, which
    keeps every tenth cell for monitoring.
    """
    import scvi

    rows = []
    for seed in seeds:
        file = out / "stock" / f"{seed}.csv"
        if not file.is_file():
            train, test, _ = _split(seed, held_out=0.2)
            table = []
            for share in (1.0, None):
                scvi.settings.seed = seed
                known = train.copy()
                scvi.model.SCVI.setup_anndata(known)
                model = scvi.model.SCVI(known)
                model.train(train_size=share, enable_progress_bar=False)
                query = _totals(test)
                losses = [
                    float(model.get_reconstruction_error(query)["reconstruction_loss"])
                    for _ in range(5)
                ]
                trained_on = "all" if share else "nine tenths"
                table.append((seed, trained_on, np.mean(losses)))
            columns = ["seed", "trained_on", "expression_nll"]
            _write(pd.DataFrame(table, columns=columns), file)
        rows.append(pd.read_csv(file))
    _write(pd.concat(rows), out / "stock.csv")


def transfer(out: Path, seeds: list[int]) -> None:
    """Ask the pancreas models of `cells` about another experiment."""
    from splicedvae import io
    from splicedvae.pipeline import evaluate_on
    from splicedvae.runs import Run

    other = io.read(DENTATE)
    rows = []
    for seed in seeds:
        run = Run(out / "cells" / "runs" / f"seed{seed}_fold0")
        metrics, _ = evaluate_on(run, other)
        rows.append(metrics.assign(seed=seed))
    _write(pd.concat(rows), out / "transfer.csv")


def back(out: Path, seeds: list[int]) -> None:
    """Train on the dentate gyrus and ask about the pancreas."""
    from splicedvae import benchmark

    benchmark.run(
        DENTATE,
        out / "back",
        design="transfer",
        seeds=seeds,
        test=PANCREAS,
        min_cells=10,
        **SEEN,
    )


def novelty(out: Path, seeds: list[int]) -> None:
    """Compute the novelty of both tissues' cells to the models of `cells` and `back`."""
    from splicedvae import io
    from splicedvae._core.keys import Obs, Split
    from splicedvae.runs import Run

    pancreas, dentate = io.read(PANCREAS).adata, io.read(DENTATE).adata
    rows = []
    for seed in seeds:
        for part, other in (("cells", dentate), ("back", pancreas)):
            run = Run(out / part / "runs" / f"seed{seed}_fold0")
            cells = run.predictions
            known = _totals(cells[cells.obs[Obs.SPLIT] == Split.HELD_OUT].copy())
            model = run.model()
            rows.append((seed, part, "same", model.get_novelty(known)))
            shared = _totals(other[:, other.var_names.isin(model.genes)].copy())
            rows.append((seed, part, "other", model.get_novelty(shared)))
    _write(pd.DataFrame(rows, columns=["seed", "model", "cells", "value"]), out / "novelty.csv")


def whole(out: Path, seeds: list[int]) -> None:
    """Keep all differences between cells of the other tissue, to measure the adaptation."""
    from scipy.sparse import csr_matrix

    from splicedvae import io
    from splicedvae._core.keys import Layers
    from splicedvae.evaluation import ratio_metrics
    from splicedvae.model import Adaptation
    from splicedvae.runs import Run

    rows = []
    for part, file in (("cells", DENTATE), ("back", PANCREAS)):
        other = io.read(file).adata
        for seed in seeds:
            model = Run(out / part / "runs" / f"seed{seed}_fold0").model()
            aligned, alignment = model.align(other)
            found = ~model.genes.isin(alignment.missing)
            query = _totals(aligned)
            kept = model.get_adaptation(query)
            log_odds = model.module.ratio_head.log_odds.cpu().numpy()
            strayed = ((1 - kept.amplitude) * log_odds - kept.offset) / kept.amplitude
            adaptations = {"kept": kept, "whole": Adaptation(1.0, -strayed), "as it is": None}
            table = ratio_metrics(
                csr_matrix(aligned.layers[Layers.SPLICED])[:, found],
                csr_matrix(aligned.layers[Layers.UNSPLICED])[:, found],
                {
                    name: model.get_splicing_ratio(query, adaptation=one).to_numpy()[:, found]
                    for name, one in adaptations.items()
                },
                gene_mean=(1 / (1 + np.exp(-log_odds)))[found],
            )
            skills = table[table["metric"] == "skill"]
            for name, value in zip(skills["predictor"], skills["value"], strict=True):
                rows.append((seed, part, name, kept.amplitude, value))
    columns = ["seed", "model", "differences", "amplitude", "skill"]
    _write(pd.DataFrame(rows, columns=columns), out / "whole.csv")


def depth(out: Path, seeds: list[int]) -> None:
    """Compare velocities from totals and from measured S/U with the truth, by depth."""
    rows = []
    for topology in TOPOLOGIES:
        for per_gene in DEPTHS:
            for seed in seeds[:2]:
                file = out / "depth" / f"{topology}_{per_gene}_{seed}.csv"
                if not file.is_file():
                    _write(_one_depth(topology, per_gene, seed), file)
                rows.append(pd.read_csv(file))
    _write(pd.concat(rows), out / "depth.csv")


def _one_depth(topology: str, per_gene: float, seed: int) -> pd.DataFrame:
    from splicedvae import datasets
    from splicedvae.evaluation import (
        select_genes,
        shuffle_within_genes,
        split_cells,
        velocity_metrics,
    )
    from splicedvae.reconstruction import reconstruct_counts
    from splicedvae.velocity import VelocitySettings, compare_velocities, prepare, true_velocity

    n_genes = 400
    adata = datasets.simulate(
        1600, n_genes, topology=topology, mean_depth=per_gene * n_genes, seed=seed
    )
    apart = split_cells(adata.n_obs, held_out=0.5, stratify=adata.obs["clusters"], seed=seed)
    train, test = adata[apart == "train"].copy(), adata[apart != "train"].copy()
    # At the lowest depth a training cell may have nothing left.
    keep = select_genes(train, min_shared_counts=10, n_top_genes=None)
    train, test = train[:, keep].copy(), test[:, keep].copy()
    train = train[np.asarray(train.X.sum(axis=1)).ravel() > 0].copy()
    test = test[np.asarray(test.X.sum(axis=1)).ravel() > 0].copy()
    ratio = _trained(train, seed).get_counted_splicing_ratio(_totals(test))
    pairs = {"splicedvae": reconstruct_counts(test.X, ratio)}
    pairs["shuffled"] = shuffle_within_genes(*pairs["splicedvae"], seed=seed)
    names = {"measured": ("spliced", "unspliced")}
    for name, pair in pairs.items():
        names[name] = (f"{name}_s", f"{name}_u")
        test.layers.update(zip(names[name], pair, strict=True))
    rows = []
    for mode in ("balanced", "stochastic"):
        settings = VelocitySettings(mode=mode, seed=seed, min_shared_counts=0, n_top_genes=None)
        ground = prepare(test, settings=settings)
        found = compare_velocities(ground, names, settings)
        true = true_velocity(ground, layer="true_velocity", settings=settings)
        for name, result in found.results.items():
            table = velocity_metrics(true, result, predictor=name)
            rows.append(table.assign(mode=mode))
    table = pd.concat(rows)
    return table.assign(topology=topology, depth=per_gene, seed=seed)


def _trained(train, seed: int, **options):
    import scvi

    from splicedvae import SplicedVAE

    scvi.settings.seed = seed
    known = train.copy()
    SplicedVAE.setup_anndata(known)
    model = SplicedVAE(known, **options)
    model.train(enable_progress_bar=False)
    return model


def _totals(cells):
    bare = cells.copy()
    for name in named_layers(bare):
        del bare.layers[name]
    return bare


def _split(seed: int, held_out: float):
    import anndata as ad

    from splicedvae.evaluation import (
        GeneMean,
        NearestNeighbours,
        RidgeOnPCA,
        select_genes,
        split_cells,
    )

    cells = ad.read_h5ad(PANCREAS)
    apart = split_cells(
        cells.n_obs, held_out=held_out, stratify=list(cells.obs["clusters"]), seed=seed
    )
    train, test = cells[apart == "train"].copy(), cells[apart != "train"].copy()
    keep = select_genes(train, min_cells=20, **SEEN)
    train, test = train[:, keep].copy(), test[:, keep].copy()

    def baselines(other):
        return {
            "ridge": RidgeOnPCA(seed=seed).fit(train).predict(other),
            "knn": NearestNeighbours(seed=seed).fit(train).predict(other),
            "gene_mean": GeneMean().fit(train).predict(other),
        }

    return train, test, baselines


def _ratio_rows(train, test, predictions) -> pd.DataFrame:
    from splicedvae.evaluation import ratio_metrics

    return ratio_metrics(
        test.layers["spliced"],
        test.layers["unspliced"],
        predictions,
        gene_mean=predictions["gene_mean"][0],
        clusters=list(test.obs["clusters"]),
    )


def _write(table: pd.DataFrame, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".partial")
    table.to_csv(temporary, index=False)
    temporary.replace(file)


# The page ------------------------------------------------------------------------------------

#: Metric, coverage, what a person reads, digits.
Row = tuple[str, int, str, int]
RATIO: tuple[Row, ...] = (
    ("skill", 1, "skill over the gene mean", 4),
    ("rmse", 1, "RMSE, entries with a molecule", 4),
    ("rmse", 2, "RMSE, 2 molecules or more", 4),
    ("rmse", 5, "RMSE, 5 or more", 4),
    ("rmse", 10, "RMSE, 10 or more", 4),
    ("pearson", 1, "Pearson r, entries with a molecule", 3),
    ("pearson", 2, "Pearson r, 2 molecules or more", 3),
    ("pearson", 5, "Pearson r, 5 or more", 3),
    ("pearson", 10, "Pearson r, 10 or more", 3),
    ("within_gene_r", 1, "r within genes", 3),
    ("within_gene_r_by_cluster", 1, "the same, pooled by cluster, 10 molecules", 3),
    ("within_gene_r_by_cluster_50", 1, "the same, pooled by cluster, 50 molecules", 3),
    ("within_gene_slope", 1, "slope of measured on predicted, within genes", 2),
    ("calibration_error", 1, "calibration error", 4),
    ("interval_coverage", 5, "counts inside 90% intervals, 5 or more", 3),
    ("interval_coverage", 10, "counts inside 90% intervals, 10 or more", 3),
)
VELOCITY: tuple[Row, ...] = (
    ("velocity_cosine_genes", 1, "cosine to the measured, gene space", 2),
    ("velocity_cosine_genes_equal", 1, "the same, each gene scaled by its own spread", 2),
    ("velocity_cosine_umap", 1, "cosine to the measured, embedding", 2),
    ("velocity_cosine_genes_own_graph", 1, "the same on the model's own graph, gene space", 2),
    ("velocity_cosine_umap_own_graph", 1, "the same on the model's own graph, embedding", 2),
    ("cbdir", 1, "known transitions (CBDir)", 2),
    ("cbdir_null", 1, "the same, random neighbors", 2),
    ("velocity_effective_genes", 1, "effective number of genes behind an arrow", 0),
    ("velocity_confidence", 1, "confidence (smoothness)", 2),
    ("coherence_umap", 1, "coherence within clusters, embedding (smoothness)", 2),
)
LATENT: tuple[Row, ...] = (
    ("expression_nll", 1, "NLL of expression per cell", 1),
    ("expression_elbo", 1, "negative ELBO per cell", 1),
    ("silhouette_clusters", 1, "silhouette of clusters", 3),
    ("nmi_kmeans", 1, "NMI of k-means with clusters", 3),
    ("ari_kmeans", 1, "ARI of k-means with clusters", 3),
)


def written(values: pd.Series, digits: int) -> str:
    """Write a mean with its standard deviation."""
    values = values.dropna()
    if values.empty:
        return ""
    spread = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"


def table(metrics: pd.DataFrame, rows: tuple[Row, ...], *, limit: str = "noise ceiling") -> str:
    """Write metrics as Markdown: a row for each metric, a column for each predictor."""
    from splicedvae._core.keys import Sources

    order = (*Sources.PREDICTORS, Sources.MEASURED, Sources.SHUFFLED)
    known = {metric for metric, *_ in rows}
    here = metrics[metrics["metric"].isin(known)]
    names = [name for name in order if name in set(here["predictor"])]
    heads = [Sources.LABELS[name] for name in names] + [limit]
    lines = [f"| | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}"]
    for metric, coverage, words, digits in rows:
        part = here[(here["metric"] == metric) & (here["coverage"] == coverage)]
        if part.empty:
            continue
        cells = [written(part.loc[part["predictor"] == name, "value"], digits) for name in names]
        by_run = part.groupby([c for c in ("seed", "fold") if c in part])["ceiling"].first()
        lines.append(f"| {words} | {' | '.join([*cells, written(by_run, digits)])} |")
    return "\n".join(lines)


def tried_table(variants: pd.DataFrame, default: pd.DataFrame) -> str:
    """Write the results of each variant of the model and of the default on the same seeds."""
    metrics = (("skill", "skill", 4), ("within_gene_r", "r within genes", 3))
    seeds = set(variants["seed"])
    lines = [
        "| | " + " | ".join(words for _, words, _ in metrics) + " |",
        f"| --- |{' --- |' * len(metrics)}",
    ]
    parts = [("the default", default[default["seed"].isin(seeds)])]
    parts += [(words, variants[variants["variant"] == name]) for name, words, _ in TRIED]
    for words, part in parts:
        ours = part[(part["predictor"] == "splicedvae") & (part["coverage"] == 1)]
        cells = [written(ours.loc[ours["metric"] == m, "value"], d) for m, _, d in metrics]
        if not all(cells):
            raise SystemExit(f"There are no numbers of the variant “{words}”: run the part tried.")
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(metrics: pd.DataFrame, rows: tuple[Row, ...]) -> str:
    """Write how far SplicedVAE is better than each other predictor, run by run."""
    from splicedvae._core.keys import Sources
    from splicedvae.benchmark import compare

    found = compare(metrics)
    names = [name for name in Sources.PREDICTORS[1:] if name in set(found["predictor"])]
    lines = [
        f"| SplicedVAE better by | {' | '.join(Sources.LABELS[n] for n in names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    for metric, coverage, words, digits in rows:
        part = found[(found["metric"] == metric) & (found["coverage"] == coverage)]
        if part.empty:
            continue
        cells = []
        for name in names:
            row = part[part["predictor"] == name]
            if row.empty:
                cells.append("")
                continue
            difference, sd, clear = (row.iloc[0][key] for key in ("difference", "sd", "clear"))
            text = f"{difference:+.{digits}f} ± {sd:.{digits}f}"
            cells.append(f"**{text}**" if clear else text)
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def targets(found: dict[str, pd.DataFrame], expression: dict[str, pd.Series]) -> str:
    """Write each target and what was reached."""

    def reached(part: str, metric: str, digits: int, who: str = "splicedvae", coverage: int = 1):
        rows = found[part]
        rows = rows[(rows["metric"] == metric) & (rows["predictor"] == who)]
        return written(rows.loc[rows["coverage"] == coverage, "value"], digits)

    def at_depth(who: str, mode: str) -> str:
        rows = found["depth"]
        rows = rows[(rows["metric"] == "velocity_cosine_genes") & (rows["predictor"] == who)]
        return written(rows.loc[(rows["mode"] == mode) & (rows["depth"] == 0.86), "value"], 2)

    lines = [
        ("skill, all defaults", "0.010", reached("default", "skill", 4)),
        (
            "r within genes, pooled by cluster",
            "0.62, where the ceiling is 0.69",
            f"{reached('pooled', 'pooled_50', 3)} with 50 molecules or more, "
            f"{reached('pooled', 'pooled_75', 3)} with 75, "
            f"{reached('pooled', 'pooled_100', 3)} with 100 (ceilings above)",
        ),
        (
            "two halves: cosine in gene space",
            "0.30, the others clearly below",
            f"{reached('halves', 'velocity_cosine_genes', 2)} (ridge "
            f"{reached('halves', 'velocity_cosine_genes', 2, 'ridge')})",
        ),
        (
            "two halves: cosine in the embedding",
            "0.65, the others clearly below",
            f"{reached('halves', 'velocity_cosine_umap', 2)} (ridge "
            f"{reached('halves', 'velocity_cosine_umap', 2, 'ridge')})",
        ),
        (
            "two halves: known transitions",
            f"that of the measured, {reached('halves', 'cbdir', 2, 'measured')}",
            reached("halves", "cbdir", 2),
        ),
        (
            "simulation, cosine to the truth in gene space",
            f"that from measured S/U: {at_depth('measured', 'balanced')} balanced, "
            f"{at_depth('measured', 'stochastic')} scVelo stochastic",
            at_depth("splicedvae", "balanced"),
        ),
        ("other tissue: skill over the gene mean", "0", reached("transfer", "skill", 4)),
        ("other tissue, other direction", "0", reached("back", "skill", 4)),
        (
            "90% intervals, 5 molecules or more",
            "0.88 to 0.92",
            reached("cells", "interval_coverage", 3, coverage=5),
        ),
        (
            "expression NLL against scVI's, in percent",
            "at most 0.5",
            f"{written(expression['twin'], 2)} (same options), "
            f"{written(expression['stock'], 2)} (scVI's own)",
        ),
    ]
    body = [f"| {what} | {asked} | {got} |" for what, asked, got in lines]
    return "\n".join(["| | target | reached |", "| --- | --- | --- |", *body])


def depth_table(found: pd.DataFrame) -> str:
    """Write the cosine to the true velocity by depth."""
    rows = found[found["metric"] == "velocity_cosine_genes"]
    maps = found[found["metric"] == "velocity_cosine_umap"]
    columns = [
        ("splicedvae", "balanced", "SplicedVAE, from totals"),
        ("measured", "balanced", "measured S/U"),
        ("measured", "stochastic", "measured S/U, scVelo stochastic"),
        ("shuffled", "balanced", "permuted ratios"),
    ]
    lines = [
        "| counts per cell and gene | "
        + " | ".join(f"{words}: gene space | embedding" for *_, words in columns)
        + " |",
        f"| --- |{' --- |' * (2 * len(columns))}",
    ]
    for depth in sorted(set(rows["depth"])):
        cells = []
        for name, mode, _ in columns:
            for part in (rows, maps):
                at = part[
                    (part["depth"] == depth) & (part["predictor"] == name) & (part["mode"] == mode)
                ]
                cells.append(written(at["value"], 2))
        lines.append(f"| {depth:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def depth_figure(found: pd.DataFrame, file: Path) -> None:
    """Draw the cosine to the true velocity over depth, in gene space and in the embedding."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    from splicedvae.plotting import PREDICTOR_COLORS

    matplotlib.rcParams.update({"svg.hashsalt": "splicedvae", "font.size": 10})
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    lines = [
        ("splicedvae", "balanced", "SplicedVAE, from totals alone", "-"),
        ("measured", "balanced", "measured S/U, balanced", "-"),
        ("measured", "stochastic", "measured S/U, scVelo stochastic", "--"),
        ("shuffled", "balanced", "permuted ratios (control)", ":"),
    ]
    for axis, metric, title in (
        (axes[0], "velocity_cosine_genes", "in gene space"),
        (axes[1], "velocity_cosine_umap", "in the embedding"),
    ):
        for name, mode, label, style in lines:
            part = found[
                (found["metric"] == metric) & (found["predictor"] == name) & (found["mode"] == mode)
            ]
            values = part.groupby("depth")["value"]
            mean, sd = values.mean(), values.std()
            color = PREDICTOR_COLORS.get(name, "#444444")
            axis.errorbar(
                mean.index, mean, yerr=sd, label=label, linestyle=style, color=color, capsize=3
            )
        axis.axvline(0.86, color="#999999", linewidth=0.8)
        axis.set(xscale="log", title=title, xlabel="counts per cell and gene")
        axis.set_xticks(DEPTHS, [f"{depth:g}" for depth in DEPTHS])
        axis.minorticks_off()
        axis.axhline(0, color="#999999", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("cosine to the true velocity")
    axes[0].legend(frameon=False, fontsize=9, loc="upper left")
    figure.savefig(file, metadata={"Date": None})


def _metrics(out: Path, part: str) -> pd.DataFrame:
    files = [out / part / "metrics.csv", out / f"{part}.csv"]
    return pd.read_csv(next(file for file in files if file.is_file()))


def page(out: Path, seeds: list[int]) -> None:
    """Write docs/results.md and the figure of depth."""
    import platform

    from splicedvae import __version__

    found = {name: _metrics(out, name) for name in PARTS if name not in APART}
    depth_figure(found["depth"], REPOSITORY / "docs" / "images" / "depth.svg")
    stock_nll = found["stock"].pivot(index="seed", columns="trained_on", values="expression_nll")
    ours = found["cells"].query("metric == 'expression_nll' and predictor == 'splicedvae'")
    twin = found["cells"].query("metric == 'expression_nll' and predictor == 'scvi'")
    by_seed = ours.set_index("seed")["value"]
    ratios = {
        "stock": 100 * (by_seed / stock_nll["all"] - 1),
        "box": 100 * (by_seed / stock_nll["nine tenths"] - 1),
        "twin": 100 * (by_seed / twin.set_index("seed")["value"] - 1),
    }
    strange = {
        f"novelty_{model}_{cells}": written(part["value"], 2)
        for (model, cells), part in found["novelty"].groupby(["model", "cells"])
    }
    strange |= {
        f"{part}_{name.replace(' ', '_')}": written(rows["skill"], 4)
        for (part, name), rows in found["whole"].groupby(["model", "differences"])
    }
    strange |= {
        f"{part}_amplitude": written(rows["amplitude"], 2)
        for part, rows in found["whole"].groupby("model")
    }
    template = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    text = template.format(
        version=__version__,
        **strange,
        python=platform.python_version(),
        seeds=", ".join(map(str, seeds)),
        cells=table(found["cells"], RATIO),
        cells_better=differences(found["cells"], RATIO[:12]),
        default=table(found["default"], RATIO[:14]),
        pooled=table(
            found["pooled"],
            tuple((f"pooled_{least}", 1, f"{least} molecules or more", 3) for least in POOLS),
        ),
        targets=targets(found, ratios),
        tried=tried_table(found["tried"], found["default"]),
        halves=table(found["halves"], VELOCITY, limit="two measured halves"),
        halves_better=differences(found["halves"], (*VELOCITY[:3], VELOCITY[5])),
        halves_ratio=table(found["halves"], RATIO[:1]),
        n_halves=found["halves"].groupby(["seed", "fold"]).ngroups,
        latent=table(found["cells"], LATENT, limit="ceiling"),
        stock=written(ratios["stock"], 2),
        box=written(ratios["box"], 2),
        twin=written(ratios["twin"], 2),
        depth=depth_table(found["depth"]),
        transfer=table(found["transfer"], (RATIO[0], RATIO[1], RATIO[5], RATIO[9], RATIO[14])),
        back=table(found["back"], (RATIO[0], RATIO[1], RATIO[5], RATIO[9], RATIO[14])),
    )
    (REPOSITORY / "docs" / "results.md").write_text(text, encoding="utf-8")


PARTS: dict[str, Callable[[Path, list[int]], None]] = {
    "cells": cells,
    "halves": halves,
    "halves_3548": halves_3548,
    "default": default,
    "depth": depth,
    "sizes": sizes,
    "pooled": pooled,
    "tried": tried,
    "stock": stock,
    "transfer": transfer,
    "back": back,
    "novelty": novelty,
    "whole": whole,
    "page": page,
}
#: Parts that the page does not read.
APART = ("page", "halves_3548", "sizes")


def _same_model(out: Path) -> None:
    """Refuse a folder with numbers of another model, because existing parts are not recomputed."""
    import inspect
    import json

    from splicedvae import SplicedVAE, __version__

    usual = inspect.signature(SplicedVAE.__init__).parameters
    made_by = {"version": __version__} | {
        name: str(one.default) for name, one in usual.items() if one.default is not one.empty
    }
    file = out / "made_by.json"
    if file.is_file() and json.loads(file.read_text()) != made_by:
        raise SystemExit(
            f"{out} holds numbers of a model with other defaults, the present ones were expected; "
            "name another folder."
        )
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(made_by, indent=1))


def main() -> None:
    """Run the parts that are requested."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("accuracy"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS])
    arguments = parser.parse_args()
    _same_model(arguments.out)
    for name in arguments.parts:
        print(name, flush=True)
        PARTS[name](arguments.out, arguments.seeds)


if __name__ == "__main__":
    main()
