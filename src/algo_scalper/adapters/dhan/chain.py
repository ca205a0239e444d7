"""Expiry lists and option chains. The broker's pace, one request per three seconds for each chain, is kept by `limits`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from algo_scalper.adapters.dhan.endpoints import EXPIRY_LIST, OPTION_CHAIN
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.values import SMALLEST_TICK_PAISE, Row, iso_date, number, whole
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Contract, Index, instrument_key, key_security_id, key_segment
from algo_scalper.domain.market import ChainRow, OptionChain
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import tick_nearest


class DhanChains:
    """Chains of index options. ``contracts`` may grow: it gives the ticks prices are rounded to."""

    def __init__(self, rest: DhanRest, clock: Clock, contracts: Mapping[int, Contract] | None = None) -> None:
        self._rest = rest
        self._clock = clock
        self._contracts = {} if contracts is None else contracts

    async def expiries(self, underlying: Index) -> tuple[date, ...]:
        """POST /optionchain/expirylist, ascending. Raises `BrokerError`, or DataError for a reply that is no list."""
        body = await self._rest.raw(EXPIRY_LIST, _underlying(underlying))
        listed = body.get("data") if isinstance(body, dict) else None
        if not isinstance(listed, list):
            raise DataError(f"expiry list of {underlying.name}: no list of dates in the reply")
        return tuple(sorted(iso_date(one, f"expiry of {underlying.name}") for one in listed))

    async def option_chain(self, underlying: Index, expiry: date) -> OptionChain:
        """POST /optionchain. Raises `BrokerError`, or DataError for a reply that is not a chain."""
        asked = {**_underlying(underlying), "Expiry": expiry.isoformat()}
        body = await self._rest.raw(OPTION_CHAIN, asked)
        return read_chain(body, underlying, expiry, self._clock.now_ns(), self._contracts)


def read_chain(
    body: object, underlying: Index, expiry: date, at_ns: int, contracts: Mapping[int, Contract]
) -> OptionChain:
    """A chain from its JSON: rows by (strike, call before put), prices on the contract's tick, zero for absent.

    Contracts that do not exist come as zeros without a security id and are left out. Greeks and implied volatility are
    not taken: ours come from one formula everywhere. Raises DataError when it is not a chain.
    """
    what = f"option chain of {underlying.name} {expiry}"
    data = body.get("data") if isinstance(body, dict) else None
    strikes = data.get("oc") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(strikes, dict):
        raise DataError(f"{what}: no data.oc in the reply")
    rows: list[ChainRow] = []
    for strike in sorted(strikes, key=lambda text: number(text, f"{what} strike")):
        sides = strikes[strike]
        if not isinstance(sides, dict):
            raise DataError(f"{what}: strike {strike[:20]} is not an object")
        for side in ("ce", "pe"):
            row = sides.get(side)
            if isinstance(row, dict) and row.get("security_id"):
                try:
                    rows.append(_row(row, underlying, contracts))
                except DataError as wrong:  # the place is put together only where it is needed: there are 250 rows
                    raise DataError(f"{what} {strike[:20]} {side} {wrong}") from None
    if strikes and not rows:
        raise DataError(f"{what}: {len(strikes)} strikes and not one security id")
    spot = number(data.get("last_price"), f"{what} last_price")
    return OptionChain(at_ns, underlying.name, expiry, tick_nearest(spot, underlying.tick_paise), tuple(rows))


def _row(row: Row, underlying: Index, contracts: Mapping[int, Contract]) -> ChainRow:
    key = instrument_key(underlying.options, whole(row["security_id"], "security_id"))
    contract = contracts.get(key)
    tick_paise = contract.tick_paise if contract is not None else SMALLEST_TICK_PAISE

    def price(name: str) -> int:
        return tick_nearest(number(row.get(name), name), tick_paise)

    return ChainRow(
        key,
        price("last_price"),
        price("top_bid_price"),
        price("top_ask_price"),
        whole(row.get("oi"), "oi"),
        whole(row.get("volume"), "volume"),
    )


def _underlying(underlying: Index) -> Row:
    return {"UnderlyingScrip": key_security_id(underlying.key), "UnderlyingSeg": key_segment(underlying.key).name}
