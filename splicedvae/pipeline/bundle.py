"""Make the models that come with the package: `python -m splicedvae.pipeline.bundle --data FOLDER`.

Each recipe is a run with default settings, whose held-out cells give the numbers on the card, then
a training on all cells with the same settings, whose weights are shipped. Counts are not.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from splicedvae import io
from splicedvae._core.keys import Obs
from splicedvae.pipeline._storing import CardWords, store_all_cells
from splicedvae.runs.config import RunConfig
from splicedvae.store import CardSource, StoredModel, bundled_folder, read_stored

_PANCREAS: Final = CardWords(
    species="mouse",
    tissues=("pancreas, embryonic day 15.5: endocrinogenesis",),
    assay="10x Chromium 3' (v2), whole cells, spliced and unspliced counts by velocyto",
    source=CardSource(
        accession="GSE132188",
        licence="public in GEO, no licence stated; the counts are not part of the model",
        citation="Bastidas-Ponce et al., Development 146, 2019, doi:10.1242/dev.173849",
    ),
    not_for=(
        "Other tissues, ages or species: there its predictions are hardly better than each "
        "gene's mean ratio.",
        "Single nuclei, full-length protocols, or totals without intronic reads.",
        "A test on the cells of GSE132188, which its weights were trained on.",
    ),
)


@dataclass(frozen=True)
class Recipe:
    """A model to make: its name, the file it is trained on, and what its card says."""

    name: str
    file: str
    title: str
    data: str
    transitions: tuple[tuple[str, str], ...] = (
        ("Ductal", "Ngn3 low EP"),
        ("Ngn3 low EP", "Ngn3 high EP"),
        ("Ngn3 high EP", "Pre-endocrine"),
        ("Pre-endocrine", "Alpha"),
        ("Pre-endocrine", "Beta"),
        ("Pre-endocrine", "Delta"),
        ("Pre-endocrine", "Epsilon"),
    )


RECIPES: Final = (
    Recipe(
        "mouse-pancreas-e15",
        "mouse_pancreas_e15_3548cells_2000genes.h5ad",
        "Mouse pancreas at E15.5, many cells",
        "mouse pancreas E15.5, 3,548 cells x 2,000 genes",
    ),
    Recipe(
        "mouse-pancreas-e15-more-genes",
        "mouse_pancreas_e15.h5ad",
        "Mouse pancreas at E15.5, more genes of fewer cells",
        "mouse pancreas E15.5, 591 cells x 7,192 genes",
    ),
)


def bundle(recipe: Recipe, data: Path, out: Path) -> StoredModel:
    """Train and write one of the models that come with the package.

    Parameters
    ----------
    recipe
        Which.
    data
        Folder of the counts.
    out
        Folder of the models.
    """
    from splicedvae.pipeline._execute import execute

    file = data / recipe.file
    config = RunConfig(
        data=str(file),
        data_sha256=io.sha256(file),
        name=recipe.title,
        cluster_key=Obs.CLUSTERS,
        transitions=recipe.transitions,
    )
    words = replace(
        _PANCREAS, title=recipe.title, source=replace(_PANCREAS.source, title=recipe.data)
    )
    with tempfile.TemporaryDirectory(prefix="splicedvae-bundle-") as scratch:
        run = execute(config, Path(scratch) / "run")
        stored = store_all_cells(run, Path(scratch) / "model", name=recipe.name, words=words)
        target = out / recipe.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(stored.path, target)
    return read_stored(target)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the models that were asked for, all if none was named.

    Parameters
    ----------
    arguments
        Of the command line.
    """
    parser = argparse.ArgumentParser(description="Make the models that come with the package.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the counts")
    parser.add_argument("--out", type=Path, default=bundled_folder(), help="folder of the models")
    parser.add_argument("--only", choices=[recipe.name for recipe in RECIPES], help="one of them")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        if given.only in (None, recipe.name):
            stored = bundle(recipe, given.data, given.out)
            print(f"{stored.name}: {stored.size / 1e6:.1f} MB, digest {stored.digest[:16]}")


if __name__ == "__main__":
    main()
