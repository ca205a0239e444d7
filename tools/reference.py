"""Writes the pages of docs/reference that follow from code: ``python tools/reference.py``.

A test holds the committed pages to what this prints, so a key, a variable, a reason or a flag cannot change unseen.
``--check`` writes nothing and exits 1 when a page is out of date.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any, get_args, get_origin

import msgspec
import sqlalchemy as sa
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from algo_scalper.adapters.dhan import bodies, replies
from algo_scalper.adapters.dhan.endpoints import ENDPOINTS
from algo_scalper.adapters.dhan.wire import Amount, Count, Effect, Endpoint, Host, Paise, Text
from algo_scalper.adapters.storage.database import Part
from algo_scalper.adapters.storage.job_runs import SILENT_NS
from algo_scalper.adapters.storage.revisions import HEAD, METADATA
from algo_scalper.domain.decisions import DecisionKind, ExitReason, RefusalReason
from algo_scalper.domain.units import NS_PER_DAY, NS_PER_MINUTE
from algo_scalper.runtime.algo_keys import INDEX_SECTION, KEYS, ORIGINAL_KEYS, PREMIUM_DEFAULTS
from algo_scalper.runtime.jobs import backup, retention
from algo_scalper.runtime.jobs.job import Job, Market
from algo_scalper.runtime.jobs.table import JOBS
from algo_scalper.runtime.settings import IGNORED, IGNORED_FAMILIES, VARIABLES, Kind

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
CLI_MODULE = "algo_scalper.interfaces.cli.main"
WRITTEN_BY = "<!-- Written by tools/reference.py. Change the code it reads, then run it again. -->\n"

REFUSALS: dict[RefusalReason, str] = {
    RefusalReason.WATCH_ONLY: "The index has `role: watch`: decided and logged, no order.",
    RefusalReason.NOT_RECONCILED: "Our books and the broker's have not been compared since the start or a doubt.",
    RefusalReason.HALTED: "Entries are halted, by a person or by a rule; exits go on.",
    RefusalReason.MARKET_CLOSED: "The exchange does not trade this contract now.",
    RefusalReason.SPECIAL_SESSION: "A weekend, Muhurat or split session, and `session.special_sessions` is skip.",
    RefusalReason.OUTSIDE_ENTRY_WINDOW: "Before or after `session.entries`, or too close to the day's flat_by.",
    RefusalReason.EVENT_DAY: "A date in the events file.",
    RefusalReason.GAP_WAIT: "The index opened far from yesterday's close; see `guards.gap`.",
    RefusalReason.SPIKE_WAIT: "A one-minute move far beyond its time of day; see `guards.spike`.",
    RefusalReason.EXPIRY_DAY: "The contract expires sooner than `expiry.min_dte` allows, or today and costs under Rs 25.",
    RefusalReason.FEED_DOWN: "The market feed is lost or silent.",
    RefusalReason.ORDER_FEED_DOWN: "The order feed is lost: fills would come late.",
    RefusalReason.TERMS_CHANGED: (
        "The catalog's lot, freeze quantity or tick of this index changed, and nobody has accepted it "
        "(`scalper instruments accept INDEX`)."
    ),
    RefusalReason.CANDLES_MISSED: (
        "Prints were missed (the feed was lost, or the start fell inside a minute) and the broker's own minutes have not "
        "replaced ours yet."
    ),
    RefusalReason.INDEX_STALE: "The index's last price is older than `fresh.index`, or the index is not quoted now.",
    RefusalReason.OPTION_STALE: "The option's last price is older than `fresh.option`.",
    RefusalReason.CHAIN_STALE: "The option chain is older than `fresh.chain`.",
    RefusalReason.CHAIN_MISSING: "No option chain of the wanted expiry has arrived.",
    RefusalReason.LAGGING: "Our prices trail the exchange's time by more than `fresh.lag`.",
    RefusalReason.NO_STRIKE_IN_BAND: "No strike from ATM to `strike.max_otm` costs what the premium band allows.",
    RefusalReason.OPEN_INTEREST_LOW: "Open interest is under `strike.min_oi`.",
    RefusalReason.SPREAD_WIDE: "Bid and ask lie further apart than `strike.max_spread`.",
    RefusalReason.BOOK_THIN: "Fewer lots are offered on five levels than `strike.min_top5`.",
    RefusalReason.BREAKEVEN_FAR: "The round trip's charges are too large a part of the target; see `guards.breakeven`.",
    RefusalReason.VIX_UNKNOWN: "India VIX has not been seen, and `guards.vix` is on.",
    RefusalReason.VIX_HIGH: "India VIX is above what `guards.vix` allows.",
    RefusalReason.DUPLICATE: "The contract is held or an entry for it works already.",
    RefusalReason.OPPOSITE_OPEN: "A position in the other direction is open.",
    RefusalReason.SAME_SIDE_FULL: "`max_same_side` positions of the index point this way already.",
    RefusalReason.OPEN_LIMIT: "`limits.open` positions are open.",
    RefusalReason.UNKNOWN_ORDER: "The fate of an earlier order of the contract is not settled yet.",
    RefusalReason.FOREIGN_POSITION: "Somebody else's position or order stands in this contract.",
    RefusalReason.COOLDOWN: "Within `cooldown_sec` of the index's last trade.",
    RefusalReason.AFTER_LOSS: "Within `limits.after_loss` of a losing trade.",
    RefusalReason.LOSSES_IN_ROW: "A pause of `limits.losses_in_row`.",
    RefusalReason.TRADES_PER_DAY: "`limits.trades_day` entries have been taken.",
    RefusalReason.DAY_LOSS: "The day's loss has reached `limits.day_loss`.",
    RefusalReason.WEEK_LOSS: "The week's loss has reached `limits.week_loss`.",
    RefusalReason.GIVEBACK: "The day gave back more of its best result than `limits.giveback` allows.",
    RefusalReason.BUDGET_SPENT: "What may still be lost today is less than this trade's risk.",
    RefusalReason.OUTLAY_CAP: "One lot costs more than `size.outlay` allows.",
    RefusalReason.RISK_CAP: "One lot risks more than `size.risk_per_trade` allows.",
    RefusalReason.CASH_SHORT: "One lot costs more than the cash that may be used.",
    RefusalReason.ORDER_RATE: "Our own cap on orders per second, minute or day.",
    RefusalReason.SIGNAL_DISABLED: "The signal raised an error today and is off until the next session.",
}

EXITS: dict[ExitReason, str] = {
    ExitReason.HOLD: "Stay. Never written as an exit.",
    ExitReason.EMERGENCY_STOP: "The price reached the emergency stop; its first appearance is enough.",
    ExitReason.STOP_LOSS: "The price reached the stop loss, and the price was trustworthy.",
    ExitReason.TRAILING_STOP: "The price fell back to a stop that the trail had raised.",
    ExitReason.TARGET: "The bid reached the target.",
    ExitReason.FLAT_BY: "The time by which every position is left.",
    ExitReason.TIME_STOP: "Held for `exit.time_stop` without the gain it asks for.",
    ExitReason.BLIND: "No trustworthy price for `exit.blind`.",
    ExitReason.FLOOR_TRADED: "The resting sell at the exchange was hit.",
    ExitReason.OPERATOR_CLOSE: "A person asked for this position to be closed.",
    ExitReason.KILL: "A person asked for everything to be closed.",
    ExitReason.DAY_LOSS: "The day's loss limit closes what is open.",
    ExitReason.FLOOR_MISSING: "The resting sell could not be put or kept at the exchange.",
    ExitReason.LATE_FILL: "An entry was filled after it was believed over.",
    ExitReason.OPERATOR_TOOK_OVER: "A person took the position in the broker's app; we only watch it.",
    ExitReason.CLOSED_AT_BROKER_BY_PERSON: "A person sold it in the broker's app.",
    ExitReason.BROKER_SQUARE_OFF: "The broker squared it off at the end of its intraday session.",
    ExitReason.BROKER_PNL_EXIT: "The broker's own P&L exit sold it.",
    ExitReason.MARGIN_SQUARE_OFF: "The broker sold it for want of margin.",
    ExitReason.EXPIRED: "The contract expired while held.",
}

KINDS: dict[DecisionKind, str] = {
    DecisionKind.ENTRY: "An entry order was sent, with the readings behind it.",
    DecisionKind.EXIT: "A position is being left; the reason is one of the exits below.",
    DecisionKind.REFUSAL: "A signal did not become an order; the reason is one of the refusals below.",
    DecisionKind.NO_SIGNAL: "A closed candle gave no signal; the numbers say how far it was from one.",
    DecisionKind.STOP_MOVED: "The trail raised the stop.",
    DecisionKind.HALT: "No entries from here on.",
    DecisionKind.RESUME: "Entries again.",
    DecisionKind.HANDED_OVER: "A position is a person's from here on.",
}


EFFECTS: dict[Effect, str] = {
    Effect.READ: "reads",
    Effect.CHANGE: "changes",
    Effect.ORDER: "order",
}

WIRE_KINDS: dict[object, str] = {
    Paise: "rupees",
    Text: "text",
    Count: "whole number",
    Amount: "number",
    float: "number",
    int: "whole number",
    str: "text",
    bool: "true, false",
}


TABLES: dict[str, str] = {
    "audit_log": "What a person, or the lifeboat, did to the running of things.",
    "day_ledger": "An account's day: result, charges, trades, and why it was halted.",
    "fills": "Every growth of an order's filled quantity, as it was learned of. They add up to the order.",
    "halts": "Why entries were halted, by whom, and who lifted it. At most one stands for an account.",
    "intents": "The outbox: what was about to be asked of the broker, on disk before it left. An order is placed once.",
    "orders": "Every order by our correlation id, with its state and what came of it.",
    "positions": "Every position with its stop, trail, cost and proceeds. At most one is open for an account and contract.",
    "rule_overrides": "Rules changed at run time: they stand over `algo.yml` until they are taken back.",
    "rules_in_force": "What a day was last traded by.",
    "sessions": "Starts of the engine; the number is part of every correlation id.",
    "setting_changes": "Who changed which setting or rule, from what to what, and from when on it counts.",
    "settings": "Stored settings.",
    "soft_state": "Peaks, cooldowns and counters, every few seconds. Losing it loses no money.",
    "candles": "One-minute bars.",
    "catalog_changes": "What changed from one catalog to the next, and who has accepted it.",
    "catalog_current": "The one row that says which generation is the catalog.",
    "catalog_facts": "Statistics of the last import.",
    "catalog_generations": "Imports of the instrument master.",
    "decisions": "Why in, why out, why not, with the numbers. The journal has them too.",
    "derivatives": "Listed contracts of a generation.",
    "instruments": "Listed cash instruments and indices of a generation.",
    "job_runs": "Runs of jobs. A job's time is claimed once; no two runs of one job overlap.",
    "signals": "Signals of the indices.",
    "watchlist_items": "What is watched beside what is traded.",
}

ELSEWHERE: tuple[tuple[str, str], ...] = (
    ("position trackers", "`positions`"),
    ("outbox", "`intents`"),
    ("daily ledger, daily P&L", "`day_ledger`"),
    ("candle series", "`candles`"),
    ("import statistics in `settings`", "`catalog_facts`, under their names"),
    (
        "access tokens",
        "no table: an encrypted file for each account ([why](../adr/0013-the-kept-token-is-a-file.md))",
    ),
)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; bars inside a cell are escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def configuration_page() -> str:
    """Every key of ``algo.yml``."""
    rows = []
    for key in KEYS:
        default = ", ".join(map(str, key.default)) if isinstance(key.default, tuple) else str(key.default)
        if key.path.endswith(".premium"):
            default = "; ".join(f"{name} {band}" for name, band in PREMIUM_DEFAULTS.items())
        elif key.default is None:
            default = "by the name"
        shown = key.path.replace(f"{INDEX_SECTION}.*", f"{INDEX_SECTION}.<name>")
        rows.append((f"`{shown}`", f"`{default}`", key.written, key.meaning))
    older = [(f"`{name.replace('.*.', '.<name>.')}`", remedy) for name, remedy in ORIGINAL_KEYS.items()]
    return f"""# Configuration: `config/algo.yml`

