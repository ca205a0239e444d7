"""``/positions``, ``/holdings``: what the account has, converting it, and selling all of it."""

from __future__ import annotations

from algo_scalper.domain.instruments import instrument_key
from algo_scalper.domain.orders import Product
from algo_scalper.domain.ports import Rejected
from algo_scalper.interfaces.simulator import rows
from algo_scalper.interfaces.simulator.calls import Access, Asked, BookAsked, Call, DeedAsked, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.gate import write_barred
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.orders_in import SEGMENTS, Refused, body_object, choice, whole
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, empty, refused, success, trading_error

_CONVERTIBLE = {"INTRADAY": Product.INTRADAY, "MARGIN": Product.MARGIN}


def _positions(desk: Desk, _: Call, __: str) -> BookAsked:
    return BookAsked(
        lambda book: success(
            [
                rows.position_row(
                    position,
                    desk.contracts[position.key],
                    desk.product_of(position.key),
                    desk.last_paise(position.key) if position.net_quantity else 0,
                    desk.client_id,
                )
                for position in book.positions
            ]
        ),
    )


def _convert(desk: Desk, call: Call, _: str) -> Reply | Asked:
    try:
        body = body_object(call.body)
        if body.get("dhanClientId") != desk.client_id:
            return bad_input("dhanClientId is required" if not body.get("dhanClientId") else None)
        key = instrument_key(choice(body, "exchangeSegment", SEGMENTS), whole(body.get("securityId")))
        before = choice(body, "fromProductType", _CONVERTIBLE)
        after = choice(body, "toProductType", _CONVERTIBLE)
        is_long = choice(body, "positionType", {"LONG": True, "SHORT": False})
        quantity = whole(body.get("convertQty"))
    except Refused as refusal:
        return refusal.reply
    if before is after:
        return bad_input()

    def act(_: int) -> Reply:
        if (desk.world.exchange.held(key) > 0) is not is_long:
            return bad_input()
        answer = desk.world.exchange.convert(key, quantity, after)
        return refused(answer.reason) if isinstance(answer, Rejected) else empty(202)

    return DeedAsked(act)


def _exit_all(desk: Desk, _: Call, __: str) -> Reply | Asked:
    def act(_: int) -> Reply:
        trouble = desk.standing.sell_out()
        if trouble:
            return success({"status": "ERROR", "message": trouble})
        return success({"status": "SUCCESS", "message": "All orders and positions exited successfully"})

    return write_barred(desk) or DeedAsked(act)


def _holdings(desk: Desk, _: Call, __: str) -> Reply:
    if not desk.facts.holdings:
        return trading_error(500, "HOLDING_ERROR", "DH-1111", "No holdings available")
    return success(desk.facts.holdings)


PATHS: Paths = {
    ("GET", "/positions"): Endpoint(Access.READ, Family.NON_TRADING, _positions),
    ("DELETE", "/positions"): Endpoint(Access.WRITE, Family.ORDER, _exit_all, is_order=True),
    ("POST", "/positions/convert"): Endpoint(Access.WRITE, Family.NON_TRADING, _convert, is_order=True),
    ("GET", "/holdings"): Endpoint(Access.READ, Family.NON_TRADING, _holdings),
}
