"""Which database the settings mean: files under the data folder, or a PostgreSQL server.

``DATABASE_URL`` decides. ``ALGO_SCALPER_API_DATABASE_PASSWORD``, the original's variable, is the password such a URL leaves
out; without a URL it means what it meant there: user ``algo_scalper_api`` and database ``algo_scalper_api_production``,
reached as libpq reaches a server nobody named (PGHOST, else the socket of this machine).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import sqlalchemy as sa

from algo_scalper.adapters.storage.database import postgres_url, shown_server
from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.settings import Settings

ORIGINAL_USER, ORIGINAL_DATABASE = "algo_scalper_api", "algo_scalper_api_production"
FILE_SCHEME = "sqlite:///"


class Place(NamedTuple):
    """Where both stores of one installation lie: a PostgreSQL URL, else a folder. The folder has the engine's locks too."""

    url: str | None
    folder: Path

    def __repr__(self) -> str:
        return f"Place({self.shown})"

    @property
    def shown(self) -> str:
        """For people: no password in it."""
        if self.url is None:
            return str(self.folder)
        return shown_server(postgres_url(self.url))


def database_url(settings: Settings) -> str | None:
    """The URL of the PostgreSQL database to use; None for files. Raises `ConfigError` for one that cannot be used."""
    url, password = settings.text("DATABASE_URL"), settings.text("ALGO_SCALPER_API_DATABASE_PASSWORD")
    if not password:
        return url or None
    if not url:
        return f"postgresql://{ORIGINAL_USER}:{quote(password, safe='')}@/{ORIGINAL_DATABASE}"
    parsed: sa.URL = postgres_url(url)
    if parsed.password is not None:
        return url
    return parsed.set(password=password).render_as_string(hide_password=False)


def place_named(text: str, data_dir: Path) -> Place:
    """A place a person has named: ``postgresql://...``, ``sqlite:///folder``, or a folder. Raises `ConfigError`."""
    if text.startswith(("postgres:", "postgresql:", "postgresql+")):
        postgres_url(text)
        return Place(text, data_dir)
    folder = text.removeprefix(FILE_SCHEME)
    if not folder or "://" in folder:
        raise ConfigError(
            "the place is neither a PostgreSQL URL nor a folder; write postgresql://... or sqlite:///folder"
        )
    path = Path(folder)
    if path.is_file() or path.suffix == ".sqlite3":
        raise ConfigError(f"{path}: name the folder; both files, trading.sqlite3 and reference.sqlite3, lie in it")
    return Place(None, path)
