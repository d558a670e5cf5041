"""Triage: a verdict on a file with reasons, for measured counts and for predicted ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix
from trained_model import simulated, stored, totals_only

from splicedvae import io
from splicedvae._core.errors import DataError
from splicedvae.evaluation import Reason
from splicedvae.pipeline import Candidate, TriageResult, triage
from splicedvae.pipeline._triage import MAX_CELLS, KnownOrder, _of_order, _of_stability
from splicedvae.runs.answering import ModelSource
from splicedvae.triage import ModelFit


def read(cells: AnnData) -> io.ReadResult:
    return io.from_anndata(cells)


def measured(n: int = 500) -> AnnData:
    cells = simulated()[:n]
    return AnnData(
        X=cells.X.copy(),
        obs=cells.obs[["clusters", "true_time"]].copy(),
        var=cells.var[[]].copy(),
        layers={name: cells.layers[name].copy() for name in ("spliced", "unspliced")},
    )


def without_signal(cells: AnnData) -> AnnData:
    """The same totals with one ratio a gene."""
    rng = np.random.default_rng(0)
    totals = csr_matrix(cells.X)
    share = np.asarray(cells.layers["spliced"].sum(axis=0) / totals.sum(axis=0)).ravel()
    spliced = totals.copy()
    spliced.data = rng.binomial(totals.data.astype(int), share[totals.indices]).astype(np.float32)
    cells.layers["spliced"] = spliced
    cells.layers["unspliced"] = csr_matrix(totals - spliced)
    return cells


def candidate(novelty: float = 0.02, n_found: int = 120) -> Candidate:
    return Candidate(ModelSource(stored=stored()), ModelFit(120, n_found, None, None, novelty))


def weights(found: TriageResult) -> dict[str, str]:
    return {reason.short: reason.weight for reason in found.verdict.reasons}


@pytest.fixture(scope="module")
def of_measured() -> TriageResult:
    return triage(read(measured()), time_key="true_time", root="Progenitor")


def test_measured_velocity_is_stable_and_follows_time(of_measured: TriageResult) -> None:
    assert of_measured.origin == "measured"
    assert of_measured.verdict.answer != "do not show"
    found = weights(of_measured)
    assert found["stable: two halves of the molecules"] == "for"
    assert found["stable: two random halves of the velocity genes"] == "for"
    time, root = of_measured.orders
    assert "true_time" in time.what
    assert "Progenitor" in root.what
    for order in (time, root):
        assert order.share > 0.6 > order.chance
    assert of_measured.drivers is not None
    assert of_measured.drivers["share"].is_monotonic_decreasing
    assert "splicedvae train" in of_measured.next_step


def test_counts_without_signal_are_not_to_be_shown() -> None:
    found = triage(read(without_signal(measured())))
    assert found.verdict.answer == "do not show"
    assert "recount" in found.next_step
    assert {reason.weight for reason in found.verdict.reasons} >= {"against", "caution"}


def test_a_reversed_time_speaks_against_the_arrows() -> None:
    cells = measured()
    cells.obs["backwards"] = -cells.obs["true_time"].to_numpy(dtype=float)
    found = triage(read(cells), time_key="backwards")
    assert found.verdict.answer == "do not show"
    assert found.orders[0].share < 0.4
    assert found.asked["time_key"] == "backwards"


def test_totals_are_predicted_and_judged() -> None:
    found = triage(read(totals_only()), predictor=candidate(), time_key="true_time")
    assert found.origin == "predicted"
    assert found.model == "small"
    # Nothing in the file can check the prediction.
    assert found.verdict.answer == "look closer"
    assert found.orders[0].share > found.orders[0].chance
    assert found.share_of_counts == pytest.approx(1.0)
    assert "splicedvae predict" in found.next_step


def test_cells_of_training_are_named() -> None:
    cells = measured(300)
    totals = AnnData(X=cells.X, obs=cells.obs[["clusters"]], var=cells.var)
    found = triage(read(totals), predictor=candidate())
    assert any("300 of these cells" in note for note in found.notes)
    assert not any(
        "of these cells" in note
        for note in triage(read(totals_only()), predictor=candidate()).notes
    )


def test_out_of_distribution_cells_are_not_to_be_shown() -> None:
    found = triage(read(totals_only()), predictor=candidate(novelty=0.9))
    assert found.verdict.answer == "do not show"
    assert "same tissue" in found.next_step


def test_without_a_model_that_fits_nothing_is_computed() -> None:
    for given in (None, candidate(n_found=3)):
        found = triage(read(totals_only()), predictor=given)
        assert found.verdict.answer == "do not show"
        assert found.stability is None
        assert "Train a model" in found.next_step


def test_the_result_is_plain_json(of_measured: TriageResult) -> None:
    text = json.dumps(of_measured.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert back["answer"] == of_measured.verdict.answer
    assert back["asked"]["root"] == "Progenitor"
    assert {row["change"] for row in back["stability"]} == {"genes", "neighbors", "depth"}


def test_the_same_seed_gives_the_same_answer(of_measured: TriageResult) -> None:
    again = triage(read(measured()), time_key="true_time", root="Progenitor")
    assert again.stability is not None
    assert of_measured.stability is not None
    assert np.array_equal(again.stability["cosine"], of_measured.stability["cosine"])
    assert again.verdict == of_measured.verdict


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"root": "Nobody"}, "no cell group 'Nobody'"),
        ({"time_key": "hours"}, "no column 'hours'"),
        ({"time_key": "clusters"}, "fewer than two different numbers"),
    ],
)
def test_what_is_not_there_is_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        triage(read(measured()), **given)


def test_a_root_needs_groups() -> None:
    cells = measured()
    del cells.obs["clusters"]
    with pytest.raises(DataError, match="no column with cell groups"):
        triage(read(cells), root="Progenitor")


def test_many_cells_are_drawn_from_and_it_says_so() -> None:
    base = measured(300)
    copies = MAX_CELLS // 300 + 1
    rows = np.tile(np.arange(300), copies)
    cells = base[rows].copy()
    cells.obs_names = [f"c{i}" for i in range(cells.n_obs)]
    rng = np.random.default_rng(0)
    for name in ("spliced", "unspliced"):
        layer = cells.layers[name].copy()
        layer.data = rng.poisson(layer.data).astype(np.float32)
        cells.layers[name] = layer
    cells.X = csr_matrix(cells.layers["spliced"] + cells.layers["unspliced"])
    found = triage(read(cells))
    assert found.n_cells == MAX_CELLS
    assert any("drawn at random" in note for note in found.notes)


def reasons(cosine: float, chance: float) -> list[Reason]:
    import pandas as pd

    return _of_stability(
        pd.DataFrame([{"change": "genes", "cosine": cosine, "chance": chance, "note": ""}])
    )


def test_stability_counts_above_chance_alone() -> None:
    assert reasons(0.7, 0.1)[0].weight == "for"
    assert reasons(0.7, 0.65)[0].weight == "caution"
    assert reasons(0.2, float("nan"))[0].weight == "caution"
    assert reasons(float("nan"), 0.1)[0].weight == "unknown"


@pytest.mark.parametrize(
    ("share", "chance", "weight"),
    [
        (0.7, 0.5, "for"),
        (0.7, 0.75, "caution"),
        (0.5, 0.5, "caution"),
        (0.3, 0.5, "against"),
        (float("nan"), 0.5, "unknown"),
    ],
)
def test_a_known_order_weighs_by_what_permuted_ratios_reach(
    share: float, chance: float, weight: str
) -> None:
    assert _of_order(KnownOrder("time", share, chance)).weight == weight
