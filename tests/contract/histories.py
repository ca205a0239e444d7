"""Generated histories of an account that could really happen: what its store is given, commit by commit."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from hypothesis import strategies as st

from algo_scalper.domain.account import DayLedger
from algo_scalper.domain.commands import PlaceOrder
from algo_scalper.domain.decisions import Direction, ExitReason
from algo_scalper.domain.events import SoftState
from algo_scalper.domain.instruments import Contract, OptionType, Segment, instrument_key
from algo_scalper.domain.orders import Order, OrderKind, OrderState, Product, Purpose, Side
from algo_scalper.domain.ports import Changes
from algo_scalper.domain.positions import Position, PositionState
from algo_scalper.domain.rules import ExitRules, TrailStep
from algo_scalper.domain.units import NS_PER_SECOND, ist_ns
from tests.unit.storage.records import fields_of, records_of

DAY = date(2026, 11, 30)
LOT = 75
CONTRACTS = tuple(
    Contract(instrument_key(Segment.NSE_FNO, 42_500 + n), "NIFTY", date(2026, 12, 1), 2_450_000, kind, LOT, 5, 1_800)
    for n, kind in enumerate(OptionType)
)
ENTRY_PAISE, EXIT_PAISE = 12_005, 13_010

Step = Changes | SoftState


class _History:
    """Builds the commits; every field nobody constrains is drawn at random."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.steps: list[Step] = []
        self.at_ns = ist_ns(DAY, 34_200)
        self.orders = 0

    def commit(self, **changes: Any) -> None:
        self.at_ns += NS_PER_SECOND
        self.steps.append(Changes(at_ns=self.at_ns, **changes))
        if self.draw(st.booleans()):
            self.steps.append(self.steps[-1])  # a commit whose answer was lost is made again

    def order(self, contract: Contract, side: Side, quantity: int, position_id: str) -> Order:
        self.orders += 1
        drawn = self.draw(st.fixed_dictionaries(fields_of(Order)))
        return Order(
            **drawn
            | {
                "id": f"as1-{self.orders:05d}",
                "key": contract.key,
                "side": side,
                "purpose": Purpose.ENTRY if side is Side.BUY else Purpose.EXIT,
                "position_id": position_id or f"as1-{self.orders:05d}",
                "quantity": quantity,
                "price_paise": ENTRY_PAISE if side is Side.BUY else EXIT_PAISE,
                "trigger_paise": 0,
                "created_ns": self.at_ns,
                "state": OrderState.INTENDED,
                "broker_id": "",
                "filled_quantity": 0,
                "filled_value_paise": 0,
            }
        )

    def fill(self, order: Order, price_paise: int) -> list[Order]:
        """The order after each of its fills, in lots."""
        grown: list[Order] = []
        while order.filled_quantity < order.quantity:
            left = (order.quantity - order.filled_quantity) // LOT
            quantity = self.draw(st.integers(1, left)) * LOT
            order = msgspec.structs.replace(
                order,
                broker_id=f"1126113{order.id[-5:]}",
                filled_quantity=order.filled_quantity + quantity,
                filled_value_paise=order.filled_value_paise + quantity * price_paise,
                state=OrderState.TRADED if quantity == left * LOT else OrderState.PART_TRADED,
            )
            grown.append(order)
        return grown

    def trade(self, contract: Contract, to_the_end: bool) -> None:
        quantity = self.draw(st.integers(1, 3)) * LOT
        order = self.order(contract, Side.BUY, quantity, "")
        position = Position(
            **self.draw(st.fixed_dictionaries(fields_of(Position)))
            | {
                "id": order.id,
                "contract": contract,
                "opened_ns": self.at_ns,
                "closed_ns": 0,
                "exit_reason": ExitReason.HOLD,
                "state": PositionState.OPENING,
                **dict.fromkeys(("bought_quantity", "sold_quantity", "cost_paise", "proceeds_paise"), 0),
                "charges_paise": self.draw(st.integers(0, 10**6)),
            }
        )
        self.commit(intents=(_intent(order),), orders=(order,), positions=(position,))
        for bought in self.fill(order, ENTRY_PAISE):
            position = msgspec.structs.replace(
                position,
                state=PositionState.OPEN,
                bought_quantity=bought.filled_quantity,
                cost_paise=bought.filled_value_paise,
            )
            self.commit(orders=(bought,), positions=(position,))
        if not to_the_end:
            return
        leaving = self.order(contract, Side.SELL, quantity, position.id)
        reason = self.draw(st.sampled_from(list(ExitReason)[1:]))
        position = msgspec.structs.replace(position, state=PositionState.LEAVING, exit_reason=reason)
        self.commit(intents=(_intent(leaving),), orders=(leaving,), positions=(position,))
        for sold in self.fill(leaving, EXIT_PAISE):
            whole = sold.filled_quantity == quantity
            position = msgspec.structs.replace(
                position,
                state=PositionState.CLOSED if whole else PositionState.LEAVING,
                sold_quantity=sold.filled_quantity,
                proceeds_paise=sold.filled_value_paise,
                closed_ns=self.at_ns if whole else 0,
            )
            self.commit(orders=(sold,), positions=(position,))
        ledger = self.draw(records_of(DayLedger))
        money = self.draw(st.integers(-(10**9), 10**9))
        self.commit(
            ledger=msgspec.structs.replace(
                ledger, day=DAY, realised_paise=money, charges_paise=6_400, trades=self.orders
            )
        )
        self.steps.append(self.draw(records_of(SoftState)))


