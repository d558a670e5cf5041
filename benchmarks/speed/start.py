"""Processor time of `splicedvae --help` and of imports, against `import scvi`.

Each is run in fresh processes, one after the other, round after round; the median is kept. The
first round, in which Python may compile what it imports, is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from benchmarks.speed.alone import REPOSITORY
from benchmarks.speed.page import Row, table

KEYS = ("command",)
COMMANDS = {
    "splicedvae --help": ["-m", "splicedvae.cli", "--help"],
    "import scvi": ["-c", "import scvi"],
    "import splicedvae": ["-c", "import splicedvae"],
    "from splicedvae import SplicedVAE": ["-c", "from splicedvae import SplicedVAE"],
}
#: Seconds for the help; share of scvi's import for ours.
MOST_FOR_HELP = 0.2
MOST_FOR_IMPORT = 1.1


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=7)


def processor_time(words: list[str]) -> float:
    """Seconds of processor time that an interpreter takes from its start to its end."""
    process = subprocess.Popen([sys.executable, *words], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    _, state, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(state)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}.")
    return used.ru_utime + used.ru_stime


def measure(options: argparse.Namespace) -> list[Row]:
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(options.rounds + 1):
        for name, words in COMMANDS.items():
            spent = processor_time(words)
            if turn:
                taken[name].append(spent)
    median = {name: statistics.median(times) for name, times in taken.items()}
    scvi = median["import scvi"]
    targets = {
        "splicedvae --help": f"{MOST_FOR_HELP} s",
        "import splicedvae": f"{MOST_FOR_IMPORT} x import scvi",
        "from splicedvae import SplicedVAE": f"{MOST_FOR_IMPORT} x import scvi",
    }
    reached = {
        "splicedvae --help": median["splicedvae --help"] <= MOST_FOR_HELP,
        **{
            name: median[name] <= MOST_FOR_IMPORT * scvi
            for name in ("import splicedvae", "from splicedvae import SplicedVAE")
        },
    }
    return [
        {
            "command": name,
            "processor time, s": round(value, 2),
            "x import scvi": round(value / scvi, 3),
            "target": targets.get(name),
            "reached": reached.get(name),
        }
        for name, value in median.items()
    ]


def tables(rows: list[Row]) -> str:
    return table(rows)
