"""Which genes draw a velocity's arrows, and where they start and end: tables of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from splicedvae._core.errors import DataError, RunError
from splicedvae._core.keys import Obs, Sources, Uns, Var
from splicedvae.views._parts import cluster_key, held_out_cells

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: Instead of a cluster: all cells.
ALL_CELLS: Final = "all cells"
#: Mass of roots or ends that a cluster holds to be named for it.
_MUCH: Final = 0.25
#: Columns of `driver_table` in addition to the gene.
SKILL: Final = "skill on held-out cells"


def _lacking(run: Run, what: str) -> DataError:
    """Say why a run has not computed something."""
    if not run.status.is_final:
        return DataError(f"This run has not computed {what} yet: wait until it has finished.")
    return DataError(
        f"This run was made by an earlier version, which did not compute {what}: train or predict "
        "again."
    )


def driver_groups(run: Run, source: str) -> tuple[str, ...]:
    """Return the groups with driver genes of a velocity: all cells, then clusters.

    Parameters
    ----------
    run
        A run.
    source
        Which velocity, one of `Sources`.

    Raises
    ------
    DataError
        If the run has no driver genes.
    RunError
        If the run has no such velocity.
    """
    result = run.velocity(source)
    if Var.VELOCITY_SHARE not in result.var:
        raise _lacking(run, "driver genes")
    clusters = result.uns.get(Uns.ROOT, {}).get(Uns.DRIVERS)
    known = [] if clusters is None else list(dict.fromkeys(clusters["group"].astype(str)))
    return (ALL_CELLS, *known)


def driver_table(
    run: Run, source: str, group: str = ALL_CELLS, *, n_genes: int = 30
) -> pd.DataFrame:
    """List the genes that draw a velocity's arrows.

    Parameters
    ----------
    run
        The run.
    source
        One of ``run.velocity_sources``.
    group
        One of `driver_groups`.
    n_genes
        Rows at most.

    Returns
    -------
    The gene's name as index. For all cells: ``share`` of the velocity's squared length in
    its graph, by which they are ranked, and ``time`` (rank correlation with the velocity
    pseudotime). For a cluster, ranked by the size of ``score`` (Welch's t against all other
    cells): ``velocity`` (mean) and ``share``. And, where the run was evaluated, `SKILL`: the skill
    of the source's ratio of that gene over the gene mean on held-out cells; missing for the
    measured and the true velocity.

    Raises
    ------
    DataError
        If the run has no driver genes, or not for this group.
    RunError
        If the run has no such velocity.
    """
    groups = driver_groups(run, source)
    if group not in groups:
        raise DataError(
            f"There are no driver genes of {group[:60]!r}: choose one of {', '.join(groups)}."
        )
    result = run.velocity(source)
    if group == ALL_CELLS:
        table = result.var[[Var.VELOCITY_SHARE, Var.TIME_CORRELATION]].astype(float)
        table.columns = pd.Index(["share", "time"])
        table = table[table["share"] > 0].nlargest(n_genes, "share")
    else:
        clusters = result.uns[Uns.ROOT][Uns.DRIVERS]
        table = clusters[clusters["group"].astype(str) == group].head(n_genes)
        table = table.set_index(table["gene"].astype(str))[["score", "velocity", "share"]]
        table = table.astype(float)
    table.index.name = "gene"
    skill = _skill(run, source)
    if skill is not None:
        table[SKILL] = skill.reindex(table.index).to_numpy(dtype=float)
    return table


def leading_gene(run: Run) -> str | None:
    """Return the gene that contributes most to SplicedVAE's arrows, for a page to open on.

    Parameters
    ----------
    run
        A run.

    Returns
    -------
    Of another velocity where SplicedVAE has none; None where no velocity has driver genes.
    """
    there = run.velocity_sources
    for source in (Sources.SPLICEDVAE, *there):
        if source not in there or source == Sources.TRUE:
            continue
        shares = run.velocity_outline(source).var.get(Var.VELOCITY_SHARE)
        if shares is not None and shares.max() > 0:
            return str(shares.idxmax())
    return None


def _skill(run: Run, source: str) -> pd.Series | None:
    column = f"skill_{source}"
    try:
        genes = run.genes
    except RunError:
        return None
    return genes.get(column, None)


def time_table(run: Run, source: str) -> pd.DataFrame:
    """Return each cluster's share of a velocity's start and end, and its time.

    Parameters
    ----------
    run
        The run.
    source
        One of ``run.velocity_sources``.

    Returns
    -------
    Clusters as index, in the order of time, with ``cells``, ``roots`` and ``ends`` (shares of all
    root and end probability), ``time`` (median velocity pseudotime) and the quarters around it,
    ``early`` and ``late``. One row if the run has no clusters.

    Raises
    ------
    DataError
        If the run has no start, end and time.
    RunError
        If the run has no such velocity.
    """
    obs = run.velocity(source).obs
    if Obs.PSEUDOTIME not in obs:
        raise _lacking(run, "start, end and time of a velocity")
    key = cluster_key(run)
    groups = (
        pd.Series(ALL_CELLS, index=obs.index)
        if key is None or key not in obs
        else obs[key].astype(object).map(str, na_action="ignore")
    )
    rows = {}
    total = {name: float(obs[name].sum()) for name in (Obs.ROOT_CELLS, Obs.END_POINTS)}
    for name, part in obs.groupby(groups.to_numpy(), sort=False):
        time = part[Obs.PSEUDOTIME].to_numpy(dtype=float)
        time = time[np.isfinite(time)]
        early, middle, late = (
            np.quantile(time, (0.25, 0.5, 0.75)) if time.size else np.full(3, np.nan)
        )
        rows[str(name)] = {
            "cells": len(part),
            "roots": _share(part[Obs.ROOT_CELLS], total[Obs.ROOT_CELLS]),
            "ends": _share(part[Obs.END_POINTS], total[Obs.END_POINTS]),
            "time": middle,
            "early": early,
            "late": late,
        }
    columns = ["cells", "roots", "ends", "time", "early", "late"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.sort_values("time", kind="stable")


def _share(part: pd.Series, total: float) -> float:
    return float(part.sum()) / total if total > 0 else float("nan")


def time_sentences(run: Run, source: str) -> list[str]:
    """Say where a velocity starts and ends, and how its time compares with others of the run.

    Parameters
    ----------
    run
        The run.
    source
        One of ``run.velocity_sources``.

    Returns
    -------
    Plain sentences: clusters with roots and ends; rank correlations with the pseudotime of the
    measured velocity and with the true time of a simulation, where there are such.

    Raises
    ------
    DataError
        If the run has no start, end and time.
    RunError
        If the run has no such velocity.
    """
    table = time_table(run, source)
    said = []
    if len(table) > 1:
        for column, words in (("roots", "starts in"), ("ends", "ends in")):
            found = table[table[column] >= _MUCH].sort_values(column, ascending=False)
            if len(found):
                where = ", ".join(f"{name} ({row[column]:.0%})" for name, row in found.iterrows())
                said.append(f"This velocity {words} {where}.")
            elif table[column].isna().all():
                said.append(f"It is unknown where this velocity {words.removesuffix(' in')}.")
            else:
                where = words.removesuffix(" in")
                said.append(f"This velocity {where} in many clusters, none with a large share.")
    time = run.velocity(source).obs[Obs.PSEUDOTIME]
    others = {}
    if source != Sources.MEASURED and Sources.MEASURED in run.velocity_sources:
        measured = run.velocity(Sources.MEASURED).obs
        if Obs.PSEUDOTIME in measured:
            others["the pseudotime of the measured velocity"] = measured[Obs.PSEUDOTIME]
    cells = run.predictions.obs
    if Obs.TRUE_TIME in cells:
        others["the true time of the simulation"] = cells[Obs.TRUE_TIME]
    for words, other in others.items():
        both = pd.concat([time, other.reindex(time.index)], axis=1).dropna()
        if len(both) < 3 or (both.nunique() < 2).any():
            continue
        r = float(spearmanr(both.iloc[:, 0], both.iloc[:, 1]).statistic)
        turned = ": it runs in the opposite direction" if r < 0 else ""
        said.append(f"The rank correlation of its pseudotime with {words} is {r:.2f}{turned}.")
    return said


def agreement_sentence(run: Run, source: str) -> str | None:
    """Say how a source's cosines of single cells differ between training and held-out cells.

    Parameters
    ----------
    run
        A run.
    source
        Which velocity, one of `Sources`.
    run
        A run.

    Returns
    -------
    A plain sentence; None where there are no such cosines.
    """
    if source not in run.velocity_sources:
        return None
    obs = run.velocity(source).obs
    if Obs.COSINE_GENES not in obs:
        return None
    cosine = obs[Obs.COSINE_GENES].reindex(run.predictions.obs_names).to_numpy(dtype=float)
    apart = held_out_cells(run.predictions)
    label = Sources.LABELS.get(source, source)
    parts = [
        f"{np.nanmean(cosine[cells]):.2f} over {int(cells.sum()):,} {words} cells"
        for cells, words in ((~apart, "training"), (apart, "held-out"))
        if np.isfinite(cosine[cells]).any()
        and (words == "held-out" or Obs.SPLIT in run.predictions.obs)
    ]
    return f"{label}: mean cosine of single cells {', '.join(parts)}." if parts else None