def _intent(order: Order) -> PlaceOrder:
    return PlaceOrder(
        order.id, order.key, order.side, OrderKind.LIMIT, order.quantity, order.price_paise, 0, order.purpose,
        Product.INTRADAY,
    )  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Up to three trades one after another, the last perhaps still open; some commits twice, some soft states."""
    history = _History(draw)
    count = draw(st.integers(1, 3))
    for number in range(count):
        last = number == count - 1
        history.trade(draw(st.sampled_from(CONTRACTS)), to_the_end=not last or draw(st.booleans()))
    return history.steps


def one_trade(number: int, at_ns: int = ist_ns(DAY, 36_000)) -> Changes:
    """A whole tiny trade in one commit: order, position and ledger all say ``number``."""
    contract = CONTRACTS[0]
    order = Order(
        id=f"as1-{number:05d}", key=contract.key, side=Side.BUY, purpose=Purpose.ENTRY, position_id="as1-00001",
        kind=OrderKind.LIMIT, quantity=LOT, price_paise=ENTRY_PAISE, trigger_paise=0, created_ns=at_ns,
        state=OrderState.TRADED, broker_id=f"1126113{number:05d}", filled_quantity=LOT,
        filled_value_paise=LOT * ENTRY_PAISE, request=None,
    )  # fmt: skip
    return Changes(
        intents=(_intent(order),),
        orders=(order,),
        positions=(a_position(bought_quantity=number * LOT, cost_paise=number * LOT * ENTRY_PAISE),),
        ledger=DayLedger(DAY, trades=number),
        at_ns=at_ns + number,
    )


def a_position(**fields: Any) -> Position:
    """An open position in the first contract."""
    rules = ExitRules(2_000, 2_600, 4_000, (TrailStep(1_500, None),), 45 * 60 * NS_PER_SECOND, 500, 10**10, 4_000)
    position = Position(
        id="as1-00001", contract=CONTRACTS[0], index="NIFTY", direction=Direction.UP, exit_rules=rules,
        rules_version=1, signal_paise=ENTRY_PAISE, opened_ns=ist_ns(DAY, 36_000), state=PositionState.OPEN,
    )  # fmt: skip
    return msgspec.structs.replace(position, **fields)