{WRITTEN_BY}
YAML 1.2. Percentages carry their sign (`20%`), durations their unit (`180s`, `45m`), money is in rupees, times are
IST. A key left out takes its default. A key that does not exist or is written twice, a wrong unit, an impossible value
and two values in conflict are refused at start-up, with file, line and remedy. Every set of rules has a version, a
number made of its content, and every decision names the version it was taken under.

{table(("Key", "Default", "Written as", "Meaning"), rows)}
`settings:` may hold variables of [environment](environment.md) by name, secrets excepted.

## Indices

`indices` is a mapping by name (NIFTY, BANKNIFTY, FINNIFTY, SENSEX) or a list whose items carry `key`.

```yaml
indices:
  NIFTY:
    key: "NIFTY"          # the name again; may be left out
    sid: "13"             # Dhan's security id of the index; may be left out, and is checked when given
    segment: "IDX_I"      # the exchange segment the index is quoted in
    max_same_side: 1      # most positions in one direction
    multiplier: 1         # scales capital x multiplier / premium in the size formula; lifts no cap
    cooldown_sec: 30      # wait after a trade, in seconds
```

## Days without trades

The file named by `guards.events` has the columns `date,event`, one ISO date a line. Its name is relative to the folder
above `config/`.

## Keys of older files

