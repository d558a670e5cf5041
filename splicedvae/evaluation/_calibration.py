"""Whether predicted ratios mean what they say: reliability, amplitude, and interval coverage.

Intervals of counts. A central interval of whole numbers holds more than its level, even where the
predictive distribution F is exactly right. The non-randomised probability integral transform
(Czado, Gneiting and Held 2009, *Biometrics* 65, 1254) has no such excess: a count s represents the
range from F(s - 1) to F(s), and adds the share of that range inside the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.special import betainc, betaln

from splicedvae._core.errors import DataError
from splicedvae.evaluation._entries import EPS, Entries, counted_entries

#: Bins of the reliability curve.
N_BINS: Final = 10
#: A beta-binomial whose concentration is this many times its molecules is taken as binomial: their
#: variances differ by less than one part in a million, and log-gammas cancel from there on.
_BINOMIAL_FROM: Final = 1e6


def reliability(
    spliced: csr_matrix, unspliced: csr_matrix, ratio: ArrayLike, *, n_bins: int = N_BINS
) -> pd.DataFrame:
    """Compare predicted ratios with the spliced share of the molecules they were predicted for.

    Parameters
    ----------
    spliced
        Measured spliced counts of the held-out cells, shape (n_cells, n_genes).
    unspliced
        Measured unspliced counts, same shape.
    ratio
        Predicted ratio, same shape.
    n_bins
        Bins of about equally many molecules, by predicted ratio. Entries of equal prediction stay
        together, so that there are fewer bins where few values are predicted.

    Returns
    -------
    A row per bin, in the order of the prediction, with the columns ``predicted`` (mean over
    molecules), ``observed`` (spliced share of the molecules), ``error`` (one standard deviation of
    the observed share by the sampling of molecules), ``molecules`` and ``entries``.

    Raises
    ------
    DataError
        If there are no counts, shapes do not match, or there are no bins.
    """
    if n_bins < 1:
        raise DataError(
            f"{n_bins} bins were requested, expected at least one; choose for instance {N_BINS}."
        )
    entries = counted_entries(spliced, unspliced)
    values = entries.at(ratio)
    bins = _bins(entries, values, n_bins)
    molecules = np.bincount(bins, weights=entries.n)
    return pd.DataFrame(
        {
            "predicted": np.bincount(bins, weights=entries.n * values) / molecules,
            "observed": np.bincount(bins, weights=entries.s) / molecules,
            "error": np.sqrt(np.bincount(bins, weights=entries.n**2 * entries.noise)) / molecules,
            "molecules": molecules.astype(np.int64),
            "entries": np.bincount(bins),
        }
    )


def reliability_within_genes(
    spliced: csr_matrix, unspliced: csr_matrix, ratio: ArrayLike, *, n_bins: int = N_BINS
) -> pd.DataFrame:
    """Compare how far ratios were predicted to lie from their gene's mean with how far they do.

    A curve over all genes is on its diagonal for a constant per gene. After each gene's mean is
    subtracted such a predictor has nothing left, and the slope shows whether the amplitude of what
    a velocity is made of is right.

    Parameters
    ----------
    spliced
        Measured spliced counts of the held-out cells, shape (n_cells, n_genes).
    unspliced
        Measured unspliced counts, same shape.
    ratio
        Predicted ratio, same shape.
    n_bins
        Bins of about equally many molecules, by predicted deviation.

    Returns
    -------
    A row per bin: ``predicted`` and ``observed`` (mean deviations over molecules), ``error`` (one
    standard deviation of the observed one by the sampling of molecules), ``molecules`` and
    ``entries``.

    Raises
    ------
    DataError
        If there are no counts, shapes do not match, or the prediction does not vary within genes.
    """
    entries = counted_entries(spliced, unspliced)
    deviation = entries.within(entries.at(ratio))
    if not np.any(np.abs(deviation) > 1e-7):
        raise DataError(
            "The predicted ratio is constant within every gene, expected some variation to "
            "compare; a constant has no slope within genes."
        )
    bins = _bins(entries, deviation, n_bins)
    molecules = np.bincount(bins, weights=entries.n)
    measured = entries.within(entries.ratio)
    return pd.DataFrame(
        {
            "predicted": np.bincount(bins, weights=entries.n * deviation) / molecules,
            "observed": np.bincount(bins, weights=entries.n * measured) / molecules,
            "error": np.sqrt(np.bincount(bins, weights=entries.n**2 * entries.noise)) / molecules,
            "molecules": molecules.astype(np.int64),
            "entries": np.bincount(bins),
        }
    )


def calibration_error(entries: Entries, values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean distance of the reliability curve from its diagonal over molecules.

    Returns
    -------
    error
        The distance.
    ceiling
        What the truth itself would show, as the molecules of a bin are a sample.
    """
    bins = _bins(entries, values, N_BINS)
    molecules = np.bincount(bins, weights=entries.n)
    apart = np.bincount(bins, weights=entries.s - entries.n * values)
    noise = np.bincount(bins, weights=entries.n**2 * entries.noise)
    # The mean distance of a Gaussian from its center is sqrt(2 / pi) of its standard deviation.
    expected = np.sqrt(2 / np.pi * noise)
    return float(np.abs(apart).sum() / molecules.sum()), float(expected.sum() / molecules.sum())


