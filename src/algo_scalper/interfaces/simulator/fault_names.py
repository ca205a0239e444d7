"""Faults by name: what a person says to ``scalper fault``, presses on the status page or lets a seed draw.

A name is a `FaultRequest` with numbers to choose. Everything else a request can say is said as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from random import Random

import msgspec

from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.domain.units import NS_PER_SECOND, ist_ns, parse_clock_s
from algo_scalper.interfaces.simulator.faults import FaultRequest

Body = dict[str, object]

MOST_DRAWN = 20_000


class NamedFault(msgspec.Struct, frozen=True):
    """What it does, its body, and which of the body's fields go by a shorter word; ``share`` is how often it is drawn."""

    summary: str
    body: Body
    words: Mapping[str, str] = {}
    """Short word -> field of the body; ``a.b`` is a field of a field."""
    share: int = 0
    """Of all drawn faults, relative to the others; 0: never drawn."""
    after: Body = {}
    """What a seed's script does a minute later to end it."""


_SECONDS, _COUNT = "seconds", "count"
_FUNDS = "RMS:<orderId>:You have insufficient funds. Please add Rs.23.70 to trade."
_BAND = "EXCH:16284:The order price is out of the days price range."
_CIRCUIT = "RMS:<orderId>:Order Price needs to be Circuit Limits of 2915.70 to 3563.50"
_WELL: Body = {"token": "good"}


def _slow(field: str) -> dict[str, str]:
    return {"ms": f"{field}.ms", "p99_ms": f"{field}.p99_ms"}


