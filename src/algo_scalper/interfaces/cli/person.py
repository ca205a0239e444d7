"""Who sits at this machine, as it is kept beside what they change."""

from __future__ import annotations

import getpass
import os


def this_user() -> str:
    """The user's name; ``user 12345`` where the machine has none for that number, as in many a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
