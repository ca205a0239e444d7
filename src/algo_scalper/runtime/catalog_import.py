"""Importing the instrument master: fetch it, read it, hold it against the catalog in use, write it, publish it.

Whatever fails on the way, the catalog in use stays. The command ``scalper instruments`` and the job before the open both
come through here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from algo_scalper.adapters.master.download import Came, Fetched, MasterCache, alone_in, local_file
from algo_scalper.adapters.master.judge import Doubt, Objection, objections
from algo_scalper.adapters.master.links import parents_of, unlinked
from algo_scalper.adapters.master.reader import MasterFile, MasterReader
from algo_scalper.adapters.master.rows import Derivative, first_of_each
from algo_scalper.adapters.master.terms import Change, OptionRow, changes, never_compared, terms_of
from algo_scalper.adapters.storage.catalog import Build, CatalogStore, Fact, Generation
from algo_scalper.domain.errors import ConfigError, DataError, StoreError
from algo_scalper.domain.instruments import INDICES
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND, ist_day
from algo_scalper.runtime.gate import is_loopback
from algo_scalper.runtime.setting_values import exchanges_in
from algo_scalper.runtime.settings import Settings

FOLDER = "instruments"
"""Under the data folder: the file's cache."""
PARSER = 1
"""Part of what makes a file the same: raised when rows are read otherwise, so that the same file is imported again."""
READ_BYTES = 1 << 20


class Outcome(StrEnum):
    """How an import ended, unless it raised."""

    IMPORTED = "imported"
    UNCHANGED = "unchanged"
    """The file is the one the catalog was made of: there was nothing to do."""
    REFUSED = "refused"
    """The file is not believed; the catalog in use stays."""


class ImportSettings(msgspec.Struct, frozen=True):
    """The knobs. ``required``: the indices without which a file is refused."""

    url: str
    folder: Path
    max_age_ns: int
    batch: int
    exchanges: tuple[str, ...]
    required: tuple[str, ...]


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did; rows, upserts, totals and times under the original's names. Times are ISO 8601 in UTC."""

    outcome: Outcome
    source: str
    came: Came
    layout: str
    generation: int | None
    file_rows: int
    instrument_rows: int
    derivative_rows: int
    instrument_upserts: int
    derivative_upserts: int
    instrument_total: int
    derivative_total: int
    left_out: dict[str, int]
    unlinked: tuple[str, ...]
    unreadable_rows: int
    unreadable: tuple[str, ...]
    freeze_stated: bool
    objections: tuple[str, ...]
    overruled: bool
    changes: tuple[Change, ...]
    started_at: str
    finished_at: str
    duration: float


def import_settings(settings: Settings, data_dir: Path, required: Iterable[str]) -> ImportSettings:
    """The knobs out of the settings. Raises `ConfigError` naming the variable and its place."""
    exchanges = _exchanges(settings)
    required = tuple(required)
    for name in required:
        if INDICES[name].exchange not in exchanges:
            raise ConfigError(
                f"{settings.get('VALID_EXCHANGES').source}: VALID_EXCHANGES leaves out {INDICES[name].exchange}, where {name} "
                "is traded; add the exchange, or take the index out of algo.yml"
            )
    return ImportSettings(
        url=_url(settings),
        folder=data_dir / FOLDER,
        max_age_ns=settings.count("CACHE_MAX_AGE", 0, 7 * 86_400) * NS_PER_SECOND,
        batch=settings.count("BATCH_SIZE", 1, 100_000),
        exchanges=exchanges,
        required=required,
    )


async def import_catalog(
    catalog: CatalogStore,
    how: ImportSettings,
    clock: Clock,
    *,
    fresh: bool = False,
    anew: bool = False,
    force: bool = False,
    file: Path | None = None,
) -> ImportReport:
    """Bring the catalog up to the current file.

    ``fresh`` asks the server although our copy is young; ``anew`` writes a new generation although the file is the same;
    ``force`` overrules the doubts, which are recorded; ``file`` takes a file of this machine. Raises `DataError` for what
    is no master file, `BrokerError` when it does not come, `StoreError` when it cannot be stored.
    """
    with alone_in(how.folder):
        started_ns = clock.now_ns()
        cache = MasterCache(how.folder, clock)
        if file is not None:
            fetched = await asyncio.to_thread(local_file, file, started_ns)
        else:
            fetched = await cache.fetch(how.url, how.max_age_ns, fresh=fresh)
        work = _Import(catalog, how, clock.now_ns, fetched, started_ns)
        try:
            return await asyncio.to_thread(work.run, anew=anew, force=force)
        except DataError:
            if file is None:
                cache.forget()
            raise


