"""What the cells of a run can be colored by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from splicedvae import plotting
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Obs, Sources
from splicedvae.runs import other_gene_counts, other_genes
from splicedvae.views._parts import categories, cluster_key, column_of, is_colorable, is_number

if TYPE_CHECKING:
    from anndata import AnnData

    from splicedvae.runs import Run

#: Color by the total counts of a cell.
CELL_DEPTH: Final = "total counts"
#: Before a gene's name: color by its spliced fraction.
RATIO_PREFIX: Final = "ratio: "


#: Numbers of a cell that each velocity has of its own, and what they are called.
_PER_SOURCE: Final[Mapping[str, str]] = {
    Obs.CONFIDENCE: "velocity confidence (smoothness, not correctness)",
    Obs.LENGTH: "velocity length",
    Obs.COSINE_GENES: "cosine to the measured velocity, gene space",
    Obs.COSINE_UMAP: "cosine to the measured velocity, common embedding",
    Obs.PSEUDOTIME: "velocity pseudotime, from start to end",
    Obs.ROOT_CELLS: "root cells, 1 where the velocity starts",
    Obs.END_POINTS: "end cells, 1 where the velocity ends",
}
#: Ends of the scale of those that have the same in every velocity.
_LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    Obs.COSINE_GENES: (-1.0, 1.0),
    Obs.COSINE_UMAP: (-1.0, 1.0),
    Obs.PSEUDOTIME: (0.0, 1.0),
    Obs.ROOT_CELLS: (0.0, 1.0),
    Obs.END_POINTS: (0.0, 1.0),
}
#: What columns of a run are called where a person chooses.
_WORDS: Final[Mapping[str, str]] = {
    Obs.SPLIT: "training or held-out cell",
    Obs.TRUE_TIME: "true time (simulation)",
    Obs.BATCH: "batch",
}
#: Numbers of a cell that only SplicedVAE's velocity has, as only it draws from a posterior.
_OF_SPLICEDVAE: Final[Mapping[str, str]] = {
    Obs.DIRECTION_UNCERTAINTY: "uncertainty of SplicedVAE's direction, 0 none to 1 any direction",
}


def color_choices(run: Run) -> tuple[str, ...]:
    """Return what the cells of a run can be colored by, the most useful first.

    Parameters
    ----------
    run
        A run.

    Returns
    -------
    Columns of ``obs`` that are categories or numbers, `CELL_DEPTH`, and, if the run has a
    velocity, its confidence and length, its cosine to the measured one, its start, end and
    pseudotime, and the uncertainty of its direction. A gene's name, and one after `RATIO_PREFIX`,
    is accepted by `cell_colors` as well.
    """
    obs = run.predictions.obs
    named = [str(name) for name in obs.columns if is_colorable(obs[name])]
    first = [name for name in (cluster_key(run),) if name in named]
    last = [name for name in named if name not in first]
    choices = [*first, CELL_DEPTH, *last]
    fitted = [source for source in run.velocity_sources if source != Sources.TRUE]
    if fitted:
        # The last is a model's if there is one, as only they have a cosine to the measured.
        known = run.velocity_outline(fitted[-1]).obs
        choices += [
            name
            for name in _PER_SOURCE
            if name not in choices and name in known and known[name].notna().any()
        ]
    if Sources.SPLICEDVAE in run.velocity_sources:
        known = run.velocity_outline(Sources.SPLICEDVAE).obs
        choices += [name for name in _OF_SPLICEDVAE if name in known and name not in choices]
    return tuple(choices)


def color_words(color: str) -> str:
    """Return what a person reads for one of `color_choices`; its name if it is a file's column.

    Parameters
    ----------
    color
        One of `color_choices`.
    """
    return {**_PER_SOURCE, **_OF_SPLICEDVAE, **_WORDS}.get(color, color)


def color_genes(run: Run) -> tuple[str, ...]:
    """Return the genes that cells can be colored by: the model's, then the others of the file.

    A column of the cells goes before a gene of its name, so that gene is left out.

    Parameters
    ----------
    run
        A run. One of an earlier version has the model's genes alone.
    """
    columns = {*color_choices(run), *run.predictions.obs}
    names = (*map(str, run.predictions.var_names), *other_genes(run))
    return tuple(name for name in names if name not in columns)


def default_color(run: Run) -> str:
    """Return the cells' clusters if the run has them, else their depth.

    Parameters
    ----------
    run
        A run.
    """
    return cluster_key(run) or CELL_DEPTH


def cell_colors(
    run: Run,
    color_by: str,
    velocity: AnnData | None = None,
    *,
    source: str = Sources.SPLICEDVAE,
) -> plotting.CellColors:
    """Take the colors of a run's cells.

    Parameters
    ----------
    run
        The run.
    color_by
        One of `color_choices`, or one of `color_genes`, for the logarithm of its total count per
        10,000; after `RATIO_PREFIX` for its predicted spliced fraction, in cells
        that hold a count of it.
    velocity
        The velocity whose own numbers are meant where ``color_by`` is one of a
        velocity, such as its length; the numbers are missing if it is None.
    source
        Whose spliced fractions are meant: ``"splicedvae"`` or ``"scvi"``; others take
        SplicedVAE's.

    Returns
    -------
    Categories or numbers, one for each cell of the run's predictions.

    Raises
    ------
    DataError
        If the run has no such column, gene or number.
    """
    cells = run.predictions
    if color_by in _PER_SOURCE:
        values = np.full(cells.n_obs, np.nan, dtype=np.float32)
        if velocity is not None and color_by in velocity.obs:
            values = velocity.obs[color_by].reindex(cells.obs_names).to_numpy(dtype=np.float32)
        limits = _LIMITS.get(color_by)
        scale: Literal["sequential", "diverging"] = (
            "diverging" if limits is not None and limits[0] < 0 else "sequential"
        )
        return plotting.Values(_PER_SOURCE[color_by], values, scale, limits)
    if color_by in _OF_SPLICEDVAE and Sources.SPLICEDVAE in run.velocity_sources:
        known = run.velocity_outline(Sources.SPLICEDVAE).obs
        if color_by in known:
            values = known[color_by].reindex(cells.obs_names).to_numpy(dtype=np.float32)
            return plotting.Values(_OF_SPLICEDVAE[color_by], values)
    if color_by in cells.obs:
        column = cells.obs[color_by]
        if is_number(column):
            return plotting.Values(color_words(color_by), column.to_numpy(dtype=np.float32))
        return replace(categories(cells, color_by), title=color_words(color_by))
    if color_by == CELL_DEPTH:
        logged = np.full(cells.n_obs, np.nan)
        np.log10(run.depths, out=logged, where=run.depths > 0)
        return plotting.Values("total counts of a cell, log10", logged.astype(np.float32))
    gene = color_by.removeprefix(RATIO_PREFIX)
    if gene != color_by and gene in cells.var_names:
        return _ratio_colors(run, gene, source)
    if color_by in cells.var_names:
        depth = np.maximum(run.depths, 1.0)
        counts = column_of(cells.X, int(cells.var_names.get_loc(color_by)))
        return plotting.Values(
            f"{color_by}, log(1 + counts per 10,000)",
            np.log1p(1e4 * counts / depth).astype(np.float32),
        )
    if color_by in other_genes(run):
        counts, depth = other_gene_counts(run, color_by)
        return plotting.Values(
            f"{color_by}, log(1 + counts per 10,000), not in the model",
            np.log1p(1e4 * counts / np.maximum(depth, 1.0)).astype(np.float32),
        )
    raise DataError(
        f"The run has no column or gene {color_by[:60]!r} to color by: choose one of "
        f"{', '.join(color_choices(run))}, or a gene of the file."
    )


def _ratio_colors(run: Run, gene: str, source: str) -> plotting.Values:
    cells = run.predictions
    layers = Sources.RATIO_LAYERS
    known = source if layers.get(source) in cells.layers else Sources.SPLICEDVAE
    if layers[known] not in cells.layers:
        raise DataError("The run has no predicted spliced fractions: train again.")
    index = int(cells.var_names.get_loc(gene))
    ratio = column_of(cells.layers[layers[known]], index)
    counted = column_of(cells.X, index) > 0
    return plotting.Values(
        f"{gene}, predicted spliced fraction where counted",
        np.where(counted, ratio, np.nan).astype(np.float32),
    )
