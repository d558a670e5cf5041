"""The documents lead where they say, and the user guide knows every page of the dashboard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from splicedvae.dashboard.pages import PAGES

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "user-guide"
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
JOURNEYS = (
    "first-visit",
    "triage",
    "train",
    "diagnostics",
    "latent",
    "velocity",
    "present-and-share",
    "when-something-is-wrong",
)


def anchors(document: Path) -> set[str]:
    """Anchors that a document's headings have."""
    found = re.findall(r"^#+\s+(.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in found}


def test_the_guide_has_a_page_for_each_journey_and_its_index_leads_there() -> None:
    index = (GUIDE / "index.md").read_text(encoding="utf-8")
    for journey in JOURNEYS:
        assert (GUIDE / f"{journey}.md").is_file()
        assert f"({journey}.md)" in index


@pytest.mark.parametrize("title", [page.title for page in PAGES])
def test_every_page_of_the_dashboard_is_in_the_guide(title: str) -> None:
    index = (GUIDE / "index.md").read_text(encoding="utf-8")
    assert title in index, f"the guide's index does not name the page {title!r}"


def test_files_that_contributing_names_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`([\w./]+/[\w./]+)`", text) if "localhost" not in name}
    assert len(named) > 15
    for name in named:
        places = [ROOT / name, ROOT / "splicedvae" / name]
        assert any(place.exists() for place in places), f"{name} is not there"


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda document: document.relative_to(ROOT).as_posix()
)
def test_links_between_documents_resolve(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    for link in links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document.name} leads to {link}, which is not there"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{document.name}: {link} has no such heading"


@pytest.mark.parametrize("page", sorted(GUIDE.glob("*.md")), ids=lambda page: page.name)
def test_guide_pages_are_plain(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "—" not in text
    assert "–" not in text
    assert max(map(len, text.splitlines())) < 200
