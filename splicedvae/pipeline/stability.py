"""How far a velocity depends on choices that nobody can justify: genes, neighbors, depth.

A velocity that turns when half of its genes, neighbors or molecules are left out shows the choice
and not the cells. Smoothing makes arrows of chance alike as well, so each change is applied to
permuted ratios too, and only what lies above them counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.keys import Layers, Obsm, Sources, Var
from splicedvae.evaluation import shuffle_within_genes, thin_counts, velocity_metrics
from splicedvae.velocity import VelocitySettings, compute_velocity, prepare, without_genes

#: Least neighbors that are still a neighborhood.
MIN_NEIGHBORS: Final = 5
#: Least share of the way from chance to full agreement that a velocity keeps under a change
#: (`benchmarks/stability.py`).
MIN_STABLE: Final = 0.35
#: What is changed, in words, in the order of the table.
CHANGES: Final = {
    "genes": "two random halves of the velocity genes",
    "neighbors": "half as many neighbors",
    "depth": "two halves of the molecules",
}
_PAIRS: Final = {
    Sources.SPLICEDVAE: (Layers.SPLICED, Layers.UNSPLICED),
    Sources.SHUFFLED: (f"shuffled_{Layers.SPLICED}", f"shuffled_{Layers.UNSPLICED}"),
}

Pair = tuple[csr_matrix, csr_matrix]


@dataclass(frozen=True, eq=False)
class Stability:
    """A velocity and how it changes with genes, neighbors and depth.

    Attributes
    ----------
    ground
        The prepared cells: genes, neighbors and embedding that both velocities share.
    result
        The velocity, as from `splicedvae.velocity.compute_velocity`.
    permuted
        The velocity of permuted ratios on the same cells, genes and neighbors; None if refused.
    table
        One row a change: ``change`` (a key of `CHANGES`), ``cosine`` (mean over cells, of the
        arrows in the embedding before and after, or of both halves), ``chance`` (the same for
        permuted ratios), ``genes`` (the cosine in gene space, each gene in units of its own
        spread), missing where they are not known, and ``note`` (why there is none).
    """

    ground: AnnData
    result: AnnData
    permuted: AnnData | None
    table: pd.DataFrame


def velocity_stability(
    cells: AnnData,
    *,
    settings: VelocitySettings,
    halves: Callable[[int], Sequence[tuple[csr_matrix, Pair]]],
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Stability:
    """Compute a velocity and change genes, neighbors and depth one at a time.

    Parameters
    ----------
    cells
        Cells x genes with total counts in ``X`` and the layers ``spliced`` and ``unspliced``,
        measured or predicted; ``obsm["X_umap"]`` is kept if it is there.
    settings
        Those of the velocity.
    halves
        Given a seed, returns for each of two halves of the molecules their totals and the two
        layers that follow from them, all cells x genes as in ``cells``.
    seed
        Seed of halves and permutations.
    progress
        Called with a few words before each step.

    Returns
    -------
    The velocity with its table.

    Raises
    ------
    VelocityError
        If the layers have no velocity at all.
    DataError
        If totals or layers are not counts.
    """
    say = progress or (lambda _: None)
    say("neighbors and embedding")
    ground = _prepared(_with_permuted(cells, seed), settings)
    say("velocity")
    base = {source: _velocity(ground, source, settings) for source in _PAIRS}
    result = base[Sources.SPLICEDVAE]
    if isinstance(result, str):
        raise VelocityError(result)
    rows = []
    for change in CHANGES:
        say(CHANGES[change])
        if change == "genes":
            found = {s: _between_halves_of_genes(r, seed) for s, r in base.items()}
        else:
            found = _after(change, cells, ground, base, settings, halves, seed)
        value, chance = found[Sources.SPLICEDVAE], found[Sources.SHUFFLED]
        rows.append(
            {
                "change": change,
                "cosine": np.nan if isinstance(value, str) else value.embedding,
                "chance": np.nan if isinstance(chance, str) else chance.embedding,
                "genes": np.nan if isinstance(value, str) else value.genes,
                "note": value if isinstance(value, str) else "",
            }
        )
    permuted = base[Sources.SHUFFLED]
    return Stability(
        ground, result, None if isinstance(permuted, str) else permuted, pd.DataFrame(rows)
    )


def halves_of_measured(cells: AnnData) -> Callable[[int], list[tuple[csr_matrix, Pair]]]:
    """Return what gives two halves of the molecules of measured layers.

    Parameters
    ----------
    cells
        With the layers ``spliced`` and ``unspliced``.
    """

    def halves(seed: int) -> list[tuple[csr_matrix, Pair]]:
        spliced = thin_counts(cells.layers[Layers.SPLICED], seed=seed)
        unspliced = thin_counts(cells.layers[Layers.UNSPLICED], seed=seed)
        return [(csr_matrix(s + u), (s, u)) for s, u in zip(spliced, unspliced, strict=True)]

    return halves


def share_kept(cosine: ArrayLike, chance: ArrayLike) -> NDArray[np.float64]:
    """Return the share of the way from chance to full agreement that arrows keep.

    Parameters
    ----------
    cosine
        Agreement of the arrows after a change.
    chance
        The same of permuted ratios; missing ones count as 0.
    """
    floor = np.nan_to_num(np.asarray(chance, dtype=np.float64))
    return np.asarray((np.asarray(cosine, dtype=np.float64) - floor) / np.maximum(1 - floor, 1e-6))


def _with_permuted(cells: AnnData, seed: int) -> AnnData:
    pair = (csr_matrix(cells.layers[Layers.SPLICED]), csr_matrix(cells.layers[Layers.UNSPLICED]))
    layers = dict(zip(_PAIRS[Sources.SPLICEDVAE], pair, strict=True))
    dealt = shuffle_within_genes(*pair, seed=seed)
    layers.update(zip(_PAIRS[Sources.SHUFFLED], dealt, strict=True))
    obsm = {Obsm.UMAP: cells.obsm[Obsm.UMAP]} if Obsm.UMAP in cells.obsm else {}
    return AnnData(X=csr_matrix(cells.X), obs=cells.obs, var=cells.var, layers=layers, obsm=obsm)


def _prepared(cells: AnnData, settings: VelocitySettings, genes: pd.Index | None = None) -> AnnData:
    return prepare(
        cells, settings=settings, keep_umap=True, genes=None if genes is None else list(genes)
    )


def _velocity(ground: AnnData, source: str, settings: VelocitySettings) -> AnnData | str:
    """Return a source's velocity, or why there is none."""
    spliced, unspliced = _PAIRS[source]
    try:
        return compute_velocity(
            ground, spliced_layer=spliced, unspliced_layer=unspliced, settings=settings
        )
    except VelocityError as refusal:
        return str(refusal)


