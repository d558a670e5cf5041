"""Cards: what is written is read again, and what is none is refused in one sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae._core.errors import StoreError
from splicedvae.store import CardEvaluation, CardMetric, CardSource, ModelCard

TEXT = st.text(max_size=30)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32)
CARDS = st.builds(
    ModelCard,
    name=st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True),
    title=TEXT,
    species=TEXT,
    tissues=st.lists(TEXT, max_size=3).map(tuple),
    assay=TEXT,
    counts=st.sampled_from(["with-introns", "exonic"]),
    n_genes=st.integers(1, 10**6),
    n_cells=st.integers(1, 10**6),
    weights_from=st.sampled_from(["all cells", "training cells"]),
    source=st.builds(
        CardSource,
        TEXT,
        TEXT,
        TEXT,
        TEXT,
        st.just("") | st.from_regex("[0-9a-f]{64}", fullmatch=True),
    ),
    command=TEXT,
    code=TEXT,
    evaluation=st.builds(
        CardEvaluation,
        st.integers(0, 100),
        st.integers(0, 100),
        TEXT,
        st.lists(TEXT, max_size=2).map(tuple),
        st.lists(
            st.builds(CardMetric, TEXT, TEXT, st.integers(0, 50), NUMBERS, NUMBERS), max_size=3
        ).map(tuple),
    ),
    not_for=st.lists(TEXT, max_size=2).map(tuple),
)


@given(CARDS)
def test_a_card_survives_json(card: ModelCard) -> None:
    assert ModelCard.from_json(card.to_json()) == card


def test_a_number_of_a_card_is_found(card: ModelCard) -> None:
    found = card.metric("splicedvae", "skill")
    assert found is not None
    assert found.value == 0.01
    assert card.metric("splicedvae", "skill", 5) is None


WRONG = [
    ({"name": "../evil"}, "cannot be a model's name"),
    ({"name": "a" * 65}, "cannot be a model's name"),
    ({"name": "UPPER"}, "cannot be a model's name"),
    ({"n_genes": 0}, "at least 1"),
    ({"n_genes": True}, "'n_genes'"),
    ({"n_cells": "many"}, "'n_cells'"),
    ({"counts": "somehow"}, "'counts'"),
    ({"tissues": "pancreas"}, "'tissues'"),
    ({"title": "x" * 5000}, "'title'"),
    ({"source": {"sha256": "no digest"}}, "SHA-256"),
    ({"source": {"pickle": "x"}}, "'pickle'"),
    ({"evaluation": {"metrics": [{"predictor": "a"}]}}, "lacks 'metric'"),
    ({"surprise": 1}, "'surprise'"),
    ({"format": 99}, "format 99"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_what_is_no_card_is_refused(card: ModelCard, change: dict, said: str) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        ModelCard.from_dict(card.to_dict() | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "[" * 100_000])
def test_no_json_is_no_card(text: str) -> None:
    with pytest.raises(StoreError):
        ModelCard.from_json(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
        max_leaves=8,
    )
)
def test_any_json_is_a_card_or_refused(value: object) -> None:
    try:
        ModelCard.from_json(json.dumps(value))
    except StoreError:
        return
    raise AssertionError("nothing random is a card")
