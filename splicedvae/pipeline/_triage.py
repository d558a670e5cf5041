"""Is velocity worth trying on a file, and can it be trusted: in a minute, with reasons.

For a file with S/U, a test says whether its counts carry a velocity at all. The layers of a file
with total counts alone are predicted by a model. In both cases the velocity is computed again with
half of its genes, half as many neighbors and half of the molecules, and compared with what else is
known of the cells' order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.keys import Layers, Obs, Obsm, Obsp, Sources, Uns
from splicedvae._core.shares import effective_genes, shares_of
from splicedvae.evaluation import (
    Answer,
    Reason,
    VelocityFacts,
    VelocityVerdict,
    judge_velocity,
    thin_counts,
    time_order,
)
from splicedvae.io import ReadResult
from splicedvae.pipeline import _prediction, _velocities
from splicedvae.pipeline._asking import cells_seen, known_cells_note, orthologs_between
from splicedvae.pipeline._candidates import Candidate
from splicedvae.pipeline.stability import (
    CHANGES,
    MIN_STABLE,
    Pair,
    Stability,
    halves_of_measured,
    share_kept,
    velocity_stability,
)
from splicedvae.runs.files import plain
from splicedvae.triage import DataSummary, ModelFit, inspect, judge_with_model
from splicedvae.velocity import VelocitySettings, driver_genes

#: Cells that are looked at, at most.
MAX_CELLS: Final = 2000
#: Least share of neighbors in the right order that speaks for a direction, and most that speaks
#: against it; 0.5 is chance.
RIGHT_ORDER, WRONG_ORDER = 0.55, 0.45
N_DRIVERS: Final = 10

Origin = Literal["measured", "predicted"]


@dataclass(frozen=True, eq=False)
class KnownOrder:
    """How far the arrows follow an order of the cells that is known without them.

    Attributes
    ----------
    what
        What the order is: a column of times, or pseudotime of expression from a named root.
    share
        Of neighbors at different times, whose order the arrows show; 0.5 by chance.
    chance
        The same for permuted ratios.
    """

    what: str
    share: float
    chance: float


@dataclass(frozen=True, eq=False)
class TriageResult:
    """What a triage found.

    Attributes
    ----------
    summary
        What is in the file.
    verdict
        The answer with its reasons, the gravest first.
    next_step
        What to do now, one sentence.
    origin
        Whether the velocity's counts were measured or predicted; None where there is no velocity.
    model, fit
        Name of the model that predicted, and how it fits the file; None for measured counts.
    share_of_counts
        Share of the file's molecules that are in the model's genes; missing without a model.
    n_cells
        Cells that the velocity was computed on.
    stability
        As `Stability.table`; None without a velocity.
    orders
        Known orders that the arrows were compared with.
    drivers
        Genes that draw the arrows: ``gene`` and ``share`` of the arrow, mean over cells.
    notes
        What was replaced, left out or refused on the way.
    asked
        What the person gave: model, columns, root, seed.
    """

    summary: DataSummary
    verdict: VelocityVerdict
    next_step: str
    origin: Origin | None = None
    model: str | None = None
    fit: ModelFit | None = None
    share_of_counts: float = float("nan")
    n_cells: int = 0
    stability: pd.DataFrame | None = None
    orders: tuple[KnownOrder, ...] = ()
    drivers: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    asked: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers, texts, lists and dictionaries, ready for JSON."""

        def rows(table: pd.DataFrame | None) -> list[Any] | None:
            return None if table is None else table.to_dict(orient="records")

        found = {
            "answer": self.verdict.answer,
            "reasons": [dataclasses.asdict(reason) for reason in self.verdict.reasons],
            "next_step": self.next_step,
            "origin": self.origin,
            "model": self.model,
            "genes_found": None if self.fit is None else self.fit.n_found,
            "genes_of_model": None if self.fit is None else self.fit.n_genes,
            "novelty": None if self.fit is None else self.fit.novelty,
            "share_of_counts": self.share_of_counts,
            "cells_used": self.n_cells,
            "stability": rows(self.stability),
            "known_orders": [vars(order) for order in self.orders],
            "driver_genes": rows(self.drivers),
            "notes": [str(note) for note in self.notes],
            "asked": self.asked,
            "file": self.summary.to_dict(),
        }
        made: dict[str, Any] = plain(found)
        return made