class _Agreement(NamedTuple):
    """Mean cosines of two velocities over cells."""

    embedding: float
    genes: float


def _after(
    change: str,
    cells: AnnData,
    ground: AnnData,
    base: dict[str, AnnData | str],
    settings: VelocitySettings,
    halves: Callable[[int], Sequence[tuple[csr_matrix, Pair]]],
    seed: int,
) -> dict[str, _Agreement | str]:
    """Compare each source's arrows before and after fewer neighbors, or of two halves."""
    parts = [cells]
    if change == "neighbors":
        fewer = max(MIN_NEIGHBORS, settings.neighbors_among(cells.n_obs) // 2)
        settings = dataclasses.replace(settings, n_neighbors=fewer)
    else:
        parts = []
        for totals, pair in halves(seed):
            part = AnnData(X=totals, obs=cells.obs, var=cells.var)
            part.layers.update(zip(_PAIRS[Sources.SPLICEDVAE], pair, strict=True))
            parts.append(part)
    found = []
    for number, part in enumerate(parts):
        work = _with_permuted(part, seed + number)
        work.obsm[Obsm.UMAP] = ground.obsm[Obsm.UMAP]
        try:
            other = _prepared(work, settings, ground.var_names)
        except (VelocityError, DataError) as refusal:
            return dict.fromkeys(_PAIRS, str(refusal))
        found.append({source: _velocity(other, source, settings) for source in _PAIRS})
    first, second = found if len(found) == 2 else (base, found[0])
    return {source: _agreement(first[source], second[source]) for source in _PAIRS}


def _between_halves_of_genes(result: AnnData | str, seed: int) -> _Agreement | str:
    """Compare the arrows of two halves of the velocity genes, which share no gene."""
    if isinstance(result, str):
        return result
    names = result.var_names[result.var[Var.VELOCITY_GENES].to_numpy(dtype=bool)]
    order = np.random.default_rng(seed).permutation(len(names))
    halves = order[: len(names) // 2], order[len(names) // 2 :]
    try:
        first, second = (without_genes(result, list(names[part])) for part in halves)
    except VelocityError as refusal:
        return str(refusal)
    return _Agreement(_in_embedding(first, second), np.nan)


def _agreement(first: AnnData | str, second: AnnData | str) -> _Agreement | str:
    """Return mean cosines of two velocities, or the first refusal."""
    for one in (first, second):
        if isinstance(one, str):
            return one
    assert isinstance(first, AnnData)
    assert isinstance(second, AnnData)
    try:
        table = velocity_metrics(first, second, predictor=Sources.SPLICEDVAE)
    except DataError as refusal:
        return str(refusal)
    values = table.set_index("metric")["value"]
    return _Agreement(
        float(values["velocity_cosine_umap"]), float(values["velocity_cosine_genes_equal"])
    )


def _in_embedding(first: AnnData, second: AnnData) -> float:
    arrows = [np.asarray(one.obsm[Obsm.VELOCITY_UMAP], dtype=np.float64) for one in (first, second)]
    lengths = np.prod([np.linalg.norm(one, axis=1) for one in arrows], axis=0)
    moves = np.isfinite(lengths) & (lengths > 0)
    if not moves.any():
        return float("nan")
    return float(((arrows[0] * arrows[1]).sum(axis=1)[moves] / lengths[moves]).mean())
