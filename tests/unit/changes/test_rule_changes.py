"""Rules laid over the file: judged as the file is, told from when on they count, and never looser inside a session."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from algo_scalper.adapters.storage.change_store import InForce
from algo_scalper.domain.commands import Notify
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.events import RulesChanged
from algo_scalper.domain.rules import Role, Rules
from algo_scalper.engine.engine import Engine
from algo_scalper.runtime.change_desk import begin_day
from algo_scalper.runtime.config import algo_of, key_path, load_rules, with_override
from algo_scalper.runtime.opening import opening_event
from algo_scalper.runtime.rule_changes import Rulebook
from algo_scalper.runtime.rule_text import written
from algo_scalper.runtime.yaml_file import parse_yaml

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "config" / "algo.yml"
DAY = date(2026, 11, 25)
SMALL = """\
indices: {NIFTY: {role: trade}}
limits: {day_loss: 4%, trades_day: 4, open: 2}
guards: {events: off}
"""


def book_of(text: str = SMALL, **laid_over: str) -> Rulebook:
    over = {key.replace("__", "."): value for key, value in laid_over.items()}
    return Rulebook(parse_yaml(text, "algo.yml"), Path("algo.yml"), over)


def effect(key: str, value: str | None, text: str = SMALL, **laid_over: str) -> str:
    book = book_of(text, **laid_over)
    return book.change(key, value, book.algo().rules).effect


# --- reading and writing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["algo.yml", "original.example.yml"])
def test_every_rule_is_written_as_it_is_read(file: str) -> None:
    rules = load_rules(ROOT / "config" / file)
    text = written(rules)
    read = parse_yaml("indices: {" + ", ".join(f"{index.name}: {{}}" for index in rules.indices) + "}", "algo.yml")
    for key, value in text.items():
        read = with_override(read, key_path(key), value, "here")
    again = algo_of(read, SHIPPED).rules
    days = msgspec.structs.replace(rules.guards, no_trade_days=again.guards.no_trade_days)
    assert msgspec.structs.replace(rules, guards=days, version=again.version) == again


def test_what_people_read_is_what_the_file_says() -> None:
    text = written(load_rules(SHIPPED))
    assert text["limits.day_loss"] == "4%"
    assert text["limits.giveback"] == "after +4% keep 50%"
    assert text["limits.losses_in_row"] == "2: 30m, 3: day"
    assert text["exit.trail"] == '["15%:cost", "25%:+10%", "40%:+20%", "60%:+30%"]'
    assert text["session.entries"] == "09:30-14:40"
    assert text["strike.max_spread"] == "max(0.30, 0.75%)"
    assert text["guards.vix"] == "<= 25 full, 25-30 half, > 30 none"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("limits.day_loss", "4", "new value: limits.day_loss: '4' is not a percentage; write it with its sign"),
        ("limits.dayloss", "4%", "limits.dayloss: no such key; the nearest is limits.day_loss"),
        ("limits.open", "two", "new value: limits.open: 'two' is not a whole number"),
        ("limits.open", "", "new value: limits.open: needs one value, on one line"),
        ("limits.open", "{a: 1}", "new value: limits.open: '{a: 1}' is not one value"),
        ("limits.day_loss", "1%", "algo.yml: size.risk_per_trade: is more than limits.day_loss"),
        ("indices.NIFTI.role", "watch", "no such index"),
        ("mode", "live", "mode is not changed here: which money is traded is asked of every place"),
        ("watchlist", "[]", "watchlist is not changed here: the watchlist has its own command"),
        ("risk.sl_pct", "0.3", "it is from an older configuration: write exit.stop"),
    ],
)
def test_a_change_is_judged_as_the_file_is(key: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        effect(key, value)
    assert said in str(refused.value)


# --- from when on ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("limits.day_loss", "3%", "at once"),
        ("limits.day_loss", "5%", "with the next session, because it loosens a limit; until then 4%"),
        (
            "limits.losses_in_row",
            "2: 30m",
            "with the next session, because it loosens a limit; until then 2: 30m, 3: day",
        ),
        ("indices.nifty.role", "watch", "at once"),
        ("indices.NIFTY.premium", "50-150", "at once"),
        ("session.flat_by", "14:50", "at once"),
        ("size.method", "formula", "with the next session, because it loosens a limit; until then fixed_lots"),
        ("signal.adx.m1", "25", "with the next start"),
        ("indices.BANKNIFTY.role", "watch", "with the next start"),
        ("product", "MARGIN", "with the next start"),
        ("capital", "50000", "with the next start"),
        ("capital", "200000", "with the next session, because it loosens a limit; until then 100000"),
        ("exit.target", "50%", "at once, for positions opened from now on"),
        ("exit.floor.pnl_exit", "off", "with the next start"),
    ],
)
def test_it_is_told_from_when_on_a_change_counts(key: str, value: str, said: str) -> None:
    assert effect(key, value).startswith(said)


def test_a_window_that_is_moved_is_narrowed_at_once_and_widened_later() -> None:
    book = book_of()
    change = book.change("session.entries", "09:20-14:00", book.algo().rules)
    assert change.now is not None
    assert written(change.now)["session.entries"] == "09:30-14:00"
    assert change.effect.endswith("until then 09:30-14:00")


def test_taking_back_a_tightened_limit_loosens_it() -> None:
    said = effect("limits.day_loss", None, limits__day_loss="3%")
    assert said == "with the next session, because it loosens a limit; until then 3%"
    with pytest.raises(ConfigError, match="nothing is laid over"):
        effect("limits.day_loss", None)


def test_rules_that_no_longer_go_with_the_file_name_the_way_out_and_can_be_taken_back_one_by_one() -> None:
    book = book_of(limits__day_loss="1%", limits__week_loss="0.5%")
    with pytest.raises(ConfigError, match="scalper rules unset KEY"):
        book.algo()
    one = book.change_unattended("limits.week_loss", None, None, "")
    assert one.effect.startswith("with the next start, which is still refused: ")
    gone = book_of(limits__retired="1%")
    assert gone.change_unattended("limits.retired", None, None, "").value is None


# --- no sequence of changes --------------------------------------------------------------------------------------------


class Store:
    """What is in force by day; the engine's books have no part in this."""

    def __init__(self) -> None:
        self.days: dict[date, Rules] = {}

    def in_force(self, day: date) -> InForce | None:
        return InForce(day, 0, self.days[day]) if day in self.days else None

    def keep_in_force(self, force: InForce) -> None:
        self.days[force.day] = force.rules


