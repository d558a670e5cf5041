"""The velocities of a run: shared genes and graph, a velocity per source, and agreement.

Streams are drawn over all cells. The agreement with the measured velocity is computed among
held-out cells alone, with their own neighbors and moments, because a smoothed measurement
of a cell contains the measurements of its neighbors, on which the models were trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.keys import Layers, Obs, Obsm, Sources
from splicedvae.evaluation import (
    agreement_tests,
    shuffle_within_genes,
    summarise_control,
    thin_counts,
    velocity_metrics,
)
from splicedvae.reconstruction import Counts, reconstruct_counts
from splicedvae.runs.stages import MAX_COMPARED
from splicedvae.velocity import (
    VelocityAccount,
    VelocityEvidence,
    VelocitySettings,
    compare_velocities,
    prepare,
    shuffled_velocities,
    true_velocity,
    velocity_evidence,
    velocity_uncertainty,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

#: Names of the two halves of the measured molecules.
_HALVES: Final = ("half_a", "half_b")

#: The control's draws; a single one varies as much as the effect it tests.
N_CONTROLS = 5
_CONTROLS: Final = tuple(f"{Sources.SHUFFLED}_{draw}" for draw in range(N_CONTROLS))
#: Predictors that have no velocity by their nature.
_CONSTANT: Final = (Sources.GENE_MEAN,)
#: Permutations behind the evidence, and draws behind the uncertainty, of a velocity.
N_PERMUTATIONS = 49
N_DRAWS = 10
#: Permutations behind the p-value of an agreement with the measured velocity.
N_TESTS = 99
#: Cells of a group, on average, where a file names none, and fewest and most such groups.
CELLS_OF_A_GROUP: Final = 50
GROUPS: Final = (4, 12)
#: Fewest held-out cells among which neighbors mean something.
MIN_HELD_OUT = 50


@dataclass
class Velocities:
    """The velocities over all cells, and the record of how each was computed."""

    #: Prepared cells: shared genes, graph and embedding; None if preparing was refused.
    ground: AnnData | None
    results: dict[str, AnnData] = field(default_factory=dict)
    #: Per source: state, message, settings, fallbacks, notes.
    account: dict[str, dict[str, Any]] = field(default_factory=dict)


def layer_names(source: str) -> tuple[str, str]:
    """Return the layers that hold a source's spliced and unspliced counts during a run."""
    if source == Sources.MEASURED:
        return Layers.SPLICED, Layers.UNSPLICED
    return f"{source}_{Layers.SPLICED}", f"{source}_{Layers.UNSPLICED}"


def velocity_cells(
    cells: AnnData, ratios: Mapping[str, csr_matrix], *, how: Counts, measured: bool
) -> AnnData:
    """Put the measured and the reconstructed counts side by side.

    Parameters
    ----------
    cells
        Cells x model genes with totals, and the measured layers if there are any.
    ratios
        Predicted ratios at the non-zero totals, by source.
    how
        What the totals contain.
    measured
        Whether the measured layers are to be used.

    Returns
    -------
    New AnnData with a pair of layers per source (see `layer_names`) and the true velocity of a
    simulation.
    """
    layers: dict[str, Any] = {}
    if measured:
        for name in layer_names(Sources.MEASURED):
            layers[name] = cells.layers[name]
    for source, ratio in ratios.items():
        pair = reconstruct_counts(cells.X, ratio, counts=how)
        layers.update(zip(layer_names(source), pair, strict=True))
    if Layers.TRUE_VELOCITY in cells.layers:
        layers[Layers.TRUE_VELOCITY] = cells.layers[Layers.TRUE_VELOCITY]
    return AnnData(X=cells.X, obs=cells.obs.copy(), var=cells.var.copy(), layers=layers)


def _sources(cells: AnnData) -> dict[str, tuple[str, str]]:
    order = (Sources.MEASURED, *Sources.PREDICTORS, *_CONTROLS)
    pairs = {source: layer_names(source) for source in order}
    return {source: pair for source, pair in pairs.items() if pair[0] in cells.layers}


