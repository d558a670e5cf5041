"""Notes for readers of results: a sentence for people, with a code for programs.

A note is a string, so it is shown, joined and stored like any sentence. Programs ask for its code
and never read the words. Each code is declared here with its level.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

#: ``"warning"``: something was replaced, left out or not found; ``"info"``: how it was done.
Level = Literal["info", "warning"]

#: Level of each note, by its code.
LEVELS: Final[dict[str, Level]] = {
    # A sentence without a code of its own, or from a run of an earlier version.
    "general": "info",
    # Reading a file.
    "reading": "info",
    # The process that opens files has more rights than it needs.
    "gate-open": "warning",
    "names-repeated": "warning",
    "layers-missing": "warning",
    "counts-other-than-asked": "warning",
    "cells-empty": "warning",
    "genes-only-numbered": "warning",
    "truth-left-out": "warning",
    "genes-unnamed": "warning",
    # Training and predicting.
    "resumed": "info",
    "split-by-group": "info",
    "split": "info",
    "cells-untrained": "warning",
    "file-embedding-left-out": "warning",
    "other-genes-left-out": "warning",
    "watching-left-out": "warning",
    "cells-known-to-model": "warning",
    "genes-aligned": "info",
    "genes-mapped": "warning",
    "model-stored": "info",
    "evaluation-left-out": "warning",
    "intercepts-adapted": "info",
    "groups-unknown": "warning",
    "umap-left-out": "warning",
    # Opening a run again.
    "digests-missing": "info",
    "run-damaged": "warning",
    # Velocities.
    "velocity-refused": "warning",
    "velocity-agreement": "info",
    "velocity-uncertainty": "info",
    "velocity-evidence": "info",
}


class Note(str):
    """A sentence with a code.

    Parameters
    ----------
    text
        Plain text.
    code
        One of `LEVELS`.
    level
        That of the code, if not given; a code of a later version brings its own.
    """

    code: str
    level: Level

    def __new__(cls, text: str, code: str = "general", level: Level | None = None) -> Self:
        """Make a sentence with a code."""
        note = super().__new__(cls, text)
        note.code = code
        note.level = LEVELS[code] if level is None else level
        return note

    def __getnewargs__(self) -> tuple[str, str, Level]:  # type: ignore[override]
        """Let copies and pickles keep the code."""
        return str(self), self.code, self.level

    @classmethod
    def of(cls, sentence: str, code: str = "general") -> Note:
        """Give a sentence a code, unless it has one.

        Parameters
        ----------
        sentence
            A note or a plain sentence.
        code
            For a plain sentence, one of `LEVELS`.
        """
        return sentence if isinstance(sentence, Note) else cls(sentence, code)

    def to_dict(self) -> dict[str, str]:
        """Return code, level and text, as JSON holds them."""
        return {"code": self.code, "level": self.level, "text": str(self)}

    @classmethod
    def from_json(cls, value: Any) -> Note:
        """Read what `to_dict` gave, or the bare sentence of an earlier version.

        Parameters
        ----------
        value
            From a JSON file; anything else becomes a note with its text.
        """
        if not isinstance(value, Mapping):
            return cls(str(value))
        level: Level = "warning" if value.get("level") == "warning" else "info"
        return cls(str(value.get("text", "")), str(value.get("code", "general")), level)