These are refused, each with its new name.

{table(("Older key", "What to do"), older)}"""


def environment_page() -> str:
    """Every variable."""
    rows = [
        (
            f"`{variable.name}`",
            ", ".join(f"`{name}`" for name in variable.older) or "",
            f"`{variable.default}`" if variable.default else "",
            "text" if variable.kind is Kind.SECRET else str(variable.kind),
            variable.meaning,
        )
        for variable in VARIABLES
    ]
    ignored = [(f"`{name}`", why) for name, why in IGNORED.items()]
    ignored += [(f"`{beginning}*`, all others", why) for beginning, why in IGNORED_FAMILIES.items()]
    return f"""# Environment

{WRITTEN_BY}
## Where a setting comes from

A name is looked for in

1. the environment,
2. `.env`,
3. the `settings:` part of `algo.yml`,
4. the settings stored from the page,
5. the built-in defaults.

The first that says something wins; an empty value says nothing. Only when none of the first four has the name, its
older names are looked for in the same order. `.env` never changes the environment. A `.env` has `NAME=value` lines;
values are taken as written, without `${{OTHER}}` substitution, and a name written twice is refused.

**Money is the exception.** `mode`, `PAPER_MODE` and `ENABLE_ORDER` are asked for in every place that has them, and one
that is missing, empty, unreadable or different keeps to paper.

