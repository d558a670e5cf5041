"""One gene of a run: its numbers, phase portraits, ratio over time and ratio in each cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from splicedvae import plotting
from splicedvae._core.errors import DataError, RunError, StoreError
from splicedvae._core.keys import Layers, Obs, Sources, Var
from splicedvae.evaluation import (
    gene_ceilings,
    pooled_by_bin,
    predictive_coverage,
    predictive_interval,
    skill_with_error,
)
from splicedvae.pipeline import gene_moments
from splicedvae.runs import open_models
from splicedvae.views._colors import cell_colors, default_color
from splicedvae.views._parts import (
    categories,
    cluster_key,
    column_of,
    held_out_cells,
    is_number,
    judged_cells,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from anndata import AnnData

    from splicedvae.pipeline import RatioIntervals
    from splicedvae.runs import Run

#: Which cells a gene is looked at in.
Cells = Literal["held-out", "all"]

#: What a velocity makes of a gene.
Use = Literal["used", "left-out", "absent", "refused"]
#: Its words.
_USES: Final[dict[Use, str]] = {
    "used": "used by this velocity",
    "left-out": "left out of this velocity: too little signal",
    "absent": "not among the genes of this velocity",
    "refused": "this velocity was refused",
}

#: Cells drawn one by one; more are drawn at random among them.
MAX_CELLS_DRAWN: Final = 500
#: Molecules below which a single entry is left out of the figure over time.
MIN_DRAWN: Final = 3
#: Molecules and cells below which a gene is not judged.
FEW_MOLECULES: Final = 100
FEW_CELLS: Final = 20
_N_BINS: Final = 10
#: Velocities that have a phase portrait, in the order of the panels.
_PORTRAITS: Final = (Sources.MEASURED, Sources.SPLICEDVAE, Sources.SCVI)
#: How columns of pseudotime are called, by scVelo and by others.
_TIMES: Final = ("pseudotime", "latent_time")
_SKILL: Final = "skill_"
_WITHIN: Final = "within_gene_r_"
#: Column of `gene_table` with the within-gene correlation that noise allows.
CEILING_COLUMN: Final = "within_gene_r_ceiling"
#: Followed by a source: whether its velocity uses the gene.
USED_COLUMN: Final = "velocity_gene_"


@dataclass(frozen=True)
class GeneFacts:
    """What is known of one gene.

    Attributes
    ----------
    gene
        Its name.
    spliced, unspliced
        Measured molecules in the cells it is judged by; None where none were measured.
    counts
        Total counts over all cells of the run.
    cells
        Cells it is judged by that have a molecule of it, or cells with a count where none were
        measured.
    mean
        Its spliced fraction over the training cells; NaN if not known.
    numbers
        ``skill`` and ``within_gene_r`` by predictor; no rows where nothing was measured.
    ceiling
        Within-gene correlation that the truth itself would have; NaN if not known.
    skill_error
        Standard error of SplicedVAE's skill; NaN if not known.
    velocities
        By source of a velocity: what it makes of the gene.
    sentences
        How far the gene can be trusted, reasons against it first.
    """

    gene: str
    spliced: int | None
    unspliced: int | None
    counts: int
    cells: int
    mean: float
    numbers: pd.DataFrame
    ceiling: float
    skill_error: float
    velocities: dict[str, Use]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class CellTime:
    """An order of a run's cells in time.

    Attributes
    ----------
    title
        What it is.
    values
        For each cell of the run's predictions; NaN where it has none.
    """

    title: str
    values: NDArray[np.float64]


def gene_table(run: Run) -> pd.DataFrame:
    """List the genes of a run with what is known of each.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    A row per gene, its name as index, sorted by SplicedVAE's skill times the gene's molecules
    where it is known, else by counts. The columns of `Run.genes`, SplicedVAE's before the
    baselines', `CEILING_COLUMN`, and one that begins with `USED_COLUMN` for each velocity; without
    measured counts ``counts``, ``predicted`` (mean ratio), ``gene_mean`` (in training) and
    ``cells`` instead.
    """
    cells = run.predictions
    try:
        known = run.genes
    except RunError:
        table = _unmeasured_table(cells)
        by = "counts"
    else:
        table = known.copy()
        if _is_measured(cells):
            judged = judged_cells(run)
            ceilings = gene_ceilings(
                *(
                    sparse.csr_matrix(cells.layers[name][judged])
                    for name in (Layers.SPLICED, Layers.UNSPLICED)
                )
            )
            found = pd.Series(ceilings, index=cells.var_names)
            table[CEILING_COLUMN] = found.reindex(table.index)
        by = f"{_SKILL}{Sources.SPLICEDVAE}"
    for source in run.velocity_sources:
        var = run.velocity(source).var
        if source != Sources.TRUE and Var.VELOCITY_GENES in var:
            used = var[Var.VELOCITY_GENES].astype(bool).reindex(table.index)
            table[f"{USED_COLUMN}{source}"] = used.eq(True)
    first = [
        *(f"{part}{Sources.SPLICEDVAE}" for part in (_SKILL, _WITHIN)),
        *(CEILING_COLUMN, "counts", "predicted", "gene_mean", "spliced", "unspliced", "cells"),
        *(f"{USED_COLUMN}{source}" for source in _PORTRAITS),
    ]
    baselines = [f"{part}{name}" for name in Sources.PREDICTORS[1:] for part in (_SKILL, _WITHIN)]
    table = table[[name for name in (*first, *baselines) if name in table]]
    table.index.name = "gene"
    if by not in table:
        return table
    worth = table[by]
    if by != "counts":
        # Skill alone puts genes of a few lucky molecules first.
        worth = worth * (table["spliced"] + table["unspliced"])
    order = worth.sort_values(ascending=False, na_position="last", kind="stable").index
    return table.loc[order]


def drawn_cells(run: Run, which: Cells = "held-out", *, seed: int = 0) -> NDArray[np.intp]:
    """Choose the cells that figures of a gene draw one by one.

    Parameters
    ----------
    run
        A finished run.
    which
        Held-out cells, where there are any, or all.
    seed
        Seed of the choice among too many.

    Returns
    -------
    Rows of the run's predictions, ascending, at most `MAX_CELLS_DRAWN`.
    """
    rows = judged_cells(run) if which == "held-out" else np.arange(run.predictions.n_obs)
    if rows.size <= MAX_CELLS_DRAWN:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, MAX_CELLS_DRAWN, replace=False))


def cell_time(run: Run) -> CellTime | None:
    """Find an order of the cells in time: the true one, else one that a velocity was given.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    The true time of a simulation; else a column of ``obs`` whose name indicates pseudotime or
    latent time, of the predictions or of a velocity, the measured one first. None if there is none.
    """
    cells = run.predictions
    if Obs.TRUE_TIME in cells.obs:
        values = cells.obs[Obs.TRUE_TIME].to_numpy(dtype=float)
        return CellTime("true time of the simulation", values)
    found = _time_column(cells.obs)
    if found is not None:
        return CellTime(found.replace("_", " "), cells.obs[found].to_numpy(dtype=float))
    for source in run.velocity_sources:
        obs = run.velocity(source).obs
        found = _time_column(obs)
        if found is not None:
            values = obs[found].reindex(cells.obs_names).to_numpy(dtype=float)
            label = Sources.LABELS.get(source, source)
            return CellTime(f"{found.replace('_', ' ')} ({label})", values)
    return None


def gene_facts(run: Run, gene: str, table: pd.DataFrame | None = None) -> GeneFacts:
    """Collect the facts of a gene: its counts, how well it is predicted, and whether to trust it.

    Parameters
    ----------
    run
        A finished run.
    gene
        A gene of the run's predictions.
    table
        Result of `gene_table` that is already there.

    Returns
    -------
    Its numbers and sentences.

    Raises
    ------
    DataError
        If the run has no such gene.
    """
    cells = run.predictions
    place = _place(cells, gene)
    totals = column_of(cells.X, place)
    mean = float(cells.var[Var.GENE_MEAN].iloc[place]) if Var.GENE_MEAN in cells.var else np.nan
    velocities = _velocity_uses(run, gene)
    numbers, ceiling, error = pd.DataFrame(columns=["skill", "within_gene_r"]), np.nan, np.nan
    spliced = unspliced = None
    n_cells = int((totals > 0).sum())
    if _is_measured(cells):
        rows = judged_cells(run)
        s, u = (
            column_of(cells.layers[name], place)[rows]
            for name in (Layers.SPLICED, Layers.UNSPLICED)
        )
        spliced, unspliced, n_cells = int(s.sum()), int(u.sum()), int((s + u > 0).sum())
        numbers = _numbers_of(run, gene)
        if s.sum() + u.sum() > 0:
            known = gene_table(run) if table is None else table
            if CEILING_COLUMN in known:
                ceiling = float(known[CEILING_COLUMN].to_numpy()[known.index.get_loc(gene)])
            if Layers.RATIO in cells.layers and np.isfinite(mean):
                ratio = column_of(cells.layers[Layers.RATIO], place)[rows]
                counted = ratio > 0
                error = skill_with_error(s[counted], u[counted], ratio[counted], mean)[1]
    facts = GeneFacts(
        gene=gene,
        spliced=spliced,
        unspliced=unspliced,
        counts=int(totals.sum()),
        cells=n_cells,
        mean=mean,
        numbers=numbers,
        ceiling=ceiling,
        skill_error=error,
        velocities=velocities,
        sentences=(),
    )
    said = _trust(run, facts)
    return GeneFacts(**{**vars(facts), "sentences": tuple(said)})


def phase_figure(run: Run, gene: str, *, dark: bool = False) -> go.Figure:
    """Draw the phase portraits of a gene: measured, SplicedVAE and scVI on the same axes.

    Parameters
    ----------
    run
        A finished run.
    gene
        A gene of the run's predictions.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure, a panel for each source that was tried; one that is missing says why.

    Raises
    ------
    DataError
        If the run has no such gene, or no source has moments of it.
    """
    cells = run.predictions
    _place(cells, gene)
    panels = []
    for source in _PORTRAITS:
        if source not in run.velocity_account:
            continue
        title = Sources.LABELS[source]
        try:
            moments = gene_moments(run, source, gene).reindex(cells.obs_names)
        except RunError as reason:
            panels.append(plotting.PhasePanel(title, None, None, message=str(reason)))
            continue
        use = _velocity_uses(run, gene).get(source)
        var = run.velocity(source).var
        slope = float(var[Var.VELOCITY_GAMMA].get(gene, np.nan)) if Var.VELOCITY_GAMMA in var else 0
        panels.append(
            plotting.PhasePanel(
                title,
                moments[Layers.MS].to_numpy(dtype=np.float32),
                moments[Layers.MU].to_numpy(dtype=np.float32),
                slope=slope if np.isfinite(slope) and slope > 0 else None,
                caption=None if use is None else _USES[use],
            )
        )
    return plotting.phase_portraits(
        gene, panels, colors=cell_colors(run, default_color(run)), dark=dark
    )


def gene_time_figure(
    run: Run,
    gene: str,
    intervals: RatioIntervals | None = None,
    *,
    which: Cells = "held-out",
    dark: bool = False,
) -> go.Figure:
    """Draw a gene's ratio over time: predicted with the model's intervals, and measured.

    Parameters
    ----------
    run
        A finished run.
    gene
        A gene of the run's predictions.
    intervals
        What `splicedvae.pipeline.ratio_intervals` gave for `drawn_cells`; None draws none.
    which
        Cells to draw.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure. Ratios are known where a cell has counts of the gene. Pooled ratios are over all
    cells requested, single ones over those of `drawn_cells`.

    Raises
    ------
    DataError
        If the run has no such gene, no time, or no counts of the gene in these cells.
    """
    cells = run.predictions
    place = _place(cells, gene)
    time = cell_time(run)
    if time is None:
        raise DataError(
            "This run has no pseudotime, so the ratio is shown by cluster: compute one "
            "with the velocity, or use simulated cells, whose time is known."
        )
    everywhere = judged_cells(run) if which == "held-out" else np.arange(cells.n_obs)
    totals = column_of(cells.X, place)
    everywhere = everywhere[(totals[everywhere] > 0) & np.isfinite(time.values[everywhere])]
    rows = np.intersect1d(drawn_cells(run, which), everywhere)
    if not rows.size:
        raise DataError(
            f"None of these cells has both counts of {gene[:60]!r} and a time: choose "
            "another gene, or all cells."
        )
    predicted = column_of(cells.layers[Layers.RATIO], place)
    s, _, n = _measured_of(cells, place)
    ends = [None, None] if intervals is None else [intervals.lower, intervals.upper]
    names = cells.obs_names[rows]
    lower, upper = (
        None if end is None else end[gene].reindex(names).to_numpy(dtype=np.float32) for end in ends
    )
    drawn = n[rows] >= MIN_DRAWN
    if not drawn.any():
        drawn = n[rows] > 0
    measured = np.full(rows.size, np.nan)
    np.divide(s[rows], n[rows], out=measured, where=drawn)
    edges = np.unique(np.quantile(time.values[everywhere], np.linspace(0, 1, _N_BINS + 1)))
    bins = np.full(cells.n_obs, -1)
    bins[everywhere] = np.searchsorted(edges[1:-1], time.values[everywhere], side="right")
    times = _mean_by_bin(time.values, np.ones(cells.n_obs), bins)
    table = _pooled(run, place, bins)
    table["time"] = times[table["bin"].to_numpy(dtype=int)]
    band, title = None, ""
    if intervals is not None and drawn.any():
        typical = max(round(float(np.median(n[rows][drawn]))), 1)
        ours = table[table["source"] == Sources.SPLICEDVAE].dropna(subset=["ratio"])
        low, high = predictive_interval(
            ours["ratio"].to_numpy(dtype=float),
            float(intervals.concentration[gene]),
            typical,
            level=intervals.level,
        )
        band = pd.DataFrame({"time": ours["time"].to_numpy(), "lower": low, "upper": high})
        title = f"{intervals.level:.0%} interval for entries with {typical} counts"
    return plotting.ratio_over_time(
        gene,
        plotting.TimedRatios(
            time_title=time.title,
            time=time.values[rows],
            predicted=predicted[rows],
            lower=lower,
            upper=upper,
            measured=measured,
            molecules=n[rows],
            bins=table,
            band=band,
            band_title=title,
        ),
        colors=_some(cell_colors(run, default_color(run)), rows),
        dark=dark,
    )


def share_inside(
    run: Run, gene: str, intervals: RatioIntervals, *, which: Cells = "held-out"
) -> tuple[float, int]:
    """Count how many measured entries of a gene lie where the model expects them.

    Parameters
    ----------
    run
        A finished run.
    gene
        A gene of the run's predictions.
    intervals
        What `splicedvae.pipeline.ratio_intervals` gave.
    which
        Cells whose entries are counted.

    Returns
    -------
    share
        Of the entries with at least `MIN_DRAWN` counts, the share inside the interval that is
        predicted for their own number of counts, as `splicedvae.evaluation.predictive_coverage`
        has it; NaN without such entries.
    entries
        How many there are.

    Raises
    ------
    DataError
        If the run has no such gene.
    """
    cells = run.predictions
    place = _place(cells, gene)
    rows = judged_cells(run) if which == "held-out" else np.arange(cells.n_obs)
    s, u, n = (part[rows] for part in _measured_of(cells, place))
    ratio = column_of(cells.layers[Layers.RATIO], place)[rows]
    kept = (n >= MIN_DRAWN) & (ratio > 0) & (s == np.round(s)) & (u == np.round(u))
    if not kept.any():
        return float("nan"), 0
    table = predictive_coverage(
        sparse.csr_matrix(s[kept][:, None]),
        sparse.csr_matrix(u[kept][:, None]),
        ratio[kept][:, None],
        [float(intervals.concentration[gene])],
        level=intervals.level,
        coverages=(MIN_DRAWN,),
    ).set_index("metric")
    return float(table["value"].to_numpy(dtype=float)[0]), int(kept.sum())


def gene_cluster_figure(
    run: Run, gene: str, *, which: Cells = "held-out", dark: bool = False
) -> go.Figure:
    """Draw a gene's pooled ratio in each cluster: measured, both models, and the gene mean.

    Parameters
    ----------
    run
        A finished run.
    gene
        A gene of the run's predictions.
    which
        Cells to pool.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure; without clusters, all cells are one group.

    Raises
    ------
    DataError
        If the run has no such gene, or these cells have no counts of it.
    """
    cells = run.predictions
    place = _place(cells, gene)
    rows = judged_cells(run) if which == "held-out" else np.arange(cells.n_obs)
    key = cluster_key(run)
    names: Sequence[str] = ("all cells",)
    codes = np.zeros(cells.n_obs, dtype=int)
    if key is not None:
        groups = categories(cells, key)
        names, codes = groups.names, groups.codes.astype(int)
    bins = np.full(cells.n_obs, -1)
    bins[rows] = codes[rows]
    table = _pooled(run, place, bins)
    table["group"] = [names[int(code)] for code in table["bin"]]
    return plotting.ratio_by_group(gene, table, key or "cells", dark=dark)


def _is_measured(cells: AnnData) -> bool:
    return Layers.SPLICED in cells.layers and Layers.UNSPLICED in cells.layers


def _place(cells: AnnData, gene: str) -> int:
    if gene not in cells.var_names:
        raise DataError(
            f"The run has no gene {gene[:60]!r}: choose one of its {cells.n_vars:,} genes."
        )
    return int(cells.var_names.get_loc(gene))


def _unmeasured_table(cells: AnnData) -> pd.DataFrame:
    counts = np.asarray(cells.X.sum(axis=0), dtype=float).ravel()
    counted = np.asarray((cells.X > 0).sum(axis=0), dtype=float).ravel()
    table = pd.DataFrame(
        {"counts": counts.astype(np.int64), "cells": counted.astype(np.int64)},
        index=cells.var_names,
    )
    if Var.GENE_MEAN in cells.var:
        table["gene_mean"] = cells.var[Var.GENE_MEAN].to_numpy(dtype=float)
    if Layers.RATIO in cells.layers:
        ratio = sparse.csr_matrix(cells.layers[Layers.RATIO])
        spliced = np.asarray(ratio.multiply(cells.X).sum(axis=0), dtype=float).ravel()
        table["predicted"] = np.where(counts > 0, spliced / np.maximum(counts, 1), np.nan)
    return table


def _time_column(obs: pd.DataFrame) -> str | None:
    for part in _TIMES:
        for name in map(str, obs.columns):
            if part in name.lower() and is_number(obs[name]) and obs[name].notna().any():
                return name
    return None


def _measured_of(
    cells: AnnData, place: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return spliced, unspliced and all molecules of a gene; zeros where none were measured."""
    if not _is_measured(cells):
        nothing = np.zeros(cells.n_obs)
        return nothing, nothing, nothing
    s, u = (column_of(cells.layers[name], place) for name in (Layers.SPLICED, Layers.UNSPLICED))
    return s, u, s + u