def _prepare(cells: AnnData, settings: VelocitySettings, *, keep_umap: bool = False) -> AnnData:
    """Choose genes by the measured layers, or by the first source's where there are none."""
    spliced, unspliced = next(iter(_sources(cells).values()))
    return prepare(
        cells,
        spliced_layer=spliced,
        unspliced_layer=unspliced,
        settings=settings,
        keep_umap=keep_umap,
    )


def compute(
    cells: AnnData,
    settings: VelocitySettings,
    *,
    progress: Callable[[str], None] | None = None,
) -> Velocities:
    """Compute the velocity of each source over all cells.

    Parameters
    ----------
    cells
        What `velocity_cells` gave.
    settings
        Shared by all sources.
    progress
        Called with a source's name before it is computed.

    Returns
    -------
    The velocities. A refusal is kept in the account, it does not end the run.
    """
    wanted = _sources(cells)
    try:
        ground = _prepare(cells, settings)
    except VelocityError as error:
        refused = Velocities(None)
        refused.account = {source: _refused(settings, str(error)) for source in wanted}
        return refused
    comparison = compare_velocities(ground, wanted, settings, progress=progress)
    found = Velocities(ground, dict(comparison.results), comparison.to_dict())
    if Layers.TRUE_VELOCITY in cells.layers:
        if progress is not None:
            progress(Sources.TRUE)
        try:
            true = true_velocity(ground, layer=Layers.TRUE_VELOCITY, settings=settings)
        except VelocityError as error:
            found.account[Sources.TRUE] = _refused(settings, str(error))
        else:
            found.results[Sources.TRUE] = true
            account = VelocityAccount.from_adata(true).to_dict()
            found.account[Sources.TRUE] = {"state": "ok", "message": "", **account}
    return found


def uncertainty(
    ground: AnnData,
    totals: csr_matrix,
    genes: pd.Index,
    draws: Iterable[csr_matrix],
    *,
    how: Counts,
    settings: VelocitySettings,
) -> tuple[pd.DataFrame | None, list[str]]:
    """Measure each cell's velocity uncertainty from the model's posterior.

    Parameters
    ----------
    ground
        Prepared cells.
    totals
        Total counts, cells x ``genes``.
    genes
        Names of the columns.
    draws
        Ratios at the non-zero totals, one matrix per draw from the posterior.
    how
        What the totals contain.
    settings
        Those of the velocity.

    Returns
    -------
    The table of `splicedvae.velocity.velocity_uncertainty`, None if refused; and notes.
    """
    chosen = genes.get_indexer(ground.var_names)

    def samples() -> Iterator[tuple[csr_matrix, csr_matrix, NDArray[Any], NDArray[Any]]]:
        for ratio in draws:
            pair = reconstruct_counts(totals, ratio, counts=how)
            sizes = [np.asarray(layer.sum(axis=1)).ravel() for layer in pair]
            yield pair[0][:, chosen], pair[1][:, chosen], sizes[0], sizes[1]

    # A graph for every draw takes long where there are many cells.
    bases = ("umap",) if ground.n_obs <= MAX_COMPARED else ()
    try:
        table = velocity_uncertainty(ground, samples(), settings, bases=bases)
    except VelocityError as error:
        return None, [f"The uncertainty of the velocity is unknown: {error}"]
    return table, list(table.attrs["notes"])


