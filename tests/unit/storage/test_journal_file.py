"""The journal file: nothing that was written whole is lost, nothing damaged is believed."""

from __future__ import annotations

import errno
import os
import signal
import threading
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from algo_scalper.adapters import journal
from algo_scalper.adapters.journal import (
    FORMAT,
    HEADER_BYTES,
    JournalHeader,
    JournalWriter,
    Record,
    encode_record,
    read_header,
    read_journal,
)
from algo_scalper.domain.commands import Command
from algo_scalper.domain.decisions import Decision, DecisionKind
from algo_scalper.domain.errors import JournalError, StoreError
from algo_scalper.domain.events import Event, SecondPassed, SessionStarted
from algo_scalper.domain.market import Tick
from algo_scalper.domain.orders import Order
from tests.unit.storage.records import kinds_in, records_of, simplest

HEADER = JournalHeader(FORMAT, "0.1.0", "abc123", "1000000001", 7, date(2026, 11, 30), "dhan", "paper", 1)
KINDS = kinds_in(Event | Command)


def write(path: Path, *batches: list[Record]) -> list[int]:
    """One frame a batch; the file's size after the header and after each."""
    writer = JournalWriter(path, HEADER)
    sizes = [path.stat().st_size]
    for batch in batches:
        for record in batch:
            writer.append(record)
        writer.flush(fsync=False)
        sizes.append(path.stat().st_size)
    writer.close()
    return sizes


def seconds(first: int, count: int) -> list[Record]:
    return [SecondPassed(at_ns=n) for n in range(first, first + count)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_record_comes_back_equal(kind: type, tmp_path: Path) -> None:
    @settings(max_examples=6, deadline=None, database=None, derandomize=True)
    @given(st.lists(records_of(kind), min_size=1, max_size=2))
    def comes_back(batch: list[Record]) -> None:
        path = tmp_path / "j"
        path.unlink(missing_ok=True)
        write(path, batch)
        reader = read_journal(path)
        assert list(reader) == batch
        assert [type(one) for one in batch] == [kind] * len(batch)
        assert reader.torn_bytes == 0

    comes_back()


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(records_of(Tick | SecondPassed | Decision), max_size=3), max_size=4))
def test_order_is_kept_over_any_cutting_into_frames(tmp_path: Path, batches: list[list[Record]]) -> None:
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    write(path, *batches)
    assert list(read_journal(path)) == [record for batch in batches for record in batch]


def test_tags_are_distinct_and_fields_positional() -> None:
    tags = [kind.__struct_config__.tag for kind in KINDS]
    assert len(set(tags)) == len(KINDS) > 20
    assert all(kind.__struct_config__.array_like for kind in KINDS)


def test_bytes_tell_an_integer_from_a_float_and_survive_the_file(tmp_path: Path) -> None:
    one = Decision(5, DecisionKind.REFUSAL, "NIFTY", "spread_wide", numbers={"b": 1, "a": 2.0})
    other = msgspec.structs.replace(one, numbers={"b": 1.0, "a": 2})
    assert one == other
    assert encode_record(one) != encode_record(other)
    write(tmp_path / "j", [one, other])
    assert [encode_record(read) for read in read_journal(tmp_path / "j")] == [encode_record(one), encode_record(other)]


def test_header_comes_first_and_can_be_read_alone(tmp_path: Path) -> None:
    write(tmp_path / "j", seconds(0, 3))
    assert read_header(tmp_path / "j") == HEADER == read_journal(tmp_path / "j").header


def test_a_file_cut_at_any_byte_of_its_last_frame_reads_up_to_that_frame(tmp_path: Path) -> None:
    path, cut = tmp_path / "j", tmp_path / "cut"
    _, whole, end = write(path, seconds(0, 5), seconds(5, 5))
    content = path.read_bytes()
    for size in range(whole, end):
        cut.write_bytes(content[:size])
        reader = read_journal(cut)
        assert list(reader) == seconds(0, 5)
        assert reader.torn_bytes == size - whole


def test_zeros_or_rubbish_after_the_last_whole_frame_are_a_torn_end(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write(path, seconds(0, 2))
    for tail in (bytes(4096), b"ASJ1" * 50):
        damaged = tmp_path / "damaged"
        damaged.write_bytes(path.read_bytes() + tail)
        reader = read_journal(damaged)
        assert list(reader) == seconds(0, 2)
        assert reader.torn_bytes == len(tail)


def test_any_damaged_byte_in_the_middle_is_an_error_naming_file_and_offset(tmp_path: Path) -> None:
    path, damaged = tmp_path / "j", tmp_path / "damaged"
    _, begin, end, _ = write(path, seconds(0, 3), seconds(3, 3), seconds(6, 3))
    content = path.read_bytes()
    for at in range(begin, end):
        damaged.write_bytes(content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :])
        reader = read_journal(damaged)
        with pytest.raises(JournalError, match=f"damaged: the frame at byte {begin} is damaged.*from byte {end} on"):
            list(reader)


def test_a_missing_or_doubled_frame_is_an_error(tmp_path: Path) -> None:
    path, other = tmp_path / "j", tmp_path / "other"
    start, one, two, three = write(path, seconds(0, 3), seconds(3, 3), seconds(6, 3))
    content = path.read_bytes()
    other.write_bytes(content[:one] + content[two:])
    with pytest.raises(JournalError, match=f"frame at byte {one} begins with record 6, record 3 was due"):
        list(read_journal(other))
    other.write_bytes(content[:two] + content[one:three])
    with pytest.raises(JournalError, match="begins with record 3, record 6 was due"):
        list(read_journal(other))
    other.write_bytes(content[start:])
    with pytest.raises(JournalError, match="first frame is not a header"):
        read_header(other)


