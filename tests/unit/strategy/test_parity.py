"""The forward a chain implies, by hand and against the futures-like spread of real chains."""

from __future__ import annotations

from datetime import date

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.market import ChainRow, OptionChain
from algo_scalper.strategy.parity import implied_forward_paise
from tests.shared_data import shared
from tests.unit.strategy.chains import chain, contract

#           strike side bid    ask    oi        mid     strike + C - P
CHAIN = """
            25600  CE   196.00 196.40 1        196.20
            25600  PE   70.10  70.30  1         70.20   25726.00
            25650  CE   165.20 165.60 1        165.40
            25650  PE   88.00  88.20  1         88.10   25727.30
            25700  CE   136.90 137.10 1        137.00
            25700  PE   110.10 110.30 1        110.20   25726.80
            25750  CE   111.30 111.50 1        111.40
            25750  PE   134.80 135.00 1        134.90   25726.50
            25800  CE   88.90  89.10  1         89.00
            25800  PE   162.10 162.50 1        162.30   25726.70
"""


def written(text: str) -> tuple[OptionChain, dict[int, Contract]]:
    """The chain without the columns on the right, which are for the reader."""
    return chain("\n".join(" ".join(line.split()[:5]) for line in text.split("\n")))


def test_median_of_the_three_strikes_nearest_the_money() -> None:
    # |C - P|: 25700 26.8, 25750 23.5, 25800 73.3, 25650 77.3, 25600 126.0: so 25726.80, 25726.50 and 25726.70
    assert implied_forward_paise(*written(CHAIN)) == 2_572_670


def test_one_bad_quote_does_not_move_it() -> None:
    # 25750 now says 25741.50; the median of three is still one of the good ones
    assert implied_forward_paise(*written(CHAIN.replace("111.30 111.50", "126.30 126.50"))) == 2_572_680


@pytest.mark.parametrize("quote", ["0 137.10", "136.90 0", "137.30 137.10"])
def test_a_strike_without_two_sides_is_left_out(quote: str) -> None:
    # 25650 takes its place: 25727.30, 25726.50, 25726.70
    assert implied_forward_paise(*written(CHAIN.replace("136.90 137.10", quote))) == 2_572_670


def test_too_few_strikes_say_nothing() -> None:
    listed, contracts = written("\n".join(CHAIN.split("\n")[:5]))
    assert implied_forward_paise(listed, contracts) is None
    assert implied_forward_paise(listed, {}) is None


def test_real_chain_over_a_day() -> None:
    """29 August 2025, NIFTY: each snapshot's forward lies near the day's futures level and moves like an index."""
    path = shared("data/parquet/nse_chain_snapshots_20250827_29_nifty.parquet")
    table = pq.read_table(path, columns=["ts", "symbol", "expiry", "strike", "opt", "bid", "ask"])
    expiry = date(2025, 9, 2)
    table = table.filter(pc.and_(pc.equal(table["symbol"], "NIFTY"), pc.equal(table["expiry"], expiry)))
    snapshots: dict[int, list[tuple[int, str, float, float]]] = {}
    for row in table.to_pylist():
        snapshots.setdefault(row["ts"], []).append((row["strike"], row["opt"], row["bid"], row["ask"]))

    contracts = {
        listed.key: listed
        for strike in range(20_000, 30_050, 50)
        for listed in (contract(strike, strike, "CE", expiry), contract(strike + 50_000, strike, "PE", expiry))
    }
    keys = {(listed.strike_paise // 100, listed.option_type.value): key for key, listed in contracts.items()}
    forwards = []
    for ts, quotes in sorted(snapshots.items()):
        rows = tuple(
            ChainRow(keys[strike, side], 0, round(bid * 100), round(ask * 100), 0, 0)
            for strike, side, bid, ask in quotes
            if (strike, side) in keys
        )
        forwards.append(implied_forward_paise(OptionChain(ts, "NIFTY", expiry, 0, rows), contracts))
    known = [forward for forward in forwards if forward is not None]
    assert len(known) >= 300
    assert all(2_430_000 < forward < 2_480_000 for forward in known)
    moves = sorted(abs(b - a) for a, b in zip(known[10:], known[11:], strict=False))
    assert moves[len(moves) // 2] < 500  # a median minute moves less than Rs 5
