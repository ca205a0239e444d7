"""Orders: what we asked for, what the broker says of it, and the one table of states between them."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from algo_scalper.domain.errors import IllegalTransition


class Side(IntEnum):
    """Buy or sell."""

    BUY = 1
    SELL = 2


class OrderKind(IntEnum):
    """We send limits and stop-limits only: a MARKET order becomes a protected limit at the broker anyway."""

    LIMIT = 1
    STOP_LIMIT = 2


class Product(StrEnum):
    """INTRADAY is squared off by the broker at 15:20 even when this engine is dead; MARGIN is not."""

    INTRADAY = "INTRADAY"
    MARGIN = "MARGIN"


class Purpose(IntEnum):
    """Why the order exists. A position has at most one live EXIT order."""

    ENTRY = 1
    EXIT = 2


class Request(StrEnum):
    """The three things one can ask a broker to do with an order."""

    PLACE = "place"
    MODIFY = "modify"
    CANCEL = "cancel"


class BrokerStatus(StrEnum):
    """The broker's own word for an order, as printed in its book."""

    TRANSIT = "TRANSIT"
    PENDING = "PENDING"
    PART_TRADED = "PART_TRADED"
    TRADED = "TRADED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class OrderState(StrEnum):
    """Where an order of ours stands."""

    INTENDED = "INTENDED"  # in our state; it may or may not have left
    TRANSIT = "TRANSIT"  # the broker has it
    PENDING = "PENDING"  # it rests, or waits for its trigger
    PART_TRADED = "PART_TRADED"
    UNKNOWN = "UNKNOWN"  # the answer was lost; the book will settle it
    TRADED = "TRADED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    DROPPED = "DROPPED"  # our own lane refused to send it
    ABSENT = "ABSENT"  # settled: it never reached the broker


class OrderTrigger(StrEnum):
    """What can happen to an order: answers to our requests, and rows of the broker's book."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    LOST = "lost"
    DROPPED = "dropped"
    SETTLED_ABSENT = "settled_absent"
    ROW_TRANSIT = "row_transit"
    ROW_PENDING = "row_pending"
    ROW_PART_TRADED = "row_part_traded"
    ROW_TRADED = "row_traded"
    ROW_CANCELLED = "row_cancelled"
    ROW_REJECTED = "row_rejected"
    ROW_EXPIRED = "row_expired"


ROW_TRIGGER: dict[BrokerStatus, OrderTrigger] = {
    status: OrderTrigger(f"row_{status.value.lower()}") for status in BrokerStatus
}

TERMINAL = frozenset(
    {
        OrderState.TRADED,
        OrderState.CANCELLED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
        OrderState.DROPPED,
        OrderState.ABSENT,
    }
)

_S, _T = OrderState, OrderTrigger
_ENDINGS = {
    _T.ROW_TRADED: _S.TRADED,
    _T.ROW_CANCELLED: _S.CANCELLED,
    _T.ROW_REJECTED: _S.REJECTED,
    _T.ROW_EXPIRED: _S.EXPIRED,
}
_ROWS = {
    _T.ROW_TRANSIT: _S.TRANSIT,
    _T.ROW_PENDING: _S.PENDING,
    _T.ROW_PART_TRADED: _S.PART_TRADED,
    **_ENDINGS,
}


def _stays(state: OrderState, *triggers: OrderTrigger) -> dict[OrderTrigger, OrderState]:
    return dict.fromkeys(triggers, state)


NEXT_ORDER_STATE: dict[OrderState, dict[OrderTrigger, OrderState]] = {
    # A row can arrive before the answer to the request that made it.
    _S.INTENDED: {
        _T.ACCEPTED: _S.TRANSIT,
        _T.REFUSED: _S.REJECTED,
        _T.LOST: _S.UNKNOWN,
        _T.DROPPED: _S.DROPPED,
        **_ROWS,
    },
    _S.UNKNOWN: {_T.ACCEPTED: _S.TRANSIT, _T.LOST: _S.UNKNOWN, _T.SETTLED_ABSENT: _S.ABSENT, **_ROWS},
    _S.TRANSIT: {**_stays(_S.TRANSIT, _T.ACCEPTED, _T.LOST), **_ROWS},
    # Rows come late and out of order: an older one never takes a state back.
    _S.PENDING: {**_stays(_S.PENDING, _T.ACCEPTED, _T.LOST), **_ROWS, _T.ROW_TRANSIT: _S.PENDING},
    _S.PART_TRADED: {
        **_stays(_S.PART_TRADED, _T.ACCEPTED, _T.LOST, _T.ROW_TRANSIT, _T.ROW_PENDING, _T.ROW_PART_TRADED),
        **_ENDINGS,
    },
    _S.TRADED: _stays(_S.TRADED, _T.ACCEPTED, _T.LOST, *_ROWS),
    # Real world: a fill that crossed our cancel. The broker is the truth about positions.
    _S.CANCELLED: {**_stays(_S.CANCELLED, _T.ACCEPTED, _T.LOST, *_ROWS), _T.ROW_TRADED: _S.TRADED},
    _S.EXPIRED: {**_stays(_S.EXPIRED, _T.ACCEPTED, _T.LOST, *_ROWS), _T.ROW_TRADED: _S.TRADED},
    # Real world: a refusal that was misread. What has traded has traded.
    _S.REJECTED: {
        **_stays(_S.REJECTED, _T.ACCEPTED, _T.LOST, _T.ROW_TRANSIT, _T.ROW_PENDING, _T.ROW_REJECTED),
        _T.ROW_PART_TRADED: _S.PART_TRADED,
        _T.ROW_TRADED: _S.TRADED,
        _T.ROW_CANCELLED: _S.CANCELLED,
        _T.ROW_EXPIRED: _S.EXPIRED,
    },
    # Believed never to have arrived, and there it is after all: take it back, with an alarm.
    _S.ABSENT: {_T.SETTLED_ABSENT: _S.ABSENT, **_ROWS},
    _S.DROPPED: {},
}


def next_order_state(state: OrderState, trigger: OrderTrigger) -> OrderState:
    """The table's cell; an empty one raises `IllegalTransition`."""
    try:
        return NEXT_ORDER_STATE[state][trigger]
    except KeyError:
        raise IllegalTransition(f"order state {state}: nothing is defined for {trigger}") from None