FAULTS: dict[str, NamedFault] = {
    "clear": NamedFault("Everything works again.", {"clear": True}),
    # Connections
    "drop-feeds": NamedFault("Feed and depth sockets end without a close frame.", {"drop_feeds": True}, share=3),
    "reset-feeds": NamedFault("The same by a TCP reset.", {"drop_feeds": True, "hard": True}, share=3),
    "drop-updates-socket": NamedFault(
        "Order sockets end without a close frame.", {"drop_order_sockets": True}, share=3
    ),
    "refuse-feeds": NamedFault(
        "New feed connections are turned away: how=disconnect, 429, reset or no.",
        {"refuse_feeds": "429"},
        {"how": "refuse_feeds"},
        share=1,
        after={"refuse_feeds": "no"},
    ),
    "restart": NamedFault(
        "The broker starts again, its books kept.", {"restart": True, "down_s": 5.0}, {_SECONDS: "down_s"}, share=1
    ),
    "freeze": NamedFault("Nobody is answered, then everybody.", {"freeze_s": 10.0}, {_SECONDS: "freeze_s"}, share=2),
    # The account
    "token-dies": NamedFault("The token is dead until clear, or token=good.", {"token": "dead"}, share=1, after=_WELL),
    "token-minted": NamedFault("Another token is made elsewhere; clear brings the old one back.", {"mint": True}),
    "refuse-ip": NamedFault(
        "Order requests are answered Invalid IP.",
        {"refuse_ip": True},
        {"on": "refuse_ip"},
        share=1,
        after={"refuse_ip": False},
    ),
    "cancel-stop": NamedFault("A person cancels our resting sells.", {"hand": {"cancel_floor": True}}, share=2),
    "sell": NamedFault(
        "A person sells; quantity=all, or so many.", {"hand": {"sell": "all"}}, {"quantity": "hand.sell"}
    ),
    "buy": NamedFault(
        "A person buys more of what is held.",
        {"hand": {"buy": 65}},
        {"quantity": "hand.buy", "security": "hand.security_id"},
    ),
    # Requests
    "slow-requests": NamedFault(
        "Requests arrive late.",
        {"slow_requests": {"ms": 300.0, "p99_ms": 3_000.0}},
        _slow("slow_requests"),
        share=2,
        after={"slow_requests": {}},
    ),
    "slow-answers": NamedFault(
        "Answers come late.",
        {"slow_answers": {"ms": 300.0, "p99_ms": 3_000.0}},
        _slow("slow_answers"),
        share=2,
        after={"slow_answers": {}},
    ),
    "throttle": NamedFault("Every request is answered 429.", {"throttle_s": 10.0}, {_SECONDS: "throttle_s"}, share=3),
    "lose-requests": NamedFault("Order requests never arrive.", {"lose_before": 1}, {_COUNT: "lose_before"}, share=4),
    "lose-answers": NamedFault(
        "Orders arrive, the answers do not.", {"lose_after": 1}, {_COUNT: "lose_after"}, share=4
    ),
    "reject": NamedFault(
        "Order requests are refused with 400.",
        {"reject_next": 1, "reject_text": ""},
        {_COUNT: "reject_next", "text": "reject_text"},
        share=2,
    ),
    "refuse-funds": NamedFault(
        "Orders are taken and REJECTED for want of money.",
        {"refuse_next": 1, "refuse_text": _FUNDS},
        {_COUNT: "refuse_next", "text": "refuse_text"},
        share=2,
    ),
    "refuse-price": NamedFault(
        "Orders are taken and REJECTED outside the day's range.",
        {"refuse_next": 1, "refuse_text": _BAND},
        {_COUNT: "refuse_next"},
        share=1,
    ),
    "refuse-circuit": NamedFault(
        "Orders are taken and REJECTED outside the circuit limits.",
        {"refuse_next": 1, "refuse_text": _CIRCUIT},
        {_COUNT: "refuse_next"},
        share=1,
    ),
    # Messages
    "stall": NamedFault(
        "The feed stays connected and silent.", {"stall_feed_s": 20.0}, {_SECONDS: "stall_feed_s"}, share=3
    ),
    "lag": NamedFault(
        "The feed comes late.",
        {"slow_feed": {"ms": 5_000.0}},
        _slow("slow_feed"),
        share=2,
        after={"slow_feed": {}},
    ),
    "glue": NamedFault(
        "Half a second's packets come in one message.", {"glue_feed_s": 30.0}, {_SECONDS: "glue_feed_s"}, share=2
    ),
    "tear": NamedFault(
        "Feed messages end in the middle of a packet.", {"torn_feed": 1}, {_COUNT: "torn_feed"}, share=3
    ),
    "stall-updates": NamedFault(
        "Order updates stay away, for good.", {"stall_updates_s": 10.0}, {_SECONDS: "stall_updates_s"}, share=2
    ),
    "slow-updates": NamedFault(
        "Order updates come late.",
        {"slow_updates": {"ms": 500.0, "p99_ms": 5_000.0}},
        _slow("slow_updates"),
        share=2,
        after={"slow_updates": {}},
    ),
    "lose-updates": NamedFault("Order updates are lost.", {"drop_updates": 1}, {_COUNT: "drop_updates"}, share=3),
    "double-updates": NamedFault("They come twice.", {"duplicate_updates": 1}, {_COUNT: "duplicate_updates"}, share=3),
    "reorder-updates": NamedFault("They overtake.", {"reorder_updates": 1}, {_COUNT: "reorder_updates"}, share=3),
    "glue-updates": NamedFault("Two come in one message.", {"glue_updates": 1}, {_COUNT: "glue_updates"}, share=3),
    "tear-updates": NamedFault("They end in the middle.", {"torn_updates": 1}, {_COUNT: "torn_updates"}, share=1),
    # The market
    "thin": NamedFault("One lot at each level: fills come in parts.", {"thin_s": 60.0}, {_SECONDS: "thin_s"}, share=3),
    "slow-fills": NamedFault("Nothing of ours trades.", {"slow_fills_s": 30.0}, {_SECONDS: "slow_fills_s"}, share=2),
    "skew": NamedFault(
        "The broker's clock is wrong.", {"skew_s": 30.0}, {_SECONDS: "skew_s"}, share=1, after={"skew_s": 0.0}
    ),
}
"""Everything that can go wrong, in the order the documentation tells it."""


_TEXTS = {field.name for field in msgspec.structs.fields(FaultRequest) if field.type is str}


