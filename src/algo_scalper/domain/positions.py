"""A position: one per (account, segment, security id). Quantities and total costs are stored, averages computed."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from algo_scalper.domain.decisions import Direction, ExitReason
from algo_scalper.domain.errors import IllegalTransition
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.rules import ExitRules


class PositionState(StrEnum):
    """Where a position stands."""

    OPENING = "OPENING"  # an entry works, nothing is held yet
    OPEN = "OPEN"
    LEAVING = "LEAVING"  # the exit is decided and being worked
    HANDED_OVER = "HANDED_OVER"  # a person took it; we watch and book, and send nothing
    CLOSED = "CLOSED"


class PositionTrigger(StrEnum):
    """What can happen to a position."""

    BOUGHT = "bought"
    SOLD = "sold"
    LEAVE = "leave"
    ENTRY_ENDED = "entry_ended"  # the entry is terminal and nothing was bought
    FLAT = "flat"  # nothing held, no order live
    HAND_OVER = "hand_over"


_S, _T = PositionState, PositionTrigger

NEXT_POSITION_STATE: dict[PositionState, dict[PositionTrigger, PositionState]] = {
    _S.OPENING: {_T.BOUGHT: _S.OPEN, _T.LEAVE: _S.LEAVING, _T.ENTRY_ENDED: _S.CLOSED, _T.HAND_OVER: _S.HANDED_OVER},
    _S.OPEN: {
        _T.BOUGHT: _S.OPEN,
        _T.SOLD: _S.OPEN,
        _T.LEAVE: _S.LEAVING,
        _T.FLAT: _S.CLOSED,
        _T.HAND_OVER: _S.HANDED_OVER,
    },
    _S.LEAVING: {
        _T.BOUGHT: _S.LEAVING,
        _T.SOLD: _S.LEAVING,
        _T.LEAVE: _S.LEAVING,
        _T.ENTRY_ENDED: _S.CLOSED,
        _T.FLAT: _S.CLOSED,
        _T.HAND_OVER: _S.HANDED_OVER,
    },
    _S.HANDED_OVER: {
        _T.BOUGHT: _S.HANDED_OVER,
        _T.SOLD: _S.HANDED_OVER,
        _T.HAND_OVER: _S.HANDED_OVER,
        _T.ENTRY_ENDED: _S.CLOSED,
        _T.FLAT: _S.CLOSED,
    },
    # Real world: an entry fill after all was believed over. It is held now, and is left at once.
    _S.CLOSED: {_T.BOUGHT: _S.LEAVING, _T.SOLD: _S.CLOSED, _T.FLAT: _S.CLOSED},
}


def next_position_state(state: PositionState, trigger: PositionTrigger) -> PositionState:
    """The table's cell; an empty one raises `IllegalTransition`."""
    try:
        return NEXT_POSITION_STATE[state][trigger]
    except KeyError:
        raise IllegalTransition(f"position state {state}: nothing is defined for {trigger}") from None


class Position(msgspec.Struct):
    """Long contracts we answer for. Only ``engine/`` changes one. ``id`` is its first entry order's id."""

    id: str
    contract: Contract
    index: str
    direction: Direction
    exit_rules: ExitRules
    rules_version: int
    signal_paise: int
    """The ask when the signal was taken; slippage is measured against it."""
    opened_ns: int
    state: PositionState = PositionState.OPENING
    bought_quantity: int = 0
    cost_paise: int = 0
    sold_quantity: int = 0
    proceeds_paise: int = 0
    charges_paise: int = 0
    high_water_paise: int = 0
    """The highest bid seen while held."""
    low_water_paise: int = 0
    stop_paise: int = 0
    trail_index: int = -1
    """Index of the highest trail step reached; -1 before the first."""
    exit_reason: ExitReason = ExitReason.HOLD
    exit_sent_ns: int = 0
    """When the first limit to leave was sent: patience with the market is counted from then."""
    exit_signal_paise: int = 0
    """The bid when the exit was decided; slippage of the exit is measured against it."""
    repriced_ns: int = 0
    trailed_ns: int = 0
    frozen: str = ""
    """Why no request is sent for this contract, until the book is read; empty when not frozen."""
    frozen_ns: int = 0
    filled_ns: int = 0
    """When we last learnt of a fill."""
    mismatch_reads: int = 0
    """Books read in a row in which the broker held less than we do."""
    exit_rejections: int = 0
    """Exit orders rejected in a row; paces the next one."""
    refloor_ns: int = 0
    """When a floor that a person cancelled goes back; 0 for never."""
    foreign_cancels: int = 0
    replace_exit: bool = False
    """The broker refused to change the exit order: cancel it, await its end, place another."""
    below_stop_ns: int = 0
    """Since when the bid has been at or under the stop; 0 when it is not."""
    blind_ns: int = 0
    """Since when there has been no trustworthy price; 0 when there is one."""
    closed_ns: int = 0

    @property
    def key(self) -> int:
        """The contract's key."""
        return self.contract.key

    @property
    def held(self) -> int:
        """Contracts held now."""
        return self.bought_quantity - self.sold_quantity

    @property
    def average_paise(self) -> int:
        """Average fill, up to the next paisa: stops measured from it are never too far."""
        return -(-self.cost_paise // self.bought_quantity) if self.bought_quantity else 0

    @property
    def realised_paise(self) -> int:
        """Gross result of what has been sold, by average cost; exact once flat."""
        if not self.bought_quantity:
            return 0
        return self.proceeds_paise - self.cost_paise * self.sold_quantity // self.bought_quantity

    def open_paise(self, bid_paise: int) -> int:
        """Gross result of what is still held, if it were sold at this bid."""
        if not self.bought_quantity:
            return 0
        return bid_paise * self.held - (self.cost_paise - self.cost_paise * self.sold_quantity // self.bought_quantity)
