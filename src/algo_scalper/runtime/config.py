"""``algo.yml`` into `Rules`: every value parsed with its unit, every key known, nothing guessed.

What cannot be understood raises `ConfigError` with file, line, key and remedy, and nothing starts. Precedence
between this file, the environment and ``.env`` is the subject of `settings`; which money is traded, of `gate`.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import INDICES, Segment, instrument_key, key_security_id
from algo_scalper.domain.orders import Product
from algo_scalper.domain.rules import (
    ExitRules,
    ExpiryRules,
    FreshRules,
    GuardRules,
    IndexRules,
    LimitRules,
    LossPause,
    Role,
    Rules,
    SessionRules,
    SignalRules,
    SizeRules,
    StrikeRules,
    TrailStep,
)
from algo_scalper.domain.units import BPS, NS_PER_SECOND, parse_clock_s, parse_duration_ns, parse_percent_bps
from algo_scalper.runtime.algo_keys import (
    DEFAULTS,
    INDEX_SECTION,
    ORIGINAL_KEYS,
    ORIGINAL_SECTIONS,
    PREMIUM_DEFAULTS,
    pattern_of,
)
from algo_scalper.runtime.yaml_file import Found, KeyPath, Leaf, YamlFile, parse_yaml, read_yaml

REFERENCE = "docs/reference/configuration.md"
SETTINGS_SECTION = "settings"
"""Optional part of the file holding environment variables by name; read by `settings`, not by rules."""

_OPEN_S, _CLOSE_S = 9 * 3600 + 15 * 60, 15 * 3600 + 30 * 60
_SECTIONED = (*DEFAULTS, f"{SETTINGS_SECTION}.")

_T = TypeVar("_T")

_RANGE = re.compile(r"^(\d+(?:\.\d{1,2})?)\s*-\s*(\d+(?:\.\d{1,2})?)$")
_SPREAD = re.compile(r"^max\(\s*(\d+(?:\.\d{1,2})?)\s*,\s*([^)]+)\)$")
_LOTS = re.compile(r"^(\d+)\s+lots?$")
_TIME_STOP = re.compile(r"^(\S+)\s+if\s+under\s+(\S+)$")
_GIVEBACK = re.compile(r"^after\s+(\S+)\s+keep\s+(\S+)$")
_VIX = re.compile(
    r"^<=\s*(\d+(?:\.\d+)?)\s+full\s*,\s*(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s+half(?:\s*\([^)]*\))?\s*,"
    r"\s*>\s*(\d+(?:\.\d+)?)\s+none$"
)
_SPIKE = re.compile(r"^(\d+(?:\.\d+)?)\s+sigma$")
_BREAKEVEN = re.compile(r"^<=\s*(\S+)\s+of\s+target$")
_IV_RANK = re.compile(r"^off(?:\s+until\s+\d+\s+sessions)?$")


class AlgoConfig(NamedTuple):
    """The whole file: `rules` for the engine, and the few keys that are not the engine's."""

    rules: Rules
    mode: Found
    """``paper``, ``live`` or whatever stands there; `gate.decide_money` judges it. Line 0 when absent."""
    pnl_exit_bps: int
    """The broker's own P&L exit as part of capital; 0 is off."""
    settings: dict[str, Found]
    """Environment variables given in the file, by name."""
    name: str
    """The file as it is named to people."""
    watchlist: Found
    """``SEGMENT:ID`` texts; `watchlist` reads them. Line 0 when absent."""


def load_rules(path: Path, name: str | None = None) -> Rules:
    """The rules of one ``algo.yml``. Raises `ConfigError`."""
    return load_algo(path, name).rules


def load_algo(path: Path, name: str | None = None) -> AlgoConfig:
    """The whole of one ``algo.yml``; ``name`` is how messages call it. Raises `ConfigError`."""
    return algo_of(read_yaml(path, name), path)


