"""The splicing equations solved in closed form, so that no simulation integrates numerically."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]


def kernels(
    time: FloatArray, beta: FloatArray, gamma: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Return what is left after ``time`` of unspliced, of spliced, and of one in the other.

    These are :math:`e^{-\beta t}`, :math:`e^{-\gamma t}` and
    :math:`(e^{-\beta t} - e^{-\gamma t}) / (\gamma - \beta)`, the last with its limit
    :math:`t e^{-\beta t}` where the two rates meet; the difference of exponentials is taken with
    ``expm1``, so that nearly equal rates lose no digits.

    Parameters
    ----------
    time
        Time since the start, not negative; broadcasts against the rates.
    beta
        Splicing rates, per unit time.
    gamma
        Degradation rates, per unit time.

    Returns
    -------
    Three arrays, of the broadcast shape; the last in units of time.
    """
    slow = np.minimum(beta, gamma)
    difference = np.abs(gamma - beta)
    left_slow = np.exp(-slow * time)
    scaled = difference * time
    gap = np.expm1(-scaled)
    left_fast = left_slow * (1.0 + gap)
    # -expm1(-x) / x tends to 1 - x / 2; below 1e-8 the series is exact in double precision.
    small = scaled < 1e-8
    if small.any():
        share = np.where(small, 1.0 - 0.5 * scaled, -gap / np.where(small, 1.0, scaled))
    else:
        share = -gap / scaled
    splicing_slower = beta <= gamma
    return (
        np.where(splicing_slower, left_slow, left_fast),
        np.where(splicing_slower, left_fast, left_slow),
        time * left_slow * share,
    )


def advance(
    time: FloatArray,
    unspliced: FloatArray,
    spliced: FloatArray,
    alpha: FloatArray,
    beta: FloatArray,
    gamma: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    r"""Carry a state forward under a constant transcription rate.

    Solves :math:`du/dt = \alpha - \beta u`, :math:`ds/dt = \beta u - \gamma s` exactly.
    All arguments broadcast against each other.

    Parameters
    ----------
    time
        Time to advance, not negative.
    unspliced, spliced
        Molecules at the start.
    alpha
        Transcription rate, molecules per unit time.
    beta, gamma
        Splicing and degradation rates, per unit time, positive.

    Returns
    -------
    Unspliced and spliced molecules after ``time``, of the broadcast shape.
    """
    left_unspliced, left_spliced, transfer = kernels(time, beta, gamma)
    steady_unspliced, steady_spliced = steady_state(alpha, beta, gamma)
    excess = unspliced - steady_unspliced
    return (
        steady_unspliced + excess * left_unspliced,
        steady_spliced + (spliced - steady_spliced) * left_spliced + beta * excess * transfer,
    )


def steady_state(
    alpha: FloatArray, beta: FloatArray, gamma: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Unspliced and spliced molecules after an unlimited time at a constant rate."""
    return alpha / beta, alpha / gamma
