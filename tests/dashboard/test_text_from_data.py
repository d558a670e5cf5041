"""Text from data stays text: in Markdown, in tables, in files a spreadsheet opens."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae.dashboard.text import defuse, duration, line, plain

PUNCTUATION = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def unescaped(markdown: str) -> list[str]:
    """Punctuation that Markdown would read, since no backslash stands before it."""
    found, skip = [], False
    for char in markdown:
        if skip:
            skip = False
        elif char == "\\":
            skip = True
        elif char in PUNCTUATION:
            found.append(char)
    return found


@given(st.text(max_size=400))
def test_no_character_of_data_is_markup(text: str) -> None:
    shown = plain(text)
    assert unescaped(shown) == []
    assert "\n" not in shown
    assert shown.replace("\\", "").isprintable() or "\u2060" in shown


@given(st.text(max_size=900))
def test_a_line_is_one_bounded_printable_line(text: str) -> None:
    shown = line(text, 120)
    assert len(shown) <= 120
    assert shown.isprintable()
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2060-\u2069]", shown)


@pytest.mark.parametrize(
    "text", ["http://host/x", "see https://host", "www.host.org", "me@host.org", "ftp://host"]
)
def test_nothing_becomes_a_link(text: str) -> None:
    bare = plain(text).replace("\\", "")
    assert not re.search(r"https?://|ftp://|www\.|@\w", bare)
    assert bare.replace("\u2060", "") == text


@given(st.text(max_size=30), st.integers())
def test_no_cell_of_a_table_is_a_formula(text: str, number: int) -> None:
    table = pd.DataFrame({text: [text, "plain"], "n": [number % 1000, 2]}, index=[text, "other"])
    safe = defuse(table)
    cells = [*safe.iloc[:, 0], *safe.columns, *safe.index]
    assert all(not str(cell).lstrip(" ").startswith(("=", "+", "-", "@")) for cell in cells)
    assert safe["n"].tolist() == [number % 1000, 2]
    assert table.iloc[0, 0] == text


def test_what_is_no_formula_is_left_alone() -> None:
    table = pd.DataFrame({"gene": ["Sox17", "HLA-A"], "r": [-0.5, None]}, index=["a", "b"])
    pd.testing.assert_frame_equal(defuse(table), table, check_dtype=False)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "a few seconds"), (33, "35 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
