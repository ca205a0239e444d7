"""Run seeds from a shell: one again with its story, or many until the first that breaks.

python -m tests.chaos.hunt --seed 17
python -m tests.chaos.hunt --first 0 --seeds 200
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.chaos.harness import EVENTS, Broken, Run


def main() -> int:
    """0: every promise was kept. 3: one was broken, and the seeds needed are printed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--trail", type=int, default=60, help="so many last records are told")
    parser.add_argument("--go-on", action="store_true", help="one line for each broken seed, no story")
    chosen = parser.parse_args()
    seeds = [chosen.seed] if chosen.seed is not None else range(chosen.first, chosen.first + chosen.seeds)
    count: Counter[str] = Counter()
    broken = 0
    for tried, seed in enumerate(seeds, start=1):
        try:
            count += Run(seed, chosen.events, chosen.trail).run()
        except Broken as found:
            broken += 1
            if not chosen.go_on:
                print(f"caught after {tried} seeds")
                print(found)
                return 3
            print(str(found).splitlines()[0], flush=True)
    for name, times in sorted(count.items()):
        print(f"{times:9d} {name}")
    return 3 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
