"""How `make docs` builds the pages of this folder and the reference of the public names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import splicedvae

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent

project = "SplicedVAE"
author = "SplicedVAE developers"
version = release = splicedvae.__version__
html_title = f"SplicedVAE {version}"
html_theme = "furo"

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
myst_heading_anchors = 3
# A name in single backticks links where it is one of the reference.
default_role = "py:obj"
# The order of a package's __all__, and of a class's source.
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
numpydoc_show_class_members = False


def name_files_outside(app: Sphinx, page: str, source: list[str]) -> None:
    """Name files of the repository that are no page here, where a page links to them."""

    def told(link: re.Match[str]) -> str:
        file = ((HERE / page).parent / link["target"]).resolve()
        if file.is_relative_to(HERE) or not file.exists():
            return link[0]
        return f"{link['text']} (`{file.relative_to(HERE.parent)}`)"

    source[0] = re.sub(r"\[(?P<text>[^\]]*)\]\((?P<target>\.\./[^)#]*)\)", told, source[0])


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", name_files_outside)
