"""A note is a sentence for people and a code for programs, and keeps both on every way it goes."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae import runs
from splicedvae._core.notes import LEVELS, Note
from splicedvae.jobs.journal import Journal

notes = st.builds(Note, st.text(), st.sampled_from(sorted(LEVELS)))


def parts(note: Note) -> tuple[str, str, str]:
    return str(note), note.code, note.level


@given(notes)
def test_a_note_survives_json_and_copies(note: Note) -> None:
    for again in (
        Note.from_json(json.loads(json.dumps(note.to_dict()))),
        copy.deepcopy(note),
        copy.copy(note),
        Note.of(note, "general"),
    ):
        assert parts(again) == parts(note)
    assert note == str(note)
    assert json.loads(json.dumps(note)) == str(note)


@given(st.text())
def test_a_bare_sentence_of_an_earlier_version_is_a_note(text: str) -> None:
    assert parts(Note.from_json(text)) == (text, "general", "info")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"code": "of-tomorrow", "level": "warning", "text": "x"}, ("x", "of-tomorrow", "warning")),
        ({"code": "split", "level": "grave", "text": "x"}, ("x", "split", "info")),
        ({"text": "x"}, ("x", "general", "info")),
        ({}, ("", "general", "info")),
        (3, ("3", "general", "info")),
    ],
)
def test_a_note_of_another_version_is_read(value: Any, expected: tuple[str, str, str]) -> None:
    assert parts(Note.from_json(value)) == expected


def test_a_code_that_is_not_declared_is_refused() -> None:
    with pytest.raises(KeyError):
        Note("x", "no-such-code")


def test_a_run_with_notes_of_the_earlier_form_is_read(tmp_path: Path) -> None:
    shutil.copytree(runs.demo_run().path, tmp_path / "run")
    file = tmp_path / "run" / "notes.json"
    texts = [str(note) for note in runs.demo_run().notes]
    file.write_text(json.dumps({"notes": texts}), encoding="utf-8")
    (tmp_path / "run" / "SHA256SUMS").unlink()
    *read, missing = runs.Run(tmp_path / "run").notes
    assert missing.code == "digests-missing"
    assert read == texts
    assert all(isinstance(note, Note) for note in read)


def test_a_run_keeps_each_note_once_with_its_code(tmp_path: Path) -> None:
    with Journal(tmp_path, [("reading", 1.0)]) as journal:
        journal.note("Two genes were one.", "reading")
        journal.note(Note("Names were repeated.", "names-repeated"), "reading")
        journal.note("Two genes were one.", "general")
    assert json.loads((tmp_path / "notes.json").read_text(encoding="utf-8"))["notes"] == [
        {"code": "reading", "level": "info", "text": "Two genes were one."},
        {"code": "names-repeated", "level": "warning", "text": "Names were repeated."},
    ]
