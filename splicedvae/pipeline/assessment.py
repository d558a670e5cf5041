"""The table of a run: every predictor on the same held-out cells, with baselines and ceilings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scvi
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae._core.errors import DataError, RunError
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.gene_match import match_genes
from splicedvae._core.keys import Layers, Obs, Sources, Split
from splicedvae._core.labels import batch_labels
from splicedvae.evaluation import (
    BASELINES,
    GeneMean,
    GroupMean,
    gene_metrics,
    latent_metrics,
    predictive_coverage,
    ratio_metrics,
)
from splicedvae.io import ReadResult
from splicedvae.model import Adaptation, SplicedVAE
from splicedvae.pipeline._prediction import (
    adaptations_for,
    categories,
    counts,
    ratio_of,
    totals_only,
)
from splicedvae.pipeline._truth import true_time
from splicedvae.runs.run import Run

#: Order of the table's columns.
COLUMNS = ("predictor", "metric", "coverage", "value", "ceiling", "n", "note")
#: Draws of the latent states behind the likelihood of expression.
_N_DRAWS = 5


def training_cells(run: Run) -> AnnData:
    """Return the training cells of a run, cells x model genes with totals and measured layers.

    Raises
    ------
    RunError
        If the run keeps no training cells, as one of kind ``"predict"``.
    """
    cells = run.predictions
    if Obs.SPLIT not in cells.obs or Layers.SPLICED not in cells.layers:
        raise RunError(
            f"The run {run.name!r} has no training cells, so there are no baselines to "
            "compare with: name a run that was trained."
        )
    return cells[(cells.obs[Obs.SPLIT] == Split.TRAIN).to_numpy()].copy()


def trained_on(run: Run, cells: AnnData) -> NDArray[np.bool_]:
    """Find the cells that a run's models were trained on, whatever file they come in.

    Parameters
    ----------
    run
        A trained run.
    cells
        Cells x genes with totals in ``X``.

    Returns
    -------
    Which cells have the name and, in the shared genes, the very counts of a training cell,
    shape (n_cells,).
    """
    train = training_cells(run)
    match = match_genes(GeneIdentity.of(train.var), cells.var)
    ours_at, theirs_at = np.flatnonzero(match.position >= 0), match.position[match.position >= 0]
    position = train.obs_names.get_indexer(cells.obs_names)
    seen = np.zeros(cells.n_obs, dtype=bool)
    named = np.flatnonzero(position >= 0)
    if not len(named) or not match.n_found:
        return seen
    theirs = counts(train.X[position[named]][:, ours_at])
    ours = counts(cells.X[named][:, theirs_at])
    differing = np.asarray((theirs != ours).sum(axis=1)).ravel()
    seen[named] = differing == 0
    return seen


def gene_means(train: AnnData) -> NDArray[np.float64]:
    """Return each gene's spliced fraction over the training cells, shape (n_genes,)."""
    return np.asarray(GeneMean().fit(train).predict(train[:1])[0], dtype=np.float64)


def shared_groups(train: AnnData, test: AnnData) -> list[str]:
    """List the cell groups that training cells and other cells have in common.

    Without one, a mean over groups is the gene mean, and is not made.
    """
    if Obs.CLUSTERS not in train.obs or Obs.CLUSTERS not in test.obs:
        return []
    ours, theirs = (set(cells.obs[Obs.CLUSTERS].dropna().astype(str)) for cells in (train, test))
    return sorted(ours & theirs)


def groups_note(train: AnnData, test: AnnData) -> str | None:
    """Note groups of the test cells that the group mean was not fitted on, if any.

    Parameters
    ----------
    train, test
        As for `assess`.

    Returns
    -------
    A sentence, or None.
    """
    if Obs.CLUSTERS not in train.obs or Obs.CLUSTERS not in test.obs:
        return None
    groups = test.obs[Obs.CLUSTERS].dropna().astype(str).nunique()
    known = len(shared_groups(train, test))
    if known == groups:
        return None
    if not known:
        return (
            "No cell group of this file has the name of one in training, so the "
            f"{Sources.LABELS[Sources.GROUP_MEAN]} is left out."
        )
    return (
        f"{groups - known} of {groups} cell groups were not in training: the "
        f"{Sources.LABELS[Sources.GROUP_MEAN]} uses the gene mean for them."
    )


