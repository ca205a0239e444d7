"""``/killswitch`` and ``/pnlExit``: the account's own brakes, for the day."""

from __future__ import annotations

from algo_scalper.interfaces.simulator.calls import Access, Asked, Call, DeedAsked, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.orders_in import Refused, body_object, paise
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, order_error, success
from algo_scalper.simulation.pnl_exit import ACTIVE, DISABLED, PRODUCTS, PnlExit

_DONE = {"ACTIVATE": "activated", "DEACTIVATE": "deactivated"}


def _kill_switch(desk: Desk, _: Call, __: str) -> Reply:
    state = "ACTIVATE" if desk.standing.kill_switch else "DEACTIVATE"
    return success({"dhanClientId": desk.client_id, "killSwitchStatus": state})


def _turn_kill_switch(desk: Desk, call: Call, _: str) -> Reply:
    """Only with a flat book: nothing held, nothing working."""
    asked = call.query.get("killSwitchStatus", "")
    if asked not in _DONE:
        return bad_input()
    if asked == "ACTIVATE" and not desk.standing.is_flat():
        return order_error("Kill Switch cannot be activated with open positions or pending orders")
    desk.standing.kill_switch = asked == "ACTIVATE"
    said = f"Kill Switch has been successfully {_DONE[asked]}"
    return success({"dhanClientId": desk.client_id, "killSwitchStatus": said})


def _show_exit(desk: Desk, _: Call, __: str) -> Reply:
    stands = desk.standing.pnl_exit
    return success(
        {
            "pnlExitStatus": stands.status,
            "profit": f"{stands.profit_paise / 100:.2f}",
            "loss": f"{stands.loss_paise / 100:.2f}",
            "productType": stands.products,
            "enable_kill_switch": stands.with_kill_switch,
        }
    )


def _set_exit(desk: Desk, call: Call, _: str) -> Reply | Asked:
    """Bounds in rupees, as numbers or text; a loss may be written with its sign."""
    try:
        body = body_object(call.body)
        profit = paise(body.get("profitValue"))
        loss = paise(_unsigned(body.get("lossValue")))
    except Refused as refusal:
        return refusal.reply
    products = body.get("productType")
    if not isinstance(products, list) or not products or not all(one in PRODUCTS for one in map(str, products)):
        return bad_input()
    with_kill_switch = body.get("enableKillSwitch", False)
    if not profit or not loss or not isinstance(with_kill_switch, bool):
        return bad_input()
    asked = PnlExit(profit, loss, [str(one) for one in products], with_kill_switch, ACTIVE)

    def act(_: int) -> Reply:
        desk.standing.pnl_exit = asked
        return success({"pnlExitStatus": ACTIVE, "message": "P&L based exit configured successfully"})

    return DeedAsked(act)


def _unsigned(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value)
    return value.removeprefix("-") if isinstance(value, str) else value


def _stop_exit(desk: Desk, _: Call, __: str) -> Reply:
    desk.standing.pnl_exit = PnlExit()
    return success({"pnlExitStatus": DISABLED, "message": "P&L based exit stopped successfully"})


PATHS: Paths = {
    ("GET", "/killswitch"): Endpoint(Access.READ, Family.NON_TRADING, _kill_switch),
    ("POST", "/killswitch"): Endpoint(Access.WRITE, Family.NON_TRADING, _turn_kill_switch),
    ("GET", "/pnlExit"): Endpoint(Access.READ, Family.NON_TRADING, _show_exit),
    ("POST", "/pnlExit"): Endpoint(Access.WRITE, Family.NON_TRADING, _set_exit, is_order=True),
    ("PUT", "/pnlExit"): Endpoint(Access.WRITE, Family.NON_TRADING, _set_exit, is_order=True),
    ("DELETE", "/pnlExit"): Endpoint(Access.WRITE, Family.NON_TRADING, _stop_exit),
}
