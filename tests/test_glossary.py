"""Texts that people read use the field's terms: docs, pages, messages and docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: What must not occur, as a regular expression, and what to write instead.
GLOSSARY = {
    r"(cells?|are) of another kind": "out-of-distribution cells, out of distribution",
    r"on (the|one|a|this|another|each|every) map\b|(latent|common) maps?\b": "in the embedding",
    r"(cosine|agree\w*|velocity|chance|trust)\b[^.|]{0,24} over genes": "in gene space",
    r"\b(deal|deals|dealt|dealing)\b[^.]{0,20} (out|anew)|dealt-out": "permute, permuted",
    r"shuffled (ratio|draw|count|control)": "permuted ratios, permutations",
    r"kept out of everything|outside everything fitted": "held out",
    r"\b(hears|heard)\b": "sees, uses",
    r"(given|gives?) back\b": "restored, returned",
    r"best possible|what (the )?noise allows": "noise ceiling",
    r"knows? hardly more": "is hardly better",
    r"scatter of counts|\bscatters?\b(?! (of|plot))": "overdispersion, varies",
    r"\bat work\b": "running",
    r"\b(go|goes|went|gone) on\b": "resume, continue",
    r"\bKeep on\b|\bStart it again\b|\bBeside another run\b|\bTo be known\b": (
        "Keep running, Restart, Compare with, Note"
    ),
    r"\banew\b": "again",
    r"\bbeside\b": "next to, compared with",
    r"\b(stands?|stood)\b": "is",
    r"\b(told|tells?|telling)\b": "is reported, shows, says",
    r"\brooms?\b": "package, module",
    r"\bmend(s|ed)?\b": "fix",
    r"\bhearken\b|\bthereof\b|\btherein\b": "plain words",
    r"\b(drawn|is) as a picture\b|\bpictures?\b": "image, figure",
    r"\bcolour|\bneighbour|\bbehaviour|\bcentre\b": "color, neighbor, behavior, center",
    r"\bnormalis|\boptimis(?!t)|\brecognis|\bper cent\b": "normalize, optimize, recognize, percent",
}
#: Texts that hold a term for a reason: a title, a name in a file, a published term.
ALLOWED = (
    "A single-cell molecular map",
    "without a word",
)
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]
SOURCES = [
    ROOT / "app.py",
    *sorted((ROOT / "pages").rglob("*.py")),
    *sorted((ROOT / "splicedvae").rglob("*.py")),
]


def prose(text: str) -> str:
    """Text without code: what backticks enclose, and lines that are one name."""
    text = re.sub(r"```.*?```|``[^`]*``|`[^`]*`", " ", text, flags=re.DOTALL)
    return re.sub(r"^\s*[*\w.]+(, [*\w.]+)*$", " ", text, flags=re.MULTILINE)


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Sentences in a module: string literals and docstrings, with their lines."""
    for node in ast.walk(ast.parse(source)):
        said = node.value if isinstance(node, ast.Constant) else None
        # One word is a key or a name, not a text.
        if isinstance(said, str) and " " in said.strip():
            yield node.lineno, said


def found(text: str) -> list[str]:
    """What a text says that the glossary replaces."""
    plain = prose(text)
    for allowed in ALLOWED:
        plain = plain.replace(allowed, "")
    plain = re.sub(r"\s+", " ", plain)
    return [
        f"“{match[0]}”: write {instead}"
        for term, instead in GLOSSARY.items()
        for match in re.finditer(term, plain, flags=re.IGNORECASE)
    ]


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda document: document.relative_to(ROOT).as_posix()
)
def test_documents_use_the_glossary(document: Path) -> None:
    assert not found(document.read_text(encoding="utf-8"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_texts_of_the_package_use_the_glossary(source: Path) -> None:
    said = [
        f"line {line}: {words}"
        for line, text in texts(source.read_text(encoding="utf-8"))
        for words in found(text)
    ]
    assert not said, "\n".join(said)


@pytest.mark.parametrize(
    "source",
    [
        '"""Cells of another kind are found."""',
        'raise ValueError("The ratios were dealt out anew.")',
        'x = f"The run {name} is at work: wait."',
        'x = "Nearest neighbours " "of a cell"',
    ],
)
def test_the_glossary_is_held(source: str) -> None:
    assert any(found(text) for _, text in texts(source))


def test_code_and_names_are_no_prose() -> None:
    assert not found("Pass ``neighbours`` or `told`.\n\n    neighbours\n        How many.")
