"""How much of a velocity stays when genes, neighbors or molecules are halved, with and without one.

    python benchmarks/stability.py --sets 60 --seed 30000 --report benchmarks/stability.md

The sets are those of `benchmarks/verdict.py` (simulated lineages, parts of the pancreas, the same
without a velocity) with other seeds and their measured S/U. For each change the table gives the
share that arrows keep of the way from chance (permuted ratios) to full agreement. `splicedvae
triage` warns below `MIN_STABLE`, which was chosen on seeds from 30000 on.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import DATA
from verdict import counts_of, design

from splicedvae._core.errors import SplicedVAEError
from splicedvae._core.keys import Obs
from splicedvae.pipeline import stability
from splicedvae.velocity import VelocitySettings

WITH = ("velocity", "real")


def one(given: dict, folder: Path) -> pd.DataFrame:
    """Change the velocity of one set."""
    warnings.filterwarnings("ignore")
    cells, _ = counts_of(given, folder)
    cells = cells[np.asarray(cells.X.sum(axis=1)).ravel() > 0].copy()
    cells.obs = cells.obs[[name for name in (Obs.CLUSTERS,) if name in cells.obs]].copy()
    for name in list(cells.obsm):
        del cells.obsm[name]
    try:
        found = stability.velocity_stability(
            cells,
            settings=VelocitySettings(n_jobs=-1),
            halves=stability.halves_of_measured(cells),
            seed=given["seed"],
        ).table
    except SplicedVAEError as error:
        found = pd.DataFrame([{"change": "all", "note": str(error)}])
    return found.assign(**given)


def report(table: pd.DataFrame, command: str) -> str:
    """Put the shares that are kept into a table by change and kind."""
    table = table[table["change"] != "all"].copy()
    table["kept"] = stability.share_kept(table["cosine"], table["chance"])
    lines = [
        "# What is left of a velocity",
        "",
        f"`{command}`: share of the way from chance to full agreement that arrows keep (median, "
        "lowest to highest), and sets below the threshold of "
        f"{stability.MIN_STABLE} of which `splicedvae triage` warns.",
        "",
        "| kind | sets | " + " | ".join(stability.CHANGES.values()) + " | any below |",
        "| --- | --- |" + " --- |" * (len(stability.CHANGES) + 1),
    ]
    order = sorted(table["kind"].unique(), key=lambda kind: (kind not in WITH, kind))
    for kind in order:
        part = table[table["kind"] == kind]
        cells = []
        for change in stability.CHANGES:
            kept = part.loc[part["change"] == change, "kept"].dropna()
            cells.append(f"{kept.median():.2f} ({kept.min():.2f} to {kept.max():.2f})")
        below = part.assign(low=part["kept"] < stability.MIN_STABLE).groupby("set")["low"].any()
        lines.append(f"| {kind} | {len(below)} | " + " | ".join(cells) + f" | {int(below.sum())} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the sets, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=60)
    parser.add_argument("--seed", type=int, default=30000)
    parser.add_argument("--out", type=Path, help="CSV of all sets")
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    table = pd.concat(
        [one(given, DATA) for given in design(arguments.sets, arguments.seed)], ignore_index=True
    )
    if arguments.out is not None:
        table.to_csv(arguments.out, index=False)
    command = f"python benchmarks/stability.py --sets {arguments.sets} --seed {arguments.seed}"
    text = report(table, command)
    print(text)
    if arguments.report is not None:
        arguments.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
