"""Each gene of a run: its counts and how well it is predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from splicedvae._errors import RunError
from splicedvae.dashboard import tables
from splicedvae.dashboard.text import plain
from splicedvae.runs import Run

if TYPE_CHECKING:
    pass


def show(run: Run) -> None:
    """Show the genes of a run as a table that can be searched.

    Parameters
    ----------
    run
        A finished run.
    """
    try:
        table = tables.genes(run.genes)
    except RunError as failure:
        st.caption(plain(failure, 400))
        return
    wanted = st.text_input(
        "Find genes",
        placeholder="part of a name",
        max_chars=60,
        key="find-genes",
        icon=":material/search:",
    )
    if wanted:
        table = table[table.index.str.contains(wanted.strip(), case=False, regex=False)]
    whole = {"spliced counts", "unspliced counts", "cells with counts"}
    st.dataframe(
        table,
        height=520,
        column_config={
            "_index": st.column_config.TextColumn("gene", pinned=True),
            **{
                name: st.column_config.NumberColumn(
                    name, format="localized" if name in whole else "%.3f"
                )
                for name in map(str, table)
            },
        },
        alt="Counts, mean spliced fraction, within-gene correlation and skill of each gene.",
    )
    st.caption(
        f"{len(table):,} genes, held-out cells only. Skill: share of the gene mean's negative "
        "log-likelihood that is saved; below 0 a constant would have been better."
    )
