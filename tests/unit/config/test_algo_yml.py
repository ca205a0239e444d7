"""What a person can get wrong in ``algo.yml``, and what they are told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.rules import LossPause, Role, Rules, TrailStep
from algo_scalper.runtime.config import load_algo, load_rules

ROOT = Path(__file__).resolve().parents[3]
INDEX = "indices: {NIFTY: {}}\n"

Load = Callable[[str], Rules]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Rules of a text, which messages call ``algo.yml``."""

    def rules_of(text: str) -> Rules:
        file = tmp_path / "algo.yml"
        file.write_text(text, encoding="utf-8")
        return load_rules(file, "algo.yml")

    return rules_of


def complaint(load: Load, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text)
    return str(caught.value)


# Keys


def test_a_misspelt_key_names_file_line_and_the_nearest(load: Load) -> None:
    told = complaint(load, INDEX + "exit:\n  stopp: 20%\n")
    assert told == "algo.yml line 3: exit.stopp: no such key; the nearest is exit.stop: rename it or remove it"


def test_all_misspelt_keys_are_named_at_once(load: Load) -> None:
    told = complaint(load, "indices: {NIFTY: {multiplyer: 1}}\nsize:\n  lotts: 1\n")
    assert "line 1: indices.NIFTY.multiplyer: no such key; the nearest is indices.<name>.multiplier" in told
    assert "line 3: size.lotts: no such key; the nearest is size.lots" in told


def test_a_key_in_the_wrong_section_is_sent_to_its_own(load: Load) -> None:
    assert "the nearest is exit.stop" in complaint(load, INDEX + "stop: 20%\n")


def test_a_section_that_is_a_value_is_refused(load: Load) -> None:
    assert "algo.yml line 2: exit: no such key" in complaint(load, INDEX + "exit: 20%\n")


def test_a_key_below_a_value_is_refused(load: Load) -> None:
    assert "algo.yml line 2: exit.stop.percent: no such key" in complaint(
        load, INDEX + "exit: {stop: {percent: 20%}}\n"
    )


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("mode: paper\nmode: live\n", 2, "mode"),
        (INDEX + "exit:\n  stop: 20%\n  stop: 10%\n", 4, "stop"),
        ("indices:\n  NIFTY: {}\n  NIFTY: {role: watch}\n", 3, "NIFTY"),
    ],
)
def test_a_key_written_twice_is_refused(load: Load, text: str, line: int, key: str) -> None:
    told = complaint(load, text)
    assert told == f"algo.yml line {line}: {key} is written twice in the same place; keep one of the two"


def test_an_empty_value_is_not_a_default(load: Load) -> None:
    assert "algo.yml line 2: exit.stop: has no value" in complaint(load, INDEX + "exit: {stop: }\n")


def test_an_empty_section_takes_its_defaults(load: Load) -> None:
    assert load(INDEX + "exit:\n").exit == load(INDEX).exit


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("risk: {sl_pct: 0.30}\n", "write exit.stop, for example 30% for 0.30"),
        ("indices: {NIFTY: {capital_alloc_pct: 0.3}}\n", "write size.outlay"),
        ("feature_flags: {enable_trend_scorer: false}\n", "has no counterpart: remove it"),
        ("paper_trading: {enabled: true}\n", "write mode: paper"),
    ],
)
def test_a_key_of_an_older_file_is_told_its_new_name(load: Load, text: str, remedy: str) -> None:
    assert remedy in complaint(load, text)


# Units


@pytest.mark.parametrize("value", ["20", "0.2", "twenty", "20 percent", '"20"', "true", "[20%]"])
def test_a_percentage_needs_its_sign(load: Load, value: str) -> None:
    assert "algo.yml line 2: exit.stop:" in complaint(load, INDEX + f"exit: {{stop: {value}}}\n")


