"""Pages through Streamlit's own test runner, opened the way a link opens them."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

REPOSITORY = Path(__file__).resolve().parents[2]


def open_page(page: str, **query: str) -> AppTest:
    """Open a page of app.py by its file and the address's parameters."""
    # The first page of a process imports all that it draws with.
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=600)
    app.run()
    app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app
