"""What a client of the simulated market would have measured on one day: index bars and prints, books, chains, volumes.

Only what is shown is read: quotes of keys at instants, bars, listed contracts. Nothing of the model's inside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import pairwise
from math import log, sqrt

import msgspec

from algo_scalper.domain.calendar import years_to_expiry
from algo_scalper.domain.instruments import INDIA_VIX_KEY, INDICES, Contract, OptionType
from algo_scalper.domain.market import Quote, Tick
from algo_scalper.domain.pricing import implied_vol, parity_forward
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, ist_ns
from algo_scalper.research.realism.statistics import OPEN_MINUTE, IndexDay, quantile, slope
from algo_scalper.simulation.market import MarketDay, synthetic_day

PREMIUMS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 400, 800, 100_000)
"""Rupees between which spreads and sizes are told apart."""
DISTANCES = (-1000, -5, -2, 0, 2, 5, 10, 20, 40, 1000)
"""Strike steps out of the money between which volume and open interest are told apart."""
STRAYS = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
"""Where the smile is read: ln(K/F) / (ATM sqrt T)."""
MONEYNESS = ((-3.0, -2.0), (-2.0, -1.0), (-1.0, -0.5), (-0.4, 0.4), (0.5, 1.0), (1.0, 3.0))
"""ln(K/F) of calls in percent."""
_CALM = (0.007, 0.0115)
"""ATM volatility times the root of time around that of the recorded chains, .0093: spreads by moneyness follow it."""
_LOOKS = range(OPEN_MINUTE + 10, 15 * 60 + 26, 10)
"""Minutes of the day at which whole chains are read."""
_RATE_SECOND = 29
"""At which second of its minute a minute's quote is read."""

Pair = tuple[Contract, Contract]
"""Call and put of one strike."""


class Observed(msgspec.Struct):
    """One simulated day: index bars by name, and everything else as values by the name of the measure."""

    indices: dict[str, IndexDay]
    values: dict[str, list[float]]


class _Chain(msgspec.Struct, frozen=True):
    """One expiry as it is listed: rank among the expiries, whole days to it, its pairs by strike in paise."""

    rank: int
    days: int
    expiry: date
    pairs: dict[int, Pair]


class _Vols(msgspec.Struct, frozen=True):
    """A chain's implied volatilities at one instant."""

    forward: float
    atm: float
    total: float
    """ATM volatility times the root of the time to expiry."""
    by_log: dict[float, float]
    """Of the out-of-the-money contract, by ln(K/F)."""


def days_label(days: int) -> str:
    """The group of days to expiry a measure is kept by."""
    if days <= 1:
        return str(days)
    return next(
        text for until, text in ((4, "2-4"), (8, "5-8"), (16, "9-16"), (35, "17-35"), (9999, "36+")) if days <= until
    )


def observe(day: date, seed: int) -> Observed:
    """Measure the simulated day of ``seed``."""
    market = synthetic_day(day, seed)
    watch = _Watch(market)
    watch.index_prints()
    watch.vix()
    for chain in watch.chains("NIFTY"):
        watch.books("NIFTY", chain)
        watch.volumes("NIFTY", chain)
        watch.day_paths(chain)
    for chain in watch.chains("BANKNIFTY"):
        watch.books("BANKNIFTY", chain)
        watch.volumes("BANKNIFTY", chain)
    watch.at_the_money(watch.chains("NIFTY")[0])
    return Observed({name: index_day(market, name) for name in INDICES}, dict(watch.values))


