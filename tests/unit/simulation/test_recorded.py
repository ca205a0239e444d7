"""Recorded rows and files: what is repaired and said, what is refused and why."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.domain.instruments import NIFTY, SENSEX
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_SECOND, ist_ns
from algo_scalper.runtime.recordings import guess_index, read_minutes, read_recording
from algo_scalper.simulation.recorded import Row, check_bars
from tests.shared_data import shared

DAY = date(2026, 6, 5)
OPEN_S = ist_ns(DAY, 9 * 3600 + 15 * 60) // NS_PER_SECOND


def row(minute: int, *prices: float) -> Row:
    return Row(OPEN_S + 60 * minute, *(prices or (100.0, 101.0, 99.0, 100.5)))


def full_day() -> list[Row]:
    return [row(minute) for minute in range(375)]


def test_a_whole_day_passes_without_a_word() -> None:
    checked = check_bars(full_day(), NIFTY)
    assert checked.problems == []
    assert len(checked.candles) == 375
    assert checked.candles[0] == Candle(OPEN_S * NS_PER_SECOND, 10_000, 10_100, 9_900, 10_050)


def test_prices_are_put_on_the_index_tick() -> None:
    prices = (73_935.83, 74_041.04, 73_807.3, 73_914.8)
    assert check_bars([row(0, *prices)], SENSEX).candles[0].open_paise == 7_393_583
    assert check_bars([row(0, *prices)], NIFTY).candles[0].open_paise == 7_393_585


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(1), row(0)], r"row 2 \(2026-06-05 09:15:00 IST\) is earlier than the row before it .*sort the file"),
        ([row(0), row(0, 1, 2, 1, 1)], r"row 2 .* same time as the row before it and other prices"),
        ([row(0, 100, 99, 101, 100)], r"row 1 .*low 101 is above high 99"),
        ([row(0, 100, float("nan"), 99, 100)], "a price is missing"),
        ([row(0, 100, 101, 0, 100)], "zero or negative"),
        ([Row(OPEN_S + 7, 1, 1, 1, 1)], "whole minute"),
        ([row(0), row(5), row(10)], "closer than 5 minutes"),
    ],
)
def test_impossible_rows_are_named(rows: list[Row], said: str) -> None:
    with pytest.raises(DataError, match=said):
        check_bars(rows, NIFTY)


def test_repeated_rows_are_dropped_and_said() -> None:
    checked = check_bars([row(0), row(0), row(1)], NIFTY)
    assert len(checked.candles) == 2
    assert checked.problems[0] == "1 row repeated the one before and was dropped."


def test_rows_outside_the_session_are_dropped_and_said() -> None:
    flat = Row(OPEN_S + 375 * 60, 100.0, 100.0, 100.0, 100.0)  # the 15:30 bar some sources append
    sunday = Row(OPEN_S + 2 * 86_400, 100.0, 100.0, 100.0, 100.0)
    checked = check_bars([*full_day(), flat, sunday], NIFTY)
    assert len(checked.candles) == 375
    assert checked.problems == ["2 rows lay outside the sessions of NIFTY and were dropped."]


def test_a_close_beyond_the_high_widens_the_range_and_is_said() -> None:
    checked = check_bars([row(0, 100.0, 101.0, 99.0, 101.05), row(1)], NIFTY)
    assert checked.candles[0].high_paise == 10_105
    assert "widened" in checked.problems[0]


def test_missing_minutes_are_kept_as_gaps_and_said() -> None:
    rows = [bar for n, bar in enumerate(full_day()) if not 60 <= n < 70 and n != 200]
    checked = check_bars(rows, NIFTY)
    assert len(checked.candles) == 364
    assert checked.problems == [
        "2026-06-05: 11 minutes are missing, the longest stretch from 10:15 to 10:25; nothing is printed there."
    ]


def test_a_recording_that_ends_early_is_said() -> None:
    assert check_bars(full_day()[:244], NIFTY).problems == [
        "2026-06-05: the recording ends at 13:19, 131 minutes before the session."
    ]


# --- files ----------------------------------------------------------------------------------------------------------

HEADER = "ts,open,high,low,close,volume\n"


def csv_file(folder: Path, text: str, name: str = "nifty_1m.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    lines = "".join(f"{bar.start_s},{bar.open},{bar.high},{bar.low},{bar.close},1\n" for bar in full_day())
    recording = read_recording(csv_file(tmp_path, HEADER + lines))
    assert recording.index_name == "NIFTY"
    assert list(recording.days) == [DAY]
    assert len(recording.day(DAY)) == 375
    assert recording.before(DAY) == ()
    with pytest.raises(DataError, match="the nearest recorded days are 2026-06-05"):
        recording.day(date(2026, 6, 8))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ts,open,high,close\n1,1,1,1\n", "the column low is missing"),
        ("", "ts, open, high, low, close"),
        (HEADER + f"{OPEN_S},1,one,1,1,0\n", "row 1: .*are not numbers"),
        (HEADER + f"{OPEN_S},1,,1,1,0\n", "row 1: .*are not numbers"),
        (HEADER + "1,1,1,1,1,0\n", "whole minute"),
        (HEADER + "60,1,1,1,1,0\n", "no row lies inside a session"),
        (HEADER + f"{OPEN_S + 60},1,1,1,1,0\n{OPEN_S},1,1,1,1,0\n", "sort the file by time"),
    ],
)
def test_broken_csv_files_say_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = csv_file(tmp_path, text)
    with pytest.raises(DataError, match=said) as caught:
        read_recording(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    path = tmp_path / "nifty.csv"
    path.write_bytes(b"ts,open\n\xff\xfe\x00")
    with pytest.raises(DataError, match="not a readable CSV"):
        read_recording(path)


def test_a_corrupt_parquet_file_is_said(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "nifty.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match="not a readable Parquet"):
        read_recording(path)


def test_without_pyarrow_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "nifty.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"pip install algo-scalper\[recorded\]"):
        read_recording(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_recording(tmp_path / "nifty.parquet")


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("nifty_1m_2026.parquet", "NIFTY"),
        ("banknifty_1m_2021.parquet", "BANKNIFTY"),
        ("Bank_Nifty-1m.csv", "BANKNIFTY"),
        ("finnifty_1m_2021.parquet", "FINNIFTY"),
        ("sensex_1m_2026jun.parquet", "SENSEX"),
    ],
)
def test_the_index_is_guessed_from_the_name(name: str, index: str) -> None:
    assert guess_index(Path(name)) == index


def test_an_unknown_name_asks_for_the_index_and_takes_it(tmp_path: Path) -> None:
    path = csv_file(tmp_path, HEADER + f"{OPEN_S},100,101,99,100,0\n", "minutes.csv")
    with pytest.raises(ConfigError, match="does not say which index"):
        read_minutes(path)
    assert list(read_minutes(path, "sensex")) == [DAY]
    with pytest.raises(ConfigError, match="choose one of"):
        read_minutes(path, "DAX")


def test_real_files_of_other_kinds_are_refused_with_a_reason() -> None:
    with pytest.raises(DataError, match="closer than 5 minutes"):
        read_recording(shared("data/parquet/dhan_nifty_5min_2026.parquet"))
    with pytest.raises(DataError, match="the column open, high, low, close is missing"):
        read_recording(shared("data/parquet/finnifty_ticks_2021.parquet"))


def test_a_real_file_keeps_its_gaps() -> None:
    recording = read_recording(shared("data/parquet/nifty_1m_2021.parquet"))
    assert len(recording.days) == 51
    assert len(recording.problems) == 41
    assert recording.before(date(2021, 3, 30)) == recording.day(date(2021, 3, 26))