class BrokerOrder(msgspec.Struct, frozen=True, array_like=True):
    """A row of the broker's book, or a push of its order socket: cumulative, so repeats are harmless.

    ``filled_value_paise`` is the sum of price x quantity over all fills so far.
    """

    correlation_id: str
    broker_id: str
    key: int
    side: Side
    kind: OrderKind
    status: BrokerStatus
    quantity: int
    filled_quantity: int
    filled_value_paise: int
    price_paise: int
    trigger_paise: int = 0
    reason: str = ""
    """The broker's text: a rejection's cause when the status is REJECTED."""


class BrokerPosition(msgspec.Struct, frozen=True, array_like=True):
    """What the account holds in one contract, whoever bought it; ``net_quantity`` below 0 is short."""

    key: int
    net_quantity: int
    bought_quantity: int = 0
    bought_value_paise: int = 0
    sold_quantity: int = 0
    sold_value_paise: int = 0


class Order(msgspec.Struct):
    """An order of ours. Only ``engine/`` changes one."""

    id: str
    key: int
    side: Side
    purpose: Purpose
    position_id: str
    kind: OrderKind
    quantity: int
    price_paise: int
    trigger_paise: int
    created_ns: int
    state: OrderState = OrderState.INTENDED
    broker_id: str = ""
    filled_quantity: int = 0
    filled_value_paise: int = 0
    request: Request | None = Request.PLACE
    """The request that is still unanswered, if any: no second one is made meanwhile."""
    request_ns: int = 0
    answered_ns: int = 0
    """When its placing was answered."""
    asked_kind: OrderKind = OrderKind.LIMIT
    asked_quantity: int = 0
    asked_price_paise: int = 0
    asked_trigger_paise: int = 0
    """What the unanswered modification asks for."""
    modifications: int = 0
    cancel_asked_ns: int = 0
    """When we last asked to cancel it; 0 when a cancel would be somebody else's."""
    unknown_since_ns: int = 0
    """When an answer was lost and not yet settled; 0 when nothing is open."""
    absent_reads: int = 0
    """Books read since, late enough to prove absence, that did not have it."""
    reason: str = ""

    @property
    def is_live(self) -> bool:
        """May it still trade, for all we know?"""
        return self.state not in TERMINAL

    @property
    def working_quantity(self) -> int:
        """The most it may still trade: the larger of what stands and what is asked for, less the fills."""
        if self.state in TERMINAL:
            return 0
        asked = self.asked_quantity if self.request is Request.MODIFY or self.unknown_since_ns else 0
        return max(self.quantity, asked) - self.filled_quantity
