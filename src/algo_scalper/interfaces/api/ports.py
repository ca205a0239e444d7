"""Who holds a port: for the one message a person needs when ours is taken. Linux only, empty where it cannot tell."""

from __future__ import annotations

import contextlib
from pathlib import Path

_LISTENING = "0A"


def holder_of(port: int, proc: Path = Path("/proc")) -> str:
    """`` by python (process 4211: kill 4211)``, or nothing when it cannot be known."""
    sockets = _listening_inodes(port, proc)
    for process in proc.glob("[0-9]*") if sockets else ():
        with contextlib.suppress(OSError):  # processes end, and others' are not ours to look into
            if any(str(handle.readlink()) in sockets for handle in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f", held by {name} (process {process.name}; to end it: kill {process.name})"
    return ""


def _listening_inodes(port: int, proc: Path) -> set[str]:
    found = set()
    for table in ("net/tcp", "net/tcp6"):
        with contextlib.suppress(OSError):
            for row in (proc / table).read_text().splitlines()[1:]:
                fields = row.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
