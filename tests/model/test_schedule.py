"""How long models train and how fast they learn, unless told otherwise."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Callback
from scvi.model._utils import get_max_epochs_heuristic

from splicedvae import SplicedVAE
from splicedvae.model import LEARNING_RATE, default_epochs, plan_options, rate_left


def test_few_cells_take_a_hundred_epochs_and_many_fewer():
    assert default_epochs(100) == default_epochs(20_000) == 100
    assert default_epochs(200_000) == 10


@given(st.integers(1, 10**7))
def test_epochs_are_counted_as_scvi_tools_does(n_cells):
    with warnings.catch_warnings():
        # scvi-tools warns where one epoch is left.
        warnings.simplefilter("ignore")
        assert default_epochs(n_cells) == get_max_epochs_heuristic(n_cells, epochs_cap=100)


def test_what_is_given_comes_before_the_defaults():
    assert plan_options(100) == {"lr": LEARNING_RATE, "n_epochs_kl_warmup": 50}
    assert plan_options(100, {"lr": 0.1})["lr"] == 0.1
    assert "n_epochs_kl_warmup" not in plan_options(100, {"n_steps_kl_warmup": 7})


@given(st.integers(1, 500), st.data())
def test_the_rate_never_rises_and_never_ends(max_epochs, data):
    epoch = data.draw(st.integers(0, max_epochs - 1))
    assert 0.05 <= rate_left(epoch, max_epochs) <= 1
    assert rate_left(epoch + 1, max_epochs) <= rate_left(epoch, max_epochs)
    assert rate_left(0, max_epochs) == 1


class _Rates(Callback):
    def __init__(self):
        self.seen = []

    def on_train_epoch_end(self, trainer, pl_module):
        self.seen.append([group["lr"] for group in trainer.optimizers[0].param_groups])


@pytest.mark.parametrize("stops_early", [False, True])
def test_a_training_follows_the_schedule(simulated, stops_early):
    cells = simulated[0][:100].copy()
    SplicedVAE.setup_anndata(cells)
    rates = _Rates()
    SplicedVAE(cells, n_hidden=8, n_latent=2).train(
        max_epochs=5,
        early_stopping=stops_early,
        callbacks=[rates],
        plan_kwargs={"ratio_lr": 0.1},
        enable_progress_bar=False,
    )
    wanted = [1.0 if stops_early else rate_left(epoch, 5) for epoch in range(5)]
    assert rates.seen == [pytest.approx([LEARNING_RATE * share, 0.1 * share]) for share in wanted]
