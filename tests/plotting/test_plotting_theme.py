"""Colours and text are the same, safe and stable wherever they stand."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae import plotting
from splicedvae._core.keys import Sources
from splicedvae.plotting._text import label, wrap

CONFIG = Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml"
HEX = re.compile(r"#[0-9A-F]{6}")


def test_pages_and_figures_have_one_palette() -> None:
    theme = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"]
    listed = [color.upper() for color in theme["chartCategoricalColors"]]
    assert listed == list(plotting.CATEGORICAL[: len(listed)])
    assert len(listed) == plotting.SAFE_COLORS
    assert [color.upper() for color in theme["chartDivergingColors"]] == list(plotting.DIVERGING)


def test_palette_has_no_color_twice() -> None:
    assert all(HEX.fullmatch(color) for color in plotting.CATEGORICAL)
    assert len(set(plotting.CATEGORICAL)) == len(plotting.CATEGORICAL)
    assert plotting.MISSING not in plotting.CATEGORICAL


@given(st.lists(st.text(min_size=1, max_size=8), max_size=60, unique=True))
def test_category_colors_are_distinct_and_stable(names: list[str]) -> None:
    colors = plotting.category_colors(names)
    assert list(colors) == names
    assert len(set(colors.values())) == len(names)
    assert all(HEX.fullmatch(color) for color in colors.values())
    # One more category changes no other's colour.
    longer = plotting.category_colors([*names, "\x00 one more"])
    assert {name: longer[name] for name in names} == colors


def test_given_colors_are_kept_and_not_taken_by_others() -> None:
    first = plotting.CATEGORICAL[0]
    colors = plotting.category_colors(["a", "b", "c"], {"b": first.lower(), "absent": "#111111"})
    assert colors["b"] == first.lower()
    assert colors["a"] != first
    assert len({color.upper() for color in colors.values()}) == 3


def test_each_source_has_a_color_and_a_name() -> None:
    assert set(plotting.PREDICTOR_COLORS) == set(Sources.LABELS)
    assert len(set(plotting.PREDICTOR_COLORS.values())) == len(Sources.LABELS)


def test_predictors_have_one_order() -> None:
    given = ["other", "measured", *reversed(Sources.PREDICTORS), "other"]
    assert plotting.predictors_in_order(given) == [*Sources.PREDICTORS, "other", "measured"]
    assert plotting.predictors_in_order(["knn", "scvi"]) == ["scvi", "knn"]


@pytest.mark.parametrize("dark", [False, True])
def test_template_lets_the_page_show_through(dark: bool) -> None:
    layout = plotting.template(dark).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    lightness = int(layout.font.color[1:3], 16)
    assert (lightness > 128) is dark


@given(st.text(max_size=60))
def test_escaped_text_has_nothing_plotly_interprets(text: str) -> None:
    safe = plotting.escape(text)
    assert not re.search(r"[<>{}$\n\r\t]", safe)
    # Every ampersand that is left begins an entity.
    assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt|#123|#125|#36);)*", safe, flags=re.DOTALL)


@given(st.text(max_size=80), st.integers(min_value=3, max_value=40))
def test_shortened_names_keep_both_ends(text: str, length: int) -> None:
    short = plotting.shorten(text, length)
    assert len(short) <= length
    if len(text) <= length:
        assert short == text
    else:
        head, tail = short.split("…", 1) if "…" not in text else (short[:1], short[-1:])
        assert text.startswith(head)
        assert text.endswith(tail)


def test_names_that_differ_at_their_end_stay_apart() -> None:
    names = [f"excitatory neuron of the upper cortical layer {number}" for number in (1, 2)]
    assert label(names[0]) != label(names[1])


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=200))
def test_wrapping_loses_no_word(text: str) -> None:
    lines = wrap(text, 24).split("<br>")
    assert all("<" not in line for line in lines)
    joined = "".join("".join(lines).split())
    assert joined == "".join(plotting.escape("".join(text.split())).split())
