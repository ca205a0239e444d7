"""The peer's side of `engine_throughput`: run by the Python that has NautilusTrader, never by ours.

Reads the ticks, makes ``QuoteTick`` objects for its instruments, runs a `BacktestEngine` over them and prints one line
of JSON: version, quotes, CPU and wall seconds of `BacktestEngine.run` alone.

    python nautilus_peer.py ticks.json strategy|empty
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import nautilus_trader
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import FixedFeeModel
from nautilus_trader.model import (
    AccountType,
    BookType,
    Currency,
    Equity,
    InstrumentId,
    Money,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    Symbol,
    Venue,
)
from nautilus_trader.trading import Strategy

MINUTE_NS = 60_000_000_000
LOT = 65


class Trailing(Strategy):
    """The last quote of each instrument, the index's candle, and one position with its trailing stop."""

    ids: list[InstrumentId]
    index: InstrumentId
    held: InstrumentId

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[InstrumentId, QuoteTick] = {}
        self.minute = 0
        self.opened = self.high = self.low = self.close_ = 0.0
        self.candles: list[tuple[int, float, float, float, float]] = []
        self.entry = self.peak = self.stop = 0.0
        self.quotes = self.orders = 0

    def on_start(self) -> None:
        for each in self.ids:
            self.subscribe_quotes(each)

    def on_quote(self, quote: QuoteTick) -> None:
        self.quotes += 1
        key = quote.instrument_id
        self.last[key] = quote
        if key == self.held:
            self._mark(quote)
        elif key == self.index:
            self._grow(quote)

    def _mark(self, quote: QuoteTick) -> None:
        bid = float(quote.bid_price)
        if not self.entry:
            self.entry = float(quote.ask_price)
            self.peak, self.stop = bid, self.entry * 0.05
            self.orders += 1
            order = self.order_factory.market(self.held, OrderSide.BUY, Quantity.from_int(LOT))
            self.submit_order(order)
            return
        if bid > self.peak:
            self.peak = bid
            self.stop = max(self.stop, bid * 0.05)
        if bid <= self.stop:
            self.orders += 1
            self.submit_order(self.order_factory.market(self.held, OrderSide.SELL, Quantity.from_int(LOT)))
            self.entry = 0.0

    def _grow(self, quote: QuoteTick) -> None:
        price, minute = float(quote.bid_price), quote.ts_event // MINUTE_NS
        if minute == self.minute:
            self.high, self.low, self.close_ = max(self.high, price), min(self.low, price), price
            return
        if self.minute:
            self.candles.append((self.minute, self.opened, self.high, self.low, self.close_))
        self.minute, self.opened, self.high, self.low, self.close_ = minute, price, price, price, price


def main() -> None:
    held_key, index_key, rows = json.loads(Path(sys.argv[1]).read_bytes())
    with_strategy = sys.argv[2] == "strategy"
    venue, rupee = Venue("NFO"), Currency.from_str("INR")
    engine = BacktestEngine(
        BacktestEngineConfig(logging=LoggerConfig.from_spec("stdout=Off"), bypass_logging=True, run_analysis=False)
    )
    engine.add_venue(
        venue,
        OmsType.NETTING,
        AccountType.CASH,
        [Money.from_str("10000000 INR")],
        base_currency=rupee,
        fee_model=FixedFeeModel(Money.from_str("20 INR")),
        book_type=BookType.L1_MBP,
    )
    ids = {key: InstrumentId.from_str(f"K{key}.NFO") for key in sorted({row[1] for row in rows})}
    tick = Price.from_str("0.05")
    for each in ids.values():
        engine.add_instrument(Equity(each, Symbol(each.symbol.value), rupee, 2, tick, 0, 0))
    quotes = []
    for at_ns, key, ltp, bid, ask, bid_size, ask_size in rows:
        low, high = (bid or ltp, ask or ltp) if key != index_key else (ltp, ltp)
        quotes.append(
            QuoteTick(
                ids[key],
                Price(low / 100, 2),
                Price(high / 100, 2),
                Quantity.from_int(max(bid_size, 1)),
                Quantity.from_int(max(ask_size, 1)),
                at_ns,
                at_ns,
            )
        )
    engine.add_data(quotes)
    strategy = Trailing()
    strategy.ids, strategy.index, strategy.held = list(ids.values()), ids[index_key], ids[held_key]
    if with_strategy:
        engine.add_strategy(strategy)
    wall, cpu = time.perf_counter(), time.process_time()
    engine.run()
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    if with_strategy:
        assert strategy.quotes == len(rows), f"the strategy saw {strategy.quotes} of {len(rows)} quotes"
        assert strategy.orders == 1, f"{strategy.orders} orders, one was to be made and its position kept"
        assert engine.get_result().total_positions == 1, "the position was not opened"
    done = {"version": nautilus_trader.__version__, "quotes": len(rows), "cpu_s": cpu_s, "wall_s": wall_s}
    print(json.dumps(done))


if __name__ == "__main__":
    main()
