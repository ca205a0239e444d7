"""The paper broker's book: what it saved it has, whatever happens to its process or its file."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from algo_scalper.adapters.marks import no_mark
from algo_scalper.adapters.storage.paper_book import PaperBook
from algo_scalper.domain.errors import StoreError

DAY, NEXT_DAY = date(2026, 11, 30), date(2026, 12, 1)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


def book(path: Path, account: str = "paper", day: date = DAY, mark: Callable[[str], None] = no_mark) -> PaperBook:
    return PaperBook(path / "paper.sqlite3", account, day, mark=mark)


def test_a_new_book_is_empty(tmp_path: Path) -> None:
    with closing(book(tmp_path / "made")) as empty:
        assert empty.load() == ({}, None)


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(saves=st.lists(st.tuples(st.dictionaries(NAMES, st.binary(max_size=40)), st.binary(max_size=40)), min_size=1))
def test_rows_are_added_and_overwritten_over_restarts(
    tmp_path: Path, saves: list[tuple[dict[str, bytes], bytes]]
) -> None:
    (tmp_path / "paper.sqlite3").unlink(missing_ok=True)
    expected: dict[str, bytes] = {}
    for rows, meta in saves:
        with closing(book(tmp_path)) as again:
            again.save(rows, meta)
        expected |= rows
    with closing(book(tmp_path)) as again:
        assert again.load() == (expected, saves[-1][1])
        assert list(again.load()[0]) == sorted(expected, key=lambda name: name.encode())


def test_days_and_accounts_are_apart(tmp_path: Path) -> None:
    with (
        closing(book(tmp_path)) as one,
        closing(book(tmp_path, day=NEXT_DAY)) as next_day,
        closing(book(tmp_path, account="other")) as other,
    ):
        one.save({"order 1": b"one"}, b"m1")
        other.save({"order 1": b"other"}, b"m2")
        assert next_day.load() == ({}, None)
        assert one.load() == ({"order 1": b"one"}, b"m1")
        assert other.load() == ({"order 1": b"other"}, b"m2")


def test_a_row_without_a_name_is_refused(tmp_path: Path) -> None:
    with closing(book(tmp_path)) as one, pytest.raises(ValueError, match="empty name"):
        one.save({"": b"x"}, b"m")


@pytest.mark.parametrize(("step", "kept"), [("paper.before_commit", b"old"), ("paper.after_commit", b"new")])
def test_a_process_killed_at_the_save_leaves_the_old_or_the_new(tmp_path: Path, step: str, kept: bytes) -> None:
    with closing(book(tmp_path)) as one:
        one.save({"order 1": b"old", "order 2": b"old"}, b"old")
    child = os.fork()
    if child == 0:
        book(tmp_path, mark=lambda reached: os.kill(os.getpid(), signal.SIGKILL) if reached == step else None).save(
            {"order 1": b"new", "order 2": b"new"}, b"new"
        )
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    with closing(book(tmp_path)) as one:
        assert one.load() == ({"order 1": kept, "order 2": kept}, kept)


def test_another_version_and_another_file_are_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "paper.sqlite3"
    book(tmp_path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 2")
    with pytest.raises(StoreError, match=r"paper\.sqlite3: found version 2, expected version 1; it was left untouched"):
        book(tmp_path)
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE invoices (number INTEGER)")
    with pytest.raises(StoreError, match="found a file of something else"):
        book(tmp_path)
    path.write_bytes(b"a text somebody saved under this name" * 50)
    with pytest.raises(StoreError, match="file is not a database"):
        book(tmp_path)
    assert path.read_bytes().startswith(b"a text")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="opening it failed"):
        book(tmp_path / "file")


def test_a_full_disk_keeps_what_was_saved(tmp_path: Path) -> None:
    with closing(book(tmp_path)) as one:
        one.save({"order 1": b"old"}, b"old")
        (pages,) = one._connection.execute("PRAGMA page_count").fetchone()
        one._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match=r"saving failed .*full"):
            one.save({"order 1": b"new", "order 2": bytes(50_000)}, b"new")
        assert one.load() == ({"order 1": b"old"}, b"old")
        one.save({"order 1": b"new"}, b"new")
        assert one.load() == ({"order 1": b"new"}, b"new")


def test_the_newest_day_before_is_found_and_another_accounts_is_not(tmp_path: Path) -> None:
    for account, day in (("A", 2), ("A", 4), ("B", 5), ("A", 9)):
        with closing(PaperBook(tmp_path / "paper.sqlite3", account, date(2026, 11, day))) as one:
            one.save({}, b"kept")
    with closing(PaperBook(tmp_path / "paper.sqlite3", "A", date(2026, 11, 9))) as one:
        assert one.earlier_day() == date(2026, 11, 4)
    with closing(PaperBook(tmp_path / "paper.sqlite3", "A", date(2026, 11, 2))) as one:
        assert one.earlier_day() is None
