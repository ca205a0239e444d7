"""Running imports of hand-typed files against a catalog of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from algo_scalper.adapters.storage.catalog import CatalogStore
from algo_scalper.adapters.storage.stores import open_catalog
from algo_scalper.domain.instruments import INDICES
from algo_scalper.runtime.catalog_import import ImportReport, ImportSettings, import_catalog
from tests.unit.master.files import DETAILED, Line, StillClock, detailed, stored, whole_market


class Desk:
    """A catalog, a clock, and imports into it."""

    def __init__(self, catalog: CatalogStore, folder: Path) -> None:
        self.catalog = catalog
        self.folder = folder
        self.clock = StillClock()
        self.how = ImportSettings(
            url="https://example.org/master.csv",
            folder=folder / "instruments",
            max_age_ns=0,
            batch=50,
            exchanges=("BSE", "NSE"),
            required=tuple(INDICES),
        )

    def take(self, text: str | bytes, *, force: bool = False, anew: bool = False) -> ImportReport:
        """Import a file with this content."""
        file = stored(self.folder, text)
        return asyncio.run(import_catalog(self.catalog, self.how, self.clock, file=file, force=force, anew=anew))

    def take_lines(self, lines: list[Line], *, force: bool = False) -> ImportReport:
        return self.take(detailed(lines, DETAILED), force=force)

    def requiring(self, *names: str) -> Desk:
        self.how = msgspec.structs.replace(self.how, required=names)
        return self

    def number(self) -> int | None:
        """Of the catalog in use."""
        current = self.catalog.current()
        return current.number if current else None


@contextmanager
def a_desk(folder: Path, url: str | None = None) -> Iterator[Desk]:
    """A desk without a catalog."""
    folder.mkdir(exist_ok=True)
    with open_catalog(url, folder) as catalog:
        yield Desk(catalog, folder)


@contextmanager
def a_desk_with_a_catalog(folder: Path) -> Iterator[Desk]:
    """A desk that has imported the whole market once."""
    with a_desk(folder) as desk:
        assert desk.take_lines(whole_market()).objections == ()
        yield desk
