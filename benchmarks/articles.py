"""The results of the scripts in `examples`, with three random seeds each, for docs/results.md.

    python -m benchmarks.articles --mnist FOLDER [NAME …] [--seeds 3]

Each run is a separate process. The numbers go to results/articles.csv, one row for each number
of a run, in place of the rows that were there for the same experiment.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import commit, describe
from unspool import demos

RESULTS = Path(__file__).parent / "results" / "articles.csv"
FIELDS = ("experiment", "seed", "number", "value", "commit", "machine")
NAMES = tuple(name for name in demos.DEMOS if name != "machine_temperature")
WITH_IMAGES = ("digit_images", "moving_mnist")

ONE_RUN = """
import json, sys, warnings
from unspool import demos
name, folder, seed, *data = sys.argv[1:]
given = {"mnist": data[0]} if data else {}
results = demos.load(name).main(folder, random_state=int(seed), **given)
print(json.dumps({name: float(value) for name, value in results.items()}))
"""


def measure(name: str, seed: int, mnist: Path | None) -> dict[str, float]:
    """The numbers of one run without times, which only `make bench` compares fairly."""
    data = [str(mnist)] if mnist is not None and name in WITH_IMAGES else []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", ONE_RUN, name, folder, str(seed), *data]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    numbers = json.loads(done.stdout.splitlines()[-1])
    return {name: value for name, value in numbers.items() if not name.endswith(", seconds")}


def main() -> None:
    """Run what was asked for, keep the rows, and print medians with the lowest and highest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="MNIST's four files")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    for name in asked.names or NAMES:
        runs = [measure(name, seed, asked.mnist) for seed in range(asked.seeds)]
        which, where = commit(), describe()
        keep(
            name,
            [
                dict(zip(FIELDS, (name, seed, number, value, which, where), strict=True))
                for seed, numbers in enumerate(runs)
                for number, value in numbers.items()
            ],
        )
        for number in runs[0]:
            values = [numbers[number] for numbers in runs]
            low, middle, high = min(values), statistics.median(values), max(values)
            print(f"{name}: {number}: {middle:.4g} ({low:.4g} to {high:.4g})", flush=True)


def keep(name: str, rows: list[dict[str, object]]) -> None:
    """Put the rows of an experiment in place of its older ones."""
    older = []
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            older = [row for row in csv.DictReader(file) if row["experiment"] != name]
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*older, *rows])


if __name__ == "__main__":
    main()
