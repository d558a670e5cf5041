"""Present: the open run as slides, one figure or number each, with a message and a caution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import streamlit as st

from splicedvae import __version__, views
from splicedvae._core.errors import DataError, RunError
from splicedvae._core.keys import Sources
from splicedvae.dashboard import cache, cards, pages, theme
from splicedvae.dashboard.state import coloring, query_params, selection
from splicedvae.dashboard.text import line, moment, plain
from splicedvae.dashboard.widgets import downloads, result, run_check, slides
from splicedvae.report import figure_caution
from splicedvae.runs import Run
from splicedvae.views import command_line, reading_cautions

_SLIDE: Final = "slide"
_DENSITY: Final = 1.0
_STREAMS: Final = (Sources.MEASURED, Sources.SPLICEDVAE, Sources.SCVI)


@dataclass(frozen=True)
class _Slide:
    title: str
    message: str
    draw: Callable[[Run], None]
    caution: Callable[[Run], str]


def _page() -> None:
    with cards.show_errors():
        _present()


def _present() -> None:
    """Show one slide of the open run, the one that the address names."""
    run = selection.chosen_run() or selection.opening_run()
    if run is None:
        result.tell_of_none()
        return
    selection.choose_run(run)
    if not run.is_finished or run_check.complaint(run) is not None:
        st.title(pages.PRESENT.title, anchor=False)
        result.has_results(run)
        st.page_link(pages.VELOCITY.script, label="Select another run", icon=pages.VELOCITY.icon)
        return
    slides.clear()
    kept = cache.cached_run(run)
    at = _asked()
    slide = _SLIDES[at - 1]
    with st.container(key=slides.SLIDE):
        st.title(slide.title, anchor=False)
        if slide.message:
            st.markdown(slide.message)
        try:
            slide.draw(kept)
        except (DataError, RunError) as failure:
            st.info(plain(failure, 400), icon=":material/info:")
        caution = slide.caution(kept)
        if caution:
            st.markdown(f":material/balance: {plain(caution, 400)}")
    if slides.controls(at, len(_SLIDES), _go_to, coloring.chosen()):
        slides.leave(selection.run_id(run))


def _asked() -> int:
    """Return the number of the slide in the address; the first where it names none."""
    query_params.check(_SLIDE, [str(n) for n in range(1, len(_SLIDES) + 1)], "slide")
    given = st.query_params.get(_SLIDE, "")
    at = int(given) if given.isascii() and given.isdigit() and len(given) < 4 else 1
    at = at if 1 <= at <= len(_SLIDES) else 1
    if given != str(at):
        st.query_params[_SLIDE] = str(at)
    return at


def _go_to(at: int) -> None:
    st.query_params[_SLIDE] = str(min(max(at, 1), len(_SLIDES)))


# The slides ---------------------------------------------------------------------------------


def _idea(run: Run) -> None:
    st.markdown(
        "1. **Learn** from cells with spliced (S) and unspliced (U) counts how each gene's "
        "fraction S / (S + U) depends on the cell's total counts.\n2. **Predict** it where "
        "only totals are available, as in most published data.\n3. **Reconstruct** both "
        "layers, pass them to scVelo, and compare with standard scVI, a constant per gene, "
        "permuted ratios and the noise ceiling."
    )


def _data(run: Run) -> None:
    cells = run.predictions
    held_out = int(views.cluster_table(run)["held_out"].sum())
    with st.container(horizontal=True):
        st.metric("cells", f"{cells.n_obs:,}", border=True)
        st.metric("genes of the model", f"{cells.n_vars:,}", border=True)
        st.metric("cells held out", f"{held_out:,}", border=True)
    try:
        figure = cache.figure(views.unspliced_figure, run)
    except DataError:
        # Nothing was measured: the depth is what there is to show, and the caution says so.
        figure = cache.figure(views.depth_figure, run)
    theme.show(slides.enlarge(figure, 300), key="slide-data", name="data")


def _data_caution(run: Run) -> str:
    if views.predictors(run):
        return "Numbers are from held-out cells only; streams show all cells."
    return "The data has no measured spliced and unspliced counts: the results cannot be evaluated."


def _streams(run: Run) -> None:
    shown = [source for source in views.sources(run) if source in _STREAMS] or views.sources(run)
    figure = cache.figure(
        cache.streams,
        run,
        shown,
        coloring.asked(run),
        _DENSITY,
        on=cache.cached(views.first_map, run),
    )
    theme.show(slides.enlarge(figure, 430), key="slide-streams", name="streams")


def _numbers(run: Run) -> None:
    if not downloads.has_metrics(run):
        st.info("The data has no measured spliced and unspliced counts, so there are no metrics.")
        return
    result.headline(run)
    figure = slides.enlarge(cache.figure(views.gain_figure, run), 290)
    # The message above says what of; on a slide the whole words are longer than the axis.
    for axis, metric in ((figure.layout.yaxis, "RMSE"), (figure.layout.yaxis2, "Pearson r")):
        if axis.title.text:
            axis.title.text = f"gain, {metric}"
    theme.show(figure, key="slide-numbers", name="numbers")


def _latents(run: Run) -> None:
    figure = cache.figure(cache.latents, run, coloring.asked(run))
    theme.show(slides.enlarge(figure, 430), key="slide-latents", name="latent-spaces")


def _trust(run: Run) -> None:
    said = []
    for source, found in views.verdicts(run).items():
        if found.reasons:
            label = plain(Sources.LABELS.get(source, source))
            grounds = plain("; ".join(ground.short for ground in found.reasons), 300)
            said.append(f"- **{label}: {plain(found.answer)}** – {grounds}")
    said += [f"- {plain(caution, 400)}" for caution in reading_cautions(run)]
    st.markdown("\n".join(said))


def _made(run: Run) -> None:
    config, made = run.config, run.provenance
    st.markdown(
        f"- **{plain(run.name, 80)}**, run {plain(run.id)}, finished "
        f"{moment(float(made.get('finished') or 0))}\n"
        f"- data sha256 {plain(config.data_sha256[:16])}…, seed {config.seed}\n"
        f"- SplicedVAE {plain(__version__)}, code {plain(made.get('code'), 60)}"
    )
    st.code(line(command_line(run), 600), language="bash", wrap_lines=True)


def _nothing(run: Run) -> str:
    return ""


_SLIDES: Final = (
    _Slide(
        "RNA velocity without spliced and unspliced counts",
        "SplicedVAE predicts splicing ratios from a cell's total counts.",
        _idea,
        lambda run: (
            "A predicted fraction is what the model expects for such a cell. It is not a "
            "measurement."
        ),
    ),
    _Slide(
        "The data", "What was measured, and what was held out for evaluation.", _data, _data_caution
    ),
    _Slide(
        "Streams",
        "The same cells, genes and neighbors; only the counts differ.",
        _streams,
        lambda run: figure_caution(run, "streams"),
    ),
    _Slide(
        "The numbers",
        "Compared with a constant per gene, permuted ratios and the noise ceiling. Below: "
        "gain over the constant, as a share of the possible gain.",
        _numbers,
        lambda run: (
            "One split and one seed: a small difference between two models may be due to chance."
        ),
    ),
    _Slide(
        "Latent spaces",
        "How joint training arranges the cells, compared with standard scVI.",
        _latents,
        lambda run: figure_caution(run, "latents"),
    ),
    _Slide("How far to trust it", "", _trust, _nothing),
    _Slide(
        "How it was made",
        "Everything on these slides comes from one run folder and can be reproduced.",
        _made,
        _nothing,
    ),
)

_page()
