"""One training step of the usual module, from a sparse minibatch to a loss.

`SplicedVAEModule.loss` says what is minimized, for every form of the module. This is the same sum
for the form nearly everybody trains (negative binomial with a dispersion per gene, binomial
ratio), put together from the fused likelihoods. A test holds value and gradients to
`SplicedVAEModule.loss`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from scvi import REGISTRY_KEYS

from splicedvae.module._entries import Entries
from splicedvae.module._fused import binomial_loss, negative_binomial_loss

if TYPE_CHECKING:
    from splicedvae.module._head import RatioHead
    from splicedvae.module._module import SplicedVAEModule


@dataclass(frozen=True)
class SparseMinibatch:
    """A minibatch whose counts are given where they are not zero.

    Parameters
    ----------
    index
        Positions of the non-zero total counts in the flattened minibatch, shape (n_totals,).
    totals
        Total counts there, same shape.
    counted_index
        Positions of the entries with S + U above zero, shape (n_entries,); the same tensor as
        ``index`` where the totals are S + U.
    counted
        S + U there, same shape.
    spliced
        S there, same shape.
    totals_at_counted
        Total counts there, same shape.
    log_factorials
        Sum of log-gamma(x + 1) of the totals of each cell, shape (n_cells,).
    log_choose
        Sum of the logs of the binomial coefficients of each cell, same shape.
    covariates
        Batch, label and covariates by scvi-tools' registry keys, each (n_cells, ...).
    scores
        Scores on the principal components, shape (n_cells, n_components); None without them.
    latent
        Mean and standard deviation of the latent state, each (n_cells, n_latent), where the
        encoder is frozen; None otherwise.
    """

    index: torch.Tensor
    totals: torch.Tensor
    counted_index: torch.Tensor
    counted: torch.Tensor
    spliced: torch.Tensor
    totals_at_counted: torch.Tensor
    log_factorials: torch.Tensor
    log_choose: torch.Tensor
    covariates: dict[str, torch.Tensor]
    scores: torch.Tensor | None = None
    latent: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.log_factorials)


@dataclass(frozen=True)
class StepLosses:
    """What a training step minimizes, and its parts.

    Attributes
    ----------
    loss
        Mean over the cells of the minibatch, with a gradient.
    reconstruction, kl
        Sums over the cells of expression's negative log-likelihood and of the divergence of the
        latent state.
    ratio
        Mean over cells and experts of the ratio's negative log-likelihood.
    """

    loss: torch.Tensor
    reconstruction: torch.Tensor
    kl: torch.Tensor
    ratio: torch.Tensor


def has_step(module: SplicedVAEModule) -> bool:
    """Return whether `training_step` covers a module's options.

    Parameters
    ----------
    module
        Any.
    """
    return (
        module.gene_likelihood == "nb"
        and module.dispersion == "gene"
        and module.latent_distribution == "normal"
        and module.use_observed_lib_size
        and not module.use_size_factor_key
        and module.log_variational
        and module.batch_representation != "embedding"
        and all(head.likelihood == "binomial" for head in module.ratio_heads)
    )


def training_step(
    module: SplicedVAEModule, minibatch: SparseMinibatch, *, kl_weight: float, n_obs: int
) -> StepLosses:
    """Compute the loss of a minibatch, as `SplicedVAEModule.loss` defines it.

    Parameters
    ----------
    module
        In training mode; `has_step` says whether it is supported.
    minibatch
        The cells.
    kl_weight
        Weight of the divergence of the latent state.
    n_obs
        Number of training cells.
    """
    n_cells, n_genes = minibatch.n_cells, module.ratio_head.log_odds.shape[0]
    where = Entries.at(minibatch.index, minibatch.totals, n_genes)
    x = where.scatter(minibatch.totals, n_cells, n_genes)
    size = x.sum(dim=1, keepdim=True)
    zero = x.new_zeros(())
    expression, reconstruction, divergence = zero, zero, zero
    if minibatch.latent is not None:
        mean, scale = minibatch.latent
        z = mean + scale * torch.randn_like(mean)
    else:
        z, mean, variance = _encode(module, x, minibatch.covariates)
        logits = _decode(module, z, minibatch.covariates)
        losses = negative_binomial_loss(
            logits, module.px_r, x, size, where, minibatch.log_factorials
        )
        kl = 0.5 * (mean.square() + variance - 1 - torch.log(variance)).sum(dim=1)
        expression = (losses + kl_weight * kl).mean()
        reconstruction, divergence = losses.detach().sum(), kl.detach().sum()

    same = minibatch.counted_index is minibatch.index
    entries = (
        where._replace(counts=minibatch.counted)
        if same
        else Entries.at(minibatch.counted_index, minibatch.counted, n_genes)
    )
    logged = torch.log1p(minibatch.totals_at_counted)
    batch_index = minibatch.covariates[REGISTRY_KEYS.BATCH_KEY]
    experts = [(module.ratio_head, z)]
    if module.ratio_head_components is not None and minibatch.scores is not None:
        experts.append((module.ratio_head_components, minibatch.scores))
    nll, prior = zero, zero
    coefficients = minibatch.log_choose.sum()
    for head, state in experts:
        h = head.features(state)
        if not head.expression.fixed:
            head.expression.observe(h, x, n_obs, size)
        loss = _expert_loss(
            head, h, batch_index, torch.log(size.clamp_min(1)), entries, minibatch.spliced, logged
        )
        nll = nll + (loss - coefficients) / n_cells
        prior = prior + head.penalty() / n_obs
    return StepLosses(
        loss=expression + module.ratio_weight * nll + prior,
        reconstruction=reconstruction,
        kl=divergence,
        ratio=nll.detach() / len(experts),
    )


def _encode(
    module: SplicedVAEModule, x: torch.Tensor, covariates: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a draw of the latent state, its mean and its variance."""
    seen: torch.Tensor = torch.log1p(x)
    continuous = covariates.get(REGISTRY_KEYS.CONT_COVS_KEY)
    categorical = covariates.get(REGISTRY_KEYS.CAT_COVS_KEY)
    if continuous is not None and module.encode_covariates:
        seen = torch.cat((seen, continuous), dim=-1)
    categories: tuple[torch.Tensor, ...] = ()
    if categorical is not None and module.encode_covariates:
        categories = torch.split(categorical, 1, dim=1)
    encoder = module.z_encoder
    hidden = encoder.encoder(seen, covariates[REGISTRY_KEYS.BATCH_KEY], *categories)
    mean = encoder.mean_encoder(hidden)
    variance = encoder.var_activation(encoder.var_encoder(hidden)) + encoder.var_eps
    return mean + variance.sqrt() * torch.randn_like(mean), mean, variance


