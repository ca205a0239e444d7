"""Where engines are born: a process that has everything imported, and forks one for every line it reads.

A life is ``scalper`` with the words of the line (a JSON list: the file its output goes to, then the arguments), in a
process of its own that can be killed; it starts in the time a start takes, without Python's. Answers with two lines:
its process id, and once it has ended its exit code, below 0 for the signal that killed it.

    python -m tests.system.nursery
"""

from __future__ import annotations

import json
import os
import sys

import algo_scalper.runtime.engine_process  # noqa: F401 - imported before the fork, so that no child has to
from algo_scalper.interfaces.cli.main import main as scalper


def main() -> None:
    """Until standard input ends."""
    for line in sys.stdin:
        log, *words = json.loads(line)
        child = os.fork()
        if not child:
            _live(log, words)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _live(log: str, words: list[str]) -> None:
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, handle in enumerate((nothing, said, said)):
        os.dup2(handle, number)
    sys.argv = ["scalper", *words]
    scalper()
    sys.exit()


if __name__ == "__main__":
    main()