def algo_of(file: YamlFile, path: Path) -> AlgoConfig:
    """The whole of a file that was read before, with what was laid over it. Raises `ConfigError`."""
    _refuse_unknown_keys(file)
    reader = _Reader(file)
    rules = Rules(
        version=0,
        capital_paise=reader.read("capital", _rupees_paise),
        product=Product(reader.choice("product", ("INTRADAY", "MARGIN"))),
        indices=_indices(reader),
        session=_session(reader),
        expiry=_expiry(reader),
        signal=_signal(reader),
        strike=_strike(reader),
        fresh=FreshRules(
            option_ns=reader.duration("fresh.option"),
            index_ns=reader.duration("fresh.index"),
            chain_ns=reader.duration("fresh.chain"),
            lag_ns=reader.duration("fresh.lag"),
        ),
        size=_size(reader),
        exit=_exit(reader),
        limits=_limits(reader),
        guards=_guards(reader, path),
    )
    _refuse_conflicts(rules, reader)
    return AlgoConfig(
        rules=msgspec.structs.replace(rules, version=rules_version(rules)),
        mode=file.leaves.get(("mode",), Found(DEFAULTS["mode"], 0)),
        pnl_exit_bps=reader.read("exit.floor.pnl_exit", _off_or(_percent_bps, 0)),
        settings={
            path[1]: said for path, said in file.leaves.items() if path[0] == SETTINGS_SECTION and len(path) == 2
        },
        name=file.name,
        watchlist=file.leaves.get(("watchlist",), Found((), 0)),
    )


def key_path(dotted: str) -> KeyPath:
    """The path of a key as people write it, ``indices.nifty.role`` too. Raises `ConfigError` naming the nearest key."""
    parts = dotted.strip().split(".")
    if parts[0] == INDEX_SECTION and len(parts) > 1:
        parts[1] = parts[1].upper()
    pattern = pattern_of(tuple(parts))
    if pattern not in DEFAULTS:
        raise ConfigError(f"{dotted}: no such key; {_remedy(pattern)}")
    return tuple(parts)


def with_override(file: YamlFile, path: KeyPath, text: str, place: str) -> YamlFile:
    """The file with one value laid over it, written as on a command line: quotes are not needed. Raises `ConfigError`."""
    said = text.strip()
    if "\n" in said or not said:
        raise ConfigError(f"{place}: {'.'.join(path)}: needs one value, on one line")
    default = DEFAULTS[pattern_of(path)]
    value: Leaf = said
    if isinstance(default, str) or default is None:
        if said[0] == said[-1] and said[0] in "\"'" and len(said) > 1:
            value = said[1:-1]
    else:
        leaves = parse_yaml(f"value: {said}\n", place).leaves
        if ("value",) not in leaves:
            raise ConfigError(f"{place}: {'.'.join(path)}: {said!r} is not one value; write it as in {REFERENCE}")
        value = leaves["value",].value
    return file._replace(leaves={**file.leaves, path: Found(value, 0)}, elsewhere={**file.elsewhere, path: place})


def rules_version(rules: Rules) -> int:
    """A number of the content alone: equal rules have equal versions on every machine and in every process."""
    content = msgspec.json.encode(msgspec.structs.replace(rules, version=0))
    return int.from_bytes(hashlib.sha256(content).digest()[:6], "big")  # 48 bits: exact in JSON readers too


# Reading by key -------------------------------------------------------------------------------------------------