## Variables

{table(("Name", "Older names", "Default", "Kind", "Meaning"), rows)}
## Known and without effect

Named at start-up when they are set.

{table(("Name", "Why"), ignored)}"""


def reasons_page() -> str:
    """Every reason a decision can carry."""
    return f"""# Reasons

{WRITTEN_BY}
Every decision carries one of these and the numbers behind it. `scalper why` finds them by time.

## Kinds of decision

{table(("Kind", "Meaning"), ((f"`{kind}`", KINDS[kind]) for kind in DecisionKind))}
## Refusals: why a signal did not become an order

A *refusal* is ours; a *rejection* is the broker's.

{table(("Reason", "Meaning"), ((f"`{reason}`", REFUSALS[reason]) for reason in RefusalReason))}
## Exits: why a position was left

{table(("Reason", "Meaning"), ((f"`{reason.name.lower()}`", EXITS[reason]) for reason in ExitReason))}"""


def jobs_page() -> str:
    """Every job of the desk and its rules."""
    rows = [
        (
            f"`{job.name}`",
            job.when.said,
            job.what,
            f"made up within {_span(job.make_up_ns)}" if job.make_up_ns else "left out",
            _span(job.limit_ns),
            "database" if job.once_a_database else "account",
            _on_a_simulator(job),
        )
        for job in JOBS
    ]
    kept = [
        ("Decisions of the account", f"{retention.DECISION_DAYS} days"),
        ("Signals of the account", f"{retention.SIGNAL_DAYS} days"),
        ("One-minute candles", f"{retention.CANDLE_DAYS} days"),
        ("Journals", f"{retention.JOURNAL_DAYS} days"),
        ("Runs of jobs", f"{retention.RUN_DAYS} days"),
        *((f"Runs of `{job}`", f"{days} days") for job, days in retention.RUN_DAYS_OF.items()),
        ("Backups", f"the newest {backup.KEPT}"),
        ("Orders, fills, positions, ledger, halts, audit log, reports", "for good"),
    ]
    return f"""# Jobs

