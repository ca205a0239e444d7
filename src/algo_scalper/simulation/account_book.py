"""What a simulated account remembers: orders, holdings, fills, cash. Records only; `exchange` moves them."""

from __future__ import annotations

from datetime import date

import msgspec

from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, OrderKind, Product, Side

LIVE = frozenset({BrokerStatus.TRANSIT, BrokerStatus.PENDING, BrokerStatus.PART_TRADED})
"""An order in one of these may still trade."""


class Particulars(msgspec.Struct, frozen=True):
    """What an order carries besides price and quantity. The exchange acts on the first two alone."""

    immediate: bool = False
    """IOC: what does not trade at once is cancelled."""
    after_open_s: int | None = None
    """An after-market order: kept until so many seconds after the open; None for one that goes at once."""
    disclosed_quantity: int = 0
    parent_id: str = ""
    """The order whose exit this is, or the entry itself when it carries a target and a stop."""
    leg: str = ""
    """``ENTRY_LEG``, ``TARGET_LEG`` or ``STOP_LOSS_LEG``; empty for an order by itself."""


PLAIN = Particulars()


class ExchangeOrder(msgspec.Struct):
    """An order as the exchange keeps it."""

    broker_id: str
    correlation_id: str
    key: int
    side: Side
    kind: OrderKind
    product: Product
    quantity: int
    price_paise: int
    trigger_paise: int
    created_ns: int
    updated_ns: int
    priority: int
    """Arrival number; a changed price or a larger quantity gets a new one."""
    status: BrokerStatus = BrokerStatus.TRANSIT
    filled_quantity: int = 0
    filled_value_paise: int = 0
    charges_paise: int = 0
    triggered: bool = False
    """A stop-limit whose trigger has been reached works as a limit."""
    queue_ahead: int = 0
    """Contracts that stood before ours at our price when it came to rest."""
    sweeping: bool = False
    """It took all that was shown within its limit and goes on taking with the next quote."""
    modifications: int = 0
    reason: str = ""
    particulars: Particulars = PLAIN
    is_kept: bool = False
    """An after-market order that has not gone to the exchange yet."""

    @property
    def remaining(self) -> int:
        """What may still trade."""
        return self.quantity - self.filled_quantity if self.status in LIVE else 0

    @property
    def is_resting_stop(self) -> bool:
        """A stop-limit still waiting for its trigger."""
        return self.kind is OrderKind.STOP_LIMIT and not self.triggered

    def row(self) -> BrokerOrder:
        """The row of the order book."""
        return BrokerOrder(
            self.correlation_id,
            self.broker_id,
            self.key,
            self.side,
            self.kind,
            self.status,
            self.quantity,
            self.filled_quantity,
            self.filled_value_paise,
            self.price_paise,
            self.trigger_paise,
            self.reason,
        )


class Holding(msgspec.Struct):
    """What the account has in one contract. ``intraday_quantity`` is the part the broker squares off by itself."""

    key: int
    net_quantity: int = 0
    intraday_quantity: int = 0
    bought_quantity: int = 0
    bought_value_paise: int = 0
    sold_quantity: int = 0
    sold_value_paise: int = 0


class Fill(msgspec.Struct, frozen=True):
    """One trade of the exchange; ``number`` counts from 1 over the day."""

    number: int
    broker_id: str
    correlation_id: str
    key: int
    side: Side
    quantity: int
    price_paise: int
    at_ns: int


class ExchangeState(msgspec.Struct):
    """Everything the exchange remembers, for keeping over a restart. Standing quotes are not kept: new ones come."""

    day: date
    cash_paise: int
    start_of_day_paise: int
    sequence: int = 0
    orders: list[ExchangeOrder] = []
    holdings: list[Holding] = []
    fills: list[Fill] = []
    squared_off: bool = False


class ExchangeChanges(msgspec.Struct, frozen=True):
    """What happened since it was last asked: rows in the order they came about, and the records as they stand now."""

    rows: tuple[BrokerOrder, ...]
    orders: tuple[ExchangeOrder, ...]
    holdings: tuple[Holding, ...]
    fills: tuple[Fill, ...]
    cash_paise: int
    sequence: int

    def __bool__(self) -> bool:
        """Did anything change?"""
        return bool(self.rows or self.fills)


def next_day(state: ExchangeState, day: date) -> ExchangeState:
    """The account on its next session: cash and overnight positions stay, orders and fills are of yesterday."""
    carried = [
        Holding(held.key, held.net_quantity, 0, held.net_quantity, _cost(held))
        for held in state.holdings
        if held.net_quantity > 0
    ]
    return ExchangeState(day, state.cash_paise, state.cash_paise, holdings=carried)


def _cost(held: Holding) -> int:
    return held.bought_value_paise * held.net_quantity // held.bought_quantity if held.bought_quantity else 0