def evidence(
    cells: AnnData,
    ground: AnnData,
    settings: VelocitySettings,
    *,
    batches: Sequence[object] | None,
    seed: int,
) -> tuple[pd.DataFrame, list[str]]:
    """Test whether the measured counts carry a velocity at all.

    If they do, it is tested again within groups of cells: those of the file, or of k-means on
    the principal components where it has none. Cell types at rest, each with ratios of its own,
    vary between groups alone.

    Parameters
    ----------
    cells
        What `velocity_cells` gave, with measured layers.
    ground
        The same cells, prepared.
    settings
        Those of the velocity.
    batches
        A batch per cell, within which ratios are permuted, or None.
    seed
        Seed of the permutations.

    Returns
    -------
    metrics
        Rows of a run's metrics: ``velocity_evidence`` (the score), ``velocity_evidence_p`` and
        ``velocity_evidence_within_p``.
    notes
        The result in words, or why there is none.
    """
    notes = []
    if ground.n_obs > MAX_COMPARED:
        rng = np.random.default_rng(seed)
        kept = np.sort(rng.choice(ground.n_obs, MAX_COMPARED, replace=False))
        # The graph of a part of the cells has few of each cell's neighbors left.
        part = cells[kept].copy()
        # No arrow is drawn here, so no embedding has to be computed.
        part.obsm[Obsm.UMAP] = ground.obsm[Obsm.UMAP][kept]
        ground = _prepare(part, settings, keep_umap=True)
        batches = None if batches is None else [batches[cell] for cell in kept]
        notes.append(
            f"Whether the counts support a velocity was tested on {MAX_COMPARED:,} cells, "
            "drawn at random."
        )

    def tested(groups: Sequence[object] | None) -> VelocityEvidence | None:
        try:
            return velocity_evidence(
                ground, n_permutations=N_PERMUTATIONS, groups=groups, seed=seed, settings=settings
            )
        except (VelocityError, DataError) as error:
            where = "" if groups is batches else " within groups of cells"
            notes.append(f"Whether the counts support a velocity{where} is unknown: {error}")
            return None

    found = tested(batches)
    if found is None:
        return pd.DataFrame(), notes
    rows = [
        ("velocity_evidence", found.score, found.n_genes, found.sentence),
        ("velocity_evidence_p", found.p_value, found.n_genes, found.sentence),
    ]
    notes.append(found.sentence)
    if found.above_chance:
        groups, named = _state_groups(ground, seed)
        inside = tested(_crossed(groups, batches))
        if inside is not None:
            rows.append(
                ("velocity_evidence_within_p", inside.p_value, inside.n_genes, f"within {named}")
            )
    return pd.DataFrame(
        [
            {
                "predictor": Sources.MEASURED,
                "metric": metric,
                "coverage": 1,
                "value": value,
                "ceiling": np.nan,
                "n": n,
                "note": note,
            }
            for metric, value, n, note in rows
        ]
    ), notes


