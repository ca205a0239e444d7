"""Run benchmarks: all of them, or those named.

python -m benchmarks [engine_throughput frame_to_decision backtest_day catalog_import startup_memory simulator]
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measuring import ROOT

ALL = ("frame_to_decision", "engine_throughput", "backtest_day", "catalog_import", "startup_memory", "simulator")


def main() -> int:
    names = sys.argv[1:] or list(ALL)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(ALL)}")
        return 2
    # One after another, each in a process of its own: none inherits another's memory or caches.
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False, cwd=ROOT).returncode for name in names
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
