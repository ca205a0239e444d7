"""Writes the realism page to a file, or prints the table: ``python -m algo_scalper.research.realism [page.md]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from algo_scalper.research.realism.table import DEFAULT_SEED, OUT, figure, judge, page, simulate


def main() -> None:
    """Simulate, judge, write."""
    parser = argparse.ArgumentParser(description="Simulated days beside real ones, statistic by statistic.")
    parser.add_argument("page", nargs="?", type=Path, help="write the page here; without it the table is printed")
    parser.add_argument("--first-seed", type=int, default=DEFAULT_SEED, help="choose the days among other seeds")
    options = parser.parse_args()
    judged = judge(simulate(options.first_seed))
    if options.page is not None:
        options.page.write_text(page(judged, options.first_seed), encoding="utf-8")
        return
    for one in judged:
        known = f"{figure(one.row.range[0])} to {figure(one.row.range[1])}" if one.row.range else ""
        real, seen = figure(one.row.real), figure(one.simulated)
        sys.stdout.write(
            f"{one.row.section:44.44s} {one.row.text:66.66s} {real:>9} {known:>20} {seen:>9} {one.verdict}\n"
        )
    sys.stdout.write(f"{len(judged)} rows, {sum(one.verdict == OUT for one in judged)} out\n")


if __name__ == "__main__":
    main()
