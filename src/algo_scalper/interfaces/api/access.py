"""Who may read and who may command: the token, the page's cookie, and the checks every request passes.

* The token is made at first start, kept in a file only its owner can read, and compared in constant time. It is
  never part of an address and never logged.
* The page's cookie is derived from the token. A *play* cookie is handed out freely and is worth something only while
  the market is simulated; a *login* cookie is given for the token.
* The Host header must name this machine (against DNS rebinding); an Origin, where there is one, must be ours.
* A command by cookie needs the header ``X-Algo-Scalper: 1``, which no foreign page can send.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from algo_scalper.domain.errors import ConfigError
from algo_scalper.interfaces.api.settings import is_loopback

TOKEN_FILE = "api-token"  # noqa: S105 - the name of the file
COMMAND_HEADER = "x-algo-scalper"
OPEN_TO_ALL = "open"
"""Route option: no token needed."""
COMMANDS = "commands"
"""Route option: changes something."""

Connection = ASGIConnection[Any, Any, Any, Any]


def load_token(data_dir: Path) -> str:
    """The token of this data folder, made now if there is none. Raises `ConfigError` when it cannot be trusted."""
    path = data_dir / TOKEN_FILE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        token = path.read_text(encoding="ascii").strip()
        if len(token) < 32:
            raise ConfigError(
                f"{path}: not a token of ours; remove the file and start again to get a new one"
            ) from None
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise ConfigError(f"{path}: other users can read the token; run: chmod 600 {path}") from None
        return token
    token = secrets.token_urlsafe(32)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(token + "\n")
    return token


class Access:
    """The checks of one desk."""

    def __init__(self, token: str, *, port: int, plays: Callable[[], bool], allow_network: bool) -> None:
        """``plays`` answers whether play cookies count now."""
        self._token = token.encode()
        self._allow_network = allow_network
        self.plays = plays
        self.cookie = f"algo_scalper_{port}"
        """Browsers do not keep cookies apart by port, so the name does."""

    def cookie_value(self, grade: str) -> str:
        """The cookie of a grade, ``play`` or ``login``."""
        return f"{grade}.{hmac.new(self._token, f'cookie {grade}'.encode(), hashlib.sha256).hexdigest()}"

    def is_token(self, offered: str) -> bool:
        """Is this the token?"""
        return secrets.compare_digest(offered.encode(), self._token)

    def is_cookie(self, offered: str) -> bool:
        """Is this a cookie of ours that still counts?"""
        grades = ("login", "play") if self.plays() else ("login",)
        return any(secrets.compare_digest(offered.encode(), self.cookie_value(grade).encode()) for grade in grades)

    def guard(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Run before every route, the web socket included. Raises 401 or 403."""
        self.check_host(connection)
        self.check_origin(connection)
        if handler.opt.get(OPEN_TO_ALL):
            return
        scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(bearer.strip()):
            return
        if not self.is_cookie(connection.cookies.get(self.cookie, "")):
            raise NotAuthorizedException(
                "a token is needed: send 'Authorization: Bearer <token>' (`scalper token` prints it), or open the page"
            )
        if handler.opt.get(COMMANDS) and connection.headers.get(COMMAND_HEADER) != "1":
            raise PermissionDeniedException("a command by cookie needs the header X-Algo-Scalper: 1")

    def check_host(self, connection: Connection) -> None:
        """A name that is not this machine's was pointed here by somebody else."""
        name = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
        if is_loopback(name) or (self._allow_network and _is_address(name)):
            return
        raise PermissionDeniedException(f"host {name!r} is not this machine; open http://127.0.0.1 instead")

    def check_origin(self, connection: Connection) -> None:
        """Only pages served from here may read the stream or command."""
        origin = connection.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != connection.headers.get("host", ""):
            raise PermissionDeniedException("the request comes from another site's page")


def _is_address(name: str) -> bool:
    """A bare IP address cannot be rebound, a name can."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