class _Import:
    """One file on its way into the catalog."""

    def __init__(
        self, catalog: CatalogStore, how: ImportSettings, now_ns: Callable[[], int], fetched: Fetched, started_ns: int
    ) -> None:
        self._catalog = catalog
        self._how = how
        self._now_ns = now_ns
        self._fetched = fetched
        self._started_ns = started_ns
        self._day = ist_day(started_ns)
        same = f"{PARSER}/{','.join(how.exchanges)}/{fetched.digest}"
        self._digest = hashlib.blake2b(same.encode(), digest_size=16).hexdigest()

    def run(self, *, anew: bool, force: bool) -> ImportReport:
        current = self._catalog.current()
        if current is not None and current.digest == self._digest and not anew:
            return self._unchanged(current)
        try:
            file = self._read()
        except DataError as fault:
            self._note_refusal(str(fault))
            raise
        # Options whose underlying is not on their exchange have no place in the catalog, nor in what is compared.
        parents = parents_of(file.listings, file.derivatives)
        lost = tuple(unlinked(file.listings, file.derivatives, parents))
        terms = terms_of(
            _index_options(row for row in file.derivatives if (row.exchange, row.kind, row.underlying) in parents)
        )
        before = self._catalog.before(self._day)
        doubts = objections(file, parents, lost, terms, before, self._day, self._how.required)
        report = self._report_on(file, [str(one) for one in lost], doubts, current)
        if doubts and not force:
            self._note_refusal("; ".join(map(str, doubts)))
            return report
        if before is not None:
            found = tuple(changes(before.terms, terms, self._day, INDICES))
        else:
            found = tuple(never_compared(terms, INDICES)) if self._catalog.had_one() else ()
        # Repeats are a doubt: they get here only when a person has overruled it, and then the first one stands.
        repeated = any(one.doubt is Doubt.DUPLICATE for one in doubts)
        listings = first_of_each(file.listings) if repeated else file.listings
        contracts = first_of_each(file.derivatives) if repeated else file.derivatives
        kept = sum((row.exchange, row.kind, row.underlying) in parents for row in contracts)
        generation = self._catalog.begin(
            Build(
                digest=self._digest,
                source=self._fetched.source,
                layout=file.layout.name,
                day=self._day,
                started_ns=self._started_ns,
                file_rows=file.rows,
                instrument_rows=len(listings),
                derivative_rows=kept,
                forced="; ".join(map(str, doubts)),
            )
        )
        written = self._catalog.add(generation, listings, contracts, parents, self._how.batch)
        ended_ns = self._now_ns()
        report = msgspec.structs.replace(
            report,
            outcome=Outcome.IMPORTED,
            generation=generation,
            instrument_upserts=written[0],
            derivative_upserts=written[1],
            instrument_total=written[0],
            derivative_total=written[1],
            overruled=bool(doubts),
            changes=found,
            finished_at=_iso(ended_ns),
            duration=_seconds(ended_ns - self._started_ns),
        )
        self._catalog.publish(
            generation, found, self._facts_of(report), at_ns=ended_ns, replacing=current.number if current else None
        )
        self._catalog.prune()
        return report

    def _read(self) -> MasterFile:
        reader = MasterReader(self._day, self._how.exchanges)
        try:
            with self._fetched.path.open("rb") as stream:
                while chunk := stream.read(READ_BYTES):
                    reader.feed(chunk)
        except OSError as error:
            raise StoreError(f"{self._fetched.path}: cannot be read ({error.strerror})") from error
        return reader.finish()

    def _unchanged(self, current: Generation) -> ImportReport:
        ended_ns = self._now_ns()
        self._catalog.note(
            {
                Fact.CONFIRMED_AT: _iso(self._fetched.confirmed_ns),
                Fact.LAST_REFUSED_AT: "",
                Fact.LAST_REFUSAL: "",
            },
            at_ns=ended_ns,
        )
        return ImportReport(
            outcome=Outcome.UNCHANGED,
            source=self._fetched.source,
            came=self._fetched.came,
            layout=current.layout,
            generation=current.number,
            file_rows=current.file_rows,
            instrument_rows=current.instrument_rows,
            derivative_rows=current.derivative_rows,
            instrument_upserts=0,
            derivative_upserts=0,
            instrument_total=current.instrument_rows,
            derivative_total=current.derivative_rows,
            left_out={},
            unlinked=(),
            unreadable_rows=0,
            unreadable=(),
            freeze_stated=True,
            objections=(),
            overruled=False,
            changes=(),
            started_at=_iso(self._started_ns),
            finished_at=_iso(ended_ns),
            duration=_seconds(ended_ns - self._started_ns),
        )

    def _report_on(
        self, file: MasterFile, lost: Sequence[str], doubts: Sequence[Objection], current: Generation | None
    ) -> ImportReport:
        now_ns = self._now_ns()
        return ImportReport(
            outcome=Outcome.REFUSED,
            source=self._fetched.source,
            came=self._fetched.came,
            layout=file.layout.name,
            generation=current.number if current else None,
            file_rows=file.rows,
            instrument_rows=len(file.listings),
            derivative_rows=len(file.derivatives),
            instrument_upserts=0,
            derivative_upserts=0,
            instrument_total=current.instrument_rows if current else 0,
            derivative_total=current.derivative_rows if current else 0,
            left_out={reason.value: count for reason, count in file.left_out.items()},
            unlinked=tuple(lost),
            unreadable_rows=file.unreadable_rows,
            unreadable=tuple(map(str, file.unreadable)),
            freeze_stated=file.layout.states_freeze,
            objections=tuple(map(str, doubts)),
            overruled=False,
            changes=(),
            started_at=_iso(self._started_ns),
            finished_at=_iso(now_ns),
            duration=_seconds(now_ns - self._started_ns),
        )

    def _facts_of(self, report: ImportReport) -> dict[Fact, str]:
        return {
            Fact.LAST_IMPORTED_AT: report.finished_at,
            Fact.LAST_IMPORT_DURATION_SEC: str(report.duration),
            Fact.LAST_INSTRUMENT_ROWS: str(report.instrument_rows),
            Fact.LAST_DERIVATIVE_ROWS: str(report.derivative_rows),
            Fact.LAST_INSTRUMENT_UPSERTS: str(report.instrument_upserts),
            Fact.LAST_DERIVATIVE_UPSERTS: str(report.derivative_upserts),
            Fact.INSTRUMENT_TOTAL: str(report.instrument_total),
            Fact.DERIVATIVE_TOTAL: str(report.derivative_total),
            Fact.CONFIRMED_AT: _iso(self._fetched.confirmed_ns),
            Fact.LAST_REFUSED_AT: "",
            Fact.LAST_REFUSAL: "",
        }

    def _note_refusal(self, why: str) -> None:
        at_ns = self._now_ns()
        self._catalog.note({Fact.LAST_REFUSED_AT: _iso(at_ns), Fact.LAST_REFUSAL: why}, at_ns=at_ns)


def _index_options(rows: Iterable[Derivative]) -> Iterator[OptionRow]:
    for row in rows:
        if row.kind == "OPTIDX" and row.strike_paise is not None:
            yield row.underlying, row.expiry, row.lot, row.tick_paise, row.freeze_quantity, row.strike_paise


def _exchanges(settings: Settings) -> tuple[str, ...]:
    said = settings.get("VALID_EXCHANGES")
    try:
        return exchanges_in(said.value)
    except ConfigError as refused:
        raise ConfigError(f"{said.source}: {refused}") from None


def _url(settings: Settings) -> str:
    said = settings.get("DHANHQ_CSV_URL")
    try:
        parts = urlsplit(said.value)
        well = bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and is_loopback(said.value))
        )
    except ValueError:
        well = False
    if not well:
        raise ConfigError(
            f"{said.source}: {said.name}={said.value!r}: write it as https://host/path; http only to this machine: whoever "
            "can change the file on its way decides what is bought"
        )
    return said.value


def _iso(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).isoformat()


def _seconds(span_ns: int) -> float:
    return round(span_ns / NS_PER_SECOND, 3)
