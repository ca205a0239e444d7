"""Writes the realism page to a file, or prints the table: ``python -m algo_scalper.research.realism [page.md]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

from algo_scalper.domain.errors import DataError
from algo_scalper.research.realism.rows import OUT
from algo_scalper.research.realism.table import SETS, figure, judge, page, rows_out, simulate


def main() -> None:
    """Simulate, judge, write."""
    parser = argparse.ArgumentParser(description="Simulated days beside real ones, statistic by statistic.")
    parser.add_argument("page", nargs="?", type=Path, help="write the page here; without it the table is printed")
    parser.add_argument("--sets", type=int, default=SETS, help=f"how many sets of twenty days ({SETS})")
    options = parser.parse_args()
    if options.sets < 1:
        parser.error("--sets must be at least 1")
    judged = judge(simulate(options.sets))
    if options.page is not None:
        try:
            options.page.write_text(page(judged), encoding="utf-8")
        except DataError as error:
            parser.exit(1, f"{error}\n")
        return
    for one in judged:
        known = f"{figure(one.row.range[0])} to {figure(one.row.range[1])}" if one.row.range else ""
        spread = f"{figure(min(one.by_set))} to {figure(max(one.by_set))}"
        real, seen = figure(one.row.real), figure(one.simulated)
        sys.stdout.write(
            f"{one.row.section:44.44s} {one.row.text:66.66s} {real:>9} {known:>20} {seen:>9} {spread:>20} {one.verdict}\n"
        )
    by_set = rows_out(judged)
    sys.stdout.write(
        f"{len(judged)} rows, {sum(one.verdict == OUT for one in judged)} out; by set {' '.join(map(str, by_set))}: "
        f"least {min(by_set)}, middle {figure(median(by_set))}, most {max(by_set)}\n"
    )


if __name__ == "__main__":
    main()
