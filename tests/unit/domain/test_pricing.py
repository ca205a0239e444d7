"""Prices, greeks and implied volatility against vollib, put-call parity and a recorded Dhan option chain."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from math import exp, log, sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from vollib.black import black
from vollib.black.greeks import analytical
from vollib.black.implied_volatility import implied_volatility as vollib_iv

from algo_scalper.domain.pricing import (
    Greeks,
    dhan_greeks,
    dhan_iv,
    dhan_price,
    dhan_years,
    greeks,
    implied_vol,
    parity_forward,
    price,
)
from algo_scalper.domain.units import IST
from tests.shared_data import shared

forwards = st.floats(min_value=15_000, max_value=90_000)
sigmas = st.floats(min_value=0.04, max_value=1.0)
years_left = st.floats(min_value=1e-5, max_value=1.0)  # 1e-5 of a year is five minutes
moneyness = st.floats(min_value=-3.5, max_value=3.5)  # in units of sigma sqrt(T)
sides = st.booleans()


def strike_at(forward: float, u: float, sigma: float, years: float) -> float:
    return forward * exp(u * sigma * sqrt(years))


def flag(is_call: bool) -> str:
    return "c" if is_call else "p"


@given(forwards, moneyness, years_left, sigmas, sides)
def test_price_is_vollibs(forward: float, u: float, years: float, sigma: float, is_call: bool) -> None:
    strike = strike_at(forward, u, sigma, years)
    expected = black(flag(is_call), forward, strike, years, 0.0, sigma)
    assert price(forward, strike, years, sigma, is_call) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(forwards, moneyness, years_left, sigmas, sides)
def test_greeks_are_vollibs(forward: float, u: float, years: float, sigma: float, is_call: bool) -> None:
    strike = strike_at(forward, u, sigma, years)
    inputs = (flag(is_call), forward, strike, years, 0.0, sigma)
    ours = greeks(forward, strike, years, sigma, is_call)
    assert ours.delta == pytest.approx(analytical.delta(*inputs), rel=1e-9, abs=1e-12)
    assert ours.gamma == pytest.approx(analytical.gamma(*inputs), rel=1e-9)
    assert ours.theta == pytest.approx(analytical.theta(*inputs), rel=1e-9)
    assert ours.vega == pytest.approx(analytical.vega(*inputs), rel=1e-9)


@given(forwards, moneyness, years_left, sigmas)
def test_put_call_parity(forward: float, u: float, years: float, sigma: float) -> None:
    strike = strike_at(forward, u, sigma, years)
    call = price(forward, strike, years, sigma, is_call=True)
    put = price(forward, strike, years, sigma, is_call=False)
    assert call - put == pytest.approx(forward - strike, abs=1e-9 * forward)
    found = parity_forward([(strike, call, put)])
    assert found == pytest.approx(forward, rel=1e-9) if call > 0.0 and put > 0.0 else found is None


@given(forwards, moneyness, years_left, sigmas, sides)
def test_implied_vol_finds_the_volatility_again(
    forward: float, u: float, years: float, sigma: float, is_call: bool
) -> None:
    strike = strike_at(forward, u, sigma, years)
    premium = price(forward, strike, years, sigma, is_call)
    assume(price(forward, strike, years, sigma, strike >= forward) > 0.05)
    found = implied_vol(premium, forward, strike, years, is_call)
    # An in-the-money premium carries its time value to about 1e-16 of itself.
    assert found == pytest.approx(sigma, rel=1e-7)
    if is_call is (strike >= forward):
        assert found == pytest.approx(vollib_iv(premium, forward, strike, 0.0, years, flag(is_call)), rel=1e-9)


@pytest.mark.parametrize("years", [1e-7, 1e-5, 1 / 365, 5.0])
@pytest.mark.parametrize("sigma", [0.001, 0.02, 0.5, 3.0, 9.0])
@pytest.mark.parametrize("strike", [12_000.0, 24_000.0, 24_500.0, 24_500.01, 25_000.0, 60_000.0])
def test_implied_vol_at_the_edges_is_right_or_none(years: float, sigma: float, strike: float) -> None:
    for is_call in (True, False):
        premium = price(24_500.0, strike, years, sigma, is_call)
        intrinsic = max(24_500.0 - strike, 0.0) if is_call else max(strike - 24_500.0, 0.0)
        found = implied_vol(premium, 24_500.0, strike, years, is_call)
        if premium - intrinsic <= 0.025:
            assert found is None
        elif found is not None:
            assert price(24_500.0, strike, years, found, is_call) == pytest.approx(premium, rel=1e-9)
        else:
            # Refused only where the price has stopped depending on the volatility.
            assert sigma * sqrt(years) > 16


@pytest.mark.parametrize(
    ("premium", "forward", "strike", "years"),
    [
        (100.0, 24_500.0, 24_500.0, 0.0),  # expired
        (100.0, 24_500.0, 24_500.0, -1.0),
        (500.02, 24_500.0, 24_000.0, 0.01),  # intrinsic and less than half a tick
        (400.0, 24_500.0, 24_000.0, 0.01),  # under intrinsic
        (0.0, 24_500.0, 25_000.0, 0.01),
        (24_500.0, 24_500.0, 24_600.0, 0.01),  # dearer than the forward itself
        (100.0, 0.0, 24_500.0, 0.01),
        (100.0, 24_500.0, 0.0, 0.01),
        (float("nan"), 24_500.0, 24_500.0, 0.01),
    ],
)
def test_no_volatility_where_the_premium_determines_none(
    premium: float, forward: float, strike: float, years: float
) -> None:
    assert implied_vol(premium, forward, strike, years, is_call=True) is None


def test_half_a_tick_is_in_the_unit_of_the_premium() -> None:
    assert implied_vol(5.0, 24_500.0, 25_000.0, 0.01, is_call=True, half_tick=2.5) is not None
    assert implied_vol(2.5, 24_500.0, 25_000.0, 0.01, is_call=True, half_tick=2.5) is None


def test_without_time_only_intrinsic_value_is_left() -> None:
    assert price(24_500.0, 24_400.0, 0.0, 0.12, is_call=True) == 100.0
    assert price(24_500.0, 24_400.0, 0.0, 0.12, is_call=False) == 0.0
    assert price(24_500.0, 24_600.0, 0.01, 0.0, is_call=False) == 100.0
    assert greeks(24_500.0, 24_400.0, 0.0, 0.12, is_call=True) == Greeks(1.0, 0.0, 0.0, 0.0)
    assert greeks(24_500.0, 24_400.0, 0.0, 0.12, is_call=False) == Greeks(0.0, 0.0, 0.0, 0.0)
    assert greeks(24_500.0, 24_600.0, 0.01, 0.0, is_call=False) == Greeks(-1.0, 0.0, 0.0, 0.0)


@given(forwards, moneyness, years_left, sigmas, sides)
def test_theta_is_the_decay_of_the_price(forward: float, u: float, years: float, sigma: float, is_call: bool) -> None:
    strike = strike_at(forward, u, sigma, years)
    step = years * 1e-4
    later = price(forward, strike, years - step, sigma, is_call)
    earlier = price(forward, strike, years + step, sigma, is_call)
    decay = (later - earlier) / (2 * step) / 365
    assert greeks(forward, strike, years, sigma, is_call).theta == pytest.approx(decay, rel=1e-4, abs=1e-4 * sigma)


def test_parity_forward_is_the_median_and_skips_absent_sides() -> None:
    pairs = [(24_400.0, 160.0, 50.0), (24_450.0, 120.0, 62.0), (24_500.0, 90.0, 81.0), (24_550.0, 0.0, 111.0)]
    assert parity_forward(pairs) == 24_509.0  # of 24510, 24508, 24509
    assert parity_forward(pairs[:2]) == 24_509.0
    assert parity_forward(pairs[3:]) is None
    assert parity_forward([]) is None


def test_dhan_counts_time_to_1530_utc() -> None:
    at = datetime(2026, 11, 23, 15, 30, tzinfo=IST)
    at_ns = int(at.timestamp()) * 1_000_000_000
    assert dhan_years(at_ns, date(2026, 11, 23)) * 365 * 24 == pytest.approx(5.5)
    assert dhan_years(at_ns, date(2026, 11, 22)) == 0.0


@given(st.floats(15_000, 90_000), moneyness, st.floats(1e-3, 0.2), sigmas, sides)
def test_dhan_iv_finds_the_volatility_again(spot: float, u: float, years: float, sigma: float, is_call: bool) -> None:
    strike = strike_at(spot, u, sigma, years)
    premium = dhan_price(spot, strike, years, sigma, is_call)
    otm = premium - (spot - strike * exp(-0.1 * years)) * (1 if is_call else -1)
    assume(min(premium, otm) > 0.1)
    assert dhan_iv(premium, spot, strike, years, is_call) == pytest.approx(sigma, rel=1e-6)


def test_dhan_figures_of_a_recorded_chain() -> None:
    """28 Jan 2025, 15:03 IST, two days to expiry: Dhan's volatilities and greeks near the money.

    Dhan computes a row when the option quotes, so most rows stand on a spot a few points away from the one printed;
    those computed on the printed spot must agree to the last decimal, the others nearly.
    """
    path = shared("data/dhan_fixtures/v2_optionchain/200_fc4bde6f8f.json")
    capture = json.loads(path.read_text())
    at = datetime.strptime(capture["source"]["recorded_at"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    years = dhan_years(int(at.timestamp()) * 1_000_000_000, date.fromisoformat(capture["request_body"]["Expiry"]))
    body = capture["response_body"]["data"]
    spot = body["last_price"]
    rows = [
        (float(strike), side == "ce", row[side])
        for strike, row in body["oc"].items()
        for side in ("ce", "pe")
        if abs(log(float(strike) / spot)) < 0.01
    ]
    exact = 0
    for strike, is_call, theirs in rows:
        volatility = theirs["implied_volatility"]
        found = dhan_iv(theirs["last_price"], spot, strike, years, is_call)
        ours = dhan_greeks(spot, strike, years, volatility / 100, is_call)
        assert found is not None
        assert found * 100 == pytest.approx(volatility, abs=0.25)
        assert ours.delta == pytest.approx(theirs["greeks"]["delta"], abs=0.004)
        assert ours.gamma == pytest.approx(theirs["greeks"]["gamma"], abs=0.00002)
        assert ours.theta == pytest.approx(theirs["greeks"]["theta"], abs=0.12)
        assert ours.vega == pytest.approx(theirs["greeks"]["vega"], abs=0.03)
        if found * 100 == pytest.approx(volatility, abs=0.0005):
            exact += 1
            assert ours == pytest.approx(tuple(theirs["greeks"][name] for name in ours._fields), abs=0.0002)
    assert len(rows) >= 16
    assert exact >= 1