def index_day(market: MarketDay, name: str) -> IndexDay:
    """The day's bars of an index as its history shows them."""
    open_ns = market.axis.open_ns
    bars = [
        bar for bar in market.history(INDICES[name].key, open_ns + 86_400 * NS_PER_SECOND) if bar.start_ns >= open_ns
    ]
    return IndexDay(
        market.previous_close_paise[INDICES[name].key],
        [OPEN_MINUTE + (bar.start_ns - open_ns) // NS_PER_MINUTE for bar in bars],
        [bar.open_paise for bar in bars],
        [bar.high_paise for bar in bars],
        [bar.low_paise for bar in bars],
        [bar.close_paise for bar in bars],
    )


class _Watch:
    """Reads one market and keeps values by measure."""

    def __init__(self, market: MarketDay) -> None:
        self.market = market
        self.values: dict[str, list[float]] = defaultdict(list)

    def keep(self, name: str, *values: float) -> None:
        """Add to a measure."""
        self.values[name].extend(values)

    def quote(self, contract: Contract, minute: int, second: int = 0) -> Quote:
        """What a contract showed."""
        return self.market.quote(contract.key, ist_ns(self.market.day, 60 * minute + second))

    def spot(self, name: str, minute: int, second: int = 0) -> int:
        """What an index showed, in paise."""
        return self.market.index_paise(name, ist_ns(self.market.day, 60 * minute + second))

    def chains(self, name: str) -> list[_Chain]:
        """The expiries of an underlying, nearest first."""
        market = self.market
        found = []
        for rank, expiry in enumerate(market.expiries(name)):
            sides: dict[int, dict[OptionType, Contract]] = defaultdict(dict)
            for contract in market.contracts:
                if contract.underlying == name and contract.expiry == expiry:
                    sides[contract.strike_paise][contract.option_type] = contract
            pairs = {strike: (both[OptionType.CE], both[OptionType.PE]) for strike, both in sorted(sides.items())}
            found.append(_Chain(rank, (expiry - market.day).days, expiry, pairs))
        return found

    # --- index and VIX ---

    def index_prints(self) -> None:
        """NIFTY's prints by the second: when they come, and how far they move."""
        line = self.market.line(INDICES["NIFTY"].key)
        printed = [second for second in range(self.market.axis.seconds) if line.prints(second)]
        self.keep("print gap", *(later - sooner for sooner, later in pairwise(printed)))
        levels = [line.quote(second).tick.ltp_paise for second in range(self.market.axis.seconds)]
        self.keep("level by second", *map(log, levels))
        # In points at 14,800, the level the real prints were recorded at.
        shown = [levels[second] for second in printed]
        moves = [14_800.0 * (later - sooner) / sooner for sooner, later in pairwise(shown)]
        self.keep("print move", *moves)
        self.keep("print still", moves.count(0.0) / len(moves))

    def vix(self) -> None:
        """Level at the close, and the day's change."""
        close = self.market.quote(INDIA_VIX_KEY, ist_ns(self.market.day, 15 * 3600 + 29 * 60)).tick.ltp_paise / 100
        before = self.market.previous_close_paise[INDIA_VIX_KEY] / 100
        index = index_day(self.market, "NIFTY")
        self.keep("vix", close)
        self.keep("vix change", log(close / before))
        self.keep("vix points", close - before)
        self.keep("index change", 100 * log(index.closes[-1] / index.previous_close))

    # --- books ---

    def books(self, name: str, chain: _Chain) -> None:
        """Spreads, sizes, last prices, smile and forward of one expiry, ten minutes apart."""
        group = f"{name} {chain.rank + 1}"
        for minute in _LOOKS:
            spot = self.spot(name, minute)
            ticks = {
                strike: (self.quote(call, minute), self.quote(put, minute))
                for strike, (call, put) in chain.pairs.items()
            }
            for strike, pair in ticks.items():
                away = 100 * log(strike / spot)
                for quote, sign in zip(pair, (1, -1), strict=True):
                    self._book(group, chain, quote, sign * away, minute)
            if name != "NIFTY":
                continue
            vols = self._vols(chain, {strike: (call.tick, put.tick) for strike, (call, put) in ticks.items()}, minute)
            if vols is not None:
                self._smile(chain, vols, minute, spot)
                if chain.rank == 0 and _CALM[0] <= vols.total <= _CALM[1]:
                    for strike, (call, _) in ticks.items():
                        self._moneyness(call.tick, 100 * log(strike / vols.forward))

    def _book(self, group: str, chain: _Chain, quote: Quote, out: float, minute: int) -> None:
        tick = quote.tick
        self.keep(f"{group} two-sided", float(tick.bid_paise > 0 and tick.ask_paise > 0))
        if chain.days == 0 or not (tick.bid_paise and tick.ask_paise):
            return
        spread, mid = (tick.ask_paise - tick.bid_paise) / 100, (tick.ask_paise + tick.bid_paise) / 200
        bucket = _bucket(PREMIUMS, mid)
        self.keep(f"{group} spread {bucket}", spread)
        self.keep(f"{group} size {bucket}", quote.bids[0][1])
        if group != "NIFTY 1":
            return
        self.keep("ltp away", abs(tick.ltp_paise / 100 - mid) / spread)
        self.keep("ltp inside", float(tick.bid_paise <= tick.ltp_paise <= tick.ask_paise))
        if abs(out) < 0.4 and 50.0 <= mid < 150.0:
            self.keep("atm spread ticks", round(spread / 0.05))
            part = "open" if minute < 585 else "late" if minute >= 840 else "noon" if 660 <= minute < 780 else ""
            if part:
                self.keep(f"atm spread {part}", spread)
                self.keep(f"atm size {part}", quote.bids[0][1])

    def _moneyness(self, tick: Tick, away: float) -> None:
        for low, high in MONEYNESS:
            if low <= away < high and tick.bid_paise:
                self.keep(f"call spread {low}", (tick.ask_paise - tick.bid_paise) / 100)

    def _vols(self, chain: _Chain, ticks: Mapping[int, tuple[Tick, Tick]], minute: int) -> _Vols | None:
        """Forward by parity and the volatilities of mid prices, ``None`` without a near pair."""
        rows = [
            (strike, _mid(call), _mid(put)) for strike, (call, put) in ticks.items() if call.bid_paise and put.bid_paise
        ]
        near = sorted(rows, key=lambda row: abs(row[1] - row[2]))[:5]
        forward = parity_forward(near)
        if forward is None:
            return None
        years = years_to_expiry(ist_ns(self.market.day, 60 * minute), chain.expiry)
        # A straddle at the money costs .8 of the forward times volatility and root of time: five of these hold the smile.
        reach = 5.0 * (near[0][1] + near[0][2]) / 0.8 / forward
        found: dict[float, float] = {}
        for strike, call, put in rows:
            if abs(log(strike / forward)) > reach:
                continue
            is_call = strike >= forward
            sigma = implied_vol(call if is_call else put, forward, strike, years, is_call, 5.0)
            if sigma is not None:
                found[log(strike / forward)] = sigma
        if len(found) < 2:
            return None
        atm = _at(found, 0.0)
        return _Vols(forward, atm, atm * sqrt(years), found) if atm is not None else None

    def _smile(self, chain: _Chain, vols: _Vols, minute: int, spot: int) -> None:
        label = days_label(chain.days)
        if chain.days:
            for u in STRAYS:
                sigma = _at(vols.by_log, u * vols.total)
                if sigma is not None:
                    self.keep(f"smile {label} {u}", sigma / vols.atm)
            years = years_to_expiry(ist_ns(self.market.day, 60 * minute), chain.expiry)
            self.keep(f"carry {chain.rank}", 100 * log(vols.forward / spot) / years)
        if minute >= _LOOKS[-1] - 5:
            self.keep(f"atm close {label}", 100 * vols.atm)
        if chain.days == 0:
            self.keep(f"atm expiry {_expiry_part(minute)}", 100 * vols.atm)
        elif chain.rank == 0:
            part = {OPEN_MINUTE + 10: "open", 12 * 60 + 5: "noon"}.get(minute)
            if part and chain.days > 1:
                self.keep(f"atm {part}", vols.atm)
        if chain.rank == 2 and minute >= _LOOKS[-1] - 5:
            self.keep(
                "vix over atm",
                self.market.quote(INDIA_VIX_KEY, ist_ns(self.market.day, 60 * minute)).tick.ltp_paise / 1e4 / vols.atm,
            )

    # --- volume and open interest ---

    def volumes(self, name: str, chain: _Chain) -> None:
        """Shares by distance from the close, totals, and what round strikes hold."""
        minute = 15 * 60 + 29
        spot, step = self.spot(name, minute), INDICES[name].strike_step_paise
        volume: dict[int, float] = defaultdict(float)
        interest: dict[int, float] = defaultdict(float)
        puts = calls = traded = 0.0
        by_round: dict[int, list[float]] = defaultdict(list)
        for strike, pair in chain.pairs.items():
            for contract, sign in zip(pair, (1, -1), strict=True):
                tick = self.quote(contract, minute).tick
                bucket = _bucket(DISTANCES, sign * (strike - spot) / step)
                volume[bucket] += tick.volume / contract.lot
                interest[bucket] += tick.oi
                traded += tick.volume > 0
            calls += self.quote(pair[0], minute).tick.oi
            puts += self.quote(pair[1], minute).tick.oi
            if abs(strike - spot) < 20 * step:
                steps = strike // step
                both = self.quote(pair[0], minute).tick.oi + self.quote(pair[1], minute).tick.oi
                by_round[10 if steps % 10 == 0 else 2 if steps % 2 == 0 else 1].append(both)
        group = f"{name} {chain.rank + 1}"
        self.keep(f"{group} lots", sum(volume.values()))
        self.keep(f"{group} interest", sum(interest.values()))
        self.keep(f"{group} strikes", len(chain.pairs))
        self.keep(f"{group} traded", traded / len(chain.pairs) / 2)
        self.keep(f"{group} puts over calls", puts / calls)
        if name != "NIFTY" or chain.rank:
            return
        part = "0" if chain.days == 0 else "1-2" if chain.days <= 2 else "3+"
        for bucket in DISTANCES[:-1]:
            self.keep(f"volume share {part} {bucket}", volume[bucket] / sum(volume.values()))
            self.keep(f"interest share {part} {bucket}", interest[bucket] / sum(interest.values()))
        plain = sum(by_round[1]) / len(by_round[1])
        for size in (2, 10):
            self.keep(f"round {size}", sum(by_round[size]) / len(by_round[size]) / plain)

    # --- minute by minute ---

    def day_paths(self, chain: _Chain) -> None:
        """Of the strikes within three of the money at the open: the day's high, low and close over its first price."""
        spot, step = self.spot("NIFTY", OPEN_MINUTE, _RATE_SECOND), INDICES["NIFTY"].strike_step_paise
        middle = round(spot / step) * step
        label = next(
            text for until, text in ((0, "0"), (1, "1"), (7, "4-7"), (14, "8-14"), (9999, "15+")) if chain.days <= until
        )
        for away in range(-3, 4):
            for contract in chain.pairs.get(middle + away * step, ()):
                prices = [
                    self.quote(contract, minute, _RATE_SECOND).tick.ltp_paise for minute in range(OPEN_MINUTE, 930)
                ]
                self.keep(f"path {label} high", max(prices) / prices[0])
                self.keep(f"path {label} low", min(prices) / prices[0])
                # The exchange's closing price is the average of the last half hour.
                self.keep(f"path {label} close", sum(prices[-30:]) / 30 / prices[0])

    def at_the_money(self, chain: _Chain) -> None:
        """Straddle, delta, returns, volatility changes and volume of the strike that is at the money, by minute."""
        step = INDICES["NIFTY"].strike_step_paise
        label = str(chain.days)
        moves: dict[str, list[tuple[float, float]]] = {"call": [], "put": []}
        vol_moves: list[tuple[float, float]] = []
        traded: list[float] = []
        strikes: list[int] = []
        for minute in range(OPEN_MINUTE, 15 * 60 + 28):
            spot, later = (self.spot("NIFTY", at, _RATE_SECOND) for at in (minute, minute + 1))
            strike = round(spot / step) * step
            strikes.append(strike)
            pair = chain.pairs[strike]
            now = [self.quote(contract, minute, _RATE_SECOND).tick for contract in pair]
            then = [self.quote(contract, minute + 1, _RATE_SECOND).tick for contract in pair]
            if minute in {OPEN_MINUTE + 5, 720, 900}:
                self.keep(f"straddle {label} {minute}", 100 * sum(map(_mid, now)) / spot)
            traded.append(sum(tick.volume for tick in then) - sum(tick.volume for tick in now))
            if minute >= OPEN_MINUTE + 5:
                # By last prices, as minute bars of options have them.
                for side, one, other in zip(("call", "put"), now, then, strict=True):
                    moves[side].append((later - spot, other.ltp_paise - one.ltp_paise))
                    self.keep(f"option return {label}", 100 * log(other.ltp_paise / one.ltp_paise))
            if minute >= OPEN_MINUTE + 5 and all(tick.bid_paise for tick in (*now, *then)):
                vol_moves += self._vol_move(chain, strike, minute, (now, then))
        self.keep("strike changes", sum(one != other for one, other in pairwise(strikes)))
        for side, pairs in moves.items():
            delta = slope(pairs)
            self.keep(f"delta {side}", delta)
            self.keep(f"delta fit {'0' if chain.days == 0 else '1+'}", _fit(pairs, delta))
        self._vol_moves(label, vol_moves, chain)
        even = sum(traded) / len(traded)
        kind = "expiry" if chain.days == 0 else "usual"
        for quarter in range(25):
            block = traded[15 * quarter : 15 * quarter + 15]
            self.keep(f"volume {kind} {quarter}", sum(block) / len(block) / even)

    def _vol_move(
        self, chain: _Chain, strike: int, minute: int, ticks: tuple[list[Tick], list[Tick]]
    ) -> list[tuple[float, float]]:
        """(index move in percent, change of the strike's volatility in points) over one minute, by parity forwards."""
        found: list[tuple[float, float]] = []
        for after, (call, put) in enumerate(ticks):
            years = years_to_expiry(ist_ns(self.market.day, 60 * (minute + after) + _RATE_SECOND), chain.expiry)
            forward = strike + _mid(call) - _mid(put)
            sigma = implied_vol(_mid(call), forward, strike, years, True, 5.0)
            if sigma is None:
                return []
            found.append((forward, 100 * sigma))
        (forward, sigma), (next_forward, next_sigma) = found
        return [(100 * log(next_forward / forward), next_sigma - sigma)]

    def _vol_moves(self, label: str, pairs: list[tuple[float, float]], chain: _Chain) -> None:
        if chain.days == 0 or len(pairs) < 100:
            return
        gradient = slope(pairs)
        left = [change - gradient * move for move, change in pairs]
        low, high = quantile(left, 0.16), quantile(left, 0.84)
        self.keep("vol slope", gradient)
        self.keep(f"vol wobble {label}", (high - low) / 2)


def _fit(pairs: list[tuple[float, float]], gradient: float) -> float:
    """R squared of the line through the means."""
    x_mean = sum(x for x, _ in pairs) / len(pairs)
    y_mean = sum(y for _, y in pairs) / len(pairs)
    left = sum((y - y_mean - gradient * (x - x_mean)) ** 2 for x, y in pairs)
    return 1.0 - left / sum((y - y_mean) ** 2 for _, y in pairs)


def _mid(tick: Tick) -> float:
    return (tick.bid_paise + tick.ask_paise) / 2


def _bucket(edges: Iterable[int], value: float) -> int:
    """The lower edge of the bucket a value lies in."""
    found = None
    for edge in edges:
        if value < edge:
            break
        found = edge
    if found is None:
        raise ValueError(f"{value} lies below the first edge")
    return found


def _at(by_log: Mapping[float, float], away: float) -> float | None:
    """The volatility at ``ln(K/F)``, in a straight line between two strikes; None beyond the listed ones."""
    ordered = sorted(by_log)
    for left, right in pairwise(ordered):
        if left <= away <= right:
            return by_log[left] + (by_log[right] - by_log[left]) * (away - left) / (right - left)
    return None


def _expiry_part(minute: int) -> str:
    for until, text in ((615, "09:15-10:15"), (795, "10:15-13:15"), (885, "13:15-14:45"), (900, "14:45-15:00")):
        if minute < until:
            return text
    return "15:00-15:25"
