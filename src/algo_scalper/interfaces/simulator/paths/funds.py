"""``/fundlimit`` and the margin calculators. A bought option costs its premium; a written one a margin of its strike."""

from __future__ import annotations

import msgspec

from algo_scalper.domain.charges import order_charges
from algo_scalper.domain.instruments import instrument_key
from algo_scalper.domain.orders import Side
from algo_scalper.interfaces.simulator import rows
from algo_scalper.interfaces.simulator.calls import Access, Asked, BookAsked, Call, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.orders_in import (
    SEGMENTS,
    SIDES,
    Refused,
    body_object,
    choice,
    paise,
    quantity,
    whole,
)
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, java_rupees, success
from algo_scalper.simulation.exchange import SHORT_MARGIN_PERCENT

_PRODUCTS = dict.fromkeys(("CNC", "INTRADAY", "MARGIN", "MTF", "CO", "BO"), True)
_SEGMENTS = {**dict.fromkeys(("NSE_EQ", "BSE_EQ", "NSE_CURRENCY", "BSE_CURRENCY", "MCX_COMM"), None), **SEGMENTS}
_MOST_SCRIPS = 100


class Need(msgspec.Struct, frozen=True):
    """What an order asks of the account, in paise."""

    premium_paise: int = 0
    span_paise: int = 0
    brokerage_paise: int = 0

    @property
    def total_paise(self) -> int:
        """All of it, charges apart."""
        return self.premium_paise + self.span_paise


def _funds(desk: Desk, _: Call, __: str) -> BookAsked:
    return BookAsked(lambda book: success(rows.funds_body(desk.funds(book.funds), desk.client_id)))


def _need(desk: Desk, body: dict[str, object]) -> Need:
    """Of one order. Raises `Refused`."""
    segment = choice(body, "exchangeSegment", _SEGMENTS)
    side = choice(body, "transactionType", SIDES)
    choice(body, "productType", _PRODUCTS)
    asked, number, price = quantity(body), whole(body.get("securityId")), paise(body.get("price"))
    contract = desk.contracts.get(instrument_key(segment, number)) if segment is not None else None
    if contract is None:
        return Need(premium_paise=price * asked)
    value = (price or desk.last_paise(contract.key)) * asked
    brokerage = order_charges(contract.exchange, side, value, desk.day).brokerage
    if side is Side.BUY:
        return Need(premium_paise=value, brokerage_paise=brokerage)
    uncovered = max(asked - max(desk.world.exchange.held(contract.key), 0), 0)
    return Need(0, contract.strike_paise * uncovered * SHORT_MARGIN_PERCENT // 100, brokerage)


def _margin(desk: Desk, call: Call, _: str) -> Reply | Asked:
    try:
        body = body_object(call.body)
        if not body.get("dhanClientId"):
            return bad_input("dhanClientId is required")
        need = _need(desk, body)
    except Refused as refusal:
        return refusal.reply

    def shape(available_paise: int) -> Reply:
        return success(
            {
                "totalMargin": java_rupees(need.total_paise),
                "spanMargin": java_rupees(need.span_paise),
                "exposureMargin": java_rupees(0),
                "availableBalance": java_rupees(available_paise),
                "variableMargin": java_rupees(0),
                "insufficientBalance": java_rupees(max(need.total_paise - available_paise, 0)),
                "brokerage": java_rupees(need.brokerage_paise),
                "leverage": "1X",
            }
        )

    return BookAsked(lambda book: shape(desk.funds(book.funds).available_paise))


def _margins(desk: Desk, call: Call, _: str) -> Reply | Asked:
    """Several orders at once, in the official client's words or the other documented ones; nothing is set off."""
    try:
        body = body_object(call.body)
        listed = body.get("scripList", body.get("scripts"))
        if not isinstance(listed, list) or not 0 < len(listed) <= _MOST_SCRIPS:
            return bad_input()
        rows_in = [row for row in listed if isinstance(row, dict)]
        if len(rows_in) != len(listed):
            return bad_input()
        needs = [_need(desk, row) for row in rows_in]
    except Refused as refusal:
        return refusal.reply
    total = sum(need.total_paise for need in needs)
    return success(
        {
            "total_margin": f"{total / 100:.2f}",
            "span_margin": f"{sum(need.span_paise for need in needs) / 100:.2f}",
            "exposure_margin": "0.00",
            "equity_margin": "0.00",
            "fo_margin": f"{total / 100:.2f}",
            "commodity_margin": "0.00",
            "currency": "0.00",
            "hedge_benefit": "0.00",
        }
    )


PATHS: Paths = {
    ("GET", "/fundlimit"): Endpoint(Access.READ, Family.NON_TRADING, _funds),
    ("POST", "/margincalculator"): Endpoint(Access.WRITE, Family.NON_TRADING, _margin),
    ("POST", "/margincalculator/multi"): Endpoint(Access.WRITE, Family.NON_TRADING, _margins),
}
