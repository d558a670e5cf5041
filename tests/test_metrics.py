"""Every metric and source is declared once, and what is shown of it comes from there."""

from __future__ import annotations

import pytest

from splicedvae import plotting, runs
from splicedvae._core.keys import Sources
from splicedvae._core.metrics import METRICS, Metric, metric_of
from splicedvae.cli import _benchmark, _training
from splicedvae.dashboard.widgets import tables
from splicedvae.views import _two_runs

DECLARED = {one.key for one in METRICS}


def test_no_two_metrics_share_a_name() -> None:
    assert len(DECLARED) == len(METRICS)
    heads = [one.head for one in METRICS if one.short]
    assert len(set(heads)) == len(heads)
    assert not set(heads) & {one.label for one in METRICS if one.short and one.label != one.short}


def test_every_metric_of_a_run_is_declared() -> None:
    assert set(runs.demo_run().metrics["metric"]) <= DECLARED


@pytest.mark.parametrize(
    "shown",
    [
        [column.key for column in (*tables.ACCURACY, *tables.VELOCITY, *tables.LATENT)],
        [key for key, _ in _training._SHOWN],
        [key for key, _ in _benchmark._SHOWN],
        list(_two_runs._SHOWN),
        [key for key, _ in plotting.BENCHMARK_LABELS],
        list(plotting.METRIC_LABELS),
        list(plotting.WATCHED_LABELS),
    ],
    ids=["pages", "train", "benchmark", "two runs", "overview", "coverage", "watched"],
)
def test_what_is_shown_is_declared(shown: list[str]) -> None:
    assert set(shown) <= DECLARED


def test_what_a_page_shows_is_explained() -> None:
    for column in (*tables.ACCURACY, *tables.VELOCITY, *tables.LATENT):
        assert column.words.endswith("."), column.key


def test_a_metric_is_named_at_its_coverage() -> None:
    assert metric_of("pearson").at(5) == "Pearson r, n ≥ 5"
    assert metric_of("pearson").at(None) == "Pearson r"
    assert metric_of("skill").at(1) == "skill over gene mean"
    assert metric_of("skill").at(1, full=True) == "likelihood skill over gene mean"
    assert metric_of("rmse").explanation.endswith("Lower is better.")


def test_a_metric_of_another_version_is_named_by_its_key() -> None:
    assert metric_of("new_number") == Metric("new_number", "new number", "ratio")
    assert metric_of("velocity_of_light").about == "velocity"


def test_every_source_is_declared_with_its_words_and_a_colour_of_its_own() -> None:
    constants = {value for value in vars(Sources).values() if isinstance(value, str)}
    assert {one.key for one in Sources.ALL} == constants - {Sources.__module__, Sources.__doc__}
    assert all(one.narrow for one in Sources.ALL if one.predicts)
    colors = [one.color for one in Sources.ALL]
    assert len(set(colors)) == len(colors)
    assert plotting.predictors_in_order(reversed(Sources.PREDICTORS)) == list(Sources.PREDICTORS)
