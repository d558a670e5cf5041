"""Likelihoods of the spliced count given the counted molecules, on the non-zero entries.

All take flat tensors that hold only the (cell, gene) entries with S + U > 0: the other entries
say nothing about the ratio, and their log-probability would be exactly zero. The logit of
the ratio is the parameter throughout, so that neither 0 nor 1 is ever reached by rounding.
"""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid


def log_choose(n: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Logarithm of the binomial coefficient, without a gradient.

    Parameters
    ----------
    n
        Molecules, any shape.
    k
        Those chosen, same shape.
    """
    with torch.no_grad():
        # Single molecules, which are most entries, have one way only.
        several = n > 1
        m, j = n[several], k[several]
        result = torch.zeros_like(n)
        result[several] = torch.lgamma(m + 1) - torch.lgamma(j + 1) - torch.lgamma(m - j + 1)
    return result


def binomial_log_prob(
    spliced: torch.Tensor, counted: torch.Tensor, logits: torch.Tensor
) -> torch.Tensor:
    """Log-probability of the spliced count when each molecule is spliced with one probability.

    Parameters
    ----------
    spliced
        Spliced counts S, any shape.
    counted
        Counts S + U, same shape.
    logits
        Logit of the splicing ratio, same shape.

    Returns
    -------
    Natural-log probabilities, same shape.
    """
    return (
        spliced * logsigmoid(logits)
        + (counted - spliced) * logsigmoid(-logits)
        + log_choose(counted, spliced)
    )


def beta_binomial_log_prob(
    spliced: torch.Tensor,
    counted: torch.Tensor,
    logits: torch.Tensor,
    log_concentration: torch.Tensor,
    log_coefficients: torch.Tensor | None = None,
) -> torch.Tensor:
    """Log-probability of the spliced count when the ratio itself varies as a beta distribution.

    The beta distribution has mean ``sigmoid(logits)`` and concentration
    ``exp(log_concentration)`` (its two parameters added up); with growing concentration it
    becomes the binomial.

    Parameters
    ----------
    spliced
        Spliced counts S, any shape.
    counted
        Counts S + U, same shape.
    logits
        Logit of the mean splicing ratio, same shape.
    log_concentration
        Natural log of the concentration, broadcastable to the same shape.
    log_coefficients
        Logs of the binomial coefficients, same shape, from `log_choose`; None computes them.

    Returns
    -------
    Natural-log probabilities, same shape and type as ``logits``.

    Notes
    -----
    Differences of log-gammas of large concentrations cancel in single precision (an error of
    0.005 at a concentration of 10,000), so they are taken in double precision where the
    device has it.
    """
    dtype = logits.dtype
    if logits.device.type != "mps":
        spliced, counted, logits, log_concentration = (
            t.double() for t in (spliced, counted, logits, log_concentration)
        )
    concentration = log_concentration.exp()
    # A beta parameter that rounds to zero has no log-gamma.
    tiny = torch.finfo(logits.dtype).tiny
    alpha = (concentration * torch.sigmoid(logits)).clamp_min(tiny)
    beta = (concentration * torch.sigmoid(-logits)).clamp_min(tiny)
    log_prob = (
        (log_choose(counted, spliced) if log_coefficients is None else log_coefficients)
        + (torch.lgamma(spliced + alpha) - torch.lgamma(alpha))
        + (torch.lgamma(counted - spliced + beta) - torch.lgamma(beta))
        - (torch.lgamma(counted + concentration) - torch.lgamma(concentration))
    )
    return log_prob.to(dtype)


def weighted_squared_error(
    spliced: torch.Tensor, counted: torch.Tensor, logits: torch.Tensor
) -> torch.Tensor:
    """Squared error of the ratio, each entry weighted by the molecules behind it.

    The variance of S / (S + U) falls as 1 / (S + U), so the count is the weight under which
    every entry is weighted by its information. The paper's abstract names a weighted squared
    error without giving its weights; this is our reading of it.

    Parameters
    ----------
    spliced
        Spliced counts S, any shape.
    counted
        Counts S + U, all above zero, same shape.
    logits
        Logit of the splicing ratio, same shape.

    Returns
    -------
    ``counted * (spliced / counted - sigmoid(logits)) ** 2``, same shape.
    """
    return counted * (spliced / counted - torch.sigmoid(logits)).square()
