"""The novelty above which cells are out of distribution for a model.

It is separate from the models so that a verdict does not import torch.
"""

from __future__ import annotations

from typing import Final

#: Of `SplicedVAE.get_novelty`; above it predictions are hardly better than each gene's mean.
NOVEL: Final = 0.25
