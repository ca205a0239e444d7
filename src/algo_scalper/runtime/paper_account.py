"""The paper account of a session: its book, as the last start or day left it, and the quotes it trades at.

Its exchange matches against the same packets as the engine is told by, and sees them first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from algo_scalper.adapters.dhan.packets import Buffer, decode_quote, packet_key, split_packets
from algo_scalper.adapters.marks import Mark
from algo_scalper.adapters.storage.paper_book import PaperBook
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.market import Quote
from algo_scalper.domain.orders import BrokerOrder
from algo_scalper.domain.ports import Clock
from algo_scalper.engine.engine import Engine
from algo_scalper.runtime.clock import Timers
from algo_scalper.runtime.paper_broker import PaperBroker, carry_over, kept_state
from algo_scalper.simulation.exchange import ExchangeState, SimulatedExchange
from algo_scalper.simulation.latency import Latency


class PaperAccount:
    """Paper money of one account on one day. ``broker`` takes its orders."""

    def __init__(
        self,
        path: Path,
        account: str,
        day: date,
        capital_paise: int,
        contracts: Mapping[int, Contract],
        tick_sizes: Mapping[int, int],
        clock: Clock,
        timers: Timers,
        engine: Engine,
        on_report: Callable[[BrokerOrder], None],
        mark: Mark,
    ) -> None:
        """``capital_paise`` is what a new account begins with; ``engine`` knows when it was told."""
        self._contracts = contracts
        self._tick_sizes = tick_sizes
        self._engine = engine
        self._packets: dict[int, bytes] = {}
        """The newest packet of each contract. It becomes a quote only when one is asked for: most never are."""
        book = PaperBook(path, account, day, mark=mark)
        state = kept_state(book) or _carried_over(book, account, day, contracts)
        exchange = SimulatedExchange(contracts.values(), day, capital_paise, state=state)
        self.broker = PaperBroker(exchange, book, clock, timers, Latency(), self.standing, on_report)

    def hear(self, message: Buffer, at_ns: int) -> None:
        """A message of the feed, before the engine takes it: working orders of its contracts may fill."""
        offsets, _ = split_packets(message)
        for offset in offsets:
            key = packet_key(message, offset)
            if key in self._contracts:
                end = offset + int.from_bytes(message[offset + 1 : offset + 3], "little")
                self._packets[key] = bytes(message[offset:end])
                if key in self.broker.exchange.interest:
                    quote = decode_quote(message, offset, at_ns, self._tick_sizes)
                    if quote is not None:
                        self.broker.see(quote)

    def standing(self, key: int) -> Quote | None:
        """The newest quote of a contract, of the time the engine was told of it; None before the first."""
        packet = self._packets.get(key)
        tick = self._engine.state.ticks.get(key)
        if packet is None or tick is None:
            return None
        return decode_quote(packet, 0, tick.at_ns, self._tick_sizes)


def _carried_over(book: PaperBook, account: str, day: date, contracts: Mapping[int, Contract]) -> ExchangeState | None:
    """The paper account as its last day left it; None for a new one."""
    last_day = book.earlier_day()
    if last_day is None:
        return None
    earlier = PaperBook(book.path, account, last_day)
    try:
        before = kept_state(earlier)
    finally:
        earlier.close()
    return carry_over(book, before, day, contracts) if before is not None else None