@dataclass(frozen=True)
class Assessment:
    """How well everything that predicts did on the same cells.

    Attributes
    ----------
    metrics
        Tidy, with the columns `COLUMNS`.
    genes
        One row per gene, its name as index.
    predictions
        Ratios of every predictor, in the order of tables, each of shape (n_test, n_genes).
    """

    metrics: pd.DataFrame
    genes: pd.DataFrame
    predictions: dict[str, NDArray[np.floating]]


def assess(
    train: AnnData,
    test: AnnData,
    ratios: Mapping[str, NDArray[np.float32]],
    *,
    concentrations: Mapping[str, NDArray[np.floating]] | None = None,
    seed: int,
) -> Assessment:
    """Evaluate the models' ratios and the baselines fitted on the training cells.

    Parameters
    ----------
    train
        Training cells x genes with totals and measured layers: all that the baselines see.
        Where both these and the test cells have groups, some in common, the mean over groups is
        a baseline as well.
    test
        Other cells x the same genes, with the measured layers to be predicted.
    ratios
        The models' ratios for the test cells by source, each of shape (n_test, n_genes).
    concentrations
        Of the models' beta-binomial predictions by source, each of shape (n_genes,), for the share
        of counts inside predicted intervals; None leaves it out.
    seed
        Seed of the baselines and the ceilings.
    """
    train = train.copy()
    totals = totals_only(test)
    mean = gene_means(train)
    found: dict[str, NDArray[np.floating]] = {
        **ratios,
        **{source: make(seed).fit(train).predict(totals) for source, make in BASELINES.items()},
    }
    if shared_groups(train, test):
        found[Sources.GROUP_MEAN] = (
            GroupMean()
            .fit(train, groups=list(train.obs[Obs.CLUSTERS]))
            .predict(totals, groups=list(test.obs[Obs.CLUSTERS]))
        )
    predictions: dict[str, NDArray[np.floating]] = {
        source: found[source] for source in Sources.PREDICTORS if source in found
    }
    clusters = test.obs[Obs.CLUSTERS].astype(str).to_numpy() if Obs.CLUSTERS in test.obs else None
    spliced, unspliced = test.layers[Layers.SPLICED], test.layers[Layers.UNSPLICED]
    tables = [
        ratio_metrics(spliced, unspliced, predictions, gene_mean=mean, clusters=clusters, seed=seed)
    ]
    for source, concentration in (concentrations or {}).items():
        covered = predictive_coverage(spliced, unspliced, predictions[source], concentration)
        tables.append(covered.assign(predictor=source))
    genes = gene_metrics(
        spliced, unspliced, predictions, genes=list(test.var_names), gene_mean=mean
    )
    return Assessment(
        pd.concat(tables, ignore_index=True)[list(COLUMNS)],
        genes.set_index(genes.columns[0]),
        predictions,
    )


def expression_and_latent(
    models: Mapping[str, SplicedVAE], totals: AnnData, obs: pd.DataFrame, *, seed: int
) -> pd.DataFrame:
    """Evaluate expression and the latent space of the models on held-out cells.

    Parameters
    ----------
    models
        Trained models by source.
    totals
        Held-out cells x model genes, totals alone.
    obs
        Groups, batches and true time of the same cells, where they are known.
    seed
        Seed of the latent draws and of the clustering.

    Returns
    -------
    Tidy rows with the columns `COLUMNS`: ``expression_nll`` (mean over cells of the negative
    log-likelihood of all counts of a cell at draws of its latent state, in nats) and
    ``expression_elbo`` (the same plus the latent state's divergence from its prior: the negative
    evidence lower bound), lower is better; and the rows of `splicedvae.evaluation.latent_metrics`.
    """
    tables = []
    for source, model in models.items():
        scvi.settings.seed = seed
        draws = [_expression(model, totals) for _ in range(_N_DRAWS)]
        rows = [
            {"metric": metric, "value": float(np.mean(values)), "n": totals.n_obs, "note": note}
            for metric, values, note in (
                ("expression_nll", [nll for nll, _ in draws], "per cell, lower is better"),
                ("expression_elbo", [elbo for _, elbo in draws], "per cell, lower is better"),
            )
        ]
        latent = latent_metrics(
            np.asarray(model.get_latent_representation(totals)),
            clusters=_labels(obs, Obs.CLUSTERS),
            batches=_labels(obs, Obs.BATCH),
            time=obs[Obs.TRUE_TIME].to_numpy(dtype=float) if Obs.TRUE_TIME in obs else None,
            seed=seed,
        )
        parts = [part for part in (pd.DataFrame(rows), latent) if len(part)]
        table = pd.concat(parts, ignore_index=True)
        tables.append(table.assign(predictor=source, coverage=1, ceiling=np.nan))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _expression(model: SplicedVAE, totals: AnnData) -> tuple[float, float]:
    nll = model.get_reconstruction_error(totals)["reconstruction_loss"]
    # scvi-tools gives the bound itself, which is better when higher.
    return float(nll), -float(model.get_elbo(totals))


