"""The figures of a run by name: how each is drawn, and the Python that draws it.

A page, the report and the command line ask the same call, and the Python that is shown is written
from it, so that what a reader runs is what was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from splicedvae import __version__, views
from splicedvae._core.errors import DataError, RunError
from splicedvae.plotting import PrintForm, print_figure
from splicedvae.views.cautions import SMOOTHNESS, worth_of_streams

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from splicedvae.runs import Run

#: The figures of a run and the functions of `splicedvae.views` that draw them.
FIGURES: Final[Mapping[str, str]] = {
    "streams": "stream_figure",
    "latents": "latent_figure",
    "ratios": "ratio_figure",
    "coverage": "coverage_figure",
    "gain": "gain_figure",
    "within-gene": "within_gene_figure",
    "training": "training_figure",
    "depth": "depth_figure",
    "unspliced": "unspliced_figure",
}
#: The name under which the run that ships with the package is opened.
_DEMO: Final = "demo"


@dataclass(frozen=True)
class FigureCall:
    """One figure with the settings it is drawn with.

    Attributes
    ----------
    name
        One of `FIGURES`.
    settings
        Keywords of the function that draws it, such as ``color_by``.

    Raises
    ------
    DataError
        If there is no such figure.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in FIGURES:
            raise DataError(
                f"There is no figure {self.name[:40]!r}: choose one of {', '.join(FIGURES)}."
            )

    def draw(self, run: Run, *, dark: bool = False) -> go.Figure:
        """Draw the figure of a run.

        Parameters
        ----------
        run
            A finished run.
        dark
            Whether the page behind the figure is dark.

        Raises
        ------
        SplicedVAEError
            If the run lacks what the figure shows; the message says what.
        """
        made: go.Figure = getattr(views, FIGURES[self.name])(run, **self.settings, dark=dark)
        return made

    def python(self, run: Run) -> str:
        """Return the program that draws the figure.

        Parameters
        ----------
        run
            The run, which is named by the name of its folder.

        Returns
        -------
        A program; it writes the figure into an HTML file.
        """
        given = "".join(f", {name}={_literal(value)}" for name, value in self.settings.items())
        call = f"figure = views.{FIGURES[self.name]}(run{given})"
        if len(call) > 99:
            lines = [f"    {name}={_literal(value)},\n" for name, value in self.settings.items()]
            call = f"figure = views.{FIGURES[self.name]}(\n    run,\n{''.join(lines)})"
        return (
            "from splicedvae import views\n"
            "from splicedvae.runs import open_run\n\n"
            f"run = open_run({run_name(run)!r})  # or the path of the run's folder\n"
            f"{call}\n"
            f'figure.write_html("{self.name}.html")\n'
        )

    def printed(
        self,
        run: Run,
        form: PrintForm = "pdf",
        *,
        width: float = 174.0,
        height: float | None = None,
    ) -> bytes:
        """Draw the figure for paper, with a caution and its source under it.

        Parameters
        ----------
        run
            A finished run.
        form
            ``"pdf"``, ``"svg"`` or ``"png"``.
        width, height
            In millimetres; the height follows from the panels if None.

        Returns
        -------
        The file's content.

        Raises
        ------
        SplicedVAEError
            If the run lacks what the figure shows, or the size is none that can be drawn.
        """
        return print_figure(
            self.draw(run),
            form,
            width=width,
            height=height,
            caution=figure_caution(run, self.name),
            source=figure_source(run),
        )


def run_name(run: Run) -> str:
    """Return the name by which `splicedvae.runs.open_run` finds a run of the usual folder.

    Parameters
    ----------
    run
        The run.
    """
    from splicedvae.runs import demo_run

    try:
        shipped = demo_run()
    except RunError:
        # This installation has no demo run, so this is none.
        return run.path.name
    return _DEMO if run.path.resolve() == shipped.path.resolve() else run.path.name


def figure_caution(run: Run, name: str) -> str:
    """Return the sentence that must not be parted from a figure.

    Parameters
    ----------
    run
        A finished run.
    name
        One of `FIGURES`.
    """
    if name == "streams":
        return worth_of_streams(run) or SMOOTHNESS
    if name == "latents":
        return "UMAPs: who is near whom can be compared between maps, positions cannot."
    if name in ("ratios", "coverage"):
        return (
            "Most agreement over all genes is differences between genes, which a constant per gene "
            "knows as well."
        )
    if name in ("gain", "within-gene"):
        return "One split and one seed: a small difference between two models may be chance."
    return ""


def figure_source(run: Run) -> str:
    """Say where a figure comes from, in one line without any path."""
    return (
        f"{run.name}, run {run.id}, data sha256 {run.config.data_sha256[:12]}, seed "
        f"{run.config.seed}, SplicedVAE {__version__}."
    )


def _literal(value: Any) -> str:
    """Write a setting as Python."""
    return repr(list(value) if isinstance(value, tuple) else value)