{WRITTEN_BY}
What the desk of `scalper run` does by the clock, beside the trading. Times are Indian; *open* and *close* are those of
the options market on that date, and a day without a session has no jobs but `health`. `scalper jobs list` shows the next
and the last run of each, `scalper jobs run NAME` runs one now, `scalper jobs history` and `GET /api/jobs` show what was
done. The access token is renewed by its own keeper, not by a job; the engine asks for option chains itself.

{table(("Job", "When", "What it does", "A missed run is", "At most", "Once for each", "On a simulator"), rows)}
- A run is claimed by a row of job, account and time that the database lets exist once: of several desks on one database,
  SQLite or PostgreSQL, exactly one runs it.
- A job never overlaps itself: while one run says *running* the database takes no second, by clock or by hand.
- A run says every minute that it is alive. One that was silent for {_span(SILENT_NS)} was abandoned by a process that
  died; if its rule makes missed runs up, a desk that lives does it again.
- Of several missed times of a job only the last is made up. On a new database nothing was missed, but the catalog is
  imported.
- Every run is recorded: the time it was for, start, end, outcome (done, failed, skipped, abandoned), what it said, by
  whom, and whether by the clock, made up, or by hand.
- What fails is an alarm among the page's notices and on the terminal; while it goes on failing it is said again after an
  hour, and once when it is well again. `health` is an alarm after the second failure in a row.

## What is kept how long

{table(("What", "Kept"), kept)}
A backup is a folder under `backups/` of the data folder, named by its day and time; `scalper db restore` puts it back."""


def _span(span_ns: int) -> str:
    for unit_ns, one, many in ((NS_PER_DAY, "day", "days"), (60 * NS_PER_MINUTE, "hour", "hours")):
        if span_ns >= unit_ns and span_ns % unit_ns == 0:
            return f"{span_ns // unit_ns} {one if span_ns == unit_ns else many}"
    minutes = span_ns // NS_PER_MINUTE
    return f"{minutes} minute{'s' if minutes > 1 else ''}"


def _on_a_simulator(job: Job) -> str:
    if Market.SIMULATED in job.markets:
        return "the same"
    return "when its day is over" if job.ends_simulated_day else "not"


def dhan_endpoints_page() -> str:
    """Every call of the broker's REST service, what it sends and what it answers."""
    calls = [
        (
            f"`{endpoint.name}`",
            f"`{endpoint.method} {'https://auth.dhan.co' if endpoint.host is Host.AUTH else ''}{endpoint.path}`",
            _sent(endpoint),
            _answered(endpoint),
            EFFECTS[endpoint.effect] + (", from the static IP" if endpoint.needs_address else ""),
            str(endpoint.family),
            endpoint.summary,
        )
        for endpoint in ENDPOINTS
    ]
    return f"""# Calls of DhanHQ v2

{WRITTEN_BY}
The table that `algo_scalper.adapters.dhan` asks by, and the methods of `DhanClient` with it. Paths are under
`https://api.dhan.co/v2` unless they name another host. `dhanClientId` is added to every body.

*reads*: may be repeated. *changes*: the account; never repeated, a lost answer is an error that says so. *order*: never
repeated, answered by accepted, rejected or unknown. *Budget*: the family of limits a call is counted in.

{table(("Call", "Request", "Sends", "Answers", "Does", "Budget", "What for"), calls)}
## What is sent

Money is in paise in the code, in fields that end in `_paise`, and in rupees on the wire. A field without a default must
be given; one whose default is *left out* is not sent.

{"".join(_struct_part(struct, bodies, sent=True) for struct in _structs(bodies))}
## What is answered

Every field may be absent; then it is empty or zero. Rupees on the wire are paise in the code.

{"".join(_struct_part(struct, replies, sent=False) for struct in _structs(replies))}"""


