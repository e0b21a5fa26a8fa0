"""The command: `python -m benchmarks`."""

import argparse
import re
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.workers import ROOT


def arguments() -> argparse.Namespace:
    """What was asked for."""
    listed = "\n".join(
        f"  {name:8} {re.split('[.:]', case.about)[0]}" for name, case in CASES.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time unspool and other libraries, after their results have been checked.",
        epilog=f"cases:\n{listed}\n\nexample:\n  python -m benchmarks train encode --rounds 5",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="what to run; all by default")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of every case")
    parser.add_argument(
        "--keras-runs", type=int, default=1, metavar="N", help="Keras's rounds of `process` (1)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="see that everything runs: two rounds of the first shape, one epoch of `process`; "
        "no rows are kept",
    )
    parser.add_argument(
        "--backend",
        default="auto",
        help="of unspool's recurrence (auto); with another one no rows are kept",
    )
    parser.add_argument(
        "--peers",
        type=Path,
        default=ROOT / ".venv-peers" / "bin" / "python",
        metavar="PYTHON",
        help="where benchmarks/requirements.txt is installed (.venv-peers/bin/python)",
    )
    parser.add_argument(
        "--page", action="store_true", help="measure nothing, write RESULTS.md from the rows"
    )
    asked = parser.parse_args()
    for name in asked.cases:
        if name not in CASES:
            parser.error(f"no case {name!r}; there are {', '.join(CASES)}")
    return asked


def main() -> None:
    """Run the cases, print their rows as they come, and keep them."""
    asked = arguments()
    from benchmarks import rows  # these take seconds to import, which --help need not wait for
    from benchmarks.machine import describe
    from benchmarks.page import write_page
    from benchmarks.runs import RUNS, Options

    if asked.page:
        write_page()
        return
    options = Options(
        asked.peers.absolute(), asked.backend, asked.rounds, asked.keras_runs, asked.quick
    )
    kept = not asked.quick and asked.backend == "auto"
    print(describe())
    of_run = rows.provenance()
    for name in asked.cases or CASES:
        found = []
        for of_shape in RUNS[name](name, options):
            for row in of_shape:
                print(rows.as_line(row), flush=True)
            found += of_shape
        if kept:
            rows.write(name, [{**row, **of_run} for row in found])
            write_page()


if __name__ == "__main__":
    main()