def triage(
    result: ReadResult,
    *,
    predictor: Candidate | None = None,
    cluster_key: str | None = None,
    batch_key: str | None = None,
    time_key: str | None = None,
    root: str | None = None,
    settings: VelocitySettings | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> TriageResult:
    """Say whether velocity is worth trying on a file, and how far it can be trusted.

    Parameters
    ----------
    result
        The file, from `splicedvae.io.read`.
    predictor
        The model that predicts where the file has no S/U; it is not asked otherwise.
    cluster_key
        Column of ``obs`` with cell groups; None takes the likeliest.
    batch_key
        Column of ``obs`` with batches, within which ratios are permuted.
    time_key
        Column of ``obs`` with a number that grows with time, such as hours of a time course.
    root
        A cell group in which the process begins.
    settings
        Those of the velocity; None for the defaults.
    seed
        Seed of draws, halves and permutations.
    progress
        Called with a few words before each step.

    Returns
    -------
    The verdict with everything it rests on.

    Raises
    ------
    DataError
        If a named column or group is not in the file.
    """
    say = progress or (lambda _: None)
    settings = settings or VelocitySettings(n_jobs=-1, seed=seed)
    say("what is in the file")
    summary = inspect(result, cluster_key=cluster_key, batch_key=batch_key)
    asked = {
        "model": None if predictor is None else predictor.source.name,
        "cluster_key": summary.cluster_key,
        "batch_key": batch_key,
        "time_key": time_key,
        "root": root,
        "seed": seed,
    }
    time = _known(result.adata, summary.cluster_key, time_key, root)
    refusal = _refused(summary, predictor)
    if refusal is not None:
        return dataclasses.replace(refusal, asked=asked)
    rows, notes = _some(result.adata.n_obs, seed)
    cells = result.adata[rows].copy()
    facts: dict[str, Any] = {}
    if summary.has_measured_layers:
        origin: Origin = "measured"
        predictor = None
        used = _bare(cells, summary.cluster_key)
        halves = halves_of_measured(used)
    else:
        assert predictor is not None
        origin = "predicted"
        say(f"prediction by {predictor.source.name}")
        n_seen = int(cells_seen(predictor.source, cells).sum())
        if n_seen:
            notes.append(known_cells_note(n_seen))
        used, halves = _predicted(cells, predictor, summary.cluster_key, batch_key, notes)
        facts = {
            "novelty": _number(predictor.fit.novelty),
            "trained": predictor.source.verdicts().get(Sources.SPLICEDVAE),
        }
    try:
        stable = velocity_stability(
            used, settings=settings, halves=halves, seed=seed, progress=progress
        )
        if origin == "measured":
            say("whether the counts carry a velocity")
            facts |= _evidence(used, stable, cells, batch_key, settings, seed, notes)
    except (VelocityError, DataError) as error:
        reason = Reason("against", "there is no velocity", str(error))
        return TriageResult(
            summary,
            VelocityVerdict("do not show", (reason,)),
            _next_step("do not show", origin, predictor),
            notes=tuple(notes),
            asked=asked,
        )
    orders = _orders(stable, None if time is None else time[rows], root, time_key, say)
    found = effective_genes(shares_of(stable.result))
    verdict = judge_velocity(
        VelocityFacts(
            origin=origin,
            effective_genes=float(np.nanmean(found)) if np.isfinite(found).any() else np.nan,
            n_judged=used.n_obs if origin == "measured" else 0,
            depth=summary.umis_per_cell.median,
            **facts,
        ),
        (
            *_of_species(predictor),
            *_of_stability(stable.table),
            *(_of_order(order) for order in orders),
        ),
    )
    genes, _ = driver_genes(stable.result)
    top = genes.nlargest(N_DRIVERS, "velocity_share")["velocity_share"]
    return TriageResult(
        summary,
        verdict,
        _next_step(verdict.answer, origin, predictor),
        origin=origin,
        model=None if predictor is None else predictor.source.name,
        fit=None if predictor is None else predictor.fit,
        share_of_counts=float("nan") if predictor is None else _share(cells, used),
        n_cells=used.n_obs,
        stability=stable.table,
        orders=tuple(orders),
        drivers=pd.DataFrame({"gene": top.index, "share": top.to_numpy()}),
        notes=tuple(dict.fromkeys(notes)),
        asked=asked,
    )


# What is known of the cells without their velocity ------------------------------------------


def _known(
    cells: AnnData, cluster_key: str | None, time_key: str | None, root: str | None
) -> NDArray[np.float64] | None:
    """Check what the person named before any work; return the times, if there are any."""
    if root is not None:
        if cluster_key is None:
            raise DataError(
                "A root was named, but the file has no column with cell groups: name the "
                "column (cluster key) that holds it."
            )
        groups = cells.obs[cluster_key].astype(str)
        if root not in set(groups):
            some = ", ".join(sorted(set(groups))[:8])
            raise DataError(
                f"There is no cell group {root[:60]!r} in obs column {cluster_key!r}: "
                f"choose one of its groups ({some})."
            )
    if time_key is None:
        return None
    if time_key not in cells.obs:
        some = ", ".join(str(column) for column in list(cells.obs)[:8]) or "none"
        raise DataError(
            f"The file has no column {time_key[:60]!r} in obs: choose one of its columns ({some})."
        )
    time = pd.to_numeric(cells.obs[time_key].astype(str), errors="coerce").to_numpy(dtype=float)
    if len(np.unique(time[np.isfinite(time)])) < 2:
        raise DataError(
            f"The obs column {time_key!r} holds fewer than two different numbers, expected "
            "times: name a column with hours, days or another number that grows with time."
        )
    return time


def _orders(
    stable: Stability,
    time: NDArray[np.float64] | None,
    root: str | None,
    time_key: str | None,
    say: Callable[[str], None],
) -> list[KnownOrder]:
    orders = []
    if time is not None:
        orders.append(_order(f"time in obs column {time_key!r}", stable, time))
    if root is not None:
        say(f"pseudotime of expression from {root}")
        order = _expression_pseudotime(stable.result, root)
        orders.append(_order(f"pseudotime of expression from {root!r}", stable, order))
    return orders


def _order(what: str, stable: Stability, time: NDArray[np.float64]) -> KnownOrder:
    shares = [
        float("nan") if one is None else time_order(one, time, basis="umap")
        for one in (stable.result, stable.permuted)
    ]
    return KnownOrder(what, *shares)


def _expression_pseudotime(result: AnnData, root: str) -> NDArray[np.float64]:
    """Diffusion pseudotime on the neighbors of the totals, from the middle of a group of cells."""
    import scanpy as sc

    work = AnnData(obs=result.obs[[Obs.CLUSTERS]].copy())
    for name in (Obsp.DISTANCES, Obsp.CONNECTIVITIES):
        work.obsp[name] = result.obsp[name]
    work.uns[Uns.NEIGHBORS] = {
        "connectivities_key": Obsp.CONNECTIVITIES,
        "distances_key": Obsp.DISTANCES,
        "params": {"n_neighbors": 15, "method": "umap"},
    }
    sc.tl.diffmap(work)
    space = np.asarray(result.obsm[Obsm.PCA], dtype=np.float64)
    members = np.flatnonzero((work.obs[Obs.CLUSTERS].astype(str) == root).to_numpy())
    away = np.linalg.norm(space[members] - space[members].mean(axis=0), axis=1)
    work.uns[Uns.ROOT_CELL] = int(members[away.argmin()])
    sc.tl.dpt(work)
    time = work.obs[Obs.EXPRESSION_PSEUDOTIME].to_numpy(dtype=np.float64)
    return np.where(np.isfinite(time), time, np.nan)


# The cells --------------------------------------------------------------------------------


def _some(n: int, seed: int) -> tuple[NDArray[np.intp], list[str]]:
    """Choose the cells that are looked at."""
    if n <= MAX_CELLS:
        return np.arange(n), []
    rows = np.sort(np.random.default_rng(seed).choice(n, MAX_CELLS, replace=False))
    return rows, [f"{MAX_CELLS:,} of the {n:,} cells, drawn at random, were used."]


def _bare(cells: AnnData, cluster_key: str | None) -> AnnData:
    """Keep totals, the two layers, groups and the file's own embedding."""
    layers = {name: csr_matrix(cells.layers[name]) for name in (Layers.SPLICED, Layers.UNSPLICED)}
    obs = pd.DataFrame(index=cells.obs_names.astype(str))
    if cluster_key is not None:
        obs[Obs.CLUSTERS] = _prediction.categories(cells.obs[cluster_key])
    obsm = {}
    if Obsm.UMAP in cells.obsm and np.isfinite(np.asarray(cells.obsm[Obsm.UMAP])).all():
        obsm[Obsm.UMAP] = np.asarray(cells.obsm[Obsm.UMAP])[:, :2]
    totals = csr_matrix(layers[Layers.SPLICED] + layers[Layers.UNSPLICED])
    return AnnData(X=totals, obs=obs, var=cells.var[[]].copy(), layers=layers, obsm=obsm)


def _predicted(
    cells: AnnData,
    predictor: Candidate,
    cluster_key: str | None,
    batch_key: str | None,
    notes: list[str],
) -> tuple[AnnData, Callable[[int], list[tuple[csr_matrix, Pair]]]]:
    """Predict the layers; and again from each half of the total counts."""
    model = predictor.source.model()
    pair = orthologs_between(predictor.fit.file_species, predictor.fit.model_species)
    totals = _prediction.totals_for(model, cells, batch_key)
    if Obsm.UMAP in cells.obsm:
        totals.obsm[Obsm.UMAP] = cells.obsm[Obsm.UMAP]
    if cluster_key is not None:
        totals.obs[cluster_key] = cells.obs[cluster_key].to_numpy()
    predicted = model.reconstruct(totals, orthologs=pair)
    record = predicted.uns[Uns.ROOT][Uns.PREDICTED]
    notes += [text for text in (record["genes"], record["intercepts"]) if text]
    whole = csr_matrix(totals.X)

    def halves(seed: int) -> list[tuple[csr_matrix, Pair]]:
        parts = []
        for half in thin_counts(whole, seed=seed):
            one = totals.copy()
            one.X = half
            made = model.reconstruct(one, orthologs=pair)
            spliced, unspliced = (
                csr_matrix(made.layers[name]) for name in (Layers.SPLICED, Layers.UNSPLICED)
            )
            parts.append((csr_matrix(made.X), (spliced, unspliced)))
        return parts

    return _bare(predicted, cluster_key), halves


def _share(cells: AnnData, used: AnnData) -> float:
    """Share of the file's molecules that are in the genes that were used."""
    return float(used.X.sum() / max(float(csr_matrix(cells.X).sum()), 1.0))


# Reasons -------------------------------------------------------------------------------------


def _evidence(
    used: AnnData,
    stable: Stability,
    cells: AnnData,
    batch_key: str | None,
    settings: VelocitySettings,
    seed: int,
    notes: list[str],
) -> dict[str, float]:
    """Test whether measured counts carry a velocity, and take the agreement of two halves."""
    batches = None if batch_key is None else list(cells.obs[batch_key].astype(str))
    table, told = _velocities.evidence(used, stable.ground, settings, batches=batches, seed=seed)
    notes += told
    found = {} if not len(table) else dict(zip(table["metric"], table["value"], strict=True))
    depth = stable.table[stable.table["change"] == "depth"]
    return {
        "evidence_p": float(found.get("velocity_evidence_p", np.nan)),
        "evidence_within_p": float(found.get("velocity_evidence_within_p", np.nan)),
        "halves_genes": float(depth["genes"].iloc[0]),
        "halves_map": float(depth["cosine"].iloc[0]),
    }


def _of_species(predictor: Candidate | None) -> list[Reason]:
    """Say that the model is of another species, where it is."""
    if predictor is None or not predictor.fit.other_species:
        return []
    fit = predictor.fit
    told = (
        f"The model was trained on {fit.model_species} cells, and this file looks like "
        f"{fit.file_species}: ratios differ between species"
    )
    if fit.orthologs is None:
        return [Reason("against", "another species", f"{told}.")]
    return [Reason("caution", "another species", f"{told}; genes were mapped through orthologs.")]


def _of_stability(table: pd.DataFrame) -> list[Reason]:
    """Judge each change: what is left of the velocity, above what permuted ratios keep."""
    reasons = []
    columns = [table[name].to_numpy(dtype=np.float64) for name in ("cosine", "chance")]
    for change, note, cosine, chance in zip(table["change"], table["note"], *columns, strict=True):
        words = CHANGES[str(change)]
        if not np.isfinite(cosine):
            sentence = f"With {words}: {note}"
            reasons.append(Reason("unknown", f"not known: {words}", sentence))
            continue
        sentence = (
            f"With {words} the cosine of the arrows in the embedding is {cosine:z.2f} (permuted "
            f"ratios {chance:z.2f})"
        )
        if share_kept(cosine, chance) < MIN_STABLE:
            sentence += ": the arrows depend on this choice as much as on the cells."
            reasons.append(Reason("caution", f"unstable: {words}", sentence))
        else:
            reasons.append(Reason("for", f"stable: {words}", f"{sentence}."))
    return reasons


def _of_order(order: KnownOrder) -> Reason:
    told = (
        f"Of neighboring cells, the arrows order {order.share:.0%} like the {order.what} "
        f"(permuted ratios {order.chance:.0%}, chance 50%)"
    )
    if not np.isfinite(order.share):
        return Reason(
            "unknown", f"not compared: {order.what}", f"The {order.what} orders no cells."
        )
    if order.share <= WRONG_ORDER:
        return Reason(
            "against", f"arrows run against the {order.what}", f"{told}: they point backwards."
        )
    if order.share < RIGHT_ORDER or order.share <= order.chance:
        return Reason("caution", f"no order by the {order.what}", f"{told}.")
    return Reason("for", f"follows the {order.what}", f"{told}.")


def _refused(summary: DataSummary, predictor: Candidate | None) -> TriageResult | None:
    """End early where no velocity can come of the file or the model."""
    if summary.has_measured_layers:
        if summary.verdict.answer != "no":
            return None
        words: Sequence[str] = summary.verdict.reasons
    else:
        found = judge_with_model(summary, None if predictor is None else predictor.fit)
        fits = predictor is not None and predictor.fit.fits
        if fits:
            return None
        words = found.reasons
    reasons = tuple(Reason("against", "no velocity from this file", str(text)) for text in words)
    origin: Origin = "measured" if summary.has_measured_layers else "predicted"
    return TriageResult(
        summary,
        VelocityVerdict("do not show", reasons),
        _next_step("do not show", origin, predictor),
        model=None if predictor is None else predictor.source.name,
        fit=None if predictor is None else predictor.fit,
    )


def _next_step(answer: Answer, origin: Origin, predictor: Candidate | None) -> str:
    """Say what to do now."""
    if origin == "measured":
        if answer == "do not show":
            return (
                "Do not train on these layers for a velocity: recount with introns, sequence "
                "deeper, or use a data set with more cells."
            )
        return (
            "Train on this file (`splicedvae train`): the run compares SplicedVAE with scVI and "
            "the measured velocity on held-out cells."
        )
    if predictor is None or answer == "do not show":
        return (
            "Train a model on cells with S/U of the same tissue and species (`splicedvae "
            "train`), then predict this file with it; do not show the present arrows as a "
            "result."
        )
    return (
        "Predict the whole file (`splicedvae predict`) and check the direction against "
        "what is known of the cells: a time course, a root, marker genes."
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