WAYS: dict[str, list[str]] = {
    "limits.day_loss": ["2%", "3%", "4%", "6%"],
    "limits.week_loss": ["8%", "9%"],
    "limits.trades_day": ["1", "4", "9"],
    "limits.open": ["1", "2", "3"],
    "limits.losses_in_row": ["off", "2: 30m", "2: 30m, 3: day", "1: 5m"],
    "limits.giveback": ["off", "after +4% keep half", "after +2% keep 80%"],
    "size.risk_per_trade": ["1%", "2%"],
    "size.outlay": ["10%", "30%"],
    "size.max_lots": ["1", "3"],
    "size.method": ["fixed_lots", "formula"],
    "session.entries": ["09:30-14:00", "09:20-14:30"],
    "session.flat_by": ["auto", "15:00"],
    "indices.NIFTY.role": ["watch", "trade"],
    "indices.SENSEX.role": ["watch", "trade"],
    "indices.NIFTY.premium": ["60-140", "50-200"],
    "capital": ["50000", "200000"],
    "guards.gap": ["off", "1%: 10:00"],
    "exit.stop": ["10%", "20%"],
}
KEY_AND_VALUE = st.sampled_from(sorted(WAYS)).flatmap(
    lambda key: st.tuples(st.just(key), st.one_of(st.none(), st.sampled_from(WAYS[key])))
)
FILES = st.sampled_from(
    [
        SMALL,
        SMALL.replace("day_loss: 4%", "day_loss: 6%"),
        SMALL.replace("NIFTY: {role: trade}", "NIFTY: {}, SENSEX: {}"),
    ]
)


