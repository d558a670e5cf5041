"""The novelty above which cells are out of distribution for a model.

This is apart from the models because a file and a verdict are judged by it without torch.
"""

from __future__ import annotations

from typing import Final

#: Of `SplicedVAE.get_novelty`; above it predictions are hardly better than each gene's mean.
NOVEL: Final = 0.25