class _Reader:
    """Reads a key from the file or its default, and names the place when the value cannot be read."""

    def __init__(self, file: YamlFile) -> None:
        self._file = file

    def place(self, dotted: str) -> str:
        """File, line and key, for a message."""
        return self._file.place(tuple(dotted.split(".")))

    def written(self, dotted: str) -> bool:
        """Whether the file itself has the key."""
        return tuple(dotted.split(".")) in self._file.leaves

    def raw(self, dotted: str) -> Leaf:
        """What the file has, unread; None when it has nothing."""
        found = self._file.leaves.get(tuple(dotted.split(".")))
        return found.value if found else None

    def index_names(self) -> tuple[str, ...]:
        """The names under ``indices``, in file order."""
        names = (path[1] for path in self._file.leaves if path[0] == INDEX_SECTION and len(path) > 1)
        return tuple(dict.fromkeys(names))

    def read(self, dotted: str, parse: Callable[[Leaf, str], _T], default: Leaf = None) -> _T:
        """The parsed value of a key; an absent key is its default."""
        path: KeyPath = tuple(dotted.split("."))
        found = self._file.leaves.get(path)
        place = self._file.place(path)
        if found is None:
            fallback = default if default is not None else DEFAULTS[pattern_of(path)]
            return parse(fallback, place)
        if found.value is None:
            raise ConfigError(f"{place}: has no value; write one or remove the line to get the default")
        return parse(found.value, place)

    def percent(self, dotted: str) -> int:
        """Basis points above 0 of a key written like 20%."""
        return self.read(dotted, _percent_bps)

    def duration(self, dotted: str) -> int:
        """Nanoseconds above 0 of a key written like 180s."""
        return self.read(dotted, _duration_ns)

    def count(self, dotted: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        return self.read(dotted, lambda value, place: _count(value, place, least, most))

    def number(self, dotted: str, least: float, most: float) -> float:
        """A number within bounds."""
        return self.read(dotted, lambda value, place: _number(value, place, least, most))

    def choice(self, dotted: str, allowed: tuple[str, ...]) -> str:
        """One of a few words."""
        return self.read(dotted, lambda value, place: _choice(value, place, allowed))

    def refuse(self, dotted: str, complaint: str) -> ConfigError:
        """The error for a value that reads well but cannot be meant."""
        return ConfigError(f"{self.place(dotted)}: {complaint}")


def _refuse_unknown_keys(file: YamlFile) -> None:
    """Name each key that does not exist, the nearest one that does, and what to do."""
    complaints = []
    for path, found in file.leaves.items():
        pattern = pattern_of(path)
        is_setting = path[0] == SETTINGS_SECTION and len(path) == 2
        is_empty_section = found.value is None and any(known.startswith(f"{pattern}.") for known in _SECTIONED)
        if pattern not in DEFAULTS and not is_setting and not is_empty_section:
            complaints.append(f"{file.place(path)}: no such key; {_remedy(pattern)}")
    if complaints:
        raise ConfigError("\n".join(complaints))


def _remedy(pattern: str) -> str:
    if pattern in ORIGINAL_KEYS:
        return f"it is from an older configuration: {ORIGINAL_KEYS[pattern]}"
    if pattern.split(".", maxsplit=1)[0] in ORIGINAL_SECTIONS:
        return f"it is from an older configuration and has no counterpart: remove it ({REFERENCE} lists what there is)"
    near = difflib.get_close_matches(pattern, DEFAULTS, n=1, cutoff=0.6)
    last = pattern.rsplit(".", maxsplit=1)[-1]
    same_name = [known for known in DEFAULTS if known.rsplit(".", maxsplit=1)[-1] == last]
    nearest = near[0] if near else (same_name[0] if same_name else "")
    if not nearest:
        return f"remove it; {REFERENCE} lists every key"
    return f"the nearest is {nearest.replace('.*.', '.<name>.')}: rename it or remove it"


# The sections ---------------------------------------------------------------------------------------------------


def _indices(reader: _Reader) -> tuple[IndexRules, ...]:
    names = reader.index_names()
    if not names:
        raise ConfigError(
            f"{reader.place(INDEX_SECTION)}: no index is listed; give at least NIFTY, as in config/algo.yml"
        )
    return tuple(_index(reader, name) for name in names)


def _index(reader: _Reader, name: str) -> IndexRules:
    base = f"{INDEX_SECTION}.{name}"
    index = INDICES.get(name)
    if index is None:
        near = difflib.get_close_matches(name.upper(), INDICES, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{reader.place(base)}: no such index (known: {', '.join(INDICES)}){meant}")
    reader.read(f"{base}.key", lambda value, place: _choice(value, place, (name,)), default=name)
    reader.choice(f"{base}.segment", (Segment.IDX_I.name,))
    sid = reader.read(f"{base}.sid", _security_id, default=str(key_security_id(index.key)))
    if instrument_key(Segment.IDX_I, sid) != index.key:
        raise reader.refuse(f"{base}.sid", f"{sid} is not {name}; its security id is {key_security_id(index.key)}")
    low, high = reader.read(f"{base}.premium", _rupee_range, default=PREMIUM_DEFAULTS[name])
    return IndexRules(
        name=name,
        key=index.key,
        role=Role(reader.choice(f"{base}.role", (Role.TRADE, Role.WATCH))),
        max_same_side=reader.count(f"{base}.max_same_side", 1, 20),
        multiplier_bps=round(reader.number(f"{base}.multiplier", 0.01, 100) * BPS),
        cooldown_ns=reader.count(f"{base}.cooldown_sec", 0, 21_600) * NS_PER_SECOND,
        premium_min_paise=low,
        premium_max_paise=high,
    )


def _session(reader: _Reader) -> SessionRules:
    begin, end = reader.read("session.entries", _clock_range)
    return SessionRules(
        entries_from_s=begin,
        entries_until_s=end,
        flat_by_s=reader.read("session.flat_by", _auto_or_clock),
        special_sessions=reader.choice("session.special_sessions", ("skip", "trade")) == "trade",
    )


def _expiry(reader: _Reader) -> ExpiryRules:
    reader.choice("expiry.choose", ("nearest",))
    return ExpiryRules(min_dte=reader.count("expiry.min_dte", 0, 60))


def _signal(reader: _Reader) -> SignalRules:
    period, multiplier = reader.read("signal.supertrend", _supertrend)
    return SignalRules(
        name=reader.choice("signal.name", ("supertrend_adx",)),
        supertrend_period=period,
        supertrend_multiplier=multiplier,
        adx_period=reader.count("signal.adx.period", 2, 200),
        adx_m1_min=reader.number("signal.adx.m1", 0, 100),
        adx_m5_min=reader.number("signal.adx.m5", 0, 100),
        carry_gap=reader.choice("signal.gap", ("exclude", "carry")) == "carry",
        on_flip_only=reader.choice("signal.entry", ("state", "flip")) == "flip",
    )


def _strike(reader: _Reader) -> StrikeRules:
    reader.choice("strike.from", ("ATM",))
    reader.choice("strike.pick", ("nearest ATM inside premium band",))
    spread_paise, spread_bps = reader.read("strike.max_spread", _spread)
    return StrikeRules(
        max_otm=reader.count("strike.max_otm", 0, 20),
        min_oi=reader.count("strike.min_oi", 0, 100_000_000),
        max_spread_paise=spread_paise,
        max_spread_bps=spread_bps,
        min_top5_lots=reader.read("strike.min_top5", _lots),
    )


def _size(reader: _Reader) -> SizeRules:
    fixed = reader.choice("size.method", ("fixed_lots", "formula")) == "fixed_lots"
    lots = reader.count("size.lots", 1, 1_000)
    return SizeRules(
        fixed_lots=lots if fixed else 0,
        max_lots=reader.count("size.max_lots", 1, 1_000),
        risk_bps=reader.percent("size.risk_per_trade"),
        outlay_bps=reader.percent("size.outlay"),
    )


def _exit(reader: _Reader) -> ExitRules:
    reader.choice("exit.floor.limit", ("band",))
    time_ns, under_bps = reader.read("exit.time_stop", _time_stop)
    return ExitRules(
        stop_bps=reader.percent("exit.stop"),
        emergency_bps=reader.percent("exit.emergency"),
        target_bps=reader.percent("exit.target"),
        trail=reader.read("exit.trail", _trail),
        time_stop_ns=time_ns,
        time_stop_under_bps=under_bps,
        blind_ns=reader.duration("exit.blind"),
        floor_bps=reader.percent("exit.floor.trigger"),
    )


def _limits(reader: _Reader) -> LimitRules:
    reader.choice("limits.opposite", ("refuse",))
    reader.choice("limits.pyramid", ("none",))
    from_bps, keep_bps = reader.read("limits.giveback", _giveback)
    return LimitRules(
        open_positions=reader.count("limits.open", 1, 20),
        trades_day=reader.count("limits.trades_day", 1, 500),
        after_loss_ns=reader.read("limits.after_loss", _duration_or_zero_ns),
        losses_in_row=reader.read("limits.losses_in_row", _losses_in_row),
        day_loss_bps=reader.percent("limits.day_loss"),
        week_loss_bps=reader.percent("limits.week_loss"),
        giveback_from_bps=from_bps,
        giveback_keep_bps=keep_bps,
    )


def _guards(reader: _Reader, path: Path) -> GuardRules:
    gap_bps, gap_until_s = reader.read("guards.gap", _off_or(_gap, (0, 0)))
    sigma, spike_ns = reader.read("guards.spike", _off_or(_spike, (0.0, 0)))
    vix_full, vix_none = reader.read("guards.vix", _off_or(_vix, (0.0, 0.0)))
    reader.read("guards.iv_rank", _iv_rank)
    return GuardRules(
        gap_bps=gap_bps,
        gap_until_s=gap_until_s,
        spike_sigma=sigma,
        spike_wait_ns=spike_ns,
        breakeven_bps=reader.read("guards.breakeven", _breakeven),
        vix_full=vix_full,
        vix_none=vix_none,
        no_trade_days=_no_trade_days(reader, path),
    )


def _no_trade_days(reader: _Reader, path: Path) -> tuple[str, ...]:
    """The dates of the events file. A relative name starts at the folder above ``config/``, or beside the file."""
    written = reader.read("guards.events", _text)
    if written == "off":
        return ()
    folder = path.resolve().parent
    events = (folder.parent if folder.name == "config" else folder) / written
    if not events.is_file():
        if not reader.written("guards.events"):
            return ()  # a file that says nothing of events, without the shipped list beside it
        raise reader.refuse(
            "guards.events", f"{events} does not exist; create it with the columns date,event or write off"
        )
    return read_events(events, written)


def read_events(path: Path, name: str) -> tuple[str, ...]:
    """ISO dates of a CSV with the columns ``date,event``, ascending. Raises `ConfigError` with the line."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines)
        if next(rows, None) != ["date", "event"]:
            raise ConfigError(f"{name} line 1: the columns must be date,event")
        days: dict[str, int] = {}
        for row in rows:
            if not row:
                continue
            place = f"{name} line {rows.line_num}"
            if len(row) != 2 or not row[1].strip():
                raise ConfigError(f"{place}: needs a date and an event, for example 2027-02-01,Union Budget")
            day = row[0].strip()
            try:
                plain = date.fromisoformat(day).isoformat() == day
            except ValueError:
                plain = False
            if not plain:
                raise ConfigError(f"{place}: {day!r} is not a date; write it as 2027-02-01")
            if day in days:
                raise ConfigError(f"{place}: {day} is already on line {days[day]}; keep one of the two")
            days[day] = rows.line_num
    return tuple(sorted(days))


# Conflicts ------------------------------------------------------------------------------------------------------


def _refuse_conflicts(rules: Rules, reader: _Reader) -> None:
    """Values that are each possible and cannot be meant together."""
    session, exits, size, limits, guards = rules.session, rules.exit, rules.size, rules.limits, rules.guards
    if session.flat_by_s is not None and session.flat_by_s <= session.entries_until_s:
        raise reader.refuse("session.flat_by", "lies before the last entry; entries must end earlier")
    if exits.emergency_bps <= exits.stop_bps:
        raise reader.refuse("exit.emergency", "must lie further away than exit.stop, or the stop loss never speaks")
    if exits.floor_bps <= exits.emergency_bps:
        raise reader.refuse("exit.floor.trigger", "must lie further away than exit.emergency: it is the last resort")
    if exits.floor_bps >= BPS:
        raise reader.refuse("exit.floor.trigger", "must be under 100%: a price cannot fall further")
    if size.fixed_lots > size.max_lots:
        raise reader.refuse("size.lots", f"{size.fixed_lots} lots are more than size.max_lots ({size.max_lots})")
    if size.outlay_bps > BPS:
        raise reader.refuse("size.outlay", "must be at most 100%: there is no more cash than capital")
    if size.risk_bps > limits.day_loss_bps:
        raise reader.refuse("size.risk_per_trade", "is more than limits.day_loss; every entry would be refused")
    if limits.day_loss_bps > limits.week_loss_bps:
        raise reader.refuse("limits.day_loss", "is more than limits.week_loss, which would then never be reached first")
    if limits.week_loss_bps > BPS:
        raise reader.refuse("limits.week_loss", "must be at most 100%")
    if guards.vix_full > guards.vix_none:
        raise reader.refuse("guards.vix", "the limit for full size is above the limit for none")
    if all(index.role is Role.WATCH for index in rules.indices) and reader.raw("mode") == "live":
        raise reader.refuse("mode", "is live while every index is on watch; give one of them role: trade")


# How values are written -----------------------------------------------------------------------------------------


def _text(value: Leaf, place: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{place}: {value!r} is not a word; write it as text")
    return value.strip()


def _choice(value: Leaf, place: str, allowed: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    if len(allowed) == 1:
        raise ConfigError(f"{place}: {value!r} is not available here; the only value is {allowed[0]}")
    raise ConfigError(f"{place}: {value!r} is not one of {', '.join(allowed)}; write one of these")


def _count(value: Leaf, place: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{place}: {value!r} is not a whole number; write for example {least}, without a unit")
    if not least <= value <= most:
        raise ConfigError(f"{place}: {value} is impossible; it must lie between {least} and {most}")
    return value


def _number(value: Leaf, place: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{place}: {value!r} is not a number; write it without a unit or quotes")
    if not least <= value <= most:  # also refuses .nan
        raise ConfigError(f"{place}: {value} is impossible; it must lie between {least:g} and {most:g}")
    return float(value)


def _rupees_paise(value: Leaf, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{place}: {value!r} is not an amount; write rupees as a bare number, for example 100000")
    paise = Decimal(str(value)) * 100
    if not paise.is_finite() or paise != paise.to_integral_value():
        raise ConfigError(f"{place}: {value} is not a whole number of paise")
    if not 0 < paise <= 10**13:
        raise ConfigError(f"{place}: {value} rupees is impossible; it must be above 0 and at most 100,000,000,000")
    return int(paise)


def _security_id(value: Leaf, place: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    raise ConfigError(f'{place}: {value!r} is not a security id; write it as "13"')


def _percent_bps(value: Leaf, place: str) -> int:
    bps = parse_percent_bps(_unit_text(value), place)
    if bps <= 0:
        raise ConfigError(f"{place}: {value!r} is impossible; it must be above 0%")
    if bps > 100 * BPS:
        raise ConfigError(f"{place}: {value!r} is impossible; it must be at most 10000%")
    return bps


def _duration_ns(value: Leaf, place: str) -> int:
    nanoseconds = _duration_or_zero_ns(value, place)
    if nanoseconds <= 0:
        raise ConfigError(f"{place}: {value!r} is impossible; it must be longer than 0")
    return nanoseconds


def _duration_or_zero_ns(value: Leaf, place: str) -> int:
    nanoseconds = parse_duration_ns(_unit_text(value), place)
    if nanoseconds > 86_400 * NS_PER_SECOND:
        raise ConfigError(f"{place}: {value!r} is impossible; it must be at most 24h")
    return nanoseconds


def _unit_text(value: Leaf) -> str:
    """Text as written. A bare number stays a bare number, so that the unit is asked for and never assumed."""
    return value if isinstance(value, str) else str(value)


def _clock_range(value: Leaf, place: str) -> tuple[int, int]:
    first, dash, last = _unit_text(value).partition("-")
    if not dash:
        raise ConfigError(f"{place}: {value!r} is not a window; write it as 09:30-14:40")
    begin, end = parse_clock_s(first, place), parse_clock_s(last, place)
    if not _OPEN_S <= begin < end <= _CLOSE_S:
        raise ConfigError(f"{place}: {value!r} is impossible; it must run forwards and lie within 09:15-15:30")
    return begin, end


def _auto_or_clock(value: Leaf, place: str) -> int | None:
    if value == "auto":
        return None
    second = parse_clock_s(_unit_text(value), place)
    if not _OPEN_S < second <= _CLOSE_S:
        raise ConfigError(f"{place}: {value!r} is impossible; write auto or a time within 09:15-15:30")
    return second


def _rupee_range(value: Leaf, place: str) -> tuple[int, int]:
    found = _RANGE.match(_unit_text(value))
    if not found:
        raise ConfigError(f"{place}: {value!r} is not a band; write rupees as 60-140")
    low, high = (int(Decimal(text) * 100) for text in found.groups())
    if not 0 < low < high:
        raise ConfigError(f"{place}: {value!r} is impossible; the first price must be above 0 and under the second")
    return low, high


def _spread(value: Leaf, place: str) -> tuple[int, int]:
    found = _SPREAD.match(_unit_text(value))
    if not found:
        raise ConfigError(f'{place}: {value!r} is not a spread; write rupees and percent as "max(0.30, 0.75%)"')
    return int(Decimal(found[1]) * 100), _percent_bps(found[2].strip(), place)


def _lots(value: Leaf, place: str) -> int:
    found = _LOTS.match(_unit_text(value))
    if not found:
        raise ConfigError(f"{place}: {value!r} has no unit; write it as 5 lots")
    return int(found[1])


def _supertrend(value: Leaf, place: str) -> tuple[int, float]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise ConfigError(f"{place}: {value!r} is not a pair; write [period, multiplier], for example [10, 3.0]")
    return _count(value[0], place, 2, 200), _number(value[1], place, 0.1, 50)


def _trail(value: Leaf, place: str) -> tuple[TrailStep, ...]:
    if not isinstance(value, tuple):
        raise ConfigError(f'{place}: {value!r} is not a list; write ["15%:cost", "25%:+10%"] or []')
    steps = tuple(_trail_step(item, place) for item in value)
    for before, after in pairwise(steps):
        if after.from_bps <= before.from_bps or _stop_height(after) <= _stop_height(before):
            raise ConfigError(f"{place}: each step must have a higher gain and a higher stop than the one before")
    return steps


def _stop_height(step: TrailStep) -> int:
    """For comparing steps: entry plus charges lies just above entry."""
    return 1 if step.stop_bps is None else step.stop_bps


def _trail_step(item: Leaf, place: str) -> TrailStep:
    gain, colon, stop = _unit_text(item).partition(":")
    if not colon:
        raise ConfigError(f'{place}: {item!r} is not a step; write gain and stop as "15%:cost" or "25%:+10%"')
    from_bps = _percent_bps(gain.strip(), place)
    if stop.strip() == "cost":
        return TrailStep(from_bps, None)
    stop_bps = parse_percent_bps(stop, place)
    if stop_bps >= from_bps:
        raise ConfigError(f"{place}: {item!r} is impossible; the stop must lie under the gain that moves it")
    return TrailStep(from_bps, stop_bps)


def _time_stop(value: Leaf, place: str) -> tuple[int, int]:
    if value == "off":
        return 0, 0
    found = _TIME_STOP.match(_unit_text(value))
    if not found:
        raise ConfigError(f"{place}: {value!r} is not a time stop; write it as 45m if under +5%, or off")
    return _duration_ns(found[1], place), parse_percent_bps(found[2], place)


def _giveback(value: Leaf, place: str) -> tuple[int, int]:
    if value == "off":
        return 0, 0
    found = _GIVEBACK.match(_unit_text(value))
    if not found:
        raise ConfigError(f"{place}: {value!r} is not understood; write it as after +4% keep half, or off")
    keep_bps = BPS // 2 if found[2] == "half" else _percent_bps(found[2], place)
    if keep_bps > BPS:
        raise ConfigError(f"{place}: {value!r} is impossible; no more than 100% can be kept")
    return _percent_bps(found[1], place), keep_bps


def _losses_in_row(value: Leaf, place: str) -> tuple[LossPause, ...]:
    if value == "off":
        return ()
    pauses = []
    for part in _unit_text(value).split(","):
        count, colon, pause = (piece.strip() for piece in part.partition(":"))
        if not colon or not count.isdigit() or int(count) < 1:
            raise ConfigError(f'{place}: {part.strip()!r} is not understood; write it as "2: 30m, 3: day", or off')
        pauses.append(LossPause(int(count), None if pause == "day" else _duration_ns(pause, place)))
    if any(after.losses <= before.losses for before, after in pairwise(pauses)):
        raise ConfigError(f"{place}: {value!r} is impossible; the counts must rise")
    return tuple(pauses)


def _vix(value: Leaf, place: str) -> tuple[float, float]:
    found = _VIX.match(_unit_text(value))
    if not found or found[1] != found[2] or found[3] != found[4]:
        raise ConfigError(
            f'{place}: {value!r} is not understood; write it as "<= 25 full, 25-30 half, > 30 none", or off'
        )
    return float(found[1]), float(found[4])


def _gap(value: Leaf, place: str) -> tuple[int, int]:
    size, colon, until = _unit_text(value).partition(":")
    if not colon:
        raise ConfigError(f'{place}: {value!r} is not understood; write it as "1%: 10:00", or off')
    return _percent_bps(size.strip(), place), parse_clock_s(until, place)


def _spike(value: Leaf, place: str) -> tuple[float, int]:
    size, colon, wait = _unit_text(value).partition(":")
    found = _SPIKE.match(size.strip())
    if not colon or not found or float(found[1]) <= 0:
        raise ConfigError(f'{place}: {value!r} is not understood; write it as "5 sigma: 3m", or off')
    return float(found[1]), _duration_ns(wait.strip(), place)


def _breakeven(value: Leaf, place: str) -> int:
    found = _BREAKEVEN.match(_unit_text(value))
    if not found:
        raise ConfigError(f'{place}: {value!r} is not understood; write it as "<= 10% of target"')
    return _percent_bps(found[1], place)


def _iv_rank(value: Leaf, place: str) -> None:
    if not _IV_RANK.match(_unit_text(value)):
        raise ConfigError(f"{place}: {value!r} is not available; the guard needs history, so write off")


def _off_or(parse: Callable[[Leaf, str], _T], off: _T) -> Callable[[Leaf, str], _T]:
    """``off`` switches the rule off, which reads as ``off``'s value; anything else is parsed."""
    return lambda value, place: off if value == "off" else parse(value, place)
