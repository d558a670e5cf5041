"""What `benchmarks/speed` computes and writes; how fast anything is, no test says."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).absolute().parents[2]


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(REPOSITORY), *sys.path])


def test_the_exponent_is_that_of_the_largest_sizes() -> None:
    from benchmarks.speed.growth import exponent

    sizes = [10, 100, 1_000, 10_000]
    # A fixed cost hides the growth among the small ones.
    values = [5.0, 5.0, 0.001 * 1_000**1.5, 0.001 * 10_000**1.5]
    assert exponent(sizes, values, last=2) == pytest.approx(1.5)
    assert exponent(sizes[::-1], values[::-1], last=2) == pytest.approx(1.5)
    assert 0 < exponent(sizes, values, last=4) < 1.5
    assert math.isnan(exponent([10], [1.0]))


def test_rows_measured_again_replace_those_before_and_others_stay() -> None:
    from benchmarks.speed.page import merged

    old = [{"stage": "b", "cells": 10, "s": 1}, {"stage": "a", "cells": 10, "s": 2}]
    new = [{"stage": "a", "cells": 10, "s": 3}, {"stage": "b", "cells": 2, "s": 4}]
    rows = merged(old, new, ("stage", "cells"))
    assert [(row["stage"], row["cells"], row["s"]) for row in rows] == [
        ("b", 2, 4),
        ("b", 10, 1),
        ("a", 10, 3),
    ]


def test_a_table_goes_into_its_own_place() -> None:
    from benchmarks.speed.page import replaced, table

    page = "# Speed\n<!-- a -->\nbefore\n<!-- end of a -->\nwords\n<!-- b -->\n<!-- end of b -->\n"
    rows = [{"cells": 12_000, "told": True, "ratio": 1.5}, {"cells": 1, "told": None}]
    text = replaced(page, "a", table(rows))
    assert "before" not in text
    assert "| 12,000 | yes | 1.5 |\n| 1 |  |  |\n" in text
    assert text.endswith("words\n<!-- b -->\n<!-- end of b -->\n")
    assert replaced(text, "a", table(rows)) == text
    with pytest.raises(ValueError, match="no place for 'c'"):
        replaced(page, "c", "")


def test_the_page_has_a_place_for_every_part_and_is_made_of_what_was_kept() -> None:
    from benchmarks.speed import page
    from benchmarks.speed.__main__ import PARTS

    text = page.PAGE.read_text(encoding="utf-8")
    kept = page.kept()
    for name, part in PARTS.items():
        tables = part.tables(kept[name])
        assert page.replaced(text, name, tables) == text, f"speed.md and speed.json differ: {name}"


def test_a_file_of_counts_is_what_is_drawn(tmp_path: Path) -> None:
    import anndata as ad

    from benchmarks.speed import counts

    cells = counts.cells(300, 200)
    read = ad.read_h5ad(counts.write(tmp_path / "cells.h5ad", 300, 200))
    assert (read.X != cells.X).nnz == 0
    assert (read.layers["spliced"] + read.layers["unspliced"] != cells.X).nnz == 0
    assert 0.08 < cells.X.nnz / (300 * 200) < 0.18
