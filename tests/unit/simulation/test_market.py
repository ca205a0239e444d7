"""The market of a day: no free money, the measured spreads and volatilities, and the same for whoever asks."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from itertools import pairwise
from math import log, sqrt
from statistics import fmean, median

import pytest

from algo_scalper.domain.calendar import years_to_expiry
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import INDIA_VIX_KEY, NIFTY, SENSEX, Contract, OptionType, Segment, key_segment
from algo_scalper.domain.market import Candle
from algo_scalper.domain.pricing import implied_vol, parity_forward
from algo_scalper.domain.units import NS_PER_SECOND, ist_ns
from algo_scalper.runtime.recordings import read_recording
from algo_scalper.simulation.chains import OptionLine
from algo_scalper.simulation.market import MarketDay, recorded_day, synthetic_day
from tests.shared_data import shared

FRIDAY = date(2026, 6, 5)  # NIFTY expires on Tuesday: 4 days
EXPIRY = date(2026, 6, 9)


@pytest.fixture(scope="module")
def market() -> MarketDay:
    return synthetic_day(FRIDAY, 5)


@pytest.fixture(scope="module")
def expiry_market() -> MarketDay:
    return synthetic_day(EXPIRY, 5)


def at(market: MarketDay, hour: int, minute: int) -> int:
    return ist_ns(market.day, hour * 3600 + minute * 60)


def strikes(market: MarketDay, expiry: date) -> dict[tuple[int, OptionType], Contract]:
    return {
        (c.strike_paise, c.option_type): c for c in market.contracts if c.underlying == "NIFTY" and c.expiry == expiry
    }


def test_contracts_are_listed_as_the_exchanges_list_them(market: MarketDay) -> None:
    assert market.expiries("NIFTY") == (date(2026, 6, 9), date(2026, 6, 16), date(2026, 6, 23))
    assert market.expiries("SENSEX")[0] == date(2026, 6, 11)
    by_name = {c.underlying: c for c in market.contracts}
    assert {name: (c.lot, c.freeze_quantity) for name, c in by_name.items()} == {
        "NIFTY": (65, 1755),
        "BANKNIFTY": (30, 600),
        "FINNIFTY": (60, 1800),
        "SENSEX": (20, 1000),
    }
    assert key_segment(by_name["SENSEX"].key) is Segment.BSE_FNO
    assert len({c.key for c in market.contracts}) == len(market.contracts)


def test_a_contract_keeps_its_key_from_day_to_day(market: MarketDay, expiry_market: MarketDay) -> None:
    one, other = strikes(market, EXPIRY), strikes(expiry_market, EXPIRY)
    shared = one.keys() & other.keys()
    assert len(shared) > 60
    assert all(one[which].key == other[which].key for which in shared)


def test_books_are_uncrossed_and_on_the_tick(market: MarketDay) -> None:
    for contract in market.contracts[::7]:
        for second in (0, 1, 777, 12_000, 22_499):
            quote = market.line(contract.key).quote(second)
            tick = quote.tick
            assert 0 <= tick.bid_paise < tick.ask_paise
            assert tick.ltp_paise > 0
            prices = [price for price, _ in (*reversed(quote.bids), *quote.asks)]
            assert prices == sorted(set(prices))
            assert all(price > 0 and price % 5 == 0 for price in prices)
            assert all(size > 0 and size % contract.lot == 0 for _, size in (*quote.bids, *quote.asks))
            assert tick.bid_total == sum(size for _, size in quote.bids)
            assert tick.ask_total == sum(size for _, size in quote.asks)
            assert tick.bid_paise == (quote.bids[0][0] if quote.bids else 0)
            assert tick.ask_paise == quote.asks[0][0]
            assert tick.volume % contract.lot == 0
            assert tick.oi % contract.lot == 0


def mids(market: MarketDay, expiry: date, second: int) -> list[tuple[int, float, float]]:
    rows = strikes(market, expiry)
    found = []
    for strike in sorted({strike for strike, _ in rows}):
        pair = [market.line(rows[strike, kind].key) for kind in (OptionType.CE, OptionType.PE)]
        assert all(isinstance(line, OptionLine) for line in pair)
        call, put = (line.mid_paise(second) for line in pair if isinstance(line, OptionLine))
        found.append((strike, call, put))
    return found


def test_there_is_no_free_money_across_strikes(market: MarketDay) -> None:
    for second in (60, 9_000, 22_000):
        rows = mids(market, EXPIRY, second)
        for (low, call, put), (high, next_call, next_put) in pairwise(rows):
            assert 0 <= call - next_call <= high - low
            assert 0 <= next_put - put <= high - low
        # A butterfly may be worth a few ticks less than nothing where the smile bends: less than its four spreads.
        for (_, a, x), (_, b, y), (_, c, z) in zip(rows, rows[1:], rows[2:], strict=False):
            assert a + c - 2 * b > -50
            assert x + z - 2 * y > -50


def test_calls_and_puts_agree_on_one_forward_with_the_measured_carry(market: MarketDay) -> None:
    second = 9_000
    rows = [row for row in mids(market, EXPIRY, second) if min(row[1:]) > 2_000]
    forward = parity_forward(rows)
    assert forward is not None
    assert all(strike + call - put == pytest.approx(forward, abs=1.0) for strike, call, put in rows)
    at_ns = market.axis.open_ns + second * NS_PER_SECOND
    spot = market.truth_paise("NIFTY", at_ns)
    assert log(forward / spot) / years_to_expiry(at_ns, EXPIRY) == pytest.approx(0.0585, abs=0.01)


def test_the_smile_read_back_by_the_domains_own_pricing_is_the_measured_one(market: MarketDay) -> None:
    """4-8 DTE, iv / ATM at u = -3, -2, -1, 0, 1, 2, 3: 1.60 1.34 1.13 1.00 .96 1.07 1.30."""
    measured = {-3: 1.60, -2: 1.34, -1: 1.13, 0: 1.00, 1: 0.96, 2: 1.07, 3: 1.30}
    second = 9_000
    years = years_to_expiry(market.axis.open_ns + second * NS_PER_SECOND, EXPIRY)
    rows = mids(market, EXPIRY, second)
    forward = parity_forward([row for row in rows if min(row[1:]) > 2_000])
    assert forward is not None
    vols = {}
    for strike, call, put in rows:
        is_call = strike >= forward
        sigma = implied_vol(call if is_call else put, forward, strike, years, is_call, 2.5)
        if sigma is not None:
            vols[log(strike / forward)] = sigma
    atm = vols[min(vols, key=abs)]
    for u, ratio in measured.items():
        nearest = min(vols, key=lambda away: abs(away / (atm * sqrt(years)) - u))
        assert vols[nearest] / atm == pytest.approx(ratio, abs=0.10), u


def test_the_at_the_money_spread_of_the_weekly_is_the_measured_fifth_of_a_percent(market: MarketDay) -> None:
    spreads, inside, shares = [], [], []
    for second in range(600, 21_600, 300):
        strike = round(market.truth_paise("NIFTY", market.axis.open_ns + second * NS_PER_SECOND) / 5_000) * 5_000
        for kind in OptionType:
            tick = market.line(strikes(market, EXPIRY)[strike, kind].key).quote(second).tick
            spreads.append(tick.ask_paise - tick.bid_paise)
            shares.append((tick.ask_paise - tick.bid_paise) / tick.ask_paise)
            inside.append(tick.bid_paise <= tick.ltp_paise <= tick.ask_paise)
    assert median(shares) == pytest.approx(0.0021, rel=0.25)
    assert 10 <= median(spreads) <= 35
    assert fmean(inside) == pytest.approx(0.80, abs=0.10)


def test_far_expiries_and_deep_contracts_cost_more_to_trade(market: MarketDay) -> None:
    second = 9_000

    def spread(expiry: date, out_paise: int) -> float:
        rows = strikes(market, expiry)
        strike = round((market.truth_paise("NIFTY", market.axis.open_ns + second * NS_PER_SECOND) + out_paise) / 5e3)
        line = market.line(rows[strike * 5_000, OptionType.CE].key)
        ticks = [line.quote(second + n).tick for n in range(40)]
        return fmean(tick.ask_paise - tick.bid_paise for tick in ticks)

    week_1, week_2, week_3 = (spread(expiry, 0) for expiry in market.expiries("NIFTY"))
    assert 1.1 < week_2 / week_1 < 3.0
    assert 100 < week_3 < 350  # measured 1.35 to 2.05 rupees at an index of 24,500
    assert spread(EXPIRY, -100_000) > 8 * week_1


@pytest.mark.parametrize(("hour", "minute", "measured"), [(9, 20, 0.48), (12, 0, 0.33), (15, 0, 0.10)])
def test_an_expiry_days_straddle_melts_as_measured(hour: int, minute: int, measured: float) -> None:
    """ATM straddle over spot, percent, expiry day."""
    seen = []
    for seed in range(8):
        market = synthetic_day(EXPIRY, seed)
        second = market.axis.second_of(at(market, hour, minute))
        spot = market.truth_paise("NIFTY", at(market, hour, minute))
        _, call, put = min(mids(market, EXPIRY, second), key=lambda row: abs(row[0] - spot))
        seen.append(100 * (call + put) / spot)
    assert measured / 1.6 < median(seen) < measured * 1.6


def test_straddles_of_recorded_days_cost_what_they_cost_in_reality() -> None:
    """Real at-the-money calls and puts of the nearest weekly, minute closes; the simulation knows only the index."""
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(shared("data/parquet/dhan_nifty_atm_1m_2026.parquet")).to_pydict()
    columns = (table[name] for name in ("ts", "ce_strike", "pe_strike", "ce_close", "pe_close"))
    real = {
        ts: (round(strike * 100), ce + pe)
        for ts, strike, other, ce, pe in zip(*columns, strict=True)
        if strike == other
    }
    recording = read_recording(shared("data/parquet/nifty_1m_2026.parquet"))
    ratios = []
    for day in sorted(recording.days)[::3]:
        market = recorded_day("NIFTY", recording.day(day), recording.before(day), day, 1)
        rows = strikes(market, market.expiries("NIFTY")[0])
        for minute in (5, 60, 165, 300):
            strike, paid = real.get(market.axis.open_ns // NS_PER_SECOND + 60 * minute, (0, 0.0))
            if (strike, OptionType.CE) in rows:
                lines = [market.line(rows[strike, kind].key) for kind in OptionType]
                ratios.append(sum(line.quote(60 * minute + 59).tick.bid_paise for line in lines) / 100 / paid)
    assert len(ratios) > 45
    assert median(ratios) == pytest.approx(1.0, abs=0.12)
    assert fmean(0.7 < ratio < 1.4 for ratio in ratios) > 0.75


def test_volume_grows_and_trades_most_near_the_money(market: MarketDay) -> None:
    rows = strikes(market, EXPIRY)
    strike = round(market.truth_paise("NIFTY", at(market, 12, 0)) / 10_000) * 10_000
    line = market.line(rows[strike, OptionType.CE].key)
    volumes = [line.quote(second).tick.volume for second in range(0, 22_500, 7)]
    assert volumes == sorted(volumes)
    assert volumes[-1] > 1_000_000
    far = market.line(rows[strike - 100_000, OptionType.CE].key).quote(22_499).tick
    assert volumes[-1] > 10 * far.volume


def test_a_quote_does_not_depend_on_what_was_asked_before() -> None:
    one, other = synthetic_day(FRIDAY, 9), synthetic_day(FRIDAY, 9)
    keys = [contract.key for contract in one.contracts[::50]]
    forward = [one.line(key).quote(second) for key in keys for second in (5, 8_000, 20_000)]
    backward = [other.line(key).quote(second) for key in reversed(keys) for second in (20_000, 8_000, 5)]
    assert forward == backward[::-1]


def test_another_seed_is_another_market(market: MarketDay) -> None:
    assert synthetic_day(FRIDAY, 6).index_paise("NIFTY", at(market, 12, 0)) != market.index_paise(
        "NIFTY", at(market, 12, 0)
    )


_FINGERPRINT = """
from datetime import date
import msgspec
from zlib import crc32
from algo_scalper.simulation.market import synthetic_day
market = synthetic_day(date(2026, 11, 23), 42)
at = market.axis.open_ns + 3600 * 10**9
seen = [market.chain(name, market.expiries(name)[0], at) for name in ("NIFTY", "SENSEX", "BANKNIFTY", "FINNIFTY")]
quotes = [market.quote(c.key, at + n * 10**9) for n, c in enumerate(market.contracts[::97])]
print(crc32(msgspec.msgpack.encode([seen, quotes, market.history(13, at), market.previous_close_paise])))
"""


def test_the_same_seed_is_the_same_market_in_another_process_with_another_hash_seed() -> None:
    seen = [
        subprocess.run(
            [sys.executable, "-c", _FINGERPRINT],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("0", "4711")
    ]
    assert seen[0] == seen[1] != ""


def test_before_the_open_and_after_the_close_there_is_no_book(market: MarketDay) -> None:
    contract = market.contracts[40]
    early = market.quote(contract.key, market.axis.open_ns - NS_PER_SECOND)
    assert early.bids == early.asks == ()
    assert early.tick.ltp_paise == market.previous_close_paise[contract.key]
    late = market.quote(contract.key, at(market, 15, 31))
    assert late.bids == late.asks == ()
    assert late.tick.ltp_paise == market.line(contract.key).quote(22_499).tick.ltp_paise
    assert not market.line(contract.key).prints(22_500)


def test_nothing_prints_in_the_pause_of_a_split_session() -> None:
    market = synthetic_day(date(2024, 3, 2), 1)
    key = market.contracts[40].key
    for hour, minute, open_ in ((9, 59, True), (10, 0, False), (11, 29, False), (11, 30, True), (12, 29, True)):
        second = market.axis.second_of(at(market, hour, minute))
        assert market.line(key).prints(second) is open_
        assert market.line(NIFTY.key).prints(second) is open_
        assert bool(market.line(key).quote(second).asks) is open_
    assert len(market.history(NIFTY.key, at(market, 13, 0))) == 375 + 45 + 60


@pytest.mark.parametrize(
    "day", [date(2018, 11, 7), date(2021, 4, 1), date(2024, 1, 20), date(2026, 11, 8), date(2027, 3, 4)]
)
def test_any_session_of_any_year_can_be_made(day: date) -> None:
    market = synthetic_day(day, 1)
    middle = market.axis.open_ns + market.axis.seconds // 2 * NS_PER_SECOND
    for name in ("NIFTY", "BANKNIFTY", "FINNIFTY", "SENSEX"):
        chain = market.chain(name, market.expiries(name)[0], middle)
        assert sum(row.bid_paise > 0 for row in chain.rows) > 50


def test_after_the_auctions_print_an_expiring_contract_is_worth_its_intrinsic_value() -> None:
    market = synthetic_day(date(2026, 8, 4), 3)
    close = market.settlement_paise("NIFTY")
    second = market.axis.second_of(at(market, 15, 35))
    for strike, call, put in mids(market, market.day, second):
        assert call == pytest.approx(max(close - strike, 0), abs=1.0)
        assert put == pytest.approx(max(strike - close, 0), abs=1.0)
    following = market.expiries("NIFTY")[1]
    assert min(call + put for _, call, put in mids(market, following, second)) > 5_000


def test_vix_is_thirty_day_volatility_and_falls_when_the_index_jumps_up(market: MarketDay) -> None:
    opening = market.quote(INDIA_VIX_KEY, at(market, 9, 16)).tick
    assert 900 < opening.ltp_paise < 4_500
    assert opening.ltp_paise % 5 == 0
    base = market.history(NIFTY.key, market.axis.open_ns)[-1].close_paise
    jumped = tuple(Candle(market.axis.open_ns + n * 60 * 10**9, *[base * 102 // 100] * 4) for n in range(375))
    calm = tuple(Candle(market.axis.open_ns + n * 60 * 10**9, *[base] * 4) for n in range(375))
    vix = [
        recorded_day("NIFTY", bars, market.history(NIFTY.key, market.axis.open_ns), FRIDAY, 1)
        .quote(INDIA_VIX_KEY, at(market, 11, 0))
        .tick.ltp_paise
        for bars in (calm, jumped)
    ]
    assert 150 < vix[0] - vix[1] < 350  # -1.3 points per +1 %, two percent up


def test_a_chain_snapshot_shows_what_the_quotes_show(market: MarketDay) -> None:
    chain = market.chain("NIFTY", EXPIRY, at(market, 11, 0))
    assert chain.spot_paise == market.index_paise("NIFTY", at(market, 11, 0))
    assert [row.key for row in chain.rows] == [c.key for c in market.contracts if c.expiry == EXPIRY and c.lot == 65]
    for row in chain.rows[::11]:
        tick = market.quote(row.key, at(market, 11, 0)).tick
        assert (row.ltp_paise, row.bid_paise, row.ask_paise, row.oi, row.volume) == (
            tick.ltp_paise,
            tick.bid_paise,
            tick.ask_paise,
            tick.oi,
            tick.volume,
        )


def test_what_is_not_there_is_said(market: MarketDay) -> None:
    with pytest.raises(DataError, match="simulated are: 2026-06-09"):
        market.chain("NIFTY", date(2026, 6, 10), at(market, 11, 0))
    with pytest.raises(DataError, match="listed"):
        market.quote(123, at(market, 11, 0))
    with pytest.raises(DataError, match="not a trading day"):
        synthetic_day(date(2026, 6, 6), 1)
    with pytest.raises(DataError, match="no recorded bars"):
        recorded_day("NIFTY", (), (), FRIDAY, 1)


def test_history_gives_the_previous_session_and_only_closed_bars(market: MarketDay) -> None:
    bars = market.history(SENSEX.key, at(market, 9, 18) + 30 * NS_PER_SECOND)
    assert len(bars) == 375 + 3
    assert bars[374].close_paise == market.previous_close_paise[SENSEX.key]
    assert all(bar.low_paise <= min(bar.open_paise, bar.close_paise) for bar in bars)
    assert all(bar.high_paise >= max(bar.open_paise, bar.close_paise) for bar in bars)
