"""What a probe would send, in words, and whether it may: nothing leaves without the words typed by a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from algo_scalper.domain.calendar import day_schedule
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.market import ChainRow, OptionChain
from algo_scalper.domain.units import ist_day, rupees_text, tick_up
from algo_scalper.runtime.gate import is_loopback
from algo_scalper.runtime.probe.record import host_of

CHEAP_PAISE = (200, 500)
"""An option of Rs 2 to 5: one lot costs a few hundred rupees, and its price band is wide."""
FLAT_BAND_UP_TO_PAISE = 5_000
"""Up to Rs 50 an order may lie Rs 20 from the last price; above, about 40%."""
WITHIN_BAND_PAISE = 1_800
FAR_BPS, WITHIN_BAND_BPS = 4_000, 6_500
PNL_EXIT_PAISE = 100_000_000
"""Rs 10 lakh either way: set far from anything one lot can do, so that it cannot fire."""


class ProbePlan(NamedTuple):
    """One lot of one contract, at one host."""

    base_url: str
    contract: Contract
    quote: ChainRow
    far_paise: int
    """The buy limit that is not meant to trade."""
    round_trip: bool

    @property
    def words(self) -> str:
        """What a person types to agree."""
        what = "round trip" if self.round_trip else "one far order"
        return f"send {what} {self.contract.name} to {host_of(self.base_url)}"

    def lines(self) -> list[str]:
        """What is sent, and what it can cost at most."""
        contract, lot = self.contract, self.contract.lot
        far = rupees_text(self.far_paise)
        said = [
            f"To {host_of(self.base_url)}, for {contract.name}, last Rs {rupees_text(self.quote.ltp_paise)}:",
            f"1. the order socket is opened; a buy of one lot ({lot}) is placed at Rs {far}, far below the market;",
            "   it is looked up by its correlation id, awaited on the socket, changed by one tick, cancelled, and the",
            "   cancellation is asked for a second time. It costs nothing unless the price falls to it: then one lot is",
            f"   bought for Rs {rupees_text(self.far_paise * lot)} and sold again at once.",
        ]
        if self.round_trip:
            cost = rupees_text(self.quote.ask_paise * lot)
            said += [
                "2. the broker's own P&L exit is set at Rs 10,00,000 either way, read and removed (not when one is set, or",
                "   other positions are open);",
                f"3. one lot is bought for about Rs {cost}; a stop rests under it; a second sell is tried far above the",
                "   market and must be refused, else it is cancelled at once; the stop is turned into a limit and sells.",
                f"   It costs the spread and about Rs 50 of charges; at worst the Rs {cost}.",
            ]
        return [*said, "Interrupted at any step (Ctrl-C), it cancels what it has placed and sells what it has bought."]


def may_probe(base_url: str, market: str, *, at_terminal: bool) -> None:
    """Raise `ConfigError` unless the host is this machine, or the real one was named and a person is there to agree.

    This is the one exception to the rule that no order leaves for a real host.
    """
    if is_loopback(base_url):
        return
    host = host_of(base_url)
    if market != "dhan":
        raise ConfigError(
            f"a probe of {host} sends a real order: ask for it with --market dhan, or try a simulator with --sim-url"
        )
    if not at_terminal:
        raise ConfigError(f"a probe of {host} is agreed to by a person at a terminal: it cannot be piped or scheduled")


def agreed(plan: ProbePlan, typed: str) -> None:
    """Raise `ConfigError` unless the words were typed, letter by letter."""
    if " ".join(typed.split()) != plan.words:
        raise ConfigError("those are not the words: nothing was sent")


def must_be_open(now_ns: int) -> None:
    """Raise `ConfigError` outside the hours of the options market: nothing could be seen there."""
    schedule = day_schedule(ist_day(now_ns))
    if schedule is None or not schedule.options_open(now_ns):
        raise ConfigError("the options market is closed: probe while it is open, best between 11:00 and 14:00")


def choose_quote(chain: OptionChain, contracts: Mapping[int, Contract], today: date, *, round_trip: bool) -> ChainRow:
    """A cheap option with both sides quoted that does not expire today; the narrowest spread, then the most traded.

    Raises `ConfigError` when there is none.
    """
    least, most = CHEAP_PAISE
    fit = [
        row
        for row in chain.rows
        if row.key in contracts
        and contracts[row.key].expiry > today
        and 0 < row.bid_paise < row.ask_paise
        and row.ltp_paise >= least
    ]
    cheap = [row for row in fit if row.ltp_paise <= most and row.ask_paise <= 2 * most]
    if cheap:
        return min(cheap, key=lambda row: (row.ask_paise - row.bid_paise, -row.volume, row.key))
    where = f"{chain.underlying} {chain.expiry:%d %b}"
    if round_trip:
        raise ConfigError(f"no option of Rs 2 to 5 with both sides quoted in {where}: try another --underlying")
    if not fit:
        raise ConfigError(f"no option with both sides quoted in {where}: try another --underlying")
    return min(fit, key=lambda row: (row.ltp_paise, row.key))


def far_below(ltp_paise: int, tick_paise: int) -> int:
    """A buy limit that is far away and that the exchange still takes."""
    if ltp_paise <= FLAT_BAND_UP_TO_PAISE:
        price_paise = max(ltp_paise * FAR_BPS // 10_000, ltp_paise - WITHIN_BAND_PAISE)
    else:
        price_paise = ltp_paise * WITHIN_BAND_BPS // 10_000
    return max(tick_up(price_paise, tick_paise), tick_paise)
