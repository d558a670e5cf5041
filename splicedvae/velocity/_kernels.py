"""The compiled loops of a velocity: ratios, moments, cosines to neighbors, and their agreement.

They give what scVelo's functions give, which loop over cells in Python and copy all neighbors of
a cell; `tests/velocity/test_velocity_kernels.py` holds one against the other. scvelo-rs 0.1.3, a
port to Rust, is not used: in the stochastic mode it leaves out the square root of the differences
between cells, and its arrows then agree with scVelo's by a cosine of 0.91 only.

Each loop but the one of ratios goes over the cells it is given, in their order, and writes to their
rows alone, so that threads can share the cells and the result does not depend on their number.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Parts of the cells for each thread: some cells have more neighbors than others.
_PARTS: Final = 8
#: Flags that allow vectorized sums. NaN and infinity keep their meaning.
_FAST: Final = {"reassoc", "contract", "arcp", "nsz"}


def over_cells(
    kernel: Callable[..., None], cells: NDArray[np.integer], n_jobs: int, *arguments: Any
) -> None:
    """Run a loop over cells in threads; it releases Python's lock.

    Parameters
    ----------
    kernel
        One of the loops below.
    cells
        Positions of the cells, in the order in which they are visited.
    n_jobs
        Threads; -1 for one a core, -2 for one less, and so on.
    arguments
        The kernel's other arguments.
    """
    n_threads = n_jobs if n_jobs > 0 else max((os.cpu_count() or 1) + 1 + n_jobs, 1)
    if n_threads == 1:
        kernel(cells, *arguments)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        parts = np.array_split(cells, n_threads * _PARTS)
        for done in [pool.submit(kernel, part, *arguments) for part in parts]:
            done.result()


@njit(cache=True, nogil=True)
def ratio_squares(row, genes, spliced, other_row, other_genes, unspliced, mean, out):  # type: ignore[no-untyped-def]
    """Add up, per gene, N (rho - mean)^2 = (S - mean N)^2 / N over the cells, with N = S + U.

    This is free of the cancellation in E[x^2] - E[x]^2.
    """
    held = np.zeros(mean.size)
    for cell in range(row.size - 1):
        for entry in range(other_row[cell], other_row[cell + 1]):
            held[other_genes[entry]] = unspliced[entry]
        for entry in range(row[cell], row[cell + 1]):
            gene = genes[entry]
            total = spliced[entry] + held[gene]
            held[gene] = 0
            if total > 0:
                out[gene] += (spliced[entry] - mean[gene] * total) ** 2 / total
        for entry in range(other_row[cell], other_row[cell + 1]):
            gene = other_genes[entry]
            out[gene] += mean[gene] ** 2 * held[gene]
            held[gene] = 0


@njit(cache=True, nogil=True)
def weighted_sums(cells, start, neighbours, weights, row, genes, counts, out):  # type: ignore[no-untyped-def]
    """Sum sparse counts over weighted neighbors into dense rows, in scipy's order."""
    for cell in cells:
        for edge in range(start[cell], start[cell + 1]):
            other, weight = neighbours[edge], weights[edge]
            for entry in range(row[other], row[other + 1]):
                out[cell, genes[entry]] += weight * counts[entry]


@njit(cache=True, nogil=True)
def weighted_rows(cells, start, neighbours, weights, rows, out):  # type: ignore[no-untyped-def]
    """Sum dense rows over weighted neighbors, in scipy's order."""
    n_genes = rows.shape[1]
    for cell in cells:
        own = out[cell]
        for edge in range(start[cell], start[cell + 1]):
            other, weight = rows[neighbours[edge]], weights[edge]
            for gene in range(n_genes):
                own[gene] += weight * other[gene]


@njit(cache=True, nogil=True, fastmath=_FAST)
def cosines(cells, start, neighbours, states, velocity, root, out):  # type: ignore[no-untyped-def]
    """Write the cosine between each cell's velocity and the way to each of its neighbors.

    ``velocity`` has mean 0 in each cell; with ``root``, signed square roots of the ways are taken.
    """
    n_genes = states.shape[1]
    way = np.empty(n_genes, np.float32)
    for cell in cells:
        own, arrow = states[cell], velocity[cell]
        squares = np.float32(0)
        for gene in range(n_genes):
            squares += arrow[gene] * arrow[gene]
        for edge in range(start[cell], start[cell + 1]):
            other = states[neighbours[edge]]
            total = np.float32(0)
            if root:
                for gene in range(n_genes):
                    step = other[gene] - own[gene]
                    way[gene] = np.copysign(np.sqrt(np.abs(step)), step)
                    total += way[gene]
            else:
                for gene in range(n_genes):
                    way[gene] = other[gene] - own[gene]
                    total += way[gene]
            mean = np.float32(total / n_genes)
            along, length = np.float32(0), np.float32(0)
            for gene in range(n_genes):
                step = way[gene] - mean
                along += step * arrow[gene]
                length += step * step
            product = np.float64(length) * np.float64(squares)
            out[edge] = along / np.sqrt(product) if product > 0 else 0


@njit(cache=True, nogil=True, fastmath=_FAST)
def mean_cosines(cells, neighbours, units, moves, out):  # type: ignore[no-untyped-def]
    """Write the mean cosine of each cell's unit vector with its neighbors' that move, or NaN."""
    n_genes = units.shape[1]
    for cell in cells:
        own = units[cell]
        total, count = np.float64(0), 0
        for other in neighbours[cell]:
            theirs = units[other]
            if moves[other]:
                product = np.float32(0)
                for gene in range(n_genes):
                    product += own[gene] * theirs[gene]
                total += product
                count += 1
        out[cell] = total / count if moves[cell] and count > 0 else np.nan


@njit(cache=True, nogil=True, fastmath=_FAST)
def transition_cosines(cells, start, neighbours, weights, states, velocity, out):  # type: ignore[no-untyped-def]
    """Write the cosine of each cell's velocity, of mean 0, with its expected way to neighbors."""
    n_genes = states.shape[1]
    for cell in cells:
        own, arrow = states[cell], velocity[cell]
        way = np.zeros(n_genes, np.float32)
        for edge in range(start[cell], start[cell + 1]):
            weight, other = weights[edge], states[neighbours[edge]]
            for gene in range(n_genes):
                way[gene] += weight * (other[gene] - own[gene])
        mean = way.mean()
        along, length, squares = 0.0, 0.0, 0.0
        for gene in range(n_genes):
            step = way[gene] - mean
            along += step * arrow[gene]
            length += step * step
            squares += arrow[gene] * arrow[gene]
        out[cell] = along / np.sqrt(length * squares) if length * squares > 0 else 0