@pytest.mark.parametrize("value", ["3", "3 sec", "3%", "'03'", "0s", "25h"])
def test_a_duration_needs_its_unit(load: Load, value: str) -> None:
    assert "algo.yml line 2: fresh.option:" in complaint(load, INDEX + f"fresh: {{option: {value}}}\n")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("capital: 1 lakh", "capital"),
        ("capital: -5", "capital"),
        ("capital: 0", "capital"),
        ("capital: .inf", "capital"),
        ("capital: 100.005", "capital"),
        ("session: {entries: 09:30}", "session.entries"),
        ("session: {entries: 14:40-09:30}", "session.entries"),
        ("session: {entries: 08:00-14:40}", "session.entries"),
        ("session: {entries: 09:30-25:00}", "session.entries"),
        ("session: {flat_by: 16:00}", "session.flat_by"),
        ("session: {flat_by: 14:00}", "session.flat_by"),
        ("expiry: {min_dte: -1}", "expiry.min_dte"),
        ("expiry: {min_dte: 1.5}", "expiry.min_dte"),
        ("signal: {supertrend: 10}", "signal.supertrend"),
        ("signal: {supertrend: [10, 0]}", "signal.supertrend"),
        ("signal: {adx: {m1: 120}}", "signal.adx.m1"),
        ("signal: {adx: {m1: .nan}}", "signal.adx.m1"),
        ("signal: {name: magic}", "signal.name"),
        ("strike: {max_spread: 0.75%}", "strike.max_spread"),
        ("strike: {min_top5: 5}", "strike.min_top5"),
        ("size: {lots: true}", "size.lots"),
        ("size: {lots: 2}", "size.lots"),
        ("size: {risk_per_trade: 5%}", "size.risk_per_trade"),
        ("size: {outlay: 120%}", "size.outlay"),
        ("exit: {stop: 0%}", "exit.stop"),
        ("exit: {emergency: 15%}", "exit.emergency"),
        ("exit: {floor: {trigger: 26%}}", "exit.floor.trigger"),
        ("exit: {stop: 90%, emergency: 95%, floor: {trigger: 100%}}", "exit.floor.trigger"),
        ('exit: {trail: ["25%:+10%", "15%:cost"]}', "exit.trail"),
        ('exit: {trail: ["15%:+20%"]}', "exit.trail"),
        ('exit: {trail: ["15%:+10%", "20%:+5%"]}', "exit.trail"),
        ("exit: {trail: 15%}", "exit.trail"),
        ("exit: {time_stop: 45m}", "exit.time_stop"),
        ("limits: {open: 0}", "limits.open"),
        ("limits: {day_loss: 9%}", "limits.day_loss"),
        ('limits: {losses_in_row: "3: 30m, 2: day"}', "limits.losses_in_row"),
        ("limits: {giveback: half}", "limits.giveback"),
        ("limits: {pyramid: two}", "limits.pyramid"),
        ('guards: {vix: "<= 30 full, 25-20 half, > 20 none"}', "guards.vix"),
        ('guards: {vix: "<= 30 full, 30-20 half, > 20 none"}', "guards.vix"),
        ("guards: {vix: 25}", "guards.vix"),
        ("guards: {gap: 1%}", "guards.gap"),
        ('guards: {spike: "5: 3m"}', "guards.spike"),
        ("guards: {iv_rank: 50}", "guards.iv_rank"),
        ("guards: {events: nowhere.csv}", "guards.events"),
    ],
)
def test_an_impossible_value_is_refused_at_its_line(load: Load, text: str, place: str) -> None:
    assert complaint(load, INDEX + "\n" + text + "\n").startswith(f"algo.yml line 3: {place}: ")


# YAML


def test_unquoted_times_are_times_and_not_sexagesimal_numbers(load: Load) -> None:
    session = load(INDEX + "session: {entries: 09:30-14:40, flat_by: 15:05}\n").session
    assert session.flat_by_s == 15 * 3600 + 5 * 60
    assert session.entries_from_s == 9 * 3600 + 30 * 60


@pytest.mark.parametrize("word", ["on", "yes", "off", "no"])
def test_words_that_yaml_1_1_took_for_truth_are_words(load: Load, word: str) -> None:
    assert f"{word!r} is not one of trade, watch" in complaint(load, f"indices: {{NIFTY: {{role: {word}}}}}\n")


def test_off_switches_a_guard_off(load: Load) -> None:
    guards = load(INDEX + "guards: {gap: off, spike: off, vix: off, events: off}\n").guards
    assert (guards.gap_bps, guards.spike_sigma, guards.vix_full, guards.vix_none) == (0, 0.0, 0.0, 0.0)


def test_a_number_with_a_leading_zero_is_decimal(load: Load) -> None:
    assert load("indices: {NIFTY: {cooldown_sec: 010}}\n").indices[0].cooldown_ns == 10_000_000_000


def test_the_old_yaml_directive_is_refused(load: Load) -> None:
    assert "asks for YAML 1.1" in complaint(load, "%YAML 1.1\n---\n" + INDEX)