def named_request(name: str, words: Iterable[str]) -> Body:
    """The body of ``name`` with ``key=value`` words put into it. Raises `ConfigError` naming what is wrong."""
    fault = FAULTS.get(name)
    if fault is None:
        raise ConfigError(f"no fault is named {name!r}; there are {', '.join(FAULTS)}")
    body: Body = msgspec.json.decode(msgspec.json.encode(fault.body))
    for word in words:
        key, is_pair, value = word.partition("=")
        if not is_pair:
            raise ConfigError(f"{word!r}: write it as key=value; {name} takes {_taken(fault)}")
        place = fault.words.get(key, key)
        if key not in fault.words and key not in FaultRequest.__struct_fields__:
            raise ConfigError(f"{name} has no {key!r}; it takes {_taken(fault)}")
        _put(body, place.split("."), value if place in _TEXTS else _value(value))
    fault_request(body, name)
    return body


def fault_request(body: object, where: str) -> FaultRequest:
    """A body as a request. Raises `ConfigError` naming ``where`` it comes from."""
    try:
        request = msgspec.convert(body, FaultRequest)
    except msgspec.ValidationError as wrong:
        raise ConfigError(f"{where}: not a fault: {wrong}") from None
    if request.at:
        parse_clock_s(request.at, where)
    return request


def _taken(fault: NamedFault) -> str:
    return ", ".join((*fault.words, "at", "after_s", "account"))


def _value(text: str) -> object:
    try:
        value: object = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return value


def _put(body: Body, place: list[str], value: object) -> None:
    for name in place[:-1]:
        inner = body.setdefault(name, {})
        assert isinstance(inner, dict)
        body = inner
    # A word such as refuse_feeds=429 is a text to the request, though it looks like a number.
    body[place[-1]] = (
        str(value) if isinstance(body.get(place[-1]), str) and value != 0 and place[-1] != "sell" else value
    )


def due_ns(request: FaultRequest, day: date, now_ns: int) -> int:
    """The instant at which a request is to take effect; ``now_ns`` for one that says nothing of it."""
    if request.at:
        return ist_ns(day, parse_clock_s(request.at, "at"))
    return request.at_ns or now_ns + round(request.after_s * NS_PER_SECOND)


def read_script(path: Path) -> tuple[FaultRequest, ...]:
    """A JSON list of requests, each with its ``at``, ``at_ns`` or ``after_s``; a text stands for the fault of that name.

    Raises `DataError` or `ConfigError` naming the file and the entry.
    """
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=list[Body])
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror})") from None
    except msgspec.DecodeError as wrong:
        raise DataError(f"{path}: not a list of faults: {wrong}") from None
    found = []
    for number, entry in enumerate(listed, start=1):
        where = f"{path}, entry {number}"
        name = entry.pop("fault", None)
        if name is not None and (not isinstance(name, str) or name not in FAULTS):
            raise ConfigError(f"{where}: no fault is named {name!r}; there are {', '.join(FAULTS)}")
        found.append(fault_request({**FAULTS[name].body, **entry} if isinstance(name, str) else entry, where))
    return tuple(found)


def drawn_faults(seed: int, an_hour: float, start_ns: int, end_ns: int) -> tuple[FaultRequest, ...]:
    """Faults at random instants between two, ``an_hour`` of them on average: the same for the same seed.

    What does not end by itself is ended after a minute.
    """
    if an_hour <= 0:
        return ()
    chance = Random(seed)  # noqa: S311 - faults are drawn, not secrets
    names = [name for name, fault in FAULTS.items() if fault.share]
    shares = [FAULTS[name].share for name in names]
    found: list[FaultRequest] = []
    at_ns = start_ns
    while len(found) < MOST_DRAWN:
        at_ns += round(chance.expovariate(an_hour / 3_600) * NS_PER_SECOND) + 1
        if at_ns >= end_ns:
            break
        fault = FAULTS[chance.choices(names, shares)[0]]
        found.append(fault_request({**fault.body, "at_ns": at_ns}, "a drawn fault"))
        if fault.after:
            found.append(fault_request({**fault.after, "at_ns": at_ns + 60 * NS_PER_SECOND}, "a drawn fault"))
    return tuple(found)