def within_gene_slope(entries: Entries, deviation: NDArray[np.float64]) -> float:
    """Slope of the measured on the predicted deviation from the gene's mean, over molecules."""
    scale = float((entries.n * deviation**2).sum())
    return float((entries.n * deviation * entries.within(entries.ratio)).sum() / scale)


def predictive_coverage(
    spliced: csr_matrix,
    unspliced: csr_matrix,
    ratio: ArrayLike,
    concentration: ArrayLike,
    *,
    level: float = 0.9,
    coverages: Sequence[int] = (2, 5, 10),
) -> pd.DataFrame:
    """Count how many held-out counts lie within the central interval predicted for them.

    The predictive distribution of the spliced count, given the molecules of the entry, is a
    beta-binomial.

    Parameters
    ----------
    spliced
        Measured spliced counts of the held-out cells, whole numbers, shape (n_cells, n_genes).
    unspliced
        Measured unspliced counts, same shape.
    ratio
        Predicted mean ratio, same shape.
    concentration
        Sum of the two parameters of the beta distribution, above 0, of a shape that can be
        broadcast to that of the counts, such as (n_genes,); infinite for a binomial.
    level
        Probability within the interval.
    coverages
        Least numbers of molecules of the entries counted.

    Returns
    -------
    Rows as of `ratio_metrics`, without a predictor; ``n`` is the number of entries. Metrics:

    * ``interval_coverage`` - the share within the interval by the non-randomised probability
      integral transform (Czado, Gneiting and Held 2009, *Biometrics* 65, 1254): a count adds the
      share of its own probability inside. Its expectation is ``level`` (the ceiling)
      where the predictive distribution is right; below, intervals are too narrow.
    * ``interval_coverage_inclusive`` - the share of counts from the lower to the upper quantile,
      both included. It exceeds ``level`` even if the predictive distribution is right, as
      counts are whole numbers, the more so the fewer they are.

    Raises
    ------
    DataError
        If there are no counts, shapes do not match, counts are not whole numbers, or the level or a
        concentration is out of range.
    """
    if not 0 < level < 1:
        raise DataError(
            f"The level of the interval is {level}, expected a number between 0 and 1; "
            "choose for instance 0.9."
        )
    entries = counted_entries(spliced, unspliced)
    _check_whole(entries)
    values = np.clip(entries.at(ratio), EPS, 1 - EPS)
    spread = _concentrations(entries, concentration)
    rows: list[dict[str, object]] = []
    at = entries.n >= min(coverages, default=1)
    n = entries.n[at]
    below, above = _tails(entries.s[at], n, values[at], spread[at])
    inside, inclusive = _inside(below, above, (1 - level) / 2)
    for coverage in coverages:
        counted = n >= coverage
        for metric, shares, ceiling, note in (
            ("interval_coverage", inside, level, ""),
            (
                "interval_coverage_inclusive",
                inclusive,
                np.nan,
                f"above {level:g} even where the prediction is right, as counts are whole numbers",
            ),
        ):
            rows.append(
                {
                    "metric": metric,
                    "coverage": coverage,
                    "value": float(shares[counted].mean()) if counted.any() else np.nan,
                    "ceiling": ceiling,
                    "n": int(counted.sum()),
                    "note": note if counted.any() else "no entry has this many counts",
                }
            )
    return pd.DataFrame(rows, columns=["metric", "coverage", "value", "ceiling", "n", "note"])