def room(rules: Rules) -> dict[str, float]:
    """How much each limit leaves: it may shrink inside a session and must never grow. Written without our own order."""
    limits, size, session = rules.limits, rules.size, rules.session
    return {
        "day loss": limits.day_loss_bps * rules.capital_paise,
        "week loss": limits.week_loss_bps * rules.capital_paise,
        "outlay": size.outlay_bps * rules.capital_paise,
        "risk": size.risk_bps * rules.capital_paise,
        "trades": limits.trades_day,
        "open": limits.open_positions,
        "lots": min(size.max_lots, size.fixed_lots or 1_000),
        "giveback from": limits.giveback_from_bps or float("inf"),
        "given back": -limits.giveback_keep_bps if limits.giveback_from_bps else 0,
        "third loss": min((-(p.pause_ns or 10**18) for p in limits.losses_in_row if p.losses <= 3), default=0),
        "entry hours": session.entries_until_s - session.entries_from_s,
        "flat by": session.flat_by_s or float("inf"),
        "gap": rules.guards.gap_bps or float("inf"),
        "traded": sum(index.role is Role.TRADE for index in rules.indices if index.name == "NIFTY"),
        "others traded": sum(index.role is Role.TRADE for index in rules.indices if index.name != "NIFTY"),
    }


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(KEY_AND_VALUE, FILES), min_size=1, max_size=12))
def test_no_sequence_of_changes_edits_and_restarts_loosens_a_limit_inside_a_session(steps: list[Any]) -> None:
    store: Any = Store()
    text, laid_over = SMALL, dict[str, str]()
    engine, standing = start(store, text, laid_over)
    for step in steps:
        before = standing
        if isinstance(step, str):  # the file is edited and the engine started again
            try:
                engine, standing = start(store, step, laid_over)
            except ConfigError:
                continue  # it does not start by rules that cannot be meant
            text = step
        else:
            book = Rulebook(parse_yaml(text, "algo.yml"), Path("algo.yml"), laid_over)
            try:
                change = book.change(step[0], step[1], standing)
            except ConfigError:
                continue
            assert change.now is not None
            said = engine.handle(RulesChanged(engine.state.now_ns, change.now, "Asha"))
            assert not [one for one in said if isinstance(one, Notify) and one.code == "rules_refused"], said
            store.keep_in_force(InForce(DAY, 0, change.now))
            laid_over = {key: value for key, value in laid_over.items() if key != change.key}
            laid_over |= {change.key: change.value} if change.value is not None else {}
            standing = change.now
        assert engine.state.rules == standing
        grown = {name for name, left in room(standing).items() if left > room(before)[name]}
        assert not grown, (step, grown)
    wanted = Rulebook(parse_yaml(text, "algo.yml"), Path("algo.yml"), laid_over).algo().rules
    tomorrow = begin_day(store, wanted, laid_over, date(2026, 11, 26), 0)
    assert tomorrow.rules == wanted, "the next session trades by what is written"


def start(store: Any, text: str, laid_over: dict[str, str]) -> tuple[Engine, Rules]:
    wanted = Rulebook(parse_yaml(text, "algo.yml"), Path("algo.yml"), laid_over).algo().rules
    rules = begin_day(store, wanted, laid_over, DAY, 0).rules
    engine = Engine()
    engine.handle(opening_event(1_795_000_000_000_000_000, "A", 1, DAY, rules, (), {}))
    return engine, rules


def test_a_start_says_what_is_laid_over_the_file_and_what_waits() -> None:
    store: Any = Store()
    begin_day(store, book_of().algo().rules, {}, DAY, 0)
    later = book_of(limits__day_loss="6%")
    said = begin_day(store, later.algo().rules, later.laid_over, DAY, 0).said
    laid_over, waits = said
    assert laid_over == (
        "rule limits.day_loss=6% is changed at run time and stands over algo.yml; take it back with: scalper rules unset "
        "limits.day_loss"
    )
    assert waits == "limits.day_loss 6% waits for the next session, because it loosens a limit; today it is 4%"
