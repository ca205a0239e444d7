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
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from algo_scalper.adapters.dhan import bodies, replies
from algo_scalper.adapters.dhan.endpoints import ENDPOINTS
from algo_scalper.adapters.dhan.wire import Amount, Count, Effect, Endpoint, Host, Paise, Text
from algo_scalper.domain.decisions import DecisionKind, ExitReason, RefusalReason
from algo_scalper.runtime.algo_keys import INDEX_SECTION, KEYS, ORIGINAL_KEYS, PREMIUM_DEFAULTS
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
    RefusalReason.EXPIRY_DAY: "The contract expires sooner than `expiry.min_dte` allows.",
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


def pages() -> dict[str, Callable[[], str]]:
    """File name to the function that writes it. The commands' page needs the command line to be there."""
    found = {
        "configuration.md": configuration_page,
        "environment.md": environment_page,
        "reasons.md": reasons_page,
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
