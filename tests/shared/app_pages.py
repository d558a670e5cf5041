"""Pages through Streamlit's own test runner, opened the way a link opens them."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

REPOSITORY = Path(__file__).resolve().parents[2]


def open_page(
    page: str, *, through: str | None = None, from_link: bool = False, **query: str
) -> AppTest:
    """Open a page of app.py by its file and the address's parameters.

    The bare address opens the velocities first. ``through`` is a page to visit before the one that
    is wanted, so that the wanted one is drawn anew; with ``from_link`` the parameters stand in the
    address from the first run on.
    """
    # The first page of a process imports all that it draws with.
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=600)
    if from_link:
        app.query_params.update(query)
    app.run()
    if through is not None:
        app.switch_page(through).run()
    app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app