def _mean_by_bin(
    values: NDArray[np.float64], weights: NDArray[np.float64], bins: NDArray[np.intp]
) -> NDArray[np.float64]:
    inside = (bins >= 0) & np.isfinite(values)
    length = int(bins.max(initial=-1)) + 1
    total = np.bincount(bins[inside], weights=weights[inside], minlength=length)
    summed = np.bincount(bins[inside], weights=(weights * values)[inside], minlength=length)
    return np.where(total > 0, summed / np.where(total > 0, total, 1), np.nan)


def _pooled(run: Run, place: int, bins: NDArray[np.intp]) -> pd.DataFrame:
    """Pool a gene's ratios by bin: the measured one with its interval, and each prediction.

    Predictions are weighted by the molecules that the measured ratio comes from, or by total counts
    where none were measured, so that they answer the same question.
    """
    cells = run.predictions
    s, u, n = _measured_of(cells, place)
    weights = n if n.any() else column_of(cells.X, place)
    tables = []
    if n.any():
        measured = pooled_by_bin(s, u, bins)
        tables.append(measured.assign(source=Sources.MEASURED, bin=np.arange(len(measured))))
    length = int(bins.max(initial=-1)) + 1
    inside = bins >= 0
    molecules = np.bincount(bins[inside], weights=weights[inside], minlength=length).astype(float)
    for source, layer in Sources.RATIO_LAYERS.items():
        if layer in cells.layers:
            predicted = column_of(cells.layers[layer], place)
            # Nothing is predicted where the total is 0, though exonic totals may miss molecules.
            ratio = _mean_by_bin(predicted, weights * (predicted > 0), bins)
            tables.append(_prediction_rows(source, ratio, molecules))
    if Var.GENE_MEAN in cells.var:
        constant = float(cells.var[Var.GENE_MEAN].iloc[place])
        ratio = np.where(molecules > 0, constant, np.nan)
        tables.append(_prediction_rows(Sources.GENE_MEAN, ratio, molecules))
    return pd.concat(tables, ignore_index=True)


