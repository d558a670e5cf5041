"""The dashboard: `streamlit run app.py`. Routing, and the frame around every page.

Streamlit imports this file once, when its server starts, and finds `app`; then it runs the file
as a script for every visitor.
"""

from __future__ import annotations

import streamlit as st

from splicedvae.dashboard import cards, pages, server, serving
from splicedvae.dashboard.state import query_params, selection
from splicedvae.dashboard.widgets import link, slides


def _root() -> None:
    """Redirect from the root address to the first page, which has its own address."""
    st.switch_page(pages.VELOCITY.script, query_params=st.query_params.to_dict())


def _visit() -> None:
    """Show the requested page."""
    st.set_page_config(
        page_title="SplicedVAE",
        page_icon=str(cards.ICON),
        layout="wide",
        menu_items={"About": "RNA velocity for data sets without spliced and unspliced counts."},
    )
    st.logo(str(cards.LOGO), size="large", icon_image=str(cards.ICON))
    home = st.Page(_root, title="SplicedVAE", default=True, visibility="hidden")
    sections = {"": [home]} | {
        title: [
            st.Page(page.script, title=page.title, icon=page.icon, url_path=page.url)
            for page in pages.PAGES
            if page.section == section
        ]
        for section, title in pages.SECTIONS.items()
    }
    page = st.navigation(sections)
    is_slide = page.url_path == pages.PRESENT.url
    if is_slide:
        page = st.navigation(sections, position="hidden")
    else:
        slides.remember(page.url_path)
    server.begin()
    query_params.drop_unknown()
    above = st.container()
    page.run()
    if not is_slide:
        cards.opened(selection.chosen_run(), selection.chosen_file())
        with st.sidebar:
            link.offer(page.url_path)
    with above:
        query_params.show_remarks()
    if not is_slide:
        cards.footer()
    server.freeze_imports()


if __name__ == "__main__":
    _visit()
else:
    server.route_from_the_first_visit()
    app = st.App(
        __file__,
        on_script_error=server.tell_unforeseen,
        lifespan=serving.lifespan,
        middleware=serving.middleware(),
    )
