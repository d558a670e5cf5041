"""The frame around every view of a run: the run, its headline numbers, its coloring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from splicedvae import views
from splicedvae._core.errors import RunError
from splicedvae._core.keys import Obs, Sources, Split
from splicedvae._core.metrics import metric_of
from splicedvae.dashboard import cache, cards, pages
from splicedvae.dashboard.pages import Page
from splicedvae.dashboard.state import coloring, selection
from splicedvae.dashboard.text import plain
from splicedvae.dashboard.widgets import downloads, run_check, tables, underway, welcome
from splicedvae.runs import Run, all_runs, find_run

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

#: Preferred least S + U of an entry.
_COVERAGE: Final = 5


class Opened(NamedTuple):
    """The run of a page, what its cells are colored by, and the row in which both are chosen."""

    run: cache.CachedRun
    #: Empty where the page colors none.
    color: str
    row: DeltaGenerator


def frame(page: Page, *, greet: bool = False, early: bool = False) -> Opened | None:
    """Open a page on the selected run, or say why it has no results.

    Parameters
    ----------
    page
        The page.
    greet
        Whether the page explains the app instead, while the demo is open.
    early
        Whether the page shows the streams of a run that is still running, too.

    Returns
    -------
    The run and its color; None where the run has no results, which the page then says.
    """
    run = selection.chosen_run() or selection.opening_run()
    if run is None:
        tell_of_none()
        return None
    selection.choose_run(run)
    if greet and selection.run_id(run) == selection.DEMO:
        welcome.show()
    else:
        st.title(page.title, anchor=False)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row:
        run = pick_run(run)
    if early and run.has_streams and not run.is_finished:
        underway.show(run)
    elif not has_results(run):
        return None
    with cards.show_errors():
        whole = cache.cached_run(run)
        color = ""
        if page.is_colored:
            with row:
                color = coloring.pick(whole)
        return Opened(whole, color, row)
    return None


def tell_of_none() -> None:
    """Show that there is no finished run, and what to do."""
    welcome.show()
    st.info(
        "There is no finished run on this server yet, and this installation has no demo "
        "run: upload a file and train a model.",
        icon=":material/hourglass_empty:",
    )


def has_results(run: Run) -> bool:
    """Return whether a run has results to show; if not, the page says why.

    Parameters
    ----------
    run
        Any run.
    """
    status = run.status
    if status.state == "finished":
        damage = run_check.complaint(run)
        if damage is None:
            return True
        st.error(plain(damage, 400), icon=":material/error:")
        if selection.run_id(run) != selection.DEMO:
            _watch(run, "Show the list of runs", ":material/list:")
    elif status.is_final:
        cards.how_it_ended(run, status)
        _watch(run, "Show its log, or restart it", ":material/replay:")
    else:
        st.info(
            "This run is still running; its results appear here when it has finished.",
            icon=":material/progress_activity:",
        )
        _watch(run, "Show progress", ":material/monitoring:")
        if run.has_streams:
            where = {"run": selection.run_id(run)}
            st.page_link(
                pages.VELOCITY.script,
                label="Show its first streams",
                icon=pages.VELOCITY.icon,
                query_params=where,
            )
    return False


def _watch(run: Run, label: str, icon: str) -> None:
    where = {"run": selection.run_id(run)}
    st.page_link(pages.TRAIN.script, label=label, icon=icon, query_params=where)


def pick_run(run: Run) -> Run:
    """Let a visitor choose among the finished runs.

    Parameters
    ----------
    run
        The run that is open.

    Returns
    -------
    The run to show.
    """
    found = [item for item in all_runs()[0] if item.is_finished]
    demo = selection.shipped_run()
    if demo is not None:
        found.append(demo)
    if all(item.path != run.path for item in found):
        found.insert(0, run)
    labels = selection.run_labels(found)
    by_id = {selection.run_id(item): item for item in found}
    st.session_state["pick-run"] = selection.run_id(run)
    picked = st.selectbox(
        "Run",
        list(labels),
        format_func=lambda key: labels.get(key, key),
        key="pick-run",
        on_change=_picked,
    )
    return by_id.get(picked, run)


def _picked() -> None:
    try:
        selection.choose_run(find_run(st.session_state["pick-run"]))
    except RunError:
        # Deleted in another tab: the page then opens on the first run.
        selection.forget_run()


def headline(run: Run) -> None:
    """Show the headline numbers."""
    cells = run.predictions
    st.caption(
        f"{cells.n_obs:,} cells × {cells.n_vars:,} genes, {cache.cached(_held_out_words, run)}"
    )
    if not downloads.has_metrics(run):
        return
    with st.container(horizontal=True):
        metrics = run.metrics
        coverage = default_coverage(tables.coverages(metrics))
        if coverage is not None:
            _number(metrics, "pearson", coverage)
        _number(metrics, "within_gene_r_by_cluster")
        _number(
            metrics,
            "velocity_cosine_genes",
            words=" Permuted: permuted ratios, the level of chance. Measured halves: cosine "
            "between two velocities, each computed from half of the measured molecules. A "
            "prediction has less noise and can exceed it.",
            limit="measured halves",
        )


def _held_out_words(run: Run) -> str:
    obs = run.predictions.obs
    if Obs.SPLIT not in obs:
        if views.known_cells(run) is not None:
            return "some of them known to the model from its training"
        return "none of them used in training"
    return f"{int((obs[Obs.SPLIT].astype(str) == Split.HELD_OUT).sum()):,} cells held out"


def _number(
    metrics: pd.DataFrame,
    key: str,
    coverage: int | None = None,
    *,
    words: str = "",
    limit: str = tables.CEILING,
) -> None:
    """Show SplicedVAE's number, with the baselines and the noise ceiling."""
    ours = views.value_of(metrics, Sources.SPLICEDVAE, key, coverage)
    if not np.isfinite(ours):
        return
    said = []
    for source, words_for_it in (
        (Sources.SCVI, "scVI"),
        (Sources.GENE_MEAN, "gene mean"),
        (Sources.SHUFFLED, "permuted"),
    ):
        theirs = views.value_of(metrics, source, key, coverage)
        if np.isfinite(theirs):
            said.append(f"{words_for_it} {theirs:z.2f}")
    ceiling = views.value_of(metrics, Sources.SPLICEDVAE, key, coverage, column="ceiling")
    if np.isfinite(ceiling):
        said.append(f"{limit} {ceiling:.2f}")
    label = metric_of(key).at(coverage)
    st.metric(
        label[0].upper() + label[1:],
        f"{ours:z.2f}",
        delta=" · ".join(said) or None,
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=f"{metric_of(key).explanation}{words}",
    )


def default_coverage(known: list[int]) -> int | None:
    """Choose the coverage that a page opens on.

    Parameters
    ----------
    known
        Least S + U of an entry, those at which there are numbers.
    """
    if not known:
        return None
    return _COVERAGE if _COVERAGE in known else known[0]
