"""What the desk must be told: where it listens, where the engine's stream is, and which market and money it shows."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import msgspec

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.ports import Clock
from algo_scalper.runtime.account_changes import AccountChanges
from algo_scalper.runtime.jobs.runner import JobRunner
from algo_scalper.runtime.redis_mirror import MirrorView, RedisMirror

DEFAULT_PORT = 3000
SIMULATED = "SIMULATED"


class EngineState(msgspec.Struct, frozen=True):
    """The engine's process as its supervisor sees it: waiting (for a session), starting, running, restarting, stopped or failed."""

    state: str
    restarts: int = 0
    detail: str = ""


NO_MIRROR = MirrorView(state="off", where="", detail="", written_age_s=None, write_ms=0.0, keys=0, events=0, outages=0)


class DeskSettings(NamedTuple):
    """Settings of one desk process. ``market`` is SIMULATED or REAL, ``money`` PAPER or LIVE.

    ``allow_network`` lets ``host`` be an address other machines reach; the page then always asks for the token.
    """

    data_dir: Path
    socket_path: Path
    version: str
    engine_state: Callable[[], EngineState]
    clock: Clock
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    market: str = "REAL"
    money: str = "PAPER"
    allow_network: bool = False
    paste_token: Callable[[str], str] | None = None
    """Keeps a broker's access token a person has copied, and says until when it lasts; None: no broker is logged in to.

    Raises `ConfigError` or `StoreError` for one that cannot be used or kept.
    """
    changes: AccountChanges | None = None
    """Settings, rules and watchlist of the account; None: none of them can be seen or changed here."""
    jobs: JobRunner | None = None
    """What is done by the clock while the page is served; None: nothing."""
    print_line: Callable[[str], None] = print
    """Where what jobs tell people is printed, beside the page's notices."""
    mirror: RedisMirror | None = None
    """Runs beside the desk and is shown; nothing depends on it."""

    @property
    def mirror_view(self) -> MirrorView:
        """How the mirror does; ``off`` when none is asked for."""
        return self.mirror.view if self.mirror is not None else NO_MIRROR


def is_loopback(host: str) -> bool:
    """Is this a name or address of this machine alone?"""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(settings: DeskSettings) -> None:
    """Raise `ConfigError` when the desk would listen beyond this machine without having been told to."""
    if not is_loopback(settings.host) and not settings.allow_network:
        raise ConfigError(
            f"host {settings.host}: the page can stop and close trades, so it listens on 127.0.0.1 only; "
            "reach it from elsewhere through an SSH tunnel, or allow it with --allow-network"
        )
