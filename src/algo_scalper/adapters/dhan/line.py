"""The journal: everything the engine was told and everything it wanted, in order, in one append-only file a session.

A file is a row of frames. Each frame can be read without the others::

    magic 4s | payload length u32 | raw length u32 | payload crc32 u32 | first sequence u64 | header crc32 u32 | payload

The payload is zlib (level 1) of one msgpack array of records. The first frame holds the `JournalHeader` alone; the
records after it are numbered from 0. Both checksums are needed: with the header's own, a damaged length in the middle
of a file is told from the torn frame a killed process leaves at its end.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Generator, Iterator
from datetime import date
from pathlib import Path
from typing import BinaryIO

import msgspec

from algo_scalper.adapters.marks import Mark, no_mark
from algo_scalper.domain.commands import Command
from algo_scalper.domain.errors import JournalError, StoreError
from algo_scalper.domain.events import Event, SessionStarted

FORMAT = 1
MAGIC = b"ASJ1"
_FIELDS = struct.Struct("<4sIIIQ")
_CRC = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CRC.size


class JournalHeader(msgspec.Struct, frozen=True, tag="header", array_like=True):
    """What a reader must know before the first record: whose session, and under which code it was written."""

    format: int
    code_version: str
    source_hash: str
    account: str
    epoch: int
    day: date
    market: str
    money: str
    started_ns: int


Record = Event | Command

_encoder = msgspec.msgpack.Encoder()
_header_decoder = msgspec.msgpack.Decoder(list[JournalHeader])
_decoder: msgspec.msgpack.Decoder[list[Record]] = msgspec.msgpack.Decoder(list[Event | Command])
_sync = getattr(os, "fdatasync", os.fsync)


def encode_record(record: Record) -> bytes:
    """Give a record as the journal spells it; replay compares these bytes. Dictionaries keep their order."""
    return _encoder.encode(record)


def _frame(records: list[Record] | list[JournalHeader], first_sequence: int) -> bytes:
    raw = _encoder.encode(records)
    payload = zlib.compress(raw, 1)
    fields = _FIELDS.pack(MAGIC, len(payload), len(raw), zlib.crc32(payload), first_sequence)
    return b"".join((fields, _CRC.pack(zlib.crc32(fields)), payload))


class JournalWriter:
    """Collects records in memory and writes them a frame at a time.

    ``append`` may be called by one thread while another flushes. A record is kept in memory until its frame is written
    whole: after a full disk the next flush tries again with all of them. Raises `StoreError` when the file cannot be
    made (it must not exist: a journal is never written twice), written or synced.
    """

    def __init__(self, path: Path, header: JournalHeader, *, mark: Mark = no_mark) -> None:
        self.path = path
        self._mark = mark
        self._waiting: list[Record] = []
        self._sequence = 0
        self._size = 0
        self._synced = True
        self._broken = ""
        self._flushing = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError:
            raise StoreError(
                f"journal {path}: there is one already; move it away, or start under a new epoch"
            ) from None
        except OSError as error:
            raise StoreError(
                f"journal {path}: cannot be made ({error.strerror}); make the folder writable or name another"
            ) from error
        try:
            self._write(_frame([header], 0))
            self._sync()
            _sync_folder(path.parent)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def waiting(self) -> int:
        """Records not yet written."""
        return len(self._waiting)

    @property
    def sequence(self) -> int:
        """The number the next record will get."""
        return self._sequence + len(self._waiting)

    def append(self, record: Record) -> None:
        """Keep a record for the next flush. Not encoded here, so it must never change afterwards.

        Only `SessionStarted` carries records that do (the stored positions and orders, which the engine goes on
        with): it is copied now.
        """
        if type(record) is SessionStarted:
            record = msgspec.msgpack.decode(_encoder.encode(record), type=SessionStarted)
        self._waiting.append(record)

    def flush(self, *, fsync: bool) -> None:
        """Write what is waiting as one frame; with ``fsync`` return only once everything written is on the disk."""
        with self._flushing:
            if self._broken:
                raise StoreError(self._broken)
            batch = self._waiting[:]
            if batch:
                self._write(_frame(batch, self._sequence))
                self._sequence += len(batch)
                del self._waiting[: len(batch)]
            if fsync and not self._synced:
                self._sync()

    def close(self) -> None:
        """Write and sync what is left. The file is closed even when that fails; a second call does nothing."""
        if self._file < 0:
            return
        try:
            self.flush(fsync=True)
        finally:
            with self._flushing:
                os.close(self._file)
                self._file = -1
                self._broken = f"journal {self.path}: it is closed; a session that ended writes nothing more"

    def _write(self, frame: bytes) -> None:
        self._mark("journal.before_write")
        self._synced = False
        try:
            view = memoryview(frame)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            self._cut_back()
            raise StoreError(
                f"journal {self.path}: {len(self._waiting)} records could not be written ({error.strerror}); they are "
                "kept in memory and tried again: free space on this disk"
            ) from error
        self._size += len(frame)
        self._mark("journal.after_write")

    def _cut_back(self) -> None:
        """Take away the part of a frame that fitted, so that the next frame does not follow rubbish."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError as error:
            self._broken = (
                f"journal {self.path}: half a frame at byte {self._size} could not be taken back ({error.strerror}); "
                "the journal ends there: check the disk and start a new session"
            )

    def _sync(self) -> None:
        self._mark("journal.before_sync")
        try:
            _sync(self._file)
        except OSError as error:
            # After a failed sync the kernel forgets which pages were lost; a second try would succeed and lie.
            self._broken = (
                f"journal {self.path}: the disk did not take what was written ({error.strerror}); "
                "check the disk and start a new session"
            )
            raise StoreError(self._broken) from error
        self._synced = True
        self._mark("journal.after_sync")


