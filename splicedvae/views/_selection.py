"""Cells chosen on a map by a line around them: which they are, and what is special about them.

A browser sends the corners of the line, never the cells: half a million indices are more than a
connection bears. The line is laid over the same positions that were drawn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.path import Path
from numpy.typing import NDArray

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Obs, Obsm, Sources, Var
from splicedvae.evaluation import SelectionScores, fold_changes
from splicedvae.plotting import Outline
from splicedvae.views._parts import cluster_key, judged_cells, plain_label

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: Corners of one line, and lines of one selection, beyond which a line is no hand's work.
MOST_CORNERS: Final = 20_000
MOST_OUTLINES: Final = 50
#: Held-out cells, and counted entries, below which the metrics hang on chance.
FEW_CELLS: Final = 20
FEW_ENTRIES: Final = 500
#: Molecules of a gene in the selection below which its skill is not shown.
SELECTION_MOLECULES: Final = 100
#: Molecules of an entry below which it does not count for RMSE and r.
SELECTION_COVERAGE: Final = 5
#: Genes in each of the two lists.
N_GENES: Final = 10

#: A coordinate beyond this stands on no map.
_LARGEST: Final = 1e30

_AXIS: Final = re.compile(r"x([1-9]\d{0,2})?")


def outlines_of(event: Any, n_panels: int) -> tuple[Outline, ...]:
    """Read the lines that a browser sent with a selection.

    Parameters
    ----------
    event
        What ``st.plotly_chart`` returns as ``selection``: ``lasso`` and ``box``, each a list of
        shapes with ``xref``, ``x`` and ``y``. Anything else in it is not looked at.
    n_panels
        Maps in the figure, whose axes are ``x``, ``x2``, ...

    Returns
    -------
    The lines; boxes as their four corners. What is no line around an area is left out: fewer than
    three corners, an axis of no map, coordinates that are no numbers.

    Raises
    ------
    DataError
        If there are more lines or corners than a hand draws.
    """
    found: list[Outline] = []
    if not isinstance(event, Mapping):
        return ()
    for kind in ("lasso", "box"):
        shapes = event.get(kind)
        for shape in shapes if isinstance(shapes, Sequence) else ():
            if not isinstance(shape, Mapping):
                continue
            panel = _panel(shape.get("xref"), n_panels)
            x, y = _numbers(shape.get("x")), _numbers(shape.get("y"))
            if panel is None or x is None or y is None or len(x) != len(y):
                continue
            if kind == "box" and len(x) == 2:
                x, y = (x[0], x[1], x[1], x[0]), (y[0], y[0], y[1], y[1])
            if len(x) < 3:
                continue
            if len(x) > MOST_CORNERS or len(found) == MOST_OUTLINES:
                raise DataError(
                    f"The line around the cells has over {MOST_CORNERS:,} corners, or there are "
                    f"over {MOST_OUTLINES} lines: draw a simpler one."
                )
            found.append(Outline(panel, x, y))
    return tuple(found)


def _panel(axis: object, n_panels: int) -> int | None:
    named = _AXIS.fullmatch(axis) if isinstance(axis, str) else None
    if named is None:
        return None
    panel = int(named[1] or 1) - 1
    return panel if panel < n_panels else None


def _numbers(values: object) -> tuple[float, ...] | None:
    if not isinstance(values, Sequence) or isinstance(values, str):
        return None
    kept = [value for value in values if isinstance(value, int | float)]
    # A whole number may be larger than any float.
    if len(kept) != len(values) or not all(-_LARGEST <= value <= _LARGEST for value in kept):
        return None
    return tuple(map(float, kept))


def cells_within(
    outlines: Sequence[Outline], maps: Sequence[NDArray[np.floating[Any]]]
) -> NDArray[np.bool_]:
    """Find the cells inside any of the lines.

    Parameters
    ----------
    outlines
        The lines. Where one crosses itself, what it goes around twice is outside, as in the
        browser.
    maps
        The positions as drawn, one map for each panel, each of shape (n_cells, 2).

    Returns
    -------
    Shape (n_cells,).
    """
    inside = np.zeros(maps[0].shape[0], dtype=bool)
    for outline in outlines:
        points = maps[outline.panel]
        x, y = np.array(outline.x), np.array(outline.y)
        with np.errstate(invalid="ignore"):
            near = (points[:, 0] >= x.min()) & (points[:, 0] <= x.max())
            near &= (points[:, 1] >= y.min()) & (points[:, 1] <= y.max())
        near &= ~inside
        candidates = np.flatnonzero(near)
        line = Path(np.column_stack([x, y]))
        inside[candidates[line.contains_points(points[candidates])]] = True
    return inside


def cluster_names(run: Run) -> list[str]:
    """Return the names of a run's clusters in their order; none if it has no clusters.

    Parameters
    ----------
    run
        A run.
    """
    key = cluster_key(run)
    if key is None:
        return []
    return [str(name) for name in run.predictions.obs[key].astype("category").cat.categories]


def cells_of_clusters(run: Run, clusters: Sequence[str]) -> NDArray[np.bool_]:
    """Find the cells of some clusters.

    Parameters
    ----------
    run
        The run.
    clusters
        Names of clusters; those the run does not have are left out.

    Returns
    -------
    Shape (n_cells,).
    """
    key = cluster_key(run)
    if key is None or not clusters:
        return np.zeros(run.predictions.n_obs, dtype=bool)
    column = run.predictions.obs[key].astype("category")
    named = [str(name) in set(clusters) for name in column.cat.categories]
    return np.asarray(np.append(named, False)[column.cat.codes.to_numpy()], dtype=bool)


@dataclass(frozen=True)
class SelectionSummary:
    """The numbers of some cells of a run; shares and medians beside those of the other cells."""

    n_cells: int
    n_all: int
    #: Cells of them that the metrics are taken over: held out, or all where no cell is marked.
    n_judged: int
    #: Whether the run knows which cells trained.
    has_split: bool
    #: Share of each cluster in the selection and of all cells; None without clusters.
    clusters: pd.DataFrame | None
    #: RMSE, Pearson r and skill by predictor, and what is best possible; None if nothing was
    #: measured or no cell can be judged.
    metrics: pd.DataFrame | None
    #: Entries behind RMSE and r.
    n_entries: int
    #: Genes that are predicted best over their mean; None as for the metrics.
    best_genes: pd.DataFrame | None
    #: Genes whose expression differs most from the other cells'.
    changed_genes: pd.DataFrame
    #: Median depth, velocity confidence and uncertainty, in the selection and elsewhere.
    medians: pd.DataFrame
    #: What speaks against reading much into the numbers, one sentence each.
    cautions: tuple[str, ...]


def selection_scores(run: Run) -> SelectionScores | None:
    """Prepare the metrics of any set of a run's cells; takes a second or two for many cells.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    The sums over the cells of `judged_cells`, or None if nothing was measured or predicted.
    """
    cells = run.predictions
    judged = _judged(run)
    predictions = {
        source: cells.layers[layer]
        for source, layer in Sources.RATIO_LAYERS.items()
        if layer in cells.layers
    }
    measured = Layers.SPLICED in cells.layers and Layers.UNSPLICED in cells.layers
    if not measured or not predictions or Var.GENE_MEAN not in cells.var or not judged.any():
        return None
    # A gene that the training cells did not count has no mean, and then no baseline.
    means = cells.var[Var.GENE_MEAN].to_numpy(dtype=np.float64)
    rows = np.flatnonzero(judged)
    return SelectionScores(
        cells.layers[Layers.SPLICED][rows],
        cells.layers[Layers.UNSPLICED][rows],
        {source: ratio[rows] for source, ratio in predictions.items()},
        gene_mean=np.where(np.isfinite(means), means, 0.5),
        coverage=SELECTION_COVERAGE,
    )


def _judged(run: Run) -> NDArray[np.bool_]:
    """Mark the cells that metrics are taken over, shape (n_cells,)."""
    marked = np.zeros(run.predictions.n_obs, dtype=bool)
    marked[judged_cells(run)] = True
    return marked


def summarise_selection(
    run: Run, selected: NDArray[np.bool_], scores: SelectionScores | None
) -> SelectionSummary:
    """Say what is special about some cells of a run.

    Parameters
    ----------
    run
        The run.
    selected
        Which cells, at least one; shape (n_cells,).
    scores
        Of `selection_scores`.

    Returns
    -------
    Their numbers.

    Raises
    ------
    DataError
        If no cell is selected.
    """
    cells = run.predictions
    n_cells = int(selected.sum())
    if not n_cells:
        raise DataError("No cell lies inside the line: draw it around some.")
    judged = _judged(run)
    n_judged = int((selected & judged).sum())
    metrics = best = None
    n_entries = 0
    if scores is not None and n_judged:
        chosen = selected[judged]
        judgement = scores.metrics(chosen)
        n_entries = int(judgement["n"].iloc[0])
        metrics = _metrics_table(judgement)
        best = _best_genes(scores, chosen, list(map(str, cells.var_names)))
    return SelectionSummary(
        n_cells=n_cells,
        n_all=cells.n_obs,
        n_judged=n_judged,
        has_split=Obs.SPLIT in cells.obs,
        clusters=_cluster_shares(run, selected),
        metrics=metrics,
        n_entries=n_entries,
        best_genes=best,
        changed_genes=_changed_genes(run, selected),
        medians=_medians(run, selected),
        cautions=_cautions(run, scores, n_cells, n_judged, n_entries),
    )


def selected_cells(run: Run, selected: NDArray[np.bool_]) -> pd.DataFrame:
    """List some cells of a run, for a file.

    Parameters
    ----------
    run
        The run.
    selected
        Which cells, shape (n_cells,).

    Returns
    -------
    A row for each cell, indexed by its name: the columns of ``obs``, its total counts, and its
    positions on the maps as the run's files hold them.
    """
    cells = run.predictions
    table = cells.obs.loc[selected].copy()
    table["total_counts"] = run.depths[selected]
    for key in (Obsm.UMAP_LATENT, Obsm.UMAP_LATENT_SCVI, Obsm.UMAP):
        if key in cells.obsm:
            for axis in (0, 1):
                table[f"{key}_{axis + 1}"] = np.asarray(cells.obsm[key])[selected, axis]
    table.index.name = "cell"
    return table


def _metrics_table(judgement: pd.DataFrame) -> pd.DataFrame:
    names = [plain_label(str(name)) for name in judgement["predictor"]]
    table = pd.DataFrame(
        {
            "RMSE": judgement["rmse"].to_numpy(),
            "Pearson r": judgement["pearson"].to_numpy(),
            "skill over gene mean": judgement["skill"].to_numpy(),
        },
        index=names,
    )
    first = judgement.iloc[0]
    table.loc["best possible"] = [first["rmse_ceiling"], first["pearson_ceiling"], np.nan]
    return table


def _best_genes(
    scores: SelectionScores, chosen: NDArray[np.bool_], names: list[str]
) -> pd.DataFrame:
    table = scores.genes(chosen, names)
    table = table[table["molecules"] >= SELECTION_MOLECULES]
    columns = {
        f"skill_{source}": f"skill, {plain_label(source)}" for source in scores.predictors[:-1]
    }
    first = next(iter(columns))
    best = table.sort_values(first, ascending=False).head(N_GENES)
    best = best.rename(columns={**columns, "molecules": "counts"})
    return best[[*columns.values(), "counts"]]


def _changed_genes(run: Run, selected: NDArray[np.bool_]) -> pd.DataFrame:
    cells = run.predictions
    change = fold_changes(cells.X, selected, run.depths)
    table = pd.DataFrame(
        {"log2 fold change": change}, index=pd.Index(cells.var_names.astype(str), name="gene")
    ).dropna()
    order = np.argsort(-np.abs(table["log2 fold change"].to_numpy()), kind="stable")
    return table.iloc[order[:N_GENES]]


def _cluster_shares(run: Run, selected: NDArray[np.bool_]) -> pd.DataFrame | None:
    key = cluster_key(run)
    if key is None:
        return None
    column = run.predictions.obs[key].astype("category")
    codes, names = column.cat.codes.to_numpy(), list(map(str, column.cat.categories))
    inside = np.bincount(codes[selected & (codes >= 0)], minlength=len(names))
    everywhere = np.bincount(codes[codes >= 0], minlength=len(names))
    table = pd.DataFrame(
        {
            "cells": inside,
            "share of the selection": inside / max(int(selected.sum()), 1),
            "share of the cluster": inside / np.maximum(everywhere, 1),
        },
        index=pd.Index(names, name="cluster"),
    )
    return table[table["cells"] > 0].sort_values("cells", ascending=False)


def _medians(run: Run, selected: NDArray[np.bool_]) -> pd.DataFrame:
    cells = run.predictions
    numbers: dict[str, NDArray[Any]] = {"total counts": run.depths}
    if Sources.SPLICEDVAE in run.velocity_sources:
        obs = run.velocity_outline(Sources.SPLICEDVAE).obs
        for words, name in (
            ("velocity confidence (smoothness)", Obs.CONFIDENCE),
            ("direction uncertainty of the velocity, 0 to 1", Obs.DIRECTION_UNCERTAINTY),
        ):
            if name in obs:
                numbers[words] = obs[name].reindex(cells.obs_names).to_numpy(dtype=np.float64)
    return pd.DataFrame(
        {
            "selected": {words: _median(values[selected]) for words, values in numbers.items()},
            "other cells": {words: _median(values[~selected]) for words, values in numbers.items()},
        }
    )


def _median(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _cautions(
    run: Run, scores: SelectionScores | None, n_cells: int, n_judged: int, n_entries: int
) -> tuple[str, ...]:
    said = []
    cells = run.predictions
    if scores is None:
        said.append(
            "Nothing was measured or predicted here that the ratios could be judged by: there are "
            "no RMSE, r and skill."
        )
    elif not n_judged:
        said.append(
            "All of these cells trained the models, so nothing is said of how well their ratios "
            "are predicted: draw around more cells."
        )
    elif n_judged < FEW_CELLS or n_entries < FEW_ENTRIES:
        said.append(
            f"The metrics rest on {n_judged:,} held-out cells and {n_entries:,} counted entries, "
            "which is few: they hang on chance."
        )
    if scores is not None and Obs.SPLIT not in cells.obs:
        said.append(
            "The run does not mark which of its cells trained the model, if any: where some did, "
            "the metrics flatter it."
        )
    if Sources.SPLICEDVAE in run.velocity_sources:
        obs = run.velocity_outline(Sources.SPLICEDVAE).obs
        if Obs.DIRECTION_UNCERTAINTY not in obs:
            said.append("This run was made before the uncertainty of velocities was kept.")
    if n_cells == cells.n_obs:
        said.append("All cells are selected, so there are no others to compare with.")
    said.append(
        "Cells picked by eye are no random sample: the numbers describe them and test nothing."
    )
    return tuple(said)
