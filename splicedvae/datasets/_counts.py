"""From expected molecules to counts, a block of cells at a time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from splicedvae.datasets._parameters import Parameters
from splicedvae.datasets._population import Cells, Genes

#: Entries of the cells x genes matrix worked on at a time, which bounds the memory needed.
_BLOCK = 200_000


@dataclass(frozen=True)
class Truth:
    """What the counts were drawn from; dense float32 arrays of shape (n_cells, n_genes).

    Parameters
    ----------
    spliced, unspliced
        Expected molecules per cell.
    velocity
        Change of ``spliced`` per unit time.
    ratio
        Expected share of spliced among the counts of an entry.
    """

    spliced: NDArray[np.float32]
    unspliced: NDArray[np.float32]
    velocity: NDArray[np.float32]
    ratio: NDArray[np.float32]


@dataclass(frozen=True)
class Counts:
    """Simulated counts: CSR float32 matrices of shape (n_cells, n_genes), and the truth if kept."""

    total: sparse.csr_matrix
    spliced: sparse.csr_matrix
    unspliced: sparse.csr_matrix
    truth: Truth | None


def draw_counts(
    genes: Genes,
    cells: Cells,
    parameters: Parameters,
    seed: np.random.SeedSequence,
    *,
    truth: bool,
) -> Counts:
    """Draw the counts of every cell.

    The total of an entry is Poisson around a gamma distributed content; of it, a beta-binomial
    number is spliced. The same cells get the same counts whatever the block size and whether or
    not the truth is kept.

    Parameters
    ----------
    genes, cells
        What was drawn once per gene and once per cell.
    parameters
        Concentration of the ratio.
    seed
        Seed of the counts.
    truth
        Whether to keep the dense truth.
    """
    noise_rng, total_rng, share_rng, split_rng = map(np.random.default_rng, seed.spawn(4))
    trajectory = genes.trajectory
    shape = (len(cells.segment), len(trajectory.beta))
    kept = Truth(*(np.empty(shape, dtype=np.float32) for _ in range(4))) if truth else None
    noisy = bool((genes.noise > 0).all())
    rows_per_block = max(1, _BLOCK // shape[1])
    # Cells of one segment follow each other, so that a block has one start and one set of rates.
    order = np.argsort(cells.segment, kind="stable")
    lengths, columns, totals, spliced = [], [], [], []
    bounds = np.searchsorted(cells.segment[order], np.arange(len(trajectory.lineage.segments) + 1))
    for segment, (first, last) in enumerate(itertools.pairwise(bounds)):
        for start in range(first, last, rows_per_block):
            rows = order[start : min(start + rows_per_block, last)]
            batch = cells.batch[rows]
            unspliced_now, spliced_now = trajectory.state(segment, cells.time[rows])
            lost = genes.unspliced_capture * genes.batch_unspliced[batch, None]
            content = spliced_now + lost * unspliced_now
            ratio = spliced_now / content
            if kept is not None:
                kept.spliced[rows] = spliced_now
                kept.unspliced[rows] = unspliced_now
                kept.velocity[rows] = (
                    trajectory.beta * unspliced_now - trajectory.gamma * spliced_now
                )
                kept.ratio[rows] = ratio
            mean = content
            mean *= (cells.capture[rows] * genes.batch_capture[batch])[:, None]
            mean *= genes.batch_gene[batch]
            if noisy:
                mean *= genes.noise * noise_rng.standard_gamma(1.0 / genes.noise, size=mean.shape)
            total = total_rng.poisson(mean)
            counted = np.flatnonzero(total)
            number = total.ravel()[counted]
            share = ratio.ravel()[counted]
            if np.isfinite(parameters.ratio_concentration):
                concentration = parameters.ratio_concentration
                share = share_rng.beta(concentration * share, concentration * (1.0 - share))
            lengths.append(np.count_nonzero(total, axis=1))
            columns.append((counted % shape[1]).astype(np.int32))
            totals.append(number.astype(np.float32))
            spliced.append(split_rng.binomial(number, share).astype(np.float32))
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    indices = np.concatenate(columns)
    back = np.argsort(order)

    def matrix(values: NDArray[np.float32]) -> sparse.csr_matrix:
        """Put counts into the order of the cells, without stored zeros."""
        # A copy, as taking out zeros writes into the arrays.
        drawn = sparse.csr_matrix((values, indices, indptr), shape=shape, copy=True)
        drawn.eliminate_zeros()
        return drawn[back]

    all_totals = np.concatenate(totals)
    all_spliced = np.concatenate(spliced)
    return Counts(
        total=matrix(all_totals),
        spliced=matrix(all_spliced),
        unspliced=matrix(all_totals - all_spliced),
        truth=kept,
    )
