"""Models: the store of models with their cards, download, removal, and two ways to add one.

A model is added as a zip from the visitor's own computer or made of a finished training. Addresses
are for the command line: a server fetches nothing because a visitor asks for it.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from splicedvae._core.errors import SplicedVAEError, StoreError
from splicedvae._core.keys import Sources
from splicedvae._core.metrics import metric_of
from splicedvae.dashboard import cards, pages
from splicedvae.dashboard.state import selection
from splicedvae.dashboard.text import defuse, line, plain, size
from splicedvae.dashboard.widgets import model_fit
from splicedvae.pipeline import CardWords, store_run
from splicedvae.runs import all_runs
from splicedvae.store import (
    CardSource,
    StoredModel,
    add_model,
    remove_model,
)

_PLACES: Final[dict[str, tuple[str, cards.Color]]] = {
    "bundled": ("comes with SplicedVAE", "blue"),
    "added": ("added here", "green"),
    "folder": ("a folder", "gray"),
}
#: In MB. Models are small, and an upload is held in memory.
_LARGEST_ZIP: Final = 200


def _page() -> None:
    st.title(pages.MODELS.title, anchor=False)
    st.markdown(
        "A model predicts spliced and unspliced counts for a file with totals only. Its "
        "predictions are useful for cells like its training cells only; the page of a file "
        "says which model fits, or that none does."
    )
    st.page_link(
        pages.INSPECT.script, label="Upload a file and see what fits", icon=":material/upload_file:"
    )
    found, unreadable = model_fit.stored_models()
    for sentence in unreadable:
        st.warning(plain(sentence, 600), icon=":material/folder_off:")
    if not found:
        st.info("There is no model in the store yet.", icon=":material/inventory_2:")
    for stored in found:
        _model(stored)
    st.header("Add a model", anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        _add_zip()
    with right:
        _add_run()


def _model(stored: StoredModel) -> None:
    card = stored.card
    words, color = _PLACES[stored.place]
    with st.container(border=True, key=f"model-{card.name}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(plain(card.title or card.name, 120), anchor=False, width="content")
            st.badge(words, color=color)
        species = card.species or "species not known"
        st.markdown(
            cards.facts(
                card.name,
                f"{species}, {', '.join(card.tissues) or 'tissue unknown'}",
                f"{card.n_cells:,} cells",
                f"{card.n_genes:,} genes",
                "totals with introns" if card.counts == "with-introns" else "exonic totals",
            )
        )
        judged = card.evaluation
        if judged.verdict:
            st.markdown(
                f"Velocity of {judged.n_held_out:,} held-out cells of its own data: "
                f"**{plain(judged.verdict, 60)}**"
            )
        for sentence in card.not_for:
            st.caption(f":material/block: Not for: {plain(sentence, 400)}")
        _details(stored)
        with st.container(horizontal=True):
            st.download_button(
                "Download",
                lambda: _zipped(stored),
                file_name=f"{card.name}.zip",
                mime="application/zip",
                icon=":material/download:",
                key=f"download-{card.name}",
            )
            if stored.place == "added":
                _remove(stored)


def _details(stored: StoredModel) -> None:
    card = stored.card
    with st.expander(
        "Card: data, numbers on held-out cells, provenance", icon=":material/description:"
    ):
        if card.evaluation.metrics:
            st.markdown(
                f"Numbers on {card.evaluation.n_held_out:,} held-out cells of a training on "
                f"{card.evaluation.n_train:,} others"
                + (
                    "; the weights here were then trained on all cells with the same settings."
                    if card.weights_from == "all cells"
                    else ", which has these weights."
                )
            )
            st.dataframe(
                defuse(_numbers(stored)),
                hide_index=True,
                key=f"numbers-{card.name}",
                placeholder="–",
                alt="Numbers of the model and of the baselines on held-out cells.",
            )
        for reason in card.evaluation.reasons:
            st.markdown(f"- {plain(reason, 400)}")
        rows = [
            ("assay", card.assay or "unknown"),
            ("data", card.source.title or "unknown"),
            ("accession", card.source.accession or "unknown"),
            ("license of the data", card.source.licence or "unknown"),
            ("cite", card.source.citation or "unknown"),
            ("digest of the data (sha256)", card.source.sha256 or "unknown"),
            ("made by", card.command or "unknown"),
            ("code", card.code or "unknown"),
            ("digest of the model (sha256)", stored.digest),
            ("files", size(stored.size)),
        ]
        table = pd.DataFrame(
            [(what, line(value, 200)) for what, value in rows], columns=["what", "value"]
        )
        st.dataframe(defuse(table), hide_index=True, alt="Provenance of the model.")


def _numbers(stored: StoredModel) -> pd.DataFrame:
    """Arrange the numbers of a card: a row for each metric, a column for each predictor."""
    metrics = stored.card.evaluation.metrics
    rows = [
        {
            "number": line(
                metric_of(one.metric).label
                + (f", {one.coverage} molecules and more" if one.coverage > 1 else "")
            ),
            "predictor": Sources.LABELS.get(one.predictor, line(one.predictor, 40)),
            "value": one.value,
            "ceiling": one.ceiling,
        }
        for one in metrics
    ]
    table = pd.DataFrame(rows)
    wide = table.pivot_table(
        index="number", columns="predictor", values="value", sort=False, dropna=False
    )
    wide["noise ceiling"] = table.groupby("number", sort=False)["ceiling"].first()
    return wide.round(3).reset_index()


def _zipped(stored: StoredModel) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for name in stored.files:
            out.write(stored.path / name, f"{stored.name}/{name}")
    return packed.getvalue()


def _remove(stored: StoredModel) -> None:
    with st.popover("Remove", icon=":material/delete:", key=f"remove-{stored.name}"):
        st.markdown("The model is removed permanently; results made with it stay.")
        if st.button("Remove it", type="primary", key=f"remove-yes-{stored.name}"):
            with cards.show_errors():
                remove_model(stored.name)
                st.rerun()


def _add_zip() -> None:
    st.subheader("From a file", anchor=False)
    st.markdown(
        "A zip from the button “Download”. Its files are checked against their digests. To "
        "add a model from an address or the Hugging Face hub, use `splicedvae models add`."
    )
    with st.form("add-zip", border=False, clear_on_submit=True):
        upload = st.file_uploader("Zip of a model", type="zip", max_upload_size=_LARGEST_ZIP)
        pressed = st.form_submit_button("Add the model", icon=":material/add:")
    if not pressed:
        return
    if upload is None:
        st.info("Choose a zip first.", icon=":material/upload_file:")
        return
    with cards.show_errors(), tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.zip"
        file.write_bytes(upload.getbuffer())
        add_model(file)
        st.rerun()


def _add_run() -> None:
    st.subheader("From your own training", anchor=False)
    runs = [
        run
        for run in all_runs()[0]
        if run.is_finished and run.config.kind == "train" and run.config.batch_key is None
    ]
    if not runs:
        st.markdown("There is no finished training here yet.")
        st.page_link(pages.TRAIN.script, label="Train and watch", icon=":material/model_training:")
        return
    st.markdown("Its weights with a card for other users; counts are not included.")
    labels = selection.run_labels(runs)
    by_id = {selection.run_id(run): run for run in runs}
    with st.form("add-run", border=False):
        picked = st.selectbox("Training", list(by_id), format_func=labels.__getitem__)
        name = st.text_input("Name", placeholder="mouse-gut-e14", max_chars=64)
        tissue = st.text_input("Tissue", max_chars=200)
        accession = st.text_input("Where the data are published", max_chars=200)
        licence = st.text_input("License of the data", max_chars=200)
        pressed = st.form_submit_button("Make a model of it", icon=":material/add:")
    if not pressed:
        return
    words = CardWords(
        title=by_id[picked].name,
        tissues=(tissue,) if tissue else (),
        source=CardSource(accession=accession, licence=licence),
    )
    try:
        with st.spinner("Writing the model …"), tempfile.TemporaryDirectory() as scratch:
            if not name:
                raise StoreError("The model has no name: enter one, such as mouse-gut-e14.")
            add_model(store_run(by_id[picked], Path(scratch) / "x", name=name, words=words).path)
    except SplicedVAEError as failure:
        cards.error(failure)
        return
    st.rerun()


_page()
