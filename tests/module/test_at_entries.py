"""The ratio at counted entries is the dense one, for every form of the module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scvi import REGISTRY_KEYS
from scvi.module._constants import MODULE_KEYS

from splicedvae.module import Entries, SplicedVAEModule

N_CELLS, N_GENES = 40, 30


def made(**options) -> SplicedVAEModule:
    """A module whose every parameter and moment says something."""
    torch.manual_seed(0)
    module = SplicedVAEModule(N_GENES, n_hidden=16, n_latent=4, **options)
    with torch.no_grad():
        for head in module.ratio_heads:
            for parameter in head.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
            for buffer in (head.log_odds, head.expression.slopes, head.expression.centre):
                buffer.normal_().mul_(0.3)
            head.expression.log_level.fill_(-3.4)
        if module.components is not None:
            module.components.loadings.normal_().mul_(0.2)
            module.components.mean.uniform_()
            module.components.size.fill_(60.0)
        module.amplitude.fill_(1.3)
    return module.eval()


def minibatch(n_batch: int) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(1)
    x = rng.poisson(rng.gamma(0.4, 4.0, (N_CELLS, N_GENES))).astype(np.float32)
    x[3] = 0
    return {
        REGISTRY_KEYS.X_KEY: torch.from_numpy(x),
        REGISTRY_KEYS.BATCH_KEY: torch.from_numpy(rng.integers(0, max(n_batch, 1), (N_CELLS, 1))),
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_batch": 3},
        {"n_batch": 2, "encode_covariates": True},
        {"n_components": 0},
        {"n_components": 0, "n_batch": 2, "latent_distribution": "ln"},
        {"ratio_head": "mlp"},
        {"latent_distribution": "ln", "n_batch": 2},
        {"ratio_likelihood": "beta-binomial"},
    ],
    ids=str,
)
def test_ratios_at_entries_are_the_dense_ones(options):
    module = made(**options)
    tensors = minibatch(options.get("n_batch", 0))
    x = tensors[REGISTRY_KEYS.X_KEY]
    cells, genes = torch.nonzero(x, as_tuple=True)
    entries = Entries.of_cells(cells, genes, x[cells, genes], N_GENES)
    experts, combined, qz = module.counted_ratios(tensors, entries)
    assert len(experts) == len(module.ratio_heads)
    assert combined.std() > 0.01
    for at, whole in zip(experts, module.expert_ratios(tensors), strict=True):
        torch.testing.assert_close(at, whole[cells, genes], rtol=0, atol=1e-6)
    torch.testing.assert_close(combined, module.ratio(tensors)[cells, genes], rtol=0, atol=1e-6)
    for expert, head in enumerate(module.ratio_heads):
        draw = head.draw(torch.Generator().manual_seed(2))
        at, whole = (
            ratios(*given, expert, draw, torch.Generator().manual_seed(3))
            for ratios, given in (
                (module.counted_draw, (tensors, entries)),
                (module.ratio_draw, (tensors,)),
            )
        )
        torch.testing.assert_close(at, whole[cells, genes], rtol=0, atol=1e-6)
    inferred = module.inference(**module._get_inference_input(tensors))[MODULE_KEYS.QZ_KEY]
    torch.testing.assert_close(qz.loc, inferred.loc, rtol=0, atol=0)


def test_a_minibatch_without_counts_has_no_entries():
    nothing = torch.zeros(0, dtype=torch.int64)
    tensors = {REGISTRY_KEYS.BATCH_KEY: torch.zeros(5, 1)}
    _, combined, qz = made().counted_ratios(
        tensors, Entries.of_cells(nothing, nothing, torch.zeros(0), N_GENES)
    )
    assert combined.shape == (0,)
    assert qz.loc.shape == (5, 4)
