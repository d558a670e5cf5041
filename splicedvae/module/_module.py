"""scVI's module with a second decoder, trained jointly on expression and splicing ratio.

Read it top to bottom: `loss` adds the ratio's likelihood and its shrinkage to scVI's
loss; `ratio` gives predictions from the approximate posterior of the latent state. The encoder is
scVI's and sees total counts only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from scvi.distributions import NegativeBinomial, ZeroInflatedNegativeBinomial
from scvi.module import VAE
from scvi.module._constants import MODULE_KEYS
from scvi.module.base import LossOutput, auto_move_data
from torch.distributions import Distribution, Normal

from splicedvae._core.keys import HeadKind, RatioLikelihood
from splicedvae.module import _at_entries
from splicedvae.module._components import PrincipalComponents
from splicedvae.module._entries import CountedEntries, Entries
from splicedvae.module._expression import SparseNegativeBinomial
from splicedvae.module._head import RatioHead, SlopesDraw

#: Keys under which the data loader hands over the measured layers.
SPLICED_KEY = "spliced"
UNSPLICED_KEY = "unspliced"

#: Draws of the latent state behind a posterior mean that has no closed form.
N_MEAN_DRAWS = 32


class SplicedVAEModule(VAE):
    """Variational autoencoder of total counts with a decoder for the splicing ratio.

    Parameters
    ----------
    n_input
        Number of genes.
    n_batch
        Number of batches.
    n_labels
        Number of labels.
    n_hidden
        Nodes per hidden layer of encoder and decoder.
    n_latent
        Dimensions of the latent space.
    n_layers
        Hidden layers of encoder and decoder.
    n_continuous_cov
        Number of continuous covariates.
    n_cats_per_cov
        Number of categories of each categorical covariate.
    dropout_rate
        Dropout rate of the encoder.
    dispersion
        Whether the dispersion of expression is per ``"gene"``, ``"gene-batch"``,
        ``"gene-label"`` or ``"gene-cell"``.
    log_variational
        Whether the encoder sees log(1 + x).
    gene_likelihood
        Likelihood of expression: ``"nb"``, ``"zinb"``, ``"poisson"`` or ``"normal"``.
    latent_distribution
        ``"normal"`` or ``"ln"``, as in scVI.
    encode_covariates
        Whether the encoder sees the covariates.
    deeply_inject_covariates
        Whether every hidden layer sees the covariates.
    use_batch_norm
        Where to use batch normalisation: ``"encoder"``, ``"decoder"``, ``"none"``, ``"both"``.
    use_layer_norm
        Where to use layer normalisation, likewise.
    use_size_factor_key
        Whether a registered size factor replaces the library size.
    use_observed_lib_size
        Whether the observed library size scales expression.
    library_log_means
        Mean log library size per batch, shape (1, n_batch), where library size is inferred.
    library_log_vars
        Its variances, same shape.
    var_activation
        Function that makes the variance of the approximate posterior positive.
    ratio_head
        ``"linear"`` or ``"mlp"``; see `splicedvae.module.RatioHead`.
    n_hidden_ratio
        Hidden units of the ``"mlp"`` head.
    ratio_likelihood
        ``"binomial"``, ``"beta-binomial"`` or ``"weighted-squared-error"``.
    ratio_weight
        Weight of the ratio's loss against expression's; 1 is the joint likelihood.
    ratio_shrinkage
        Precision of the Gaussian prior that draws each gene's ratio to a constant, in units of one
        over squared logit; None learns it from the data.
    n_components
        Principal components of the totals that a second, linear expert for the ratio sees, whose
        prediction is averaged with that from the latent state; 0 leaves it out.
    """

    amplitude: torch.Tensor

    def __init__(
        self,
        n_input: int,
        n_batch: int = 0,
        n_labels: int = 0,
        n_hidden: int = 128,
        n_latent: int = 10,
        n_layers: int = 1,
        n_continuous_cov: int = 0,
        n_cats_per_cov: list[int] | None = None,
        dropout_rate: float = 0.1,
        dispersion: Literal["gene", "gene-batch", "gene-label", "gene-cell"] = "gene",
        log_variational: bool = True,
        gene_likelihood: Literal["zinb", "nb", "poisson", "normal"] = "nb",
        latent_distribution: Literal["normal", "ln"] = "normal",
        encode_covariates: bool = False,
        deeply_inject_covariates: bool = True,
        use_batch_norm: Literal["encoder", "decoder", "none", "both"] = "both",
        use_layer_norm: Literal["encoder", "decoder", "none", "both"] = "none",
        use_size_factor_key: bool = False,
        use_observed_lib_size: bool = True,
        library_log_means: np.ndarray | None = None,
        library_log_vars: np.ndarray | None = None,
        var_activation: Callable[[torch.Tensor], torch.Tensor] | None = None,
        ratio_head: HeadKind = "linear",
        n_hidden_ratio: int = 128,
        ratio_likelihood: RatioLikelihood = "binomial",
        ratio_weight: float = 1.0,
        ratio_shrinkage: float | None = None,
        n_components: int = 20,
    ) -> None:
        super().__init__(
            n_input=n_input,
            n_batch=n_batch,
            n_labels=n_labels,
            n_hidden=n_hidden,
            n_latent=n_latent,
            n_layers=n_layers,
            n_continuous_cov=n_continuous_cov,
            n_cats_per_cov=n_cats_per_cov,
            dropout_rate=dropout_rate,
            dispersion=dispersion,
            log_variational=log_variational,
            gene_likelihood=gene_likelihood,
            latent_distribution=latent_distribution,
            encode_covariates=encode_covariates,
            deeply_inject_covariates=deeply_inject_covariates,
            use_batch_norm=use_batch_norm,
            use_layer_norm=use_layer_norm,
            use_size_factor_key=use_size_factor_key,
            use_observed_lib_size=use_observed_lib_size,
            library_log_means=library_log_means,
            library_log_vars=library_log_vars,
            var_activation=var_activation,
        )
        for name, value in (("ratio_weight", ratio_weight), ("ratio_shrinkage", ratio_shrinkage)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(
                    f"`{name}` is {value}, expected a finite number of at least 0; choose such."
                )
        self.ratio_weight = ratio_weight
        self.ratio_shrinkage = ratio_shrinkage
        self.expression_frozen = False
        self.ratio_head = RatioHead(
            n_latent,
            n_input,
            n_batch=max(n_batch, 1),
            kind=ratio_head,
            n_hidden=n_hidden_ratio,
            likelihood=ratio_likelihood,
            shrinkage=ratio_shrinkage,
        )
        #: What the mean of the experts is drawn away from the gene's constant by, in logits.
        self.register_buffer("amplitude", torch.ones(()))
        self.components: PrincipalComponents | None = None
        self.ratio_head_components: RatioHead | None = None
        if n_components:
            self.components = PrincipalComponents(n_input, n_components, max(n_batch, 1))
            self.ratio_head_components = RatioHead(
                n_components,
                n_input,
                n_batch=max(n_batch, 1),
                likelihood=ratio_likelihood,
                shrinkage=ratio_shrinkage,
            )

    @property
    def ratio_heads(self) -> list[RatioHead]:
        """The experts for the ratio: on the latent state and, if there is one, on components."""
        heads = (self.ratio_head, self.ratio_head_components)
        return [head for head in heads if head is not None]

    def freeze_expression(self) -> None:
        """Hold everything but the ratio head: training then fits the head on a fixed latent."""
        self.expression_frozen = True
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith("ratio_head"))
        self.train(self.training)

    def train(self, mode: bool = True) -> SplicedVAEModule:
        """Switch to training; a frozen part stays in evaluation.

        Parameters
        ----------
        mode
            Whether to train (``True``) or evaluate.
        """
        super().train(mode)
        if self.expression_frozen:
            for name, child in self.named_children():
                child.train(mode and name.startswith("ratio_head"))
        return self

    def forward(
        self, tensors: dict[str, torch.Tensor], *args: Any, **kwargs: Any
    ) -> tuple[Any, ...]:
        """Inference, generation and loss; a frozen module in training skips expression's decoder.

        Parameters
        ----------
        tensors
            A minibatch.
        *args, **kwargs
            As for `scvi.module.VAE`.
        """
        if not (self.expression_frozen and self.training and kwargs.get("compute_loss", True)):
            return super().forward(tensors, *args, **kwargs)
        with torch.no_grad():
            inference_outputs = self.inference(**self._get_inference_input(tensors))
        loss = self.loss(tensors, inference_outputs, {}, **(kwargs.get("loss_kwargs") or {}))
        return inference_outputs, {}, loss

    @auto_move_data
    def generative(
        self,
        z: torch.Tensor,
        library: torch.Tensor,
        batch_index: torch.Tensor,
        cont_covs: torch.Tensor | None = None,
        cat_covs: torch.Tensor | None = None,
        size_factor: torch.Tensor | None = None,
        y: torch.Tensor | None = None,
        transform_batch: torch.Tensor | None = None,
    ) -> dict[str, Distribution | None]:
        """Return scVI's distributions, the negative binomial in its form for sparse counts.

        Parameters
        ----------
        z, library, batch_index, cont_covs, cat_covs, size_factor, y, transform_batch
            As for `scvi.module.VAE`.
        """
        outputs: dict[str, Distribution | None] = super().generative(
            z, library, batch_index, cont_covs, cat_covs, size_factor, y, transform_batch
        )
        px = outputs[MODULE_KEYS.PX_KEY]
        if isinstance(px, NegativeBinomial) and not isinstance(px, ZeroInflatedNegativeBinomial):
            # A dispersion per gene comes back from the broadcast as a view of it.
            theta = torch.exp(self.px_r) if self.dispersion == "gene" else px.theta
            outputs[MODULE_KEYS.PX_KEY] = SparseNegativeBinomial(px.mu, theta, px.scale)
        return outputs

    def loss(
        self,
        tensors: dict[str, torch.Tensor],
        inference_outputs: dict[str, torch.Tensor | Distribution | None],
        generative_outputs: dict[str, Distribution | None],
        kl_weight: torch.Tensor | float = 1.0,
        n_obs: int = 1,
    ) -> LossOutput:
        """Loss of expression plus the weighted loss of the ratio plus shrinkage.

        All are means over the cells of the minibatch, so that the sum over an epoch is the
        negative log of the joint density with its prior, up to the KL's weight.

        Parameters
        ----------
        tensors
            A minibatch with total counts and, for the ratio, both layers.
        inference_outputs
            From `inference`.
        generative_outputs
            From `generative`.
        kl_weight
            Weight of the KL divergence of the latent state, warmed up by the training plan.
        n_obs
            Number of training cells: the prior on the head counts once an epoch.

        Returns
        -------
        scvi-tools' loss record with ``ratio_loss`` (mean over cells) among the extra metrics.
        """
        x = tensors[REGISTRY_KEYS.X_KEY]
        n_cells = x.shape[0]
        ratio_nll, prior = x.new_zeros(()), x.new_zeros(())
        if SPLICED_KEY in tensors and UNSPLICED_KEY in tensors:
            z = cast(torch.Tensor, inference_outputs[MODULE_KEYS.Z_KEY])
            batch_index = tensors[REGISTRY_KEYS.BATCH_KEY]
            entries = CountedEntries.find(tensors[SPLICED_KEY], tensors[UNSPLICED_KEY])
            experts = [(self.ratio_head, z)]
            if self.components is not None and self.ratio_head_components is not None:
                experts.append((self.ratio_head_components, self.components(x, batch_index)))
            for head, state in experts:
                if self.training and not head.expression.fixed:
                    head.expression.observe(head.features(state), x, n_obs)
                mean, variance = head.moments(state, batch_index, x)
                loss = head.negative_log_likelihood(mean, entries, variance)
                ratio_nll = ratio_nll + loss / n_cells
                # Where nothing is said of the ratio, the prior alone would make it forget.
                prior = prior + head.penalty() / n_obs
        ratio_loss = self.ratio_weight * ratio_nll + prior
        extra = {"ratio_loss": ratio_nll.detach() / len(self.ratio_heads)}
        if self.expression_frozen and not generative_outputs:
            nothing = torch.zeros(n_cells, device=x.device)
            return LossOutput(
                loss=ratio_loss,
                reconstruction_loss=nothing,
                kl_local={MODULE_KEYS.KL_Z_KEY: nothing},
                extra_metrics=extra,
            )
        expression = super().loss(tensors, inference_outputs, generative_outputs, kl_weight)
        return LossOutput(
            loss=expression.loss + ratio_loss,
            reconstruction_loss=expression.reconstruction_loss,
            kl_local=expression.kl_local,
            extra_metrics={**(expression.extra_metrics or {}), **extra},
        )

    @torch.inference_mode()
    @auto_move_data
    def ratio_draw(
        self,
        tensors: dict[str, torch.Tensor],
        expert: int,
        draw: SlopesDraw,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Splicing ratio at one draw of the slopes and of each cell's latent state.

        The slopes are the same for all cells, as what the model does not know of a gene errs in all
        cells alike; drawing them anew for each entry would average out over neighbours.

        Parameters
        ----------
        tensors
            A minibatch; only total counts and covariates are looked at.
        expert
            Which of `ratio_heads` answers.
        draw
            Its slopes, from `RatioHead.draw`.
        generator
            Source of randomness for the latent states, on the CPU.

        Returns
        -------
        Ratios, shape (n_cells, n_genes).
        """
        batch_index = tensors[REGISTRY_KEYS.BATCH_KEY]
        x = self._counts(tensors)
        if expert and self.components is not None and x is not None:
            state = self.components(x, batch_index)
        else:
            qz = self.inference(**self._get_inference_input(tensors))[MODULE_KEYS.QZ_KEY]
            noise = torch.randn(qz.loc.shape, generator=generator).to(qz.loc.device)
            state = self.z_encoder.z_transformation(qz.loc + qz.scale * noise)
        return self._amplified(
            torch.sigmoid(self.ratio_heads[expert].at(draw, state, batch_index, x)), x is None
        )

    @torch.inference_mode()
    @auto_move_data
    def ratio(
        self,
        tensors: dict[str, torch.Tensor],
        n_samples: int | None = None,
    ) -> torch.Tensor:
        """Splicing ratio under the approximate posterior, the experts counting alike.

        Parameters
        ----------
        tensors
            A minibatch; only total counts and covariates are looked at.
        n_samples
            How many draws to return, an equal number from each expert (one more from the first
            where they are odd); ``None`` returns the mean.

        Returns
        -------
        Ratios, shape (n_cells, n_genes), or (n_samples, n_cells, n_genes).

        Notes
        -----
        Minified data has no counts, so the latent state alone is heard.
        """
        if n_samples is None:
            return self.combined(self._expert_ratios(tensors))
        qz = self.inference(**self._get_inference_input(tensors))[MODULE_KEYS.QZ_KEY]
        x = self._counts(tensors)
        batch_index = tensors[REGISTRY_KEYS.BATCH_KEY]
        other = None if x is None else self.ratio_head_components
        first = n_samples if other is None else (n_samples + 1) // 2
        z = self.z_encoder.z_transformation(qz.sample((first,)))
        draws = _scattered(*self.ratio_head.moments(z, batch_index, x))
        if other is not None and self.components is not None and x is not None:
            mean, variance = other.moments(self.components(x, batch_index), batch_index, x)
            shape = (n_samples - first, *mean.shape)
            draws = torch.cat([draws, _scattered(mean.expand(shape), variance.expand(shape))])
        return self._amplified(draws, other is None)

    @torch.inference_mode()
    @auto_move_data
    def expert_ratios(self, tensors: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Posterior mean ratio of each expert on its own, each of shape (n_cells, n_genes).

        Parameters
        ----------
        tensors
            A minibatch; only total counts and covariates are looked at.
        """
        return self._expert_ratios(tensors)

    def combined(self, ratios: list[torch.Tensor]) -> torch.Tensor:
        """Posterior mean ratio of all experts, shape (n_cells, n_genes).

        Parameters
        ----------
        ratios
            Of each expert, from `expert_ratios`.
        """
        return self._amplified(torch.stack(ratios).mean(dim=0), len(ratios) == 1)

    @torch.inference_mode()
    @auto_move_data
    def counted_ratios(
        self,
        tensors: dict[str, torch.Tensor],
        entries: Entries,
        at: Entries | None = None,
    ) -> tuple[list[torch.Tensor], torch.Tensor, Normal]:
        """Posterior mean ratio where something was counted, the same as `expert_ratios` gives.

        Parameters
        ----------
        tensors
            Batch and covariates of a minibatch; total counts are taken from ``entries``.
        entries
            Where the totals are not zero.
        at
            Entries to answer for, with their totals; None takes ``entries``.

        Returns
        -------
        ratios
            Of each expert, each of shape (n_entries,).
        combined
            Of all experts, same shape.
        qz
            Posterior of the latent states.
        """
        batch_index = tensors[REGISTRY_KEYS.BATCH_KEY]
        n_genes = self.ratio_head.intercept.shape[0]
        x = entries.scatter(entries.counts, len(batch_index), n_genes)
        sizes = x.sum(dim=1, keepdim=True)
        qz = self.inference(**self._get_inference_input({**tensors, REGISTRY_KEYS.X_KEY: x}))[
            MODULE_KEYS.QZ_KEY
        ]
        head = self.ratio_head
        at = entries if at is None else at
        if head.kind == "linear" and self.latent_distribution == "normal":
            found = _at_entries.moments(head, qz.loc, batch_index, at, sizes, qz.scale)
            ratios = [_mean_sigmoid(*found)]
        else:
            total = torch.zeros(1, device=x.device)
            for z in self._mean_draws(qz):
                found = _at_entries.moments(head, z, batch_index, at, sizes)
                total = total + _mean_sigmoid(*found)
            ratios = [total / N_MEAN_DRAWS]
        if self.components is not None and self.ratio_head_components is not None:
            scores = _at_entries.scores(self.components, entries, sizes, batch_index)
            found = _at_entries.moments(self.ratio_head_components, scores, batch_index, at, sizes)
            ratios.append(_mean_sigmoid(*found))
        mean = torch.stack(ratios).mean(dim=0)
        return ratios, self._amplified(mean, len(ratios) == 1, at.genes), qz

    @torch.inference_mode()
    @auto_move_data
    def counted_draw(
        self,
        tensors: dict[str, torch.Tensor],
        entries: Entries,
        expert: int,
        draw: SlopesDraw,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Splicing ratio at one draw where something was counted, the same as `ratio_draw` gives.

        Parameters
        ----------
        tensors
            Batch and covariates of a minibatch; total counts are taken from ``entries``.
        entries
            Where the totals are not zero.
        expert, draw, generator
            As for `ratio_draw`.

        Returns
        -------
        Ratios, shape (n_entries,).
        """
        batch_index = tensors[REGISTRY_KEYS.BATCH_KEY]
        head = self.ratio_heads[expert]
        x = entries.scatter(entries.counts, len(batch_index), head.intercept.shape[0])
        sizes = x.sum(dim=1, keepdim=True)
        if expert and self.components is not None:
            state = _at_entries.scores(self.components, entries, sizes, batch_index)
        else:
            qz = self.inference(**self._get_inference_input({**tensors, REGISTRY_KEYS.X_KEY: x}))[
                MODULE_KEYS.QZ_KEY
            ]
            noise = torch.randn(qz.loc.shape, generator=generator).to(qz.loc.device)
            state = self.z_encoder.z_transformation(qz.loc + qz.scale * noise)
        logits = _at_entries.drawn(head, draw, state, batch_index, entries, sizes)
        return self._amplified(torch.sigmoid(logits), False, entries.genes)

    @torch.inference_mode()
    def combined_at(self, ratios: torch.Tensor, genes: torch.Tensor) -> torch.Tensor:
        """Posterior mean ratio of all experts at entries, shape (n_entries,).

        Parameters
        ----------
        ratios
            Of each expert, shape (n_experts, n_entries), from `counted_ratios`.
        genes
            Column of each entry, shape (n_entries,).
        """
        device = self.ratio_head.log_odds.device
        mean = ratios.to(device).mean(dim=0)
        return self._amplified(mean, len(ratios) == 1, genes.to(device)).cpu()

    def _expert_ratios(self, tensors: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        qz = self.inference(**self._get_inference_input(tensors))[MODULE_KEYS.QZ_KEY]
        x = self._counts(tensors)
        batch_index = tensors[REGISTRY_KEYS.BATCH_KEY]
        ratios = [self._mean_ratio(qz, batch_index, x)]
        if self.components is not None and self.ratio_head_components is not None and x is not None:
            scores = self.components(x, batch_index)
            moments = self.ratio_head_components.moments(scores, batch_index, x)
            ratios.append(_mean_sigmoid(*moments))
        return ratios

    def _amplified(
        self, ratio: torch.Tensor, alone: bool, genes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Give back to the mean of experts the amplitude that averaging takes."""
        if alone or self.ratio_head_components is None:
            return ratio
        log_odds = self.ratio_head.log_odds
        if genes is not None:
            log_odds = log_odds.index_select(0, genes)
        return torch.sigmoid(log_odds + self.amplitude * (torch.logit(ratio, eps=1e-6) - log_odds))

    def _counts(self, tensors: dict[str, torch.Tensor]) -> torch.Tensor | None:
        return None if self.minified_data_type is not None else tensors[REGISTRY_KEYS.X_KEY]

    def _mean_ratio(
        self, qz: Normal, batch_index: torch.Tensor, x: torch.Tensor | None
    ) -> torch.Tensor:
        """Mean ratio of the expert on the latent state.

        With a linear head and a Gaussian latent the logit is Gaussian, and its mean ratio has a
        closed form. Otherwise the mean is over a fixed set of draws, the same for every cell, so
        that a prediction depends neither on the batch size nor on a random state.
        """
        head = self.ratio_head
        if head.kind == "linear" and self.latent_distribution == "normal":
            mean, variance = head.moments(qz.loc, batch_index, x)
            slopes = head.slopes()
            if x is not None:
                # Where the state is moves what it lets expect, and so the excess over it.
                slopes = slopes - (head.burst + head.bursts.mean) * head.expression.slopes
            spread = qz.scale.square() @ (slopes.square() + head.loadings.variance)
            return _mean_sigmoid(mean, variance + spread)
        total = torch.zeros(1, device=qz.loc.device)
        for z in self._mean_draws(qz):
            total = total + _mean_sigmoid(*head.moments(z, batch_index, x))
        return total / N_MEAN_DRAWS

    def _mean_draws(self, qz: Normal) -> Iterator[torch.Tensor]:
        """Yield latent states at a fixed set of draws, the same for every cell."""
        generator = torch.Generator().manual_seed(0)
        half = torch.randn(N_MEAN_DRAWS // 2, self.n_latent, generator=generator)
        for draw in torch.cat([half, -half]).to(qz.loc.device):
            yield self.z_encoder.z_transformation(qz.loc + qz.scale * draw)


def _scattered(mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Ratios at one draw of each Gaussian logit."""
    return torch.sigmoid(mean + variance.sqrt() * torch.randn_like(mean))


def _mean_sigmoid(mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Mean ratio of a Gaussian logit (MacKay 1992, within 0.02 of the integral)."""
    return torch.sigmoid(mean / torch.sqrt(1 + math.pi / 8 * variance))
