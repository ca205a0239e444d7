"""All the engine can be told. Past tense; frozen values; each carries its own time."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec

from algo_scalper.domain.account import DayLedger, Funds
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.market import Candle, OptionChain, Tick
from algo_scalper.domain.orders import BrokerOrder, BrokerPosition, Order, Request
from algo_scalper.domain.positions import Position
from algo_scalper.domain.rules import Rules


class BookRead(msgspec.Struct, frozen=True, tag="book", array_like=True):
    """The broker's whole day book, positions and funds, as read between ``began_ns`` and ``at_ns``."""

    at_ns: int
    began_ns: int
    orders: tuple[BrokerOrder, ...]
    positions: tuple[BrokerPosition, ...]
    funds: Funds


class BookUnread(msgspec.Struct, frozen=True, tag="unbook", array_like=True):
    """The book could not be read. Nothing is concluded from it."""

    at_ns: int
    detail: str


class SoftState(msgspec.Struct, frozen=True):
    """What is worth keeping over a restart but is not money: written beside the path, lost without harm."""

    at_ns: int
    cooldown_until_ns: dict[str, int]
    """By index name: no re-entry before this."""
    paused_until_ns: int = 0
    """No entry at all before this (after a loss)."""


class SessionStarted(msgspec.Struct, frozen=True, tag="start", array_like=True):
    """The first event of a journal: everything the engine is born with.

    ``tag`` begins every correlation id of this account, ``epoch`` is the durable number of this process start.
    ``positions``, ``orders`` and ``ledger`` are our own books as stored; the broker's answers follow as `BookRead`.
    ``previous_close_paise`` is by index key.
    """

    at_ns: int
    account: str
    tag: str
    epoch: int
    code_version: str
    source_hash: str
    day: date
    market: str
    money: str
    rules: Rules
    contracts: tuple[Contract, ...]
    previous_close_paise: dict[int, int]
    ledger: DayLedger
    positions: tuple[Position, ...] = ()
    orders: tuple[Order, ...] = ()
    soft: SoftState | None = None
    standing_halt: str = ""


class HistoryLoaded(msgspec.Struct, frozen=True, tag="history", array_like=True):
    """One-minute candles of an index before now, oldest first: warm-up for its readings."""

    at_ns: int
    key: int
    candles: tuple[Candle, ...]


class SecondPassed(msgspec.Struct, frozen=True, gc=False, tag="s", array_like=True):
    """A whole second of the session's clock."""

    at_ns: int


class FeedLost(msgspec.Struct, frozen=True, tag="lost", array_like=True):
    """The market feed or the order feed is gone or silent; ``feed`` is ``market`` or ``orders``."""

    at_ns: int
    feed: str
    detail: str


class FeedRestored(msgspec.Struct, frozen=True, tag="restored", array_like=True):
    """The feed is back and everything is subscribed again; what happened since ``lost_ns`` was missed (0: not known)."""

    at_ns: int
    feed: str
    lost_ns: int = 0


class OrderAccepted(msgspec.Struct, frozen=True, tag="accepted", array_like=True):
    """Yes to a request: it was taken, nothing more."""

    at_ns: int
    order_id: str
    request: Request
    broker_id: str


class OrderRejected(msgspec.Struct, frozen=True, tag="rejected", array_like=True):
    """No to a request, said by the broker."""

    at_ns: int
    order_id: str
    request: Request
    reason: str


class OrderUnknown(msgspec.Struct, frozen=True, tag="unknown", array_like=True):
    """Neither yes nor no: the request may have arrived. Its connection was closed at ``at_ns``."""

    at_ns: int
    order_id: str
    request: Request
    detail: str


class OrderDropped(msgspec.Struct, frozen=True, tag="dropped", array_like=True):
    """Our own lane did not send the request; ``reason`` is for example ``not_durable``."""

    at_ns: int
    order_id: str
    request: Request
    reason: str


class OrderReported(msgspec.Struct, frozen=True, tag="report", array_like=True):
    """A push of the order socket: a row of the broker's book as it stands now, ours or foreign."""

    at_ns: int
    row: BrokerOrder


class ContractsChecked(msgspec.Struct, frozen=True, tag="checked", array_like=True):
    """What the instrument catalog says: indices whose contract terms changed and that nobody has accepted yet.

    ``waiting`` by index name: the change in words. It replaces what was said before.
    """

    at_ns: int
    waiting: dict[str, str]


class OperatorWord(StrEnum):
    """What a person may say."""

    HALT = "halt"
    RESUME = "resume"
    CLOSE = "close"
    KILL = "kill"
    APPLY = "apply"
    """Leave this position by the exit rules of now instead of those it was opened under."""


class OperatorAsked(msgspec.Struct, frozen=True, tag="operator", array_like=True):
    """A person's word; ``target`` is a position id for CLOSE and APPLY, else empty."""

    at_ns: int
    word: OperatorWord
    target: str
    by: str


class RulesChanged(msgspec.Struct, frozen=True, tag="rules", array_like=True):
    """The whole validated rules, in effect from this event on."""

    at_ns: int
    rules: Rules
    by: str


class SessionStopping(msgspec.Struct, frozen=True, tag="stopping", array_like=True):
    """The process is asked to end (Ctrl-C, end of the day). Nothing is begun after it; only a floor may still be sent."""

    at_ns: int
    why: str


Event = (
    SessionStarted
    | HistoryLoaded
    | Tick
    | OptionChain
    | SecondPassed
    | ContractsChecked
    | FeedLost
    | FeedRestored
    | OrderAccepted
    | OrderRejected
    | OrderUnknown
    | OrderDropped
    | OrderReported
    | BookRead
    | BookUnread
    | OperatorAsked
    | RulesChanged
    | SessionStopping
)
