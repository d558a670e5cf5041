"""The pages of the dashboard, each declared once.

The navigation, links between pages, the way back from the slides, the names that an address may
hold and the lists of the tests follow from here. What a page shows is in its script.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

#: Sections of the navigation in their order: folder under ``pages/`` and title.
SECTIONS: Final = {"data": "Your data", "model": "Models", "results": "Results"}


@dataclass(frozen=True)
class Page:
    """A page: its script, title and address parameters.

    Attributes
    ----------
    script
        Path from the folder of ``app.py``: ``pages/<section>/<page>.py``.
    url
        Path of the page in the address.
    title
        Title of the page and of its entry in the navigation.
    icon
        A Material symbol.
    parameters
        Names that the page's own widgets keep in the address.
    is_colored
        Whether a visitor chooses there what cells are colored by.
    """

    script: str
    url: str
    title: str
    icon: str
    parameters: tuple[str, ...] = ()
    is_colored: bool = False

    @property
    def section(self) -> str:
        """Folder of the script under ``pages/``, a key of `SECTIONS`."""
        return PurePosixPath(self.script).parent.name


INSPECT: Final = Page(
    "pages/data/inspect.py",
    "data",
    "What is in a file",
    ":material/upload_file:",
    parameters=("clusters",),
)
TRAIN: Final = Page(
    "pages/model/train.py",
    "train",
    "Train and watch",
    ":material/model_training:",
    parameters=("find-runs", "order-runs"),
)
MODELS: Final = Page("pages/model/models.py", "models", "Models", ":material/inventory_2:")
VELOCITY: Final = Page(
    "pages/results/velocity.py",
    "velocity",
    "Velocity",
    ":material/air:",
    parameters=(
        "shown",
        "large",
        "style",
        "density",
        "basis",
        "details",
        "driver-source",
        "driver-group",
        "time-source",
    ),
    is_colored=True,
)
DIAGNOSTICS: Final = Page(
    "pages/results/diagnostics.py",
    "diagnostics",
    "Diagnostics",
    ":material/straighten:",
    parameters=("coverage", "part"),
)
LATENT: Final = Page(
    "pages/results/latent.py",
    "latent",
    "Latent spaces",
    ":material/scatter_plot:",
    parameters=("cells-of",),
    is_colored=True,
)
GENES: Final = Page(
    "pages/results/genes.py",
    "genes",
    "Genes",
    ":material/genetics:",
    parameters=("gene", "gene-cells", "find-genes"),
)
TWO_RUNS: Final = Page(
    "pages/results/two_runs.py",
    "two-runs",
    "Two runs",
    ":material/difference:",
    parameters=("other",),
    is_colored=True,
)
PROVENANCE: Final = Page(
    "pages/results/provenance.py", "provenance", "How it was made", ":material/history_edu:"
)
#: Slides: this page has no frame.
PRESENT: Final = Page(
    "pages/results/present.py",
    "present",
    "Present",
    ":material/slideshow:",
    parameters=("slide",),
)

#: All pages in the order of the navigation.
PAGES: Final = (
    INSPECT,
    TRAIN,
    MODELS,
    VELOCITY,
    DIAGNOSTICS,
    LATENT,
    GENES,
    TWO_RUNS,
    PROVENANCE,
    PRESENT,
)

#: In the address of any page: the run and the file that are open.
RUN_PARAMETER: Final = "run"
DATA_PARAMETER: Final = "data"
#: In the address of pages that color cells: a column or a kind of gene color, and the gene.
COLOR_PARAMETER: Final = "color"
GENE_COLOR_PARAMETER: Final = "color-gene"

#: Every name that a page may put into the address.
PARAMETERS: Final = frozenset(
    {RUN_PARAMETER, DATA_PARAMETER, COLOR_PARAMETER, GENE_COLOR_PARAMETER}
    | {name for page in PAGES for name in page.parameters}
)


def page_at(url: str) -> Page | None:
    """Return the page of an address's path, or None."""
    return next((page for page in PAGES if page.url == url), None)