def _sent(endpoint: Endpoint[Any]) -> str:
    parts = [f"[{endpoint.body.__name__}](#{endpoint.body.__name__.lower()})"] if endpoint.body is not None else []
    parts += [f"query `{name}`" for name in endpoint.query]
    parts += [f"header `{name}`" for name in endpoint.headers]
    return ", ".join(parts)


def _answered(endpoint: Endpoint[Any]) -> str:
    kind = get_args(endpoint.reply)[0] if endpoint.rows else endpoint.reply
    return f"{'list of ' if endpoint.rows else ''}[{kind.__name__}](#{kind.__name__.lower()})"


def _structs(module: ModuleType) -> list[type[msgspec.Struct]]:
    found = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    return [one for one in found if one.__module__ == module.__name__ and one.__struct_fields__]


def _struct_part(struct: type[msgspec.Struct], module: ModuleType, *, sent: bool) -> str:
    notes = {name: note for one in reversed(struct.__mro__) for name, note in _notes(module).get(one.__name__, ())}
    rows = []
    for field in msgspec.structs.fields(struct):
        row = [f"`{field.encode_name}`", "`" + field.name + "`", _kind(field.type)]
        if sent:
            row.append(_field_default(field))
        rows.append((*row, notes.get(field.name, "")))
    head = ("On the wire", "In the code", "Kind", *(("Default",) if sent else ()), "Note")
    return f"### {struct.__name__}\n\n{inspect.getdoc(struct)}\n\n{table(head, rows)}\n"


def _notes(module: ModuleType) -> dict[str, list[tuple[str, str]]]:
    """The strings written under the fields of each class."""
    classes = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)]
    return {node.name: list(_field_notes(node)) for node in classes}