@pytest.mark.parametrize("content", [b"", b"ASJ1", b"not a journal at all, but some other file of somebody"])
def test_a_file_without_a_whole_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=f"no whole frame in it \\({len(content)} bytes\\)"):
        read_journal(path)


def test_another_format_and_an_absent_file_are_named(tmp_path: Path) -> None:
    JournalWriter(tmp_path / "j", msgspec.structs.replace(HEADER, format=FORMAT + 1)).close()
    with pytest.raises(JournalError, match=r"format 2, this code reads format 1; .* 0\.1\.0"):
        read_journal(tmp_path / "j")
    with pytest.raises(JournalError, match=r"absent: cannot be opened \(No such file"):
        read_header(tmp_path / "absent")


def test_a_journal_is_never_written_twice(tmp_path: Path) -> None:
    write(tmp_path / "j", seconds(0, 3))
    before = (tmp_path / "j").read_bytes()
    with pytest.raises(StoreError, match="there is one already"):
        JournalWriter(tmp_path / "j", HEADER)
    assert (tmp_path / "j").read_bytes() == before


def test_a_full_disk_keeps_the_records_and_the_next_flush_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j"
    writer = JournalWriter(path, HEADER)
    real = os.write

    def fills_up(handle: int, data: Any) -> int:
        if len(data) > HEADER_BYTES:
            return real(handle, data[:HEADER_BYTES])  # a short write, and then no more room
        raise OSError(errno.ENOSPC, "No space left on device")

    for record in seconds(0, 40):
        writer.append(record)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fills_up)
        with pytest.raises(StoreError, match=r"40 records could not be written \(No space left.*free space"):
            writer.flush(fsync=True)
    writer.append(SecondPassed(at_ns=40))
    assert (writer.waiting, writer.sequence) == (41, 41)
    writer.close()
    reader = read_journal(path)
    assert list(reader) == seconds(0, 41)
    assert reader.torn_bytes == 0


def test_after_a_failed_sync_nothing_is_called_durable_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(tmp_path / "j", HEADER)
    writer.append(SecondPassed(at_ns=0))

    def fails(_handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_sync", fails)
        with pytest.raises(StoreError, match="the disk did not take what was written"):
            writer.flush(fsync=True)
    with pytest.raises(StoreError, match="the disk did not take what was written"):
        writer.flush(fsync=True)


def test_a_sync_is_owed_for_earlier_flushes_and_not_repeated(tmp_path: Path) -> None:
    steps: list[str] = []
    writer = JournalWriter(tmp_path / "j", HEADER, mark=steps.append)
    written, synced = ["before_write", "after_write"], ["before_sync", "after_sync"]
    expected: list[str] = written + synced
    flushes: list[tuple[int, bool, list[str]]] = [
        (1, False, written),
        (0, False, []),
        (0, True, synced),
        (0, True, []),
        (2, True, written + synced),
    ]
    for count, fsync, marks in flushes:
        for record in seconds(0, count):
            writer.append(record)
        writer.flush(fsync=fsync)
        expected += marks
    assert steps == [f"journal.{step}" for step in expected]
    writer.close()
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        writer.flush(fsync=False)


def test_stored_records_inside_the_first_event_may_change_after_it_was_kept(tmp_path: Path) -> None:
    started = msgspec.structs.replace(simplest(SessionStarted), orders=(simplest(Order),))
    writer = JournalWriter(tmp_path / "j", HEADER)
    writer.append(started)
    as_it_was = encode_record(started)
    started.orders[0].filled_quantity += 75
    started.ledger.trades += 1
    writer.close()
    assert [encode_record(one) for one in read_journal(tmp_path / "j")] == [as_it_was]


def test_one_thread_keeps_records_while_another_flushes(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "j", HEADER)
    done = threading.Event()

    def flush_again_and_again() -> None:
        while not done.is_set():
            writer.flush(fsync=False)

    flusher = threading.Thread(target=flush_again_and_again)
    flusher.start()
    for record in seconds(0, 20_000):
        writer.append(record)
    done.set()
    flusher.join()
    writer.close()
    assert list(read_journal(tmp_path / "j")) == seconds(0, 20_000)


@pytest.mark.parametrize(
    ("step", "kept"), [("before_write", 4), ("after_write", 6), ("before_sync", 6), ("after_sync", 6)]
)
def test_a_process_killed_at_any_step_leaves_whole_frames(tmp_path: Path, step: str, kept: int) -> None:
    child = os.fork()
    if child == 0:
        left = [4]  # the header's frame, then two records a frame: it dies at the third of these

        def mark(reached: str) -> None:
            left[0] -= reached == f"journal.{step}"
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        writer = JournalWriter(tmp_path / "j", HEADER, mark=mark)
        for record in seconds(0, 20):
            writer.append(record)
            if writer.waiting == 2:
                writer.flush(fsync=True)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    reader = read_journal(tmp_path / "j")
    assert list(reader) == seconds(0, kept)
    assert reader.torn_bytes == 0
