"""``/edis/*``, as far as it is documented: selling holdings out of a demat account needs the depository's consent."""

from __future__ import annotations

from algo_scalper.interfaces.simulator.calls import Access, Call, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.orders_in import Refused, body_object, choice, whole
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, empty, success


def _tpin(_: Desk, __: Call, ___: str) -> Reply:
    """A PIN is sent to the person's phone; here to nobody."""
    return empty(202)


def _form(desk: Desk, call: Call, _: str) -> Reply:
    try:
        body = body_object(call.body)
        choice(body, "exchange", {"NSE": 1, "BSE": 1, "ALL": 1})
        if not isinstance(body.get("isin"), str) or body.get("segment", "EQ") != "EQ":
            return bad_input()
        whole(body.get("qty"))
    except Refused as refusal:
        return refusal.reply
    html = '<!DOCTYPE html><html><body><form name="frmDIS" method="post" action="#">SIMULATED</form></body></html>'
    return success({"dhanClientId": desk.client_id, "edisFormHtml": html})


def _inquire(desk: Desk, _: Call, isin: str) -> Reply:
    held = [one for one in desk.facts.holdings if isin in ("ALL", one.isin)]
    return success(
        {
            "clientId": desk.client_id,
            "isin": isin,
            "totalQty": sum(one.total_qty for one in held),
            "aprvdQty": sum(one.available_qty for one in held),
            "status": "SUCCESS" if held else "FAILURE",
            "remarks": "eDIS transaction done successfully" if held else "No holdings of this isin",
        }
    )


PATHS: Paths = {
    ("GET", "/edis/tpin"): Endpoint(Access.READ, Family.NON_TRADING, _tpin),
    ("POST", "/edis/form"): Endpoint(Access.WRITE, Family.NON_TRADING, _form),
    ("POST", "/edis/bulkform"): Endpoint(Access.WRITE, Family.NON_TRADING, _form),
    ("GET", "/edis/inquire/{}"): Endpoint(Access.READ, Family.NON_TRADING, _inquire),
}
