"""Means, spreads and differences against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splicedvae.benchmark import compare, summarise


def tidy(values: dict[str, list[float]], metric: str = "skill") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "seed": seed,
                "fold": 0,
                "predictor": predictor,
                "metric": metric,
                "coverage": 1,
                "value": value,
                "ceiling": 0.5,
                "note": "",
            }
            for predictor, series in values.items()
            for seed, value in enumerate(series)
        ]
    )


def test_mean_and_spread_are_over_runs():
    table = summarise(tidy({"splicedvae": [0.1, 0.2, 0.3], "knn": [0.0, np.nan, 0.2]}))
    ours, theirs = table.iloc[0], table.iloc[1]
    assert (ours["mean"], ours["sd"], ours["n_runs"]) == (pytest.approx(0.2), pytest.approx(0.1), 3)
    assert (theirs["mean"], theirs["n_runs"]) == (pytest.approx(0.1), 2)


def test_a_difference_is_clear_where_it_is_larger_than_its_spread_within_runs():
    """Runs differ by far more than predictors do, so means over runs alone would hide it."""
    table = compare(tidy({"splicedvae": [0.11, 0.52, 0.91], "ridge": [0.10, 0.50, 0.90]}))
    row = table.iloc[0]
    assert row["difference"] == pytest.approx(0.04 / 3)
    assert row["wins"] == 3
    assert row["clear"]
    unclear = compare(tidy({"splicedvae": [0.1, 0.2], "ridge": [0.0, 0.35]})).iloc[0]
    assert not unclear["clear"]
    assert not compare(tidy({"splicedvae": [0.3], "ridge": [0.1]})).iloc[0]["clear"]


def test_less_is_better_for_errors():
    row = compare(tidy({"splicedvae": [0.1, 0.11], "ridge": [0.2, 0.2]}, metric="rmse")).iloc[0]
    assert row["difference"] == pytest.approx(0.095)
    assert row["wins"] == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=8))
def test_the_comparison_turns_its_sign_with_the_sides(pairs):
    ours, theirs = (list(side) for side in zip(*pairs, strict=True))
    table = tidy({"splicedvae": ours, "ridge": theirs})
    one = compare(table).iloc[0]
    other = compare(table, reference="ridge").iloc[0]
    assert one["difference"] == pytest.approx(-other["difference"])
    assert one["clear"] == other["clear"]
    assert one["wins"] + other["wins"] <= len(pairs)
