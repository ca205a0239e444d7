"""A small bench for exchange tests: one NIFTY contract, quotes by hand, orders in one line each."""

from __future__ import annotations

from datetime import date

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.instruments import Contract, OptionType, Segment, instrument_key
from algo_scalper.domain.market import Levels, Quote, Tick
from algo_scalper.domain.orders import BrokerOrder, OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted
from algo_scalper.domain.units import NS_PER_SECOND, ist_ns
from algo_scalper.simulation.exchange import Answered, ExchangeState, SimulatedExchange

DAY = date(2026, 6, 5)
EXPIRY = date(2026, 6, 9)
KEY = instrument_key(Segment.NSE_FNO, 42_500)
CALL = Contract(KEY, "NIFTY", EXPIRY, 2_450_000, OptionType.CE, 65, 5, 1_755)
EXPIRING_KEY = instrument_key(Segment.NSE_FNO, 42_501)
EXPIRING = Contract(EXPIRING_KEY, "NIFTY", DAY, 2_450_000, OptionType.CE, 65, 5, 1_755)
SENSEX_KEY = instrument_key(Segment.BSE_FNO, 824_824)
SENSEX_CALL = Contract(SENSEX_KEY, "SENSEX", date(2026, 6, 11), 8_000_000, OptionType.CE, 20, 5, 1_000)
LAKH = 10_000_000
OPEN = ist_ns(DAY, 9 * 3600 + 15 * 60)


def seconds(hour: int, minute: int, second: int = 0) -> int:
    """An instant of the day."""
    return ist_ns(DAY, hour * 3600 + minute * 60 + second)


class Bench:
    """An exchange and a clock that moves a second with every quote."""

    def __init__(self, cash_paise: int = LAKH, state: ExchangeState | None = None, start: int = OPEN) -> None:
        self.exchange = SimulatedExchange((CALL, EXPIRING, SENSEX_CALL), DAY, cash_paise, state)
        self.now_ns = start
        self.orders = 0
        self.volume = 0

    def quote(
        self,
        bids: Levels = (),
        asks: Levels = (),
        ltp: int = 0,
        traded: int = 0,
        key: int = KEY,
    ) -> None:
        """A second passes and the contract shows this; ``traded`` is the volume since the last quote."""
        self.now_ns += NS_PER_SECOND
        self.volume += traded
        bid, ask = (bids[0][0] if bids else 0), (asks[0][0] if asks else 0)
        tick = Tick(
            self.now_ns,
            key,
            self.now_ns // NS_PER_SECOND,
            ltp or bid or ask,
            bid,
            ask,
            sum(size for _, size in bids),
            sum(size for _, size in asks),
            self.volume,
            0,
        )
        self.exchange.see(Quote(tick, bids, asks))

    def place(
        self,
        side: Side,
        quantity: int,
        price: int,
        trigger: int = 0,
        key: int = KEY,
        product: Product = Product.INTRADAY,
    ) -> str:
        """Place and expect it to be taken; the broker's id."""
        answer = self.try_place(side, quantity, price, trigger, key, product)
        assert isinstance(answer, Accepted), answer
        return answer.broker_id

    def try_place(
        self,
        side: Side,
        quantity: int,
        price: int,
        trigger: int = 0,
        key: int = KEY,
        product: Product = Product.INTRADAY,
        correlation_id: str = "",
    ) -> Answered:
        """Place a limit, or a stop-limit when there is a trigger."""
        self.orders += 1
        kind = OrderKind.STOP_LIMIT if trigger else OrderKind.LIMIT
        purpose = Purpose.ENTRY if side is Side.BUY else Purpose.EXIT
        name = correlation_id or f"T1-{self.orders}"
        command = PlaceOrder(name, key, side, kind, quantity, price, trigger, purpose, product)
        return self.exchange.place(command, self.now_ns)

    def modify(self, broker_id: str, quantity: int, price: int, trigger: int = 0) -> Answered:
        """The whole order as it shall stand."""
        row = self.row(broker_id)
        kind = OrderKind.STOP_LIMIT if trigger else OrderKind.LIMIT
        command = ModifyOrder(row.correlation_id, broker_id, row.key, kind, quantity, price, trigger, Purpose.EXIT)
        return self.exchange.modify(command, self.now_ns)

    def cancel(self, broker_id: str) -> Answered:
        """Withdraw."""
        return self.exchange.cancel(CancelOrder("", broker_id, KEY, Purpose.EXIT), self.now_ns)

    def row(self, broker_id: str) -> BrokerOrder:
        """The order's row."""
        return next(row for row in self.exchange.rows() if row.broker_id == broker_id)

    def filled(self, broker_id: str) -> tuple[int, int]:
        """(quantity, value) traded so far."""
        row = self.row(broker_id)
        return row.filled_quantity, row.filled_value_paise

    def long(self, quantity: int = 65, price: int = 10_000) -> None:
        """Hold some contracts, bought at ``price``; the market is left 0.50 wide around it."""
        self.quote(bids=((price - 50, 6_500),), asks=((price, 6_500),))
        self.place(Side.BUY, quantity, price)
        assert self.exchange.held(KEY) == quantity
