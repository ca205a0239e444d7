"""Reads a master file as its bytes come (35 MB, some 270,000 rows), and keeps what has a place in the catalog.

The engine's own catalogue and the import read by this one parser. What no master file can be (a web page, another
encoding, a missing column) raises DataError at once; single rows that make no sense are counted and shown, for the judge.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Collection
from datetime import date

import msgspec

from algo_scalper.adapters.master.layout import AGAIN, Layout, layout_of
from algo_scalper.adapters.master.rows import Derivative, LeftOut, Listing, RowReader
from algo_scalper.domain.errors import DataError

MOST_SHOWN = 20
"""Unreadable rows kept word for word; the others are only counted."""

_OTHER_FILES = (
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip or Excel"),
    (b"%PDF", "PDF"),
)
"""How files that are no text in UTF-8 begin."""
_STRANGE = "\N{REPLACEMENT CHARACTER}"


class Unreadable(msgspec.Struct, frozen=True):
    """A row that makes no sense: its number (the first after the header is 1), why, and how it begins."""

    row: int
    why: str
    begins: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.why} ({self.begins})"


class MasterFile(msgspec.Struct, frozen=True):
    """What one file holds. ``rows`` counts all of it, left out or not, without the header."""

    layout: Layout
    rows: int
    listings: list[Listing]
    derivatives: list[Derivative]
    left_out: Counter[LeftOut]
    unreadable: list[Unreadable]
    unreadable_rows: int
    unreadable_options: int
    """Of these, options of indices: what we trade is among them."""
    torn: str
    """The last line when it ends in the middle, else empty."""


class MasterReader:
    """Reads a master file chunk by chunk: `feed` it, then `finish`."""

    def __init__(self, day: date, exchanges: Collection[str] = ("NSE", "BSE"), only: str = "") -> None:
        """``day``: contracts that expired before it are left out. ``only``: pass over rows without this text."""
        self._day = day
        self._exchanges = tuple(exchanges)
        self._only = only
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._begun = False
        self._strange = False
        self._tail = ""
        self._layout: Layout | None = None
        self._reader: RowReader | None = None
        self._rows = 0
        self._listings: list[Listing] = []
        self._derivatives: list[Derivative] = []
        self._left_out: Counter[LeftOut] = Counter()
        self._unreadable: list[Unreadable] = []
        self._unreadable_rows = 0
        self._unreadable_options = 0

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the file. Raises DataError when they cannot be those of a master file."""
        if not self._begun:
            for beginning, what in _OTHER_FILES:
                if chunk.startswith(beginning):
                    raise DataError(f"instrument master: this is {what}, not CSV in UTF-8; {AGAIN}")
        lines = (self._tail + self._decoded(chunk, final=False)).split("\n")
        self._tail = lines.pop()
        self._take(lines)

    def finish(self) -> MasterFile:
        """What was found. Raises DataError when the file was empty or has no row."""
        # A file need not end with a line's end: the compact one does not.
        last = self._tail + self._decoded(b"", final=True)
        before = self._unreadable_rows
        self._take([last])
        torn = last[:80] if self._unreadable_rows > before else ""
        if self._layout is None:
            raise DataError(f"instrument master: the file is empty; nothing can be traded without it; {AGAIN}")
        return MasterFile(
            self._layout,
            self._rows,
            self._listings,
            self._derivatives,
            self._left_out,
            self._unreadable,
            self._unreadable_rows,
            self._unreadable_options,
            torn,
        )

    def _decoded(self, chunk: bytes, *, final: bool) -> str:
        text = self._decoder.decode(chunk, final)
        if "\0" in text:
            raise DataError(f"instrument master: holds zero bytes: the file is damaged or in another encoding; {AGAIN}")
        self._begun = True
        # One strange byte in a company's name costs its row, not the file; a file full of them is for the judge.
        self._strange = self._strange or _STRANGE in text
        return text

    def _take(self, lines: list[str]) -> None:
        only = self._only
        for line in lines:
            if not line or line.isspace():
                continue
            if self._reader is None:
                self._begin(line)
                continue
            self._rows += 1
            if only not in line:
                continue
            try:
                if self._strange and _STRANGE in line:
                    raise DataError("holds bytes that are not UTF-8")  # noqa: TRY301 - told as any other row
                self._keep(self._reader.read(_fields(line)))
            except (DataError, csv.Error) as fault:
                self._unreadable_rows += 1
                self._unreadable_options += "OPTIDX" in line
                if len(self._unreadable) < MOST_SHOWN:
                    self._unreadable.append(Unreadable(self._rows, str(fault), line.strip()[:60]))

    def _begin(self, line: str) -> None:
        try:
            header = _fields(line)
        except csv.Error as fault:
            raise DataError(f"instrument master: the header cannot be read: {fault}; {AGAIN}") from None
        self._layout = layout_of(header)
        self._reader = RowReader(self._layout, self._exchanges, self._day)

    def _keep(self, row: Listing | Derivative | LeftOut) -> None:
        if isinstance(row, Derivative):
            self._derivatives.append(row)
        elif isinstance(row, Listing):
            self._listings.append(row)
        else:
            self._left_out[row] += 1


def _fields(line: str) -> list[str]:
    """The fields of one line. No field of a master goes over a line's end, so an open quote cannot swallow the file."""
    if line[-1] == "\r":
        line = line[:-1]
    return next(csv.reader((line,), strict=True)) if '"' in line else line.split(",")