def _decode(
    module: SplicedVAEModule, z: torch.Tensor, covariates: dict[str, torch.Tensor]
) -> torch.Tensor:
    """Return the logits of the genes' shares, before the softmax."""
    continuous = covariates.get(REGISTRY_KEYS.CONT_COVS_KEY)
    categorical = covariates.get(REGISTRY_KEYS.CAT_COVS_KEY)
    seen = z if continuous is None else torch.cat([z, continuous], dim=-1)
    categories = () if categorical is None else torch.split(categorical, 1, dim=1)
    hidden = module.decoder.px_decoder(
        seen,
        covariates[REGISTRY_KEYS.BATCH_KEY],
        *categories,
        covariates[REGISTRY_KEYS.LABELS_KEY],
    )
    logits: torch.Tensor = module.decoder.px_scale_decoder[0](hidden)
    return logits


def _expert_loss(
    head: RatioHead,
    h: torch.Tensor,
    batch_index: torch.Tensor,
    log_size: torch.Tensor,
    entries: Entries,
    spliced: torch.Tensor,
    logged: torch.Tensor,
) -> torch.Tensor:
    """Return the loss of one expert, summed over entries, without binomial coefficients."""
    moments = head.expression
    with torch.no_grad():
        expected = torch.addmm(moments.log_level, h - moments.centre, moments.slopes)
        expected += log_size
    offset_variance = None
    if head.n_batch > 1:
        offset_variance = head.batch_offset.variance.T[batch_index.squeeze(-1).long()]
    return binomial_loss(
        h,
        head.slopes(),
        head.loadings.variance,
        head.baseline(batch_index),
        offset_variance,
        head.burst + head.bursts.mean,
        head.bursts.variance,
        expected,
        moments.slopes,
        entries,
        spliced,
        logged,
    )
