"""What the desk must be told: where it listens, where the engine's stream is, and which market and money it shows."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import msgspec

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.ports import Clock

DEFAULT_PORT = 3000
SIMULATED = "SIMULATED"


class EngineState(msgspec.Struct, frozen=True):
    """The engine's process as its supervisor sees it: waiting (for a session), starting, running, restarting, stopped or failed."""

    state: str
    restarts: int = 0
    detail: str = ""


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
