"""The stages of a run and the seconds each takes: declared once, for every estimate of time.

The seconds were measured on two cores (`benchmarks/speed.md`). Before a run starts, their sum is
its estimate (`_estimate`); while it works, they are the weights of its stages (`_time_left`).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Final

from splicedvae._core.epochs import default_epochs
from splicedvae.runs.config import RunConfig

STAGE_READ: Final = "reading the data"
STAGE_CHOOSE: Final = "choosing cells and genes"
STAGE_LOAD: Final = "loading the models"
STAGE_SPLICEDVAE: Final = "training SplicedVAE"
STAGE_SCVI: Final = "training scVI"
STAGE_HEAD: Final = "fitting the ratio head on scVI"
STAGE_PREDICT: Final = "predicting ratios"
STAGE_HELD_OUT: Final = "evaluating on held-out cells"
STAGE_MEASURED: Final = "evaluating against the measured counts"
STAGE_LATENTS: Final = "drawing latent spaces"
STAGE_VELOCITIES: Final = "computing velocities"
STAGE_UNCERTAINTY: Final = "sampling velocities from the posterior"
STAGE_DETAILS: Final = "finding driver genes and pseudotime"
STAGE_EVIDENCE: Final = "testing the measured velocity against permutations"
STAGE_COMPARE: Final = "comparing velocities among held-out cells"
STAGE_WRITE: Final = "writing the results"

#: The stages that train, by the name of their training (`_checkpoint.TRAININGS`).
TRAINING_STAGES: Final = {
    "splicedvae": STAGE_SPLICEDVAE,
    "scvi": STAGE_SCVI,
    "scvi_head": STAGE_HEAD,
}

#: Stages whose numbers a verdict on a velocity rests on: it is not given before they are done.
JUDGING: Final = frozenset({STAGE_HELD_OUT, STAGE_MEASURED, STAGE_EVIDENCE, STAGE_COMPARE})

#: Most held-out cells among which velocities are compared: some fifteen of them are computed.
MAX_COMPARED: Final = 3000


@dataclass(frozen=True)
class Work:
    """How much a run has to do.

    Attributes
    ----------
    kind
        ``"train"`` or ``"predict"``.
    n_cells
        Cells of the file.
    n_train
        Cells that are trained on; 0 in a prediction.
    n_genes
        Genes of the models.
    epochs
        Passes over the training cells; 0 in a prediction.
    batch_size
        Cells in a minibatch.
    ratio_likelihood, ratio_head
        Those of the configuration; each but the usual one has a cost of its own.
    measured
        Whether there are measured S/U to evaluate against.
    """

    kind: str
    n_cells: int
    n_train: int
    n_genes: int
    epochs: int
    batch_size: int
    ratio_likelihood: str = "binomial"
    ratio_head: str = "linear"
    measured: bool = True

    @classmethod
    def of(
        cls,
        config: RunConfig,
        *,
        n_cells: int,
        n_genes: int,
        n_train: int | None = None,
        measured: bool = True,
    ) -> Work:
        """Work out what a configuration asks for on data of a size.

        Parameters
        ----------
        config
            The settings.
        n_cells, n_genes
            Cells of the file, and genes that may be modeled.
        n_train
            Cells that are trained on, where the split is known; None takes the share of the
            configuration.
        measured
            Whether the file has measured S/U; a training needs them.
        """
        if config.kind == "predict":
            return cls("predict", n_cells, 0, n_genes, 0, config.batch_size, measured=measured)
        if n_train is None:
            n_train = max(n_cells - round(config.held_out * n_cells), 1)
        return cls(
            kind="train",
            n_cells=n_cells,
            n_train=n_train,
            n_genes=min(n_genes, config.n_top_genes or n_genes),
            epochs=config.max_epochs or default_epochs(n_train),
            batch_size=config.batch_size,
            ratio_likelihood=config.ratio_likelihood,
            ratio_head=config.ratio_head,
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Work:
        """Take back what `to_dict` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            If an entry is missing or no number.
        """
        return cls(
            kind=str(values["kind"]),
            n_cells=int(values["n_cells"]),
            n_train=int(values["n_train"]),
            n_genes=int(values["n_genes"]),
            epochs=int(values["epochs"]),
            batch_size=int(values["batch_size"]),
            ratio_likelihood=str(values["ratio_likelihood"]),
            ratio_head=str(values["ratio_head"]),
            # Runs made before this was noted nearly all had measured counts.
            measured=bool(values.get("measured", True)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the entries as JSON holds them."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class _Cost:
    """Seconds of a stage on two cores: what is fixed, per cell, and per cell and gene.

    Fixed seconds are imports and compiled code, which each process loads once.
    """

    fixed: float = 0.0
    #: Per thousand cells.
    cells: float = 0.0
    #: Per million cells x genes.
    entries: float = 0.0

    def seconds(self, n_cells: int, n_genes: int) -> float:
        return self.fixed + self.cells * n_cells / 1e3 + self.entries * n_cells * n_genes / 1e6


@dataclass(frozen=True)
class _TrainingCost:
    """Seconds of a training on two cores."""

    fixed: float
    #: Milliseconds of a step, whatever its size.
    step: float
    #: Milliseconds of a step per thousand genes, as the optimizer updates their weights.
    weights: float
    #: Per million cells x genes that were gone through.
    entries: float
    #: Whether the ratio is trained, which takes longer with some options.
    ratio: bool = True

    def seconds(self, work: Work) -> float:
        steps = math.ceil(work.n_train / work.batch_size) * work.epochs
        step = (self.step + self.weights * work.n_genes / 1e3) / 1e3
        seen = work.n_train * work.n_genes * work.epochs / 1e6
        options = (work.ratio_likelihood, work.ratio_head)
        more = sum(_OPTIONS.get(option, 0.0) for option in options) if self.ratio else 0.0
        return self.fixed + steps * step + (self.entries + more) * seen


#: What an option adds to the training of a ratio, per million cells x genes gone through: these
#: have no step with hand-written gradients, or more weights.
_OPTIONS: Final = {"beta-binomial": 0.075, "weighted-squared-error": 0.027, "mlp": 0.044}
_TRAINING: Final = {
    STAGE_SPLICEDVAE: _TrainingCost(3.0, step=2.4, weights=1.0, entries=0.026),
    STAGE_SCVI: _TrainingCost(0.3, step=4.0, weights=1.3, entries=0.036, ratio=False),
    STAGE_HEAD: _TrainingCost(0.2, step=2.1, weights=0.5, entries=0.014),
}
_READING: Final = _Cost(fixed=0.1, entries=0.05)
_PREDICTING: Final = _Cost(entries=0.4)
_EVALUATING: Final = _Cost(fixed=1.0, entries=3.8)
_DRAWING: Final = _Cost(fixed=0.8, cells=1.1)
_VELOCITIES: Final = _Cost(fixed=1.0, cells=1.2, entries=0.7)
_SAMPLING: Final = _Cost(fixed=0.2, cells=0.8, entries=1.1)
_DETAILS: Final = _Cost(fixed=0.4, cells=1.2, entries=0.85)
_TESTING: Final = _Cost(cells=3.0, entries=3.0)
#: Share of the time for velocities where there is none of measured counts among them.
_UNMEASURED: Final = 0.7
#: Per held-out cell.
_COMPARING: Final = _Cost(fixed=1.0, cells=21.0, entries=2.0)
_WRITING: Final = _Cost(entries=0.3)

#: A look at monitored cells in a training.
_LOOKING: Final = _Cost(fixed=0.01, entries=0.05)

#: Seconds from asking for a run to its first stage: a new process and its imports.
STARTING: Final = 4.0
#: About the most cells x genes of the trainings that the seconds were measured on; whole runs had
#: up to 4 million.
LARGEST_MEASURED: Final = 24e6


def stage_seconds(work: Work) -> dict[str, float]:
    """Return the seconds that each stage of a run takes on two cores.

    Parameters
    ----------
    work
        How much there is to do.

    Returns
    -------
    Seconds by the name of the stage, in the order of the stages. The unit matters only for the
    estimate of a whole run; a run that works takes them as weights.
    """

    def of(cost: _Cost, n_cells: int = work.n_cells) -> float:
        return cost.seconds(n_cells, work.n_genes)

    share = 1.0 if work.measured else _UNMEASURED
    drawn = {
        STAGE_LATENTS: of(_DRAWING),
        STAGE_UNCERTAINTY: of(_SAMPLING),
        STAGE_DETAILS: share * of(_DETAILS),
    }
    if work.kind == "predict":
        judged = {STAGE_MEASURED: of(_EVALUATING)} if work.measured else {}
        tested = {STAGE_EVIDENCE: of(_TESTING)} if work.measured else {}
        return {
            STAGE_READ: of(_READING),
            STAGE_LOAD: 0.3,
            STAGE_PREDICT: of(_PREDICTING),
            STAGE_VELOCITIES: share * of(_VELOCITIES),
            **judged,
            **drawn,
            **tested,
            STAGE_WRITE: of(_WRITING),
        }
    held_out = min(work.n_cells - work.n_train, MAX_COMPARED)
    return {
        STAGE_READ: of(_READING),
        STAGE_CHOOSE: of(_READING),
        **{stage: cost.seconds(work) for stage, cost in _TRAINING.items()},
        STAGE_PREDICT: of(_PREDICTING),
        STAGE_VELOCITIES: of(_VELOCITIES),
        STAGE_HELD_OUT: of(_EVALUATING),
        **drawn,
        STAGE_EVIDENCE: of(_TESTING),
        STAGE_COMPARE: of(_COMPARING, held_out),
        STAGE_WRITE: of(_WRITING),
    }


def looking_seconds(work: Work, stage: str, n_cells: int) -> tuple[float, float]:
    """Return the seconds of a look at monitored cells, and of an epoch, on two cores.

    Parameters
    ----------
    work
        How much there is to train.
    stage
        One of `TRAINING_STAGES`' values.
    n_cells
        Cells that are monitored.
    """
    cost = _TRAINING[stage]
    epochs = max(work.epochs, 1)
    return _LOOKING.seconds(n_cells, work.n_genes), (cost.seconds(work) - cost.fixed) / epochs
