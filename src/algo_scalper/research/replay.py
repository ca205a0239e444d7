"""Replay: feed a journal's events to a fresh engine and compare every command with the one recorded, byte for byte."""

from __future__ import annotations

from pathlib import Path

import msgspec

from algo_scalper.adapters.journal import encode_record, read_header, read_journal
from algo_scalper.domain.commands import COMMANDS, Command
from algo_scalper.domain.errors import JournalError
from algo_scalper.domain.events import Event
from algo_scalper.engine.engine import Engine
from algo_scalper.runtime.source_hash import source_hash


class ReplayResult(msgspec.Struct, frozen=True):
    """``difference`` is the first one, in words; empty when every command is the same."""

    events: int
    commands: int
    torn_bytes: int
    difference: str

    @property
    def same(self) -> bool:
        """Did the engine say exactly what it said then?"""
        return not self.difference


def replay(path: Path) -> ReplayResult:
    """Raises `JournalError` when the journal cannot be read, or was written by other deciding code."""
    header = read_header(path)
    if header.source_hash != source_hash():
        raise JournalError(
            f"{path}: written under source {header.source_hash} (version {header.code_version}), this is source "
            f"{source_hash()}; replay it with the code that wrote it"
        )
    reader = read_journal(path)
    engine = Engine()
    expected: list[Command] = []
    events = commands = 0
    for record in reader:
        if isinstance(record, COMMANDS):
            difference = _compare(record, expected, events)
            if difference:
                return ReplayResult(events, commands, reader.torn_bytes, difference)
            commands += 1
            continue
        if expected:
            return ReplayResult(events, commands, reader.torn_bytes, _missing(expected[0], events))
        events += 1
        try:
            expected = engine.handle(record)
        except Exception as fault:  # noqa: BLE001 - a journal may end with the very fault one wants to look at; it is told
            return ReplayResult(events, commands, reader.torn_bytes, f"event {events}: the engine faults: {fault!r}")
    # The process may have died between journaling an event and its commands; what is missing at the very end is no lie.
    return ReplayResult(events, commands, reader.torn_bytes, "")


def _compare(record: Command, expected: list[Command], event: int) -> str:
    if not expected:
        return f"event {event}: recorded {record!r}, now nothing"
    now = expected.pop(0)
    if encode_record(now) != encode_record(record):
        return f"event {event}: recorded {record!r}, now {now!r}"
    return ""


def _missing(command: Command, event: int) -> str:
    return f"event {event}: now {command!r}, recorded nothing"


def events_of(path: Path) -> list[Event]:
    """The events alone, for tests and studies."""
    return [record for record in read_journal(path) if not isinstance(record, COMMANDS)]
