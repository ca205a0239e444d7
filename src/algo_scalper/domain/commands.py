"""What the engine can ask for. Imperatives; frozen values; the runtime performs them and answers with events."""

from __future__ import annotations

from datetime import date

import msgspec

from algo_scalper.domain.decisions import Decision
from algo_scalper.domain.orders import OrderKind, Product, Purpose, Side


class PlaceOrder(msgspec.Struct, frozen=True, tag="place", array_like=True):
    """A new limit or stop-limit, DAY validity. ``order_id`` is the correlation id (<= 25 characters)."""

    order_id: str
    key: int
    side: Side
    kind: OrderKind
    quantity: int
    price_paise: int
    trigger_paise: int
    purpose: Purpose
    product: Product


class ModifyOrder(msgspec.Struct, frozen=True, tag="modify", array_like=True):
    """The whole order as it shall stand; ``quantity`` is the new total, not the remainder."""

    order_id: str
    broker_id: str
    key: int
    kind: OrderKind
    quantity: int
    price_paise: int
    trigger_paise: int
    purpose: Purpose


class CancelOrder(msgspec.Struct, frozen=True, tag="cancel", array_like=True):
    """Withdraw what is still working."""

    order_id: str
    broker_id: str
    key: int
    purpose: Purpose


class ReadBook(msgspec.Struct, frozen=True, tag="readbook", array_like=True):
    """Read the whole order book, positions and funds; answered by `BookRead` or `BookUnread`."""

    why: str


class Subscribe(msgspec.Struct, frozen=True, tag="sub", array_like=True):
    """Add these to the interest set: their ticks become events."""

    keys: tuple[int, ...]


class Unsubscribe(msgspec.Struct, frozen=True, tag="unsub", array_like=True):
    """Take these out of the interest set."""

    keys: tuple[int, ...]


class PollChain(msgspec.Struct, frozen=True, tag="poll", array_like=True):
    """Keep delivering this underlying's option chain of this expiry, at the broker's pace."""

    underlying: str
    expiry: date


class ReadCandles(msgspec.Struct, frozen=True, tag="readcandles", array_like=True):
    """Read an index's minutes from the previous session's open until now; answered by `HistoryLoaded`, or by nothing."""

    key: int


class Notify(msgspec.Struct, frozen=True, tag="notify", array_like=True):
    """Tell a person. ``level`` is info, warning or alarm; ``code`` is stable, ``text`` is for reading."""

    at_ns: int
    level: str
    code: str
    text: str


OrderCommand = PlaceOrder | ModifyOrder | CancelOrder
COMMANDS = (
    PlaceOrder,
    ModifyOrder,
    CancelOrder,
    ReadBook,
    Subscribe,
    Unsubscribe,
    PollChain,
    ReadCandles,
    Notify,
    Decision,
)
Command = OrderCommand | ReadBook | Subscribe | Unsubscribe | PollChain | ReadCandles | Notify | Decision