def _bins(entries: Entries, values: NDArray[np.float64], n_bins: int) -> NDArray[np.intp]:
    """Find the bin of each entry, numbered from 0 without gaps."""
    distinct, inverse = np.unique(values, return_inverse=True)
    molecules = np.bincount(inverse, weights=entries.n, minlength=len(distinct))
    middle = np.cumsum(molecules) - molecules / 2
    bins = np.minimum((middle / molecules.sum() * n_bins).astype(np.intp), n_bins - 1)
    _, numbered = np.unique(bins, return_inverse=True)
    return np.asarray(numbered[inverse], dtype=np.intp)


def _check_whole(entries: Entries) -> None:
    for counts in (entries.s, entries.u):
        broken = counts[counts != np.round(counts)]
        if len(broken):
            raise DataError(
                f"The counts hold {broken[0]}, expected whole numbers to compare with an "
                "interval; use measured counts."
            )


def _concentrations(entries: Entries, concentration: ArrayLike) -> NDArray[np.float64]:
    given = np.asarray(concentration, dtype=np.float64)
    try:
        whole = np.broadcast_to(given, entries.shape)
    except ValueError as error:
        raise DataError(
            f"The concentration has shape {given.shape}, expected one that fits the counts' "
            f"{entries.shape}; give one for each gene, or for each cell and gene."
        ) from error
    values = whole[entries.cells, entries.genes]
    if not (values > 0).all():
        raise DataError(
            f"The concentration holds {values[~(values > 0)][0]}, expected numbers above 0; "
            "check that training converged."
        )
    return np.asarray(values, dtype=np.float64)


def _tails(
    s: NDArray[np.float64],
    n: NDArray[np.float64],
    ratio: NDArray[np.float64],
    concentration: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probability of fewer and of more spliced molecules than s."""
    below, above = np.empty_like(ratio), np.empty_like(ratio)
    binomial = concentration > _BINOMIAL_FROM * n
    k, rest, p = s[binomial], (n - s)[binomial], ratio[binomial]
    # The incomplete beta function, which is not defined where a tail is empty.
    below[binomial] = np.where(k > 0, betainc(rest + 1, np.maximum(k, 1), 1 - p), 0)
    above[binomial] = np.where(rest > 0, betainc(k + 1, np.maximum(rest, 1), p), 0)
    wide = ~binomial
    a = ratio[wide] * concentration[wide]
    b = (1 - ratio[wide]) * concentration[wide]
    below[wide], above[wide] = _beta_binomial_tails(s[wide], n[wide], a, b)
    return below, above


def _beta_binomial_tails(
    s: NDArray[np.float64],
    n: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum the probabilities on the side of s that is away from the mean; the other is the rest.

    scipy's own cumulative function does this for one entry at a time.
    """
    lower = s * b < (n - s) * a
    # Counting unspliced molecules instead turns an upper tail into a lower one.
    k = np.where(lower, s, n - s)
    p, q = np.where(lower, a, b), np.where(lower, b, a)
    own = np.exp(-np.log1p(n) - betaln(n - k + 1, k + 1) + betaln(k + p, n - k + q) - betaln(p, q))
    tail = np.zeros_like(own)
    left = np.flatnonzero(k > 0)
    term, step = own[left], k[left]
    rest, first, second = n[left] - step, p[left], q[left]
    while len(left):
        # The probability of one molecule fewer, from that of `step`.
        term = term * step * (rest + second) / ((rest + 1) * (step - 1 + first))
        tail[left] += term
        step, rest = step - 1, rest + 1
        # Away from the mean terms fall, save where the distribution rises to its ends (p < 1).
        more = (step > 0) & ((term * step > 1e-12) | (first < 1))
        left, term, step, rest = left[more], term[more], step[more], rest[more]
        first, second = first[more], second[more]
    other = np.clip(1 - own - tail, 0, 1)
    return np.where(lower, tail, other), np.where(lower, other, tail)


def _inside(
    below: NDArray[np.float64], above: NDArray[np.float64], outside: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of each count's probability, and whether the count itself, lies in the interval."""
    own = 1 - below - above
    held = np.clip(np.minimum(1 - above, 1 - outside) - np.maximum(below, outside), 0, None)
    inclusive = (above <= 1 - outside) & (below < 1 - outside)
    share = np.where(inclusive, 1.0, 0.0)
    np.divide(held, own, out=share, where=own > 1e-12)
    return np.minimum(share, 1), inclusive.astype(np.float64)