def _prediction_rows(
    source: str, ratio: NDArray[np.float64], molecules: NDArray[np.float64]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ratio": ratio,
            "lower": np.nan,
            "upper": np.nan,
            "molecules": molecules,
            "source": source,
            "bin": np.arange(len(ratio)),
        }
    )


def _some(colors: plotting.CellColors, rows: NDArray[np.intp]) -> plotting.CellColors:
    if isinstance(colors, plotting.Categories):
        return plotting.Categories(colors.title, colors.codes[rows], colors.names, colors.colors)
    return plotting.Values(colors.title, colors.values[rows], colors.scale, colors.limits)


def _numbers_of(run: Run, gene: str) -> pd.DataFrame:
    try:
        table = run.genes
    except RunError:
        return pd.DataFrame(columns=["skill", "within_gene_r"])
    if gene not in table.index:
        return pd.DataFrame(columns=["skill", "within_gene_r"])
    rows = {
        name: {
            column: table[f"{column}_{name}"].to_numpy(dtype=float)[table.index.get_loc(gene)]
            for column in ("skill", "within_gene_r")
        }
        for name in Sources.PREDICTORS
        if {f"{_SKILL}{name}", f"{_WITHIN}{name}"} <= set(table.columns)
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["skill", "within_gene_r"])


