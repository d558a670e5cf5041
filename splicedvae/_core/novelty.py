"""Above which novelty cells are of another kind than those a model was trained on.

This is apart from the models because a file and a verdict are judged by it without torch.
"""

from __future__ import annotations

from typing import Final

#: Of `SplicedVAE.get_novelty`; above it a model knows hardly more than its genes' means.
NOVEL: Final = 0.25