def _field_notes(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, note in zip(node.body, node.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(note, ast.Expr) and isinstance(note.value, ast.Constant):
            yield field.target.id, " ".join(str(note.value.value).split())


def _kind(kind: Any) -> str:
    for one in (kind, *get_args(kind)):
        for unit in getattr(one, "__metadata__", ()):
            return str(unit)
    if get_origin(kind) is tuple:
        return f"list of {_kind(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return f"by name, {_kind(get_args(kind)[1])}"
    others = [one for one in get_args(kind) if one is not NoneType]
    if others:
        return _kind(others[0])
    return WIRE_KINDS.get(kind) or f"[{kind.__name__}](#{kind.__name__.lower()})"


def _field_default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT:
        return ""
    if field.default is None:
        return "left out"
    value = ", ".join(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _default(value: object) -> str:
    """A flag's default for the table; a switch that is off and an empty text need no words."""
    return f"`{value}`" if isinstance(value, str | int | float | Path) and value not in (False, "") else ""


def cli_page() -> str:
    """Every command of ``scalper`` with its flags."""
    main = importlib.import_module(CLI_MODULE)
    group = typer.main.get_command(main.app)
    assert isinstance(group, TyperGroup)
    parts = [f"# Commands\n\n{WRITTEN_BY}\n`scalper --help` and `scalper COMMAND --help` say the same.\n"]
    for name, command in _commands(group):
        rows = [
            (
                f"`{(parameter.name or '').upper()}`"
                if isinstance(parameter, TyperArgument)
                else ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts)),
                _default(parameter.default),
                " ".join((getattr(parameter, "help", None) or "").split()),
            )
            for parameter in command.params
            if not getattr(parameter, "hidden", False)
        ]
        parts.append(f"\n## `scalper {name}`\n\n{(command.help or '').replace(chr(8), '').strip()}\n")
        if rows:
            parts.append("\n" + table(("Flag", "Default", "Meaning"), rows))
    return "".join(parts)


def _commands(group: TyperGroup, above: str = "") -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    """Every command that is shown by its full name, a group before its commands."""
    for name in sorted(group.commands):
        command = group.commands[name]
        assert isinstance(command, TyperCommand | TyperGroup)
        if command.hidden:
            continue
        yield f"{above}{name}", command
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{above}{name} ")


def database_page() -> str:
    """Both stores: every table, column and rule, and how long rows are kept."""
    kept = [
        ("`decisions`", f"{retention.DECISION_DAYS} days"),
        ("`signals`", f"{retention.SIGNAL_DAYS} days"),
        ("`candles`", f"{retention.CANDLE_DAYS} days"),
        (
            "`job_runs`",
            f"{retention.RUN_DAYS} days; "
            + ", ".join(f"of {job} {days} days" for job, days in retention.RUN_DAYS_OF.items()),
        ),
        ("`instruments`, `derivatives`", "the catalog and the generation before it"),
        ("journals, which are files", f"{retention.JOURNAL_DAYS} days"),
        ("backups", f"the newest {backup.KEPT}, of those the job makes"),
        ("everything else, all of the trading store among it", "for good"),
    ]
    return f"""# Database

{WRITTEN_BY}
Two stores: **trading** is money, written by the engine alone; **reference** is what it is decided by. Two SQLite files under
the data folder, or two schemas of the PostgreSQL database of `DATABASE_URL`
([environment](environment.md), [back up and move](../how-to/back-up-and-move.md)).

`_paise` are whole paise, `_ns` are UTC nanoseconds, days are IST trading dates, `record` is the whole record (msgpack).
`account` is in every row and key of the trading store. Rules are the database's own, and `scalper db check` looks for
what breaks them all the same.

## Where it is

{table(("Elsewhere called", "Here"), ELSEWHERE)}
## How long rows are kept

{table(("Rows", "Kept"), kept)}
{_store_part("trading")}{_store_part("reference")}"""


def _store_part(part: Part) -> str:
    tables = [METADATA[part].tables[name] for name in sorted(METADATA[part].tables)]
    shown = "".join(_table_part(one) for one in tables)
    return f"## The {part} store\n\nRevision `{HEAD[part]}`.\n\n{shown}"


def _table_part(one: sa.Table) -> str:
    rows = [
        (
            f"`{column.name}`",
            str(column.type).lower(),
            "key" if column.primary_key else "may be empty" if column.nullable else "",
        )
        for column in one.c
    ]
    rules = [f"`{rule.name}`: {rule.sqltext}" for rule in one.constraints if isinstance(rule, sa.CheckConstraint)]
    rules += [
        f"`{key.name}`: {', '.join(key.column_keys)} of a row of `{key.referred_table.name}`"
        for key in one.foreign_key_constraints
    ]
    for index in one.indexes:
        where = index.dialect_options["sqlite"].get("where")
        if index.unique:
            only = f" where {where}" if where is not None else ""
            rules.append(f"`{index.name}`: {', '.join(column.name for column in index.columns)} at most once{only}")
    said = "".join(f"- {rule}\n" for rule in sorted(rules))
    return f"### {one.name}\n\n{TABLES[one.name]}\n\n{table(('Column', 'Type', ''), rows)}\n{said}\n".replace(
        "\n\n\n", "\n\n"
    )


def pages() -> dict[str, Callable[[], str]]:
    """File name to the function that writes it. The commands' page needs the command line to be there."""
    found = {
        "configuration.md": configuration_page,
        "environment.md": environment_page,
        "reasons.md": reasons_page,
        "database.md": database_page,
        "jobs.md": jobs_page,
        "dhan-endpoints.md": dhan_endpoints_page,
    }
    if importlib.util.find_spec(CLI_MODULE) is not None:
        found["cli.md"] = cli_page
    return found


def main() -> None:
    """Write the pages, or say which are out of date."""
    stale = []
    for name, write in pages().items():
        path, text = FOLDER / name, write().rstrip() + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    print(f"out of date: {', '.join(stale)}" if stale else "docs/reference is up to date")
    if stale and "--check" in sys.argv:
        sys.exit(1)


if __name__ == "__main__":
    main()
