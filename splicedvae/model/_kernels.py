"""Compiled loops over sparse matrices of counts: minibatches, and sums over rows."""

from __future__ import annotations

import math

from numba import njit


@njit(cache=True, nogil=True)
def cut(rows, indptr, indices, values, n_genes, index, found):  # type: ignore[no-untyped-def]
    """Copy the entries of some rows, with their places in the flattened minibatch.

    ``values`` has several numbers for each entry of the matrix, shape (n_values, n_entries).
    """
    at = 0
    for number in range(rows.size):
        row = rows[number]
        low, high = indptr[row], indptr[row + 1]
        for entry in range(low, high):
            index[at + entry - low] = number * n_genes + indices[entry]
        for k in range(values.shape[0]):
            for entry in range(low, high):
                found[k, at + entry - low] = values[k, entry]
        at += high - low


@njit(cache=True, nogil=True)
def log_factorials(indptr, counts, table, out):  # type: ignore[no-untyped-def]
    """Add log-gamma(x + 1) of each row's counts to what ``out`` holds; a table has the first."""
    for row in range(indptr.size - 1):
        total = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            x = counts[entry]
            k = int(x)
            total += table[k] if k < table.size and k == x else math.lgamma(x + 1.0)
        out[row] += total


@njit(cache=True, nogil=True)
def log_choose(indptr, counted, chosen, table, out):  # type: ignore[no-untyped-def]
    """Add the logs of the binomial coefficients of each row to what ``out`` holds."""
    for row in range(indptr.size - 1):
        total = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            n, s = counted[entry], chosen[entry]
            u = max(n - s, 0)
            k, i, j = int(n), int(s), int(u)
            if k < table.size and k == n and i == s and j == u:
                total += table[k] - table[i] - table[j]
            else:
                total += math.lgamma(n + 1.0) - math.lgamma(s + 1.0) - math.lgamma(u + 1.0)
        out[row] += total
