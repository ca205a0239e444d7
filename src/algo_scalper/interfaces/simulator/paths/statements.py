"""``/trades/{from}/{to}/{page}`` and ``/ledger``: what was traded and what it cost, for the simulated day.

Earlier days are not kept: they have no trades, and their ledger closes as it opened.
"""

from __future__ import annotations

from datetime import date

from algo_scalper.domain.charges import Charges, order_charges
from algo_scalper.domain.orders import Side
from algo_scalper.interfaces.simulator import rows
from algo_scalper.interfaces.simulator.calls import Access, Asked, BookAsked, Call, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.master import display_name
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, success
from algo_scalper.simulation.exchange import ExchangeOrder

ROWS_A_PAGE = 20
_BEGINNING = "Jan 01, 1970"


def _history(desk: Desk, _: Call, argument: str) -> Reply | Asked:
    """One row for each traded order, oldest first; an empty list past the end."""
    begin_text, end_text, page_text = argument.split("/")
    try:
        begin, end = date.fromisoformat(begin_text), date.fromisoformat(end_text)
    except ValueError:
        return bad_input()
    if not page_text.isdecimal() or len(page_text) > 6 or end < begin:
        return bad_input()
    first = int(page_text) * ROWS_A_PAGE

    def shape() -> Reply:
        if not begin <= desk.day <= end:
            return success([])
        traded = _traded(desk)
        return success([_row(desk, order, at_ns) for order, at_ns in traded[first : first + ROWS_A_PAGE]])

    return BookAsked(lambda _: shape())


def _traded(desk: Desk) -> list[tuple[ExchangeOrder, int]]:
    """Orders that traded, each with the time of its last fill."""
    last: dict[str, tuple[ExchangeOrder, int]] = {}
    for fill, order in reversed(desk.fills()):
        last[order.broker_id] = (order, fill.at_ns)
    return list(last.values())


def _charges(desk: Desk, order: ExchangeOrder) -> Charges:
    return order_charges(desk.contracts[order.key].exchange, order.side, order.filled_value_paise, desk.day)


def _row(desk: Desk, order: ExchangeOrder, at_ns: int) -> dict[str, object]:
    contract, charges = desk.contracts[order.key], _charges(desk, order)
    return rows.history_row(order, contract, charges, at_ns, display_name(contract), desk.client_id, desk.stamps)


def _ledger(desk: Desk, call: Call, _: str) -> Reply | Asked:
    """Closing balance first, as recorded; then the day's bill, if there is one; the opening balance last."""
    try:
        begin = date.fromisoformat(call.query.get("from-date", ""))
        end = date.fromisoformat(call.query.get("to-date", ""))
    except ValueError:
        return bad_input()

    def shape(start_paise: int) -> Reply:
        billed = 0
        middle = []
        if begin <= desk.day <= end:
            for order, _ in _traded(desk):
                signed = order.filled_value_paise * (-1 if order.side is Side.BUY else 1)
                billed += signed - order.charges_paise
            if billed:
                middle.append(
                    _entry(desk, "BILL AMOUNT OF THE DAY", f"{desk.day:%b %d, %Y}", billed, start_paise + billed)
                )
        closing = _entry(desk, "CLOSING BALANCE", _BEGINNING, start_paise + billed, start_paise + billed)
        return success([closing, *middle, _entry(desk, "OPENING BALANCE", _BEGINNING, start_paise, start_paise)])

    return BookAsked(lambda book: shape(book.funds.start_of_day_paise))


def _entry(desk: Desk, narration: str, day: str, amount_paise: int, balance_paise: int) -> dict[str, str]:
    return {
        "dhanClientId": desk.client_id,
        "narration": narration,
        "voucherdate": day,
        "exchange": "NSE-FNO",
        "voucherdesc": narration,
        "vouchernumber": "" if day == _BEGINNING else f"{desk.day:%Y%m%d}0001",
        "debit": f"{max(-amount_paise, 0) / 100:.2f}",
        "credit": f"{max(amount_paise, 0) / 100:.2f}",
        "runbal": f"{balance_paise / 100:.2f}",
    }


PATHS: Paths = {
    ("GET", "/trades/{}/{}/{}"): Endpoint(Access.READ, Family.NON_TRADING, _history),
    ("GET", "/ledger"): Endpoint(Access.READ, Family.NON_TRADING, _ledger),
}
