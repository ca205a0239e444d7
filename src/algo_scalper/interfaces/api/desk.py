"""What the routes of one desk share."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from litestar.connection import ASGIConnection

from algo_scalper.interfaces.api.access import Access
from algo_scalper.interfaces.api.settings import DeskSettings
from algo_scalper.runtime.publish import DayRecord, StreamReader


class Desk(NamedTuple):
    """One desk process: its settings, its checks and its line to the engine."""

    settings: DeskSettings
    access: Access
    reader: StreamReader

    @property
    def record(self) -> DayRecord:
        """The day as last heard from the engine."""
        return self.reader.replica.day


def desk_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Desk:
    """The desk that serves this connection."""
    return cast("Desk", connection.app.state["desk"])