def _velocity_uses(run: Run, gene: str) -> dict[str, Use]:
    found: dict[str, Use] = {}
    for source in _PORTRAITS:
        account = run.velocity_account.get(source)
        if account is None:
            continue
        if source not in run.velocity_sources:
            found[source] = "refused"
            continue
        var = run.velocity(source).var
        if gene not in var.index or Var.VELOCITY_GENES not in var:
            found[source] = "absent"
        elif bool(var[Var.VELOCITY_GENES].loc[gene]):
            found[source] = "used"
        else:
            found[source] = "left-out"
    return found


def _trust(run: Run, facts: GeneFacts) -> list[str]:
    """Say in plain sentences how far a gene can be trusted."""
    ours = _number(facts.numbers, Sources.SPLICEDVAE, "skill")
    if facts.spliced is None or facts.unspliced is None:
        return [
            "The file has no measured spliced and unspliced counts, so this gene cannot be "
            f"checked.{_training_words(run, facts.gene)}",
            *_velocity_trust(facts),
        ]
    held_out = "held-out cells" if held_out_cells(run.predictions).any() else "cells"
    molecules = facts.spliced + facts.unspliced
    said = []
    if molecules < FEW_MOLECULES or facts.cells < FEW_CELLS:
        said.append(
            f"There are only {molecules:,} molecules of this gene in {facts.cells:,} "
            f"{held_out}, too few to evaluate it."
        )
    error = f" ± {facts.skill_error:.3f}" if np.isfinite(facts.skill_error) else ""
    if np.isfinite(ours):
        if ours <= 0:
            said.append(
                f"Skill {ours:.3f}{error} on {held_out}, not above 0: a constant is at least as "
                "good, so the shape of the prediction is not informative."
            )
        elif not ours > 2 * facts.skill_error:
            said.append(
                f"Skill {ours:.3f}{error} on {held_out}: better than a constant, but one "
                "gene in twenty reaches this by chance."
            )
        else:
            said.append(
                f"Skill {ours:.3f}{error} on {held_out}: better than a constant and, for a "
                "single gene, more than expected by chance."
            )
        others = facts.numbers["skill"].drop(
            [Sources.SPLICEDVAE, Sources.GENE_MEAN], errors="ignore"
        )
        if others.notna().any() and others.max() > ours:
            best = str(others.idxmax())
            said.append(
                f"For this gene {Sources.LABELS.get(best, best)} is better (skill "
                f"{others.max():.3f})."
            )
    if np.isfinite(facts.ceiling) and facts.ceiling == 0:
        said.append(
            "The measured ratio varies between these cells no more than noise does: there "
            "may be no variation to predict."
        )
    return [*said, *_velocity_trust(facts)]


def _training_words(run: Run, gene: str) -> str:
    """Say how the gene did where its model was trained."""
    if not run.config.model_run:
        return ""
    try:
        trained = open_models(run.config.model_run)
    except (RunError, StoreError):
        return " The model of this prediction no longer exists."
    if trained.run is None:
        # A card has numbers of all genes together alone.
        return ""
    value = _number(_numbers_of(trained.run, gene), Sources.SPLICEDVAE, "skill")
    if not np.isfinite(value):
        return ""
    better = "better than" if value > 0 else "no better than"
    return (
        f" Its skill on held-out cells of the training data was {value:.3f}, {better} a constant."
    )


def _velocity_trust(facts: GeneFacts) -> list[str]:
    use = facts.velocities.get(Sources.SPLICEDVAE)
    if use is None:
        return []
    if use == "used":
        return ["The SplicedVAE velocity uses this gene."]
    return [f"SplicedVAE: {_USES[use]}, so it does not contribute to the arrows."]


def _number(numbers: pd.DataFrame, predictor: str, column: str) -> float:
    found = numbers.loc[numbers.index == predictor, column].to_numpy(dtype=float)
    return float(found[0]) if found.size else float("nan")