def _state_groups(ground: AnnData, seed: int) -> tuple[list[str], str]:
    """Return a group for each cell, and what the groups are."""
    if Obs.CLUSTERS in ground.obs and ground.obs[Obs.CLUSTERS].nunique() > 1:
        return list(ground.obs[Obs.CLUSTERS].astype(str)), "the groups of the file"
    from sklearn.cluster import KMeans

    few, many = GROUPS
    n_groups = int(np.clip(ground.n_obs // CELLS_OF_A_GROUP, few, many))
    labels = KMeans(n_groups, n_init=4, random_state=seed).fit_predict(ground.obsm[Obsm.PCA])
    return [str(label) for label in labels], f"{n_groups} groups by k-means"


def _crossed(groups: Sequence[str], batches: Sequence[object] | None) -> list[object]:
    """Part groups by batch."""
    if batches is None:
        return list(groups)
    return [f"{group} {batch}" for group, batch in zip(groups, batches, strict=True)]


def _refused(settings: VelocitySettings, message: str) -> dict[str, Any]:
    return {
        "state": "refused",
        "message": message,
        "settings": settings.to_dict(),
        "fallbacks": [],
        "notes": [],
    }


def held_out_agreement(
    cells: AnnData,
    ratios: Mapping[str, csr_matrix],
    latents: Mapping[str, NDArray[np.floating]],
    *,
    how: Counts,
    settings: VelocitySettings,
    seed: int,
    transitions: Sequence[tuple[str, str]] = (),
) -> tuple[pd.DataFrame, list[str]]:
    """Compare each predictor's velocity with the measured, and the true one, among held-out cells.

    The control, SplicedVAE's ratios permuted within genes, is among them in several draws:
    smoothing over neighbors gives orderly arrows by chance too, above all in an embedding.

    Parameters
    ----------
    cells
        Held-out cells x model genes with totals and measured layers, groups and true time in
        ``obs`` where they are known, and the true velocity of a simulation.
    ratios
        Predicted ratios at the non-zero totals, by predictor.
    latents
        Latent states of these cells by predictor, for a comparison on each model's own graph.
    how
        What the totals contain.
    settings
        Shared by all sources.
    seed
        Seed of shuffles and thinning.
    transitions
        Pairs of cell groups that are known to follow each other.

    Returns
    -------
    metrics
        Tidy rows as `splicedvae.evaluation.velocity_metrics` makes them; none if refused. The
        ceiling is the split-half reproducibility of the measurement: the agreement of two
        velocities, each from half of the measured molecules. It is not what the truth would
        reach: the halves share cells, neighbors and scVelo's bias.
        Metrics with the suffix ``_true`` are against the true velocity of a simulation, those with
        ``_own_graph`` on neighbors in the predictor's own latent space. Tests against chance are
        those of `splicedvae.evaluation.agreement_tests`.
    notes
        What was refused and why, one sentence each.
    """
    if cells.n_obs < MIN_HELD_OUT:
        return pd.DataFrame(), [
            f"Velocities were not compared among held-out cells: there are {cells.n_obs}, "
            f"at least {MIN_HELD_OUT} are needed; hold out a larger share or use more cells."
        ]
    notes: list[str] = []
    kept = np.arange(cells.n_obs)
    if cells.n_obs > MAX_COMPARED:
        kept = np.sort(np.random.default_rng(seed).choice(kept, MAX_COMPARED, replace=False))
        notes.append(
            f"Velocities were compared among {MAX_COMPARED:,} of the {cells.n_obs:,} held-out "
            "cells, drawn at random."
        )
    moving = {source: ratio[kept] for source, ratio in ratios.items() if source not in _CONSTANT}
    apart = velocity_cells(cells[kept].copy(), moving, how=how, measured=True)
    for source, latent in latents.items():
        apart.obsm[_latent_name(source)] = np.asarray(latent, dtype=np.float32)[kept]
    for name in layer_names(Sources.MEASURED):
        for half, counts in zip(_HALVES, thin_counts(apart.layers[name], seed=seed), strict=True):
            apart.layers[f"{half}_{name}"] = counts
    predicted = [apart.layers[name] for name in layer_names(Sources.SPLICEDVAE)]
    for draw, control in enumerate(_CONTROLS):
        dealt = shuffle_within_genes(*predicted, seed=seed + draw)
        apart.layers.update(zip(layer_names(control), dealt, strict=True))
    found = compute(apart, settings)
    notes += [
        f"Among held-out cells the {_label(source)} velocity was refused: {entry['message']}"
        for source, entry in found.account.items()
        if entry["state"] == "refused"
    ]
    if found.ground is None:
        return pd.DataFrame(), list(dict.fromkeys(notes))
    known = _Known(
        cluster_key=Obs.CLUSTERS if Obs.CLUSTERS in apart.obs else None,
        transitions=tuple(transitions),
        time=Obs.TRUE_TIME if Obs.TRUE_TIME in apart.obs else None,
        batches=list(apart.obs[Obs.BATCH].astype(str)) if Obs.BATCH in apart.obs else None,
        seed=seed,
    )
    measured = found.results.get(Sources.MEASURED)
    true = found.results.get(Sources.TRUE)
    tables: list[pd.DataFrame] = []
    if measured is not None:
        table = _compare(measured, found.results, known, notes)
        ceilings = _ceilings(found.ground, settings, notes)
        table["ceiling"] = table["metric"].map(ceilings)
        tables.append(table)
        tables.append(_tests(found, settings, known, notes))
        tables.append(_on_own_graphs(apart, found.ground, settings, notes))
    if true is not None:
        against = _compare(true, found.results, known, notes)
        against = against[against["metric"].str.contains("cosine")]
        against["metric"] += "_true"
        tables.append(against)
    tables = [summarise_control(table) for table in tables if len(table)]
    return (pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()), notes


@dataclass(frozen=True)
class _Known:
    """What is known of the cells besides their counts."""

    cluster_key: str | None
    transitions: tuple[tuple[str, str], ...]
    time: str | None
    batches: list[str] | None
    seed: int


def _label(source: str) -> str:
    return Sources.LABELS[Sources.SHUFFLED if source in _CONTROLS else source]


def _latent_name(source: str) -> str:
    return Obsm.LATENT if source == Sources.SPLICEDVAE else Obsm.LATENT_SCVI


def _compare(
    reference: AnnData, results: Mapping[str, AnnData], known: _Known, notes: list[str]
) -> pd.DataFrame:
    """Compare every fitted velocity with a reference; with itself it has no cosine."""
    tables: list[pd.DataFrame] = []
    for source, result in results.items():
        if source == Sources.TRUE:
            continue
        try:
            table = velocity_metrics(
                reference,
                result,
                predictor=Sources.SHUFFLED if source in _CONTROLS else source,
                cluster_key=known.cluster_key,
                transitions=known.transitions,
                time=known.time,
                seed=known.seed,
            )
        except DataError as error:
            notes.append(
                f"Among held-out cells the {_label(source)} velocity was not compared: {error}"
            )
            continue
        if result is reference:
            table = table[~table["metric"].str.contains("cosine")]
        tables.append(table)
    columns = ["predictor", "metric", "coverage", "value", "ceiling", "n", "note"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _tests(
    found: Velocities, settings: VelocitySettings, known: _Known, notes: list[str]
) -> pd.DataFrame:
    """Test whether each predictor agrees with the measurement by more than chance."""
    judged = {
        source: result for source, result in found.results.items() if source in Sources.PREDICTORS
    }
    assert found.ground is not None
    spliced, unspliced = layer_names(Sources.MEASURED)
    shuffled = shuffled_velocities(
        found.ground,
        N_TESTS,
        spliced_layer=spliced,
        unspliced_layer=unspliced,
        groups=known.batches,
        settings=settings,
        seed=known.seed,
    )
    try:
        return agreement_tests(found.results[Sources.MEASURED], judged, shuffled)
    except DataError as error:
        notes.append(f"Whether velocities agree better than chance is unknown: {error}")
        return pd.DataFrame()


def _on_own_graphs(
    apart: AnnData, ground: AnnData, settings: VelocitySettings, notes: list[str]
) -> pd.DataFrame:
    """Compare each model's velocity with the measured one on neighbors in its latent space."""
    tables = []
    for source in (Sources.SPLICEDVAE, Sources.SCVI):
        if _latent_name(source) not in apart.obsm:
            continue
        pairs = {name: layer_names(name) for name in (Sources.MEASURED, source)}
        try:
            own = prepare(
                apart,
                settings=settings,
                genes=list(ground.var_names),
                representation=_latent_name(source),
            )
            results = compare_velocities(own, pairs, settings).results
            table = velocity_metrics(results[Sources.MEASURED], results[source], predictor=source)
        except (VelocityError, DataError, KeyError) as error:
            notes.append(
                f"The {Sources.LABELS[source]} velocity was not compared on its own graph: {error}"
            )
            continue
        table = table[table["metric"].str.contains("cosine")]
        tables.append(table.assign(metric=table["metric"] + "_own_graph"))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _ceilings(ground: AnnData, settings: VelocitySettings, notes: list[str]) -> dict[str, float]:
    """Return how far two halves of the measured molecules agree, by metric."""
    pairs = {half: (f"{half}_{Layers.SPLICED}", f"{half}_{Layers.UNSPLICED}") for half in _HALVES}
    comparison = compare_velocities(ground, pairs, settings)
    try:
        first, second = (comparison.results[half] for half in _HALVES)
        table = velocity_metrics(first, second, predictor=Sources.MEASURED)
    except (KeyError, DataError):
        reason = next(iter(comparison.refusals.values()), "the halves share no velocity gene")
        notes.append(
            "The velocities among held-out cells have no noise ceiling, because half of "
            f"the measured counts gives none: {reason}"
        )
        return {}
    values = table.set_index("metric")["value"]
    return {str(name): float(value) for name, value in values.items() if "cosine" in str(name)}
