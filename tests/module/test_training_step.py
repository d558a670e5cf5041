"""The fused training step is the module's loss: same value, same gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scvi import REGISTRY_KEYS

from splicedvae.module import Entries, SparseMinibatch, SplicedVAEModule, has_step, training_step
from splicedvae.module._fused import negative_binomial_loss
from splicedvae.module._module import SPLICED_KEY, UNSPLICED_KEY

N_CELLS, N_GENES, N_OBS = 40, 30, 200


def made(**options) -> SplicedVAEModule:
    torch.manual_seed(0)
    module = SplicedVAEModule(N_GENES, n_labels=1, n_hidden=16, n_latent=4, **options)
    with torch.no_grad():
        for head in module.ratio_heads:
            for parameter in head.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
            head.expression.slopes.normal_().mul_(0.3)
            head.expression.centre.normal_().mul_(0.3)
            head.expression.log_level.fill_(-3.4)
            head.expression.fixed = True
        if module.components is not None:
            module.components.loadings.normal_().mul_(0.2)
            module.components.mean.uniform_()
            module.components.size.fill_(60.0)
    return module.train()


def minibatch(module, n_batch: int, others: bool):
    """The same cells as scvi-tools hands them over, and sparse; X may hold other molecules."""
    rng = np.random.default_rng(1)
    n = rng.poisson(rng.gamma(0.4, 4.0, (N_CELLS, N_GENES)))
    s = rng.binomial(n, 0.7)
    x = n + (rng.poisson(0.3, n.shape) if others else 0)
    x[3, 0] += 1
    n, s, x = (torch.from_numpy(part.astype(np.float32)) for part in (n, s, x))
    tensors = {
        REGISTRY_KEYS.X_KEY: x,
        SPLICED_KEY: s,
        UNSPLICED_KEY: n - s,
        REGISTRY_KEYS.BATCH_KEY: torch.from_numpy(rng.integers(0, max(n_batch, 1), (N_CELLS, 1))),
        REGISTRY_KEYS.LABELS_KEY: torch.zeros(N_CELLS, 1),
    }
    totals, counted = Entries.find(x), Entries.find(n)
    lgamma = torch.lgamma
    sparse = SparseMinibatch(
        index=totals.position,
        totals=totals.counts,
        counted_index=counted.position,
        counted=counted.counts,
        spliced=counted.of(s),
        totals_at_counted=counted.of(x),
        log_factorials=lgamma(x + 1).sum(dim=1),
        log_choose=(lgamma(n + 1) - lgamma(s + 1) - lgamma(n - s + 1)).sum(dim=1),
        covariates={key: tensors[key] for key in (REGISTRY_KEYS.BATCH_KEY, "labels")},
        scores=None
        if module.components is None
        else module.components(x, tensors[REGISTRY_KEYS.BATCH_KEY]),
    )
    return tensors, sparse


def gradients(module) -> dict[str, torch.Tensor]:
    found = {
        name: parameter.grad.clone()
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    module.zero_grad(set_to_none=True)
    return found


@pytest.mark.parametrize("others", [False, True], ids=["totals", "with other molecules"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_batch": 3},
        {"n_batch": 2, "encode_covariates": True, "n_layers": 2},
        {"n_components": 0},
        {"ratio_head": "mlp", "n_hidden_ratio": 8},
        {"ratio_shrinkage": 30.0, "ratio_weight": 0.5},
    ],
    ids=str,
)
def test_the_step_has_the_loss_and_the_gradients_of_the_module(options, others):
    module = made(**options)
    assert has_step(module)
    tensors, sparse = minibatch(module, options.get("n_batch", 0), others)
    torch.manual_seed(3)
    _, _, expected = module(tensors, loss_kwargs={"kl_weight": 0.4, "n_obs": N_OBS})
    expected.loss.backward()
    wanted = gradients(module)
    torch.manual_seed(3)
    found = training_step(module, sparse, kl_weight=0.4, n_obs=N_OBS)
    found.loss.backward()

    torch.testing.assert_close(found.loss, expected.loss, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(
        found.reconstruction, expected.reconstruction_loss_sum, rtol=1e-5, atol=1e-3
    )
    torch.testing.assert_close(found.kl, expected.kl_local_sum, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(
        found.ratio, expected.extra_metrics["ratio_loss"], rtol=1e-5, atol=1e-4
    )
    assert gradients_close(gradients(module), wanted) == []


def gradients_close(found, wanted) -> list[str]:
    """Names of parameters whose gradients differ; a gradient of zero may be absent."""
    wrong = []
    for name in found | wanted:
        zero = torch.zeros(())
        a, b = found.get(name, zero), wanted.get(name, zero)
        # A bias before batch normalization has a gradient of rounding error alone.
        scale = max(float(b.abs().max()), 0.02)
        if float((a - b).abs().max()) > 2e-4 * scale:
            wrong.append(name)
    return wrong


def test_modules_of_other_likelihoods_have_no_fused_step():
    for options in (
        {"gene_likelihood": "zinb"},
        {"dispersion": "gene-batch", "n_batch": 2},
        {"latent_distribution": "ln"},
        {"ratio_likelihood": "beta-binomial"},
    ):
        assert not has_step(SplicedVAEModule(N_GENES, **options))


def test_fractional_and_large_counts_have_the_negative_binomial_of_scvi():
    from scvi.distributions import NegativeBinomial

    rng = np.random.default_rng(0)
    x = rng.poisson(3.0, (12, 9)) * rng.choice([0.0, 0.5, 1.0, 400.0], (12, 9))
    # In single precision the log-gammas of scvi-tools' own form differ by 0.02.
    x = torch.from_numpy(x)
    logits = torch.randn(12, 9, dtype=torch.float64, requires_grad=True)
    log_theta = torch.randn(9, dtype=torch.float64, requires_grad=True)
    size = x.sum(dim=1, keepdim=True) + 1
    found = negative_binomial_loss(
        logits, log_theta, x, size, Entries.find(x), torch.lgamma(x + 1).sum(dim=1)
    )
    weights = torch.rand(12, dtype=torch.float64)
    got = torch.autograd.grad((found * weights).sum(), (logits, log_theta))
    mu = size * torch.softmax(logits, dim=-1)
    wanted = -NegativeBinomial(mu=mu, theta=log_theta.exp()).log_prob(x).sum(dim=1)
    gradient = torch.autograd.grad((wanted * weights).sum(), (logits, log_theta))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-3)
    for one, other in zip(got, gradient, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-2)