@pytest.mark.parametrize(
    "text", ["exit: [", "a: b: c\n", "- one\n- two\n", "just words\n", "a: 1\n---\nb: 2\n", "\tmode: x"]
)
def test_what_is_not_one_mapping_is_refused(load: Load, text: str) -> None:
    assert complaint(load, text).startswith("algo.yml")


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_rules(tmp_path / "absent.yml")
    binary = tmp_path / "algo.yml"
    binary.write_bytes(b"mode: \xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_rules(binary)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_rules(tmp_path)


# Indices


def test_the_originals_mapping_by_name_works_as_written(load: Load) -> None:
    rules = load(
        'indices:\n  NIFTY:\n    key: "NIFTY"\n    sid: "13"\n    segment: "IDX_I"\n'
        "    max_same_side: 1\n    multiplier: 1\n    cooldown_sec: 30\n"
    )
    (nifty,) = rules.indices
    assert (nifty.name, nifty.key, nifty.role) == ("NIFTY", NIFTY.key, Role.TRADE)
    assert (nifty.max_same_side, nifty.multiplier_bps, nifty.cooldown_ns) == (1, 10_000, 30_000_000_000)


def test_the_originals_list_form_says_the_same(load: Load) -> None:
    listed = load(
        "indices:\n  - key: NIFTY\n    segment: IDX_I\n    sid: '13'\n    max_same_side: 2\n    cooldown_sec: 180\n"
        "  - key: SENSEX\n    sid: 51\n    role: watch\n"
    )
    mapped = load(
        "indices:\n  NIFTY: {segment: IDX_I, sid: '13', max_same_side: 2, cooldown_sec: 180}\n"
        "  SENSEX: {sid: 51, role: watch}\n"
    )
    assert listed == mapped


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("indices: {NFTY: {}}", "did you mean NIFTY?"),
        ("indices: {nifty: {}}", "did you mean NIFTY?"),
        ("indices: {NIFTY: {sid: '25'}}", "25 is not NIFTY; its security id is 13"),
        ("indices: {NIFTY: {key: SENSEX}}", "the only value is NIFTY"),
        ("indices: {NIFTY: {segment: NSE_FNO}}", "the only value is IDX_I"),
        ("indices: {NIFTY: {premium: 140-60}}", "is impossible"),
        ("indices: {NIFTY: {multiplier: 0}}", "is impossible"),
        ("indices: {NIFTY: {cooldown_sec: 300s}}", "not a whole number"),
        ("indices: [{key: NIFTY}, {key: NIFTY}]", "NIFTY was already given on line 1"),
        ("indices: [{sid: '13'}]", "needs a `key:`"),
        ("indices: {}", "no index is listed"),
        ("mode: paper", "no index is listed"),
        ("mode: live\nindices: {NIFTY: {role: watch}}", "every index is on watch"),
    ],
)
def test_an_index_that_cannot_be_meant_is_refused(load: Load, text: str, told: str) -> None:
    assert told in complaint(load, text + "\n")


# Values written as sentences


def test_sentences_of_the_exit_and_limit_keys(load: Load) -> None:
    rules = load(
        INDEX + 'exit: {trail: ["10%:-5%", "15%:cost", "30%:+12.5%"], time_stop: off}\n'
        'limits: {losses_in_row: "1: 90s, 4: day", giveback: after 3% keep 60%, after_loss: 0s}\n'
    )
    assert rules.exit.trail == (TrailStep(1_000, -500), TrailStep(1_500, None), TrailStep(3_000, 1_250))
    assert rules.exit.time_stop_ns == 0
    assert rules.limits.losses_in_row == (LossPause(1, 90_000_000_000), LossPause(4, None))
    assert (rules.limits.giveback_from_bps, rules.limits.giveback_keep_bps) == (300, 6_000)
    assert rules.limits.after_loss_ns == 0


# Events


def test_event_days_come_from_the_file_named(load: Load, tmp_path: Path) -> None:
    (tmp_path / "days.csv").write_text("date,event\n2027-02-01,Budget\n2026-03-05,Vote\n")
    assert load(INDEX + "guards: {events: days.csv}\n").guards.no_trade_days == ("2026-03-05", "2027-02-01")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2027-02-01,Budget\n", "days.csv line 1: the columns must be date,event"),
        ("date,event\n01-02-2027,Budget\n", "days.csv line 2: '01-02-2027' is not a date"),
        ("date,event\n20270201,Budget\n", "is not a date"),
        ("date,event\n2027-02-30,Budget\n", "is not a date"),
        ("date,event\n2027-02-01\n", "needs a date and an event"),
        ("date,event\n2027-02-01,A\n2027-02-01,B\n", "days.csv line 3: 2027-02-01 is already on line 2"),
    ],
)
def test_an_event_line_that_cannot_be_read_is_named(load: Load, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "days.csv").write_text(text)
    assert told in complaint(load, INDEX + "guards: {events: days.csv}\n")


# Version


def test_the_version_is_of_the_content_alone(load: Load) -> None:
    plain = load(INDEX + "exit: {stop: 20%, target: 40%}\n")
    reordered = load("# a comment\nexit: {target: 40.0%, stop: 20 %}\n" + INDEX)
    changed = load(INDEX + "exit: {stop: 19%}\n")
    assert plain.version == reordered.version
    assert plain.version != changed.version
    assert 0 < plain.version < 2**48


def test_the_version_is_the_same_in_another_process() -> None:
    path = ROOT / "config" / "algo.yml"
    code = f"from pathlib import Path; from algo_scalper.runtime.config import load_rules; print(load_rules(Path({str(path)!r})).version)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert int(told.stdout) == load_rules(path).version


def test_variables_in_the_file_are_kept_apart_from_rules(tmp_path: Path) -> None:
    file = tmp_path / "algo.yml"
    file.write_text(INDEX + "settings: {PORT: 3001}\n")
    algo = load_algo(file, "algo.yml")
    assert algo.settings["PORT"].value == 3001
    assert algo.settings["PORT"].line == 2