def _labels(obs: pd.DataFrame, column: str) -> list[str] | None:
    return obs[column].astype(str).tolist() if column in obs else None


def with_batch(model: SplicedVAE, cells: AnnData, batch_key: str | None) -> AnnData:
    """Copy the batches of some data to the column that a model needs, as text.

    Parameters
    ----------
    model
        A trained model.
    cells
        The data; changed in place.
    batch_key
        Column of ``obs`` with the batches in this data; None where it has the model's name.

    Returns
    -------
    The data.

    Raises
    ------
    DataError
        If the column named is not there, or some cells have no batch.
    """
    wanted = model.registry_["setup_args"]["batch_key"]
    if wanted is None or (batch_key is None and wanted not in cells.obs):
        return cells
    batch_key = wanted if batch_key is None else batch_key
    if batch_key not in cells.obs:
        raise DataError(
            f"The file has no column {batch_key[:40]!r} in obs for the batches: name one of "
            "its columns."
        )
    cells.obs[wanted] = batch_labels(cells.obs[batch_key])
    return cells


def assess_on(
    run: Run, result: ReadResult, *, batch_key: str | None = None, cluster_key: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Do the work of `splicedvae.pipeline.evaluate_on`, which says what is given and returned."""
    if not result.has_measured_layers:
        raise DataError(
            "The file has no spliced and unspliced counts to evaluate against: name the layers "
            "that hold them, or use a file that has them."
        )
    train = training_cells(run)
    notes: list[str] = []
    cells = result.adata
    seen = trained_on(run, cells)
    if seen.any():
        cells = cells[~seen].copy()
        notes.append(
            f"{int(seen.sum()):,} cells of this file were used to train the models, so only "
            f"its other {cells.n_obs:,} cells are used."
        )
    if result.sha256 == run.config.data_sha256:
        batch_key = batch_key or run.config.batch_key
        cluster_key = cluster_key or run.config.cluster_key
    cells = cells[np.asarray(cells.X.sum(axis=1)).ravel() > 0].copy()
    if cells.n_obs == 0:
        raise DataError("The file has no cell with counts to evaluate: use another file.")
    concentrations: dict[str, NDArray[np.floating]] = {}
    models: dict[str, SplicedVAE] = {}
    for source in (Sources.SPLICEDVAE, Sources.SCVI):
        model = run.model(source)
        aligned, alignment = model.align(with_batch(model, cells, batch_key))
        found = alignment.found
        if source == Sources.SPLICEDVAE:
            notes.append(str(alignment))
        totals = totals_only(aligned, model.registry_["setup_args"]["batch_key"])
        concentrations[source] = model.get_ratio_concentration().to_numpy()[found]
        models[source] = model
    adaptations: dict[str, Adaptation | None] = dict.fromkeys(models)
    if result.sha256 != run.config.data_sha256:
        adaptations, told = adaptations_for(models, totals)
        notes += [told] if told else []
    ratios = {
        source: ratio_of(model, totals, adaptations[source])[:, found]
        for source, model in models.items()
    }
    test = AnnData(
        X=totals.X[:, found],
        obs=pd.DataFrame(index=aligned.obs_names),
        var=pd.DataFrame(index=aligned.var_names[found]),
        layers={
            name: counts(aligned.layers[name])[:, found]
            for name in (Layers.SPLICED, Layers.UNSPLICED)
        },
    )
    if cluster_key is not None:
        if cluster_key not in cells.obs:
            raise DataError(
                f"The file has no column {cluster_key[:40]!r} in obs: name one of its columns."
            )
        test.obs[Obs.CLUSTERS] = categories(cells.obs[cluster_key])
    time = true_time(cells, notes.append)
    if time is not None:
        test.obs[Obs.TRUE_TIME] = time
    note = groups_note(train, test)
    if note is not None:
        notes.append(note)
    seed = run.config.seed
    assessment = assess(
        train[:, test.var_names], test, ratios, concentrations=concentrations, seed=seed
    )
    latent = expression_and_latent(models, totals, test.obs, seed=seed)
    return pd.concat([assessment.metrics, latent], ignore_index=True), notes
