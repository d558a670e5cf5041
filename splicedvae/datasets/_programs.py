"""Gene programs: when, along a lineage, each simulated gene is switched on and off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from splicedvae._core.errors import SplicedVAEError
from splicedvae.datasets._kinetics import FloatArray
from splicedvae.datasets._lineage import Lineage

HOUSEKEEPING = "housekeeping"
INDUCTION = "induction"
REPRESSION = "repression"
TRANSIENT = "transient"
BRANCH = "branch"
CYCLIC = "cyclic"

#: Share of the genes that follow each program, where the topology allows all of them.
PROGRAM_SHARES: dict[str, float] = {
    HOUSEKEEPING: 0.40,
    INDUCTION: 0.15,
    REPRESSION: 0.15,
    TRANSIENT: 0.12,
    BRANCH: 0.18,
}


@dataclass(frozen=True)
class Programs:
    """When each gene is on.

    Parameters
    ----------
    names
        Program of each gene, shape (n_genes,).
    before
        Whether each gene is on before the root begins, shape (n_genes,).
    on
        Whether each gene is on at the end of each segment, shape (n_segments, n_genes).
    switch
        Time from the start of a segment to the switch of a gene, shape (n_segments, n_genes);
        zero where the gene does not switch.
    """

    names: np.ndarray
    before: np.ndarray
    on: np.ndarray
    switch: FloatArray


def shares_for(lineage: Lineage, shares: Mapping[str, float] | None) -> dict[str, float]:
    """Share of the genes per program that the lineage allows, summing to one.

    A lineage without branching has no branch program and one of a single segment no transient
    one; their shares go to the other dynamic programs in proportion. Around a cycle all dynamic
    genes are cyclic.

    Raises
    ------
    SplicedVAEError
        A program is unknown, a share is negative, or all are zero.
    """
    given = dict(PROGRAM_SHARES if shares is None else shares)
    unknown = sorted(set(given) - set(PROGRAM_SHARES))
    if unknown:
        raise SplicedVAEError(
            f"The programs {unknown} are not known; give shares for {list(PROGRAM_SHARES)}."
        )
    values = np.array(list(given.values()), dtype=np.float64)
    if not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise SplicedVAEError(
            f"The program shares are {given}; give numbers that are not negative and not all zero."
        )
    full = {name: float(given.get(name, 0.0)) / float(values.sum()) for name in PROGRAM_SHARES}
    constant = full.pop(HOUSEKEEPING)
    if lineage.cyclic:
        return {HOUSEKEEPING: constant, CYCLIC: 1.0 - constant}
    possible = {
        name: share
        for name, share in full.items()
        if not (name == BRANCH and not lineage.branch_starts)
        and not (name == TRANSIENT and max(lineage.depths) == 0)
    }
    dynamic = sum(possible.values())
    if dynamic == 0 and constant < 1:
        raise SplicedVAEError(
            f"The program shares {given} leave no program that this topology allows; give "
            f"{INDUCTION!r} or {REPRESSION!r} a positive share."
        )
    scale = (1.0 - constant) / dynamic if dynamic else 0.0
    return {HOUSEKEEPING: constant, **{name: share * scale for name, share in possible.items()}}


def assign(
    lineage: Lineage, n_genes: int, shares: Mapping[str, float], rng: np.random.Generator
) -> Programs:
    """Give every gene a program, the segments where it switches and the times of its switches.

    Parameters
    ----------
    lineage
        Segments, parents before children.
    n_genes
        Number of genes.
    shares
        Share of the genes per program, as ``shares_for`` returns them; they hold up to
        rounding.
    rng
        Source of randomness.
    """
    n_segments = len(lineage.segments)
    parents = np.array(lineage.parents)
    depths = np.array(lineage.depths)
    deepest = int(depths.max())
    names = _shuffled_labels(shares, n_genes, rng)
    # A gene switches in the first 70 % of a segment, so that each segment sees what it switches.
    switch = rng.uniform(0.0, 0.7, size=(n_segments, n_genes)) * lineage.durations[:, None]
    #: Depth at which a gene turns, where its program asks for one.
    turn = rng.integers(0, deepest + 1, size=n_genes)
    transient_turn = rng.integers(0, max(deepest, 1), size=n_genes)
    before = np.ones(n_genes, dtype=bool)
    on = np.ones((n_segments, n_genes), dtype=bool)
    depth = depths[:, None]

    induction = names == INDUCTION
    before[induction] = False
    on[:, induction] = depth >= turn[induction]
    repression = names == REPRESSION
    on[:, repression] = depth < turn[repression]
    transient = names == TRANSIENT
    before[transient] = False
    on[:, transient] = depth == transient_turn[transient]

    branch = np.flatnonzero(names == BRANCH)
    if branch.size:
        starts = np.array(lineage.branch_starts)
        inside = np.zeros((n_segments, n_segments), dtype=bool)
        for start in starts:
            inside[start, lineage.subtree(int(start))] = True
        chosen = inside[rng.choice(starts, size=branch.size)].T
        # Two in three branch genes rise in their branch, the others fall.
        rises = rng.random(branch.size) < 2 / 3
        on[:, branch] = np.where(rises, chosen, ~chosen)
        before[branch] = ~rises

    cyclic = np.flatnonzero(names == CYCLIC)
    if cyclic.size:
        # On for between one segment and all but one, starting anywhere.
        first = rng.integers(0, n_segments, size=cyclic.size)
        length = rng.integers(1, max(n_segments - 1, 1) + 1, size=cyclic.size)
        position = (np.arange(n_segments)[:, None] - first) % n_segments
        on[:, cyclic] = position < np.minimum(length, n_segments // 2 + 1)
        before[cyclic] = on[-1, cyclic]

    inherited = np.where((parents >= 0)[:, None], on[parents], before)
    switch[on == inherited] = 0.0
    return Programs(names=names, before=before, on=on, switch=switch)


def _shuffled_labels(
    shares: Mapping[str, float], n_genes: int, rng: np.random.Generator
) -> np.ndarray:
    """Labels in the given shares, rounded so that they add up to ``n_genes``."""
    bounds = np.rint(np.cumsum(list(shares.values())) * n_genes).astype(int)
    bounds[-1] = n_genes
    counts = np.diff(bounds, prepend=0)
    return rng.permutation(np.repeat(np.array(list(shares)), counts))
