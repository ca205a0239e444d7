"""The near part of an option chain: cut from a whole one, or priced alone, it is the same."""

from __future__ import annotations

from datetime import date

import pytest

from algo_scalper.domain.market import CHAIN_REACH, near_chain, strikes_near
from algo_scalper.domain.units import ist_ns
from algo_scalper.simulation.market import synthetic_day

DAY = date(2026, 11, 27)


def test_strikes_on_both_sides_of_the_spot() -> None:
    strikes = [100, 200, 300, 400, 500]
    assert strikes_near(strikes, 300, 1) == [200, 300, 400]
    assert strikes_near(strikes, 301, 1) == [300, 400, 500]
    assert strikes_near(strikes, 90, 1) == [100, 200]
    assert strikes_near(strikes, 900, 1) == [500]


@pytest.mark.parametrize("underlying", ["NIFTY", "SENSEX"])
def test_what_is_cut_from_the_wire_is_what_a_backtest_prices(underlying: str) -> None:
    market = synthetic_day(DAY, 4)
    expiry = market.expiries(underlying)[0]
    at_ns = ist_ns(DAY, 11 * 3600)
    whole = market.chain(underlying, expiry, at_ns)
    contracts = {contract.key: contract for contract in market.contracts}
    near = near_chain(whole, contracts)
    assert near == market.chain(underlying, expiry, at_ns, CHAIN_REACH)
    assert len(near.rows) == 2 * (2 * CHAIN_REACH + 1) < len(whole.rows)
