"""What code decided: a hash over every source file that can change a command."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

DECIDING = ("domain", "indicators", "strategy", "risk", "engine")


@lru_cache(maxsize=1)
def source_hash() -> str:
    """Sixteen hex digits over the deciding rings; a journal is replayed only under the hash it was written with."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for ring in DECIDING:
        for file in sorted((package / ring).rglob("*.py")):
            digest.update(file.relative_to(package).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
