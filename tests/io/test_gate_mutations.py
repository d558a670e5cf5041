"""Mutated files of every format get an answer or a sentence, never a crash, hang or traceback."""

from __future__ import annotations

import time
from pathlib import Path

from mutated_files import FORMATS, Mutations, outcome

#: Files, and seconds after which no more are tried: a busy machine tries fewer.
_FILES, _SECONDS = 100, 12.0


def test_mutated_files_get_an_answer_or_a_sentence(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SPLICEDVAE_READ_SECONDS", "2")
    mutations = Mutations(tmp_path)
    ends = time.monotonic() + _SECONDS
    seen = []
    for number in range(_FILES):
        seen.append(outcome(mutations.file(number)))
        if time.monotonic() > ends:
            break
    assert len(seen) >= len(FORMATS)
    assert "sentence" in seen or len(seen) < 20
    assert "read" in seen or len(seen) < 20


def test_a_mutation_is_the_same_again(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    mutations = Mutations(tmp_path / "a")
    for number in range(len(FORMATS)):
        first = mutations.file(number).read_bytes()
        assert mutations.file(number).read_bytes() == first