def _sync_folder(folder: Path) -> None:
    """Make the new file's name durable too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class JournalReader(Iterator[Record]):
    """The records of one journal in order, with the ``header``. Made by `read_journal`.

    ``torn_bytes`` is how much was cut from the end because a frame was not written whole; known once all is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn_bytes = 0
        self._frames = _frames(path)
        self.header = _read_header(path, self._frames)
        self._records = self._decoded()

    def __next__(self) -> Record:
        """Give the next record; raises `JournalError` at a frame that is damaged though others follow."""
        return next(self._records)

    def _decoded(self) -> Generator[Record]:
        count = 0
        while True:
            try:
                offset, sequence, raw = next(self._frames)
            except StopIteration as end:
                self.torn_bytes = end.value
                return
            if sequence != count:
                raise JournalError(
                    f"journal {self.path}: the frame at byte {offset} begins with record {sequence}, record "
                    f"{count} was due: frames are missing or doubled; take the file from a backup"
                )
            try:
                records = _decoder.decode(raw)
            except msgspec.MsgspecError as error:
                raise JournalError(
                    f"journal {self.path}: the frame at byte {offset} holds a record this code does not know "
                    f"({error}); read it with the version that wrote it: {self.header.code_version}"
                ) from error
            count += len(records)
            yield from records


def read_journal(path: Path) -> JournalReader:
    """Iterate over a journal's records; see `JournalReader`. Raises `JournalError`."""
    return JournalReader(path)


def read_header(path: Path) -> JournalHeader:
    """Only the header. Raises `JournalError` when there is none, or it is of another format."""
    frames = _frames(path)
    try:
        return _read_header(path, frames)
    finally:
        frames.close()


Frames = Generator[tuple[int, int, bytes], None, int]
"""Yields (offset, first sequence, raw bytes) of each whole frame and returns the bytes torn off at the end."""


def _read_header(path: Path, frames: Frames) -> JournalHeader:
    try:
        _, _, raw = next(frames)
    except StopIteration as end:
        raise JournalError(
            f"journal {path}: no whole frame in it ({end.value} bytes): not a journal, or its session ended before the "
            "first write; there is nothing to read"
        ) from None
    try:
        (header,) = _header_decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError) as error:
        raise JournalError(
            f"journal {path}: the first frame is not a header ({error}); the file's beginning is missing: "
            "take it from a backup"
        ) from error
    if header.format != FORMAT:
        raise JournalError(
            f"journal {path}: format {header.format}, this code reads format {FORMAT}; "
            f"read it with the version that wrote it: {header.code_version}"
        )
    return header


def _frames(path: Path) -> Frames:
    try:
        file = path.open("rb")
    except OSError as error:
        raise JournalError(f"journal {path}: cannot be opened ({error.strerror}); check the path") from error
    with file:
        offset = 0
        while True:
            frame = _next_frame(file)
            if frame is None:
                return _torn_bytes(file, path, offset)
            sequence, raw, length = frame
            yield offset, sequence, raw
            offset += length


def _next_frame(file: BinaryIO) -> tuple[int, bytes, int] | None:
    """(first sequence, raw bytes, bytes of the frame) of the frame here; None when no whole one begins here."""
    head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        return None
    magic, length, raw_length, crc, sequence = _FIELDS.unpack_from(head)
    if magic != MAGIC or zlib.crc32(head[: _FIELDS.size]) != _CRC.unpack_from(head, _FIELDS.size)[0]:
        return None
    payload = file.read(length)
    if len(payload) < length or zlib.crc32(payload) != crc:
        return None
    raw = zlib.decompress(payload, bufsize=raw_length or 1)
    return sequence, raw, HEADER_BYTES + length


def _torn_bytes(file: BinaryIO, path: Path, offset: int) -> int:
    """How many bytes from ``offset`` on are a torn last frame; raises when a whole frame follows them."""
    file.seek(offset)
    rest = file.read()
    at = rest.find(MAGIC, 1)
    while at >= 0:
        file.seek(offset + at)
        if _next_frame(file) is not None:
            raise JournalError(
                f"journal {path}: the frame at byte {offset} is damaged, and whole frames follow from byte "
                f"{offset + at} on: not a torn end but a damaged file; check the disk and take the file from a backup"
            )
        at = rest.find(MAGIC, at + 1)
    return len(rest)
