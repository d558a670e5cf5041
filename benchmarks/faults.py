"""Kill the worker of a training at random moments, damage what it left, and resume.

    python -m benchmarks.faults --faults 100 --seed 1

Each fault is a SIGKILL of a real worker after a random part of the time that an uninterrupted run
takes. Some are followed by damage: to the status, the note on the worker, the live curves or the
list of resumptions, which a resumed run does without; or a flipped bit in a checkpoint, which must
be refused. Every run that ends must have the weights, tables and predictions of the uninterrupted
one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from splicedvae import datasets, io
from splicedvae._core.errors import RunError
from splicedvae._core.files import file_digest
from splicedvae._core.keys import Layers
from splicedvae.jobs import resume, start
from splicedvae.runs import Run, RunConfig, delete, list_runs, resumable
from splicedvae.runs.worker import read_worker

#: Seconds after which something never happens.
NEVER = 600.0
#: Files that a resumed run does without, and what is written into them.
SPARED = ("status.json", "worker.json", "live.jsonl", "checkpoint/resumed.json", "notes.json")
#: Results that do not depend on how often a run was resumed.
SAME = (
    "metrics.csv",
    "genes.csv",
    "model/splicedvae/weights.safetensors",
    "model/scvi/weights.safetensors",
)


@dataclasses.dataclass
class Outcome:
    """What became of the faults."""

    kills: int = 0
    resumed: int = 0
    restarted: int = 0
    refused: int = 0
    #: Found lost by the heartbeat alone, as the note on the worker was spoiled.
    unknown: int = 0
    finished: int = 0
    stages: Counter[str] = dataclasses.field(default_factory=Counter)
    wrong: list[str] = dataclasses.field(default_factory=list)

    def told(self) -> str:
        """Say it in lines."""
        lines = [
            f"kills: {self.kills}, resumed {self.resumed}, restarted as nothing was kept yet "
            f"{self.restarted}",
            f"found lost by the heartbeat, after two minutes: {self.unknown}",
            f"damaged checkpoints refused: {self.refused}",
            f"runs finished with the same numbers: {self.finished - len(self.wrong)} of "
            f"{self.finished}",
            *(f"WRONG: {sentence}" for sentence in self.wrong),
            "stages at the kills: "
            + ", ".join(f"{stage} {count}" for stage, count in self.stages.most_common()),
        ]
        return "\n".join(lines)


def ended(run: Run) -> Run:
    """Wait until a run has ended by itself."""
    deadline = time.monotonic() + NEVER
    while not run.status.is_final:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{run.status}\n{run.log_tail(20)}")
        time.sleep(0.1)
    return run


def kill(run: Run) -> None:
    """Kill the worker and wait until that is seen."""
    worker = read_worker(run.path)
    process = None if worker is None else worker.process()
    if process is None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + NEVER
    while worker is not None and worker.whereabouts() == "here":
        if time.monotonic() > deadline:
            raise TimeoutError("the killed worker is still there")
        time.sleep(0.02)


def spoil(run: Run, chance: random.Random) -> None:
    """Damage a file that a resumed run does without, and leave half a file as a killed writer."""
    (run.path / f".metrics-{chance.randrange(16**8):08x}.csv").write_text("half")
    file = run.path / chance.choice(SPARED)
    if file.is_file():
        whole = file.read_bytes()
        how = chance.randrange(3)
        if file.name == "live.jsonl":
            # What was reported before the checkpoint is kept; half a line is added behind it.
            file.write_bytes(whole + b'{"predictor": "spl')
        elif how == 0:
            file.write_bytes(whole[: len(whole) // 2])
        elif how == 1:
            file.write_bytes(b"\x00" * len(whole))
        else:
            file.unlink()


def refuses_a_flipped_bit(run: Run, chance: random.Random) -> bool:
    """Flip a bit of the newest checkpoint, see whether resuming is refused, and put it back."""
    record, _ = resumable(run)
    if record is None:
        return True
    file = run.path / "checkpoint" / f"{record.training}.safetensors"
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[chance.randrange(8, len(whole))] ^= 1 << chance.randrange(8)
    file.write_bytes(bytes(changed))
    try:
        resume(run)
    except RunError:
        return True
    finally:
        kill(run)
        file.write_bytes(whole)
    return False


def carried_on(run: Run, config: RunConfig, out: Outcome) -> Run:
    """Resume a run, or start it again where nothing was kept of it or it may still be running."""
    if resumable(run)[0] is not None:
        out.resumed += 1
        return resume(run)
    out.restarted += 1
    return start(config)


def differences(run: Run, whole: dict[str, str], ratio: np.ndarray) -> list[str]:
    """Say in what a run differs from the uninterrupted one."""
    found = [name for name in SAME if file_digest(run.path / name) != whole[name]]
    ours = run.predictions.layers[Layers.RATIO].toarray()
    return found if np.array_equal(ours, ratio) else [*found, "predictions.h5ad"]


def attack(n: int, *, seed: int, n_cells: int, n_genes: int, epochs: int) -> Outcome:
    """Do so many faults to trainings in the folder of runs, and return what became of them."""
    chance = random.Random(seed)
    out = Outcome()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SPLICEDVAE_RUNS"] = f"{scratch}/runs"
        data = Path(scratch) / "cells.h5ad"
        datasets.simulate(n_cells, n_genes, seed=3).write_h5ad(data)
        config = RunConfig(
            data=str(data),
            data_sha256=io.sha256(data),
            name="faults",
            cluster_key="clusters",
            max_epochs=epochs,
            min_shared_counts=10,
        )
        begun = time.monotonic()
        run = ended(start(config))
        seconds = time.monotonic() - begun
        assert run.is_finished, run.log_tail(20)
        whole = {name: file_digest(run.path / name) for name in SAME}
        ratio = run.predictions.layers[Layers.RATIO].toarray()
        while out.kills < n:
            delete(run)
            run = start(config)
            until = time.monotonic() + chance.uniform(0.05, 1.0) * seconds
            while out.kills < n:
                while time.monotonic() < until and not run.status.is_final:
                    time.sleep(0.01)
                if run.status.state == "lost":
                    out.unknown += 1
                    run = carried_on(run, config, out)
                    continue
                if run.status.is_final:
                    break
                stage = run.status.stage
                kill(run)
                out.kills += 1
                out.stages[stage] += 1
                print(f"kill {out.kills}: {stage}", file=sys.stderr, flush=True)
                assert [item.id for item in list_runs()] == [run.id]
                if run.is_finished:
                    break
                if chance.random() < 0.3:
                    spoil(run, chance)
                if chance.random() < 0.2 and resumable(run)[0] is not None:
                    if refuses_a_flipped_bit(run, chance):
                        out.refused += 1
                    else:
                        out.wrong.append("a flipped bit of a checkpoint was resumed")
                run = carried_on(run, config, out)
                until = time.monotonic() + chance.uniform(0.05, 1.5) * seconds
            while ended(run).status.state == "lost":
                out.unknown += 1
                run = carried_on(run, config, out)
            if not ended(run).is_finished:
                out.wrong.append(f"a run ended as {run.status.state}: {run.status.message}")
                continue
            out.finished += 1
            other = differences(run, whole, ratio)
            if other:
                out.wrong.append(f"other numbers in {', '.join(other)}")
        shutil.rmtree(f"{scratch}/runs", ignore_errors=True)
    return out


def main() -> None:
    """Read the options, do the faults, print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=320)
    parser.add_argument("--genes", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=60)
    given = parser.parse_args()
    out = attack(
        given.faults,
        seed=given.seed,
        n_cells=given.cells,
        n_genes=given.genes,
        epochs=given.epochs,
    )
    print(out.told())
    print(json.dumps({"seed": given.seed, "kills": out.kills, "wrong": len(out.wrong)}))


if __name__ == "__main__":
    main()
