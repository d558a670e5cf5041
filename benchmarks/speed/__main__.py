"""Measure how fast SplicedVAE is, and write the numbers to speed.json and speed.md.

    python benchmarks/speed                       all parts, about an hour on two cores
    python benchmarks/speed training --rounds 2   one part; those of the others stay
    python benchmarks/speed training --help       its options
    python benchmarks/speed page                  the tables of speed.md from speed.json, unmeasured

It can also be called as ``python -m benchmarks.speed``. Ratios are within one call on one machine;
seconds alone differ from machine to machine. Parts that need real counts take them from the folder
named by SPLICEDVAE_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if not __package__:
    # Called by its folder, which is then in place of the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.speed import (
    growth,
    page,
    prediction,
    runs,
    schedule,
    start,
    training,
    upload,
    velocity,
)
from benchmarks.speed.alone import quiet

PARTS = {
    "start": start,
    "training": training,
    "runs": runs,
    "schedule": schedule,
    "prediction": prediction,
    "velocity": velocity,
    "upload": upload,
    "growth": growth,
}


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--no-write", action="store_true", help="print the tables only")
    commands = parser.add_subparsers(dest="part", metavar="PART")
    forms = {}
    for name, part in PARTS.items():
        assert part.__doc__ is not None
        summary = part.__doc__.splitlines()[0]
        forms[name] = commands.add_parser(
            name, help=summary, description=part.__doc__, parents=[common],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        part.add_options(forms[name])
    commands.add_parser("page", help="Write the tables of speed.md from speed.json.")
    words = sys.argv[1:]
    if words == ["page"]:
        for name, rows in page.kept().items():
            page.shown(name, PARTS[name].tables(rows))
        return
    if words and not words[0].startswith("-"):
        asked = {words[0]: parser.parse_args(words)}
    else:
        parser.parse_args([word for word in words if word != "--no-write"])
        asked = {name: form.parse_args(words) for name, form in forms.items()}
    quiet()
    for name, options in asked.items():
        part = PARTS[name]
        rows = part.measure(options)
        if not options.no_write:
            rows = page.saved(name, rows, part.KEYS)
            page.shown(name, part.tables(rows))
        print(f"{name}\n\n{part.tables(rows)}\n", flush=True)


if __name__ == "__main__":
    main()
