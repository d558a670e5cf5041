"""The predicted ratio at the entries of a minibatch with counts.

About one entry in eight of a minibatch has counts, and only there a ratio is needed. The
products with the slopes stay dense, as small matrix products are faster than gathering slopes; all
that follows (logarithms, exponentials, roots) is taken at the entries. The numbers are those of
`RatioHead.moments`, which training uses and a test compares with.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import softplus

from splicedvae.module._components import PrincipalComponents
from splicedvae.module._entries import Entries
from splicedvae.module._head import RatioHead, SlopesDraw


class MomentsAtEntries(NamedTuple):
    """Mean and variance of the logits under the posterior of the slopes, shape (n_entries,)."""

    mean: torch.Tensor
    variance: torch.Tensor


def scores(
    components: PrincipalComponents,
    entries: Entries,
    sizes: torch.Tensor,
    batch_index: torch.Tensor,
) -> torch.Tensor:
    """Return the scores of `PrincipalComponents`; sizes are the cells' totals, (n_cells, 1)."""
    factors = (components.size / sizes.clamp_min(1)).squeeze(1)
    logged = torch.log1p(entries.counts * factors.index_select(0, entries.cells))
    centred = components.mean.T.neg().index_select(0, batch_index.squeeze(-1).long())
    # Each entry is there once, so nothing is added twice.
    centred.view(-1).index_add_(0, entries.position, logged)
    return centred @ components.loadings.T


def moments(
    head: RatioHead,
    z: torch.Tensor,
    batch_index: torch.Tensor,
    entries: Entries,
    sizes: torch.Tensor,
    scale: torch.Tensor | None = None,
) -> MomentsAtEntries:
    """Mean and variance of the logits at the entries, as `RatioHead.moments` gives them.

    ``sizes`` are the cells' total counts, (n_cells, 1). ``scale`` is the standard deviation of a
    Gaussian state, which a linear head carries on to the variance.
    """
    h = head.features(z)
    expression, genes = head.expression, entries.genes
    excess = _excess(head, h, entries, sizes)
    slopes, own = head.slopes(), head.loadings.variance
    burst = head.burst + head.bursts.mean
    mean = entries.of(torch.addmm(head.baseline(batch_index), h, slopes))
    mean = mean + burst.index_select(0, genes) * excess
    if scale is None:
        spread = h.square() @ own
    else:
        # The state changes the expected count, and so the excess over it.
        moved = (slopes - burst * expression.slopes).square() + own
        spread = torch.cat([h.square(), scale.square()], dim=1) @ torch.cat([own, moved])
    variance = entries.of(spread)
    variance = variance + head.bursts.variance.index_select(0, genes) * excess.square()
    if head.n_batch > 1:
        offsets = head.batch_offset.variance
        batches = batch_index.squeeze(-1).long().index_select(0, entries.cells)
        variance = variance + offsets.reshape(-1).index_select(
            0, genes * offsets.shape[1] + batches
        )
    return MomentsAtEntries(mean, variance)


def drawn(
    head: RatioHead,
    draw: SlopesDraw,
    z: torch.Tensor,
    batch_index: torch.Tensor,
    entries: Entries,
    sizes: torch.Tensor,
) -> torch.Tensor:
    """Logits with drawn slopes at the entries, as `RatioHead.at` gives them, shape (n_entries,)."""
    h = head.features(z)
    baseline = draw.baseline.T
    if head.n_batch > 1:
        baseline = baseline[batch_index.squeeze(-1).long()]
    logits = entries.of(torch.addmm(baseline, h, draw.loadings))
    own = draw.burst.index_select(0, entries.genes)
    return logits + own * _excess(head, h, entries, sizes)


def _excess(
    head: RatioHead, h: torch.Tensor, entries: Entries, sizes: torch.Tensor
) -> torch.Tensor:
    """Log of each count over the expected one, as `ExpressionSlopes.excess` gives it."""
    expression = head.expression
    expected = torch.addmm(expression.log_level, h - expression.centre, expression.slopes)
    log_sizes = torch.log(sizes.clamp_min(1)).squeeze(1).index_select(0, entries.cells)
    return torch.log1p(entries.counts) - softplus(entries.of(expected) + log_sizes)
