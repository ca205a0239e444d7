"""What stands between an order request and the exchange: the caller's address, the kill switch, the active segments.

Asked after the body was found whole and before the instrument is looked at, as the real gateway does.
"""

from __future__ import annotations

from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.replies import Reply, invalid_ip, order_error, user_account

KILLED = "Kill Switch is activated, no orders can be placed for the day"


def write_barred(desk: Desk) -> Reply | None:
    """Why nothing may be placed, changed or cancelled from here."""
    return None if desk.account.facts.may_order else invalid_ip()


def entry_barred(desk: Desk) -> Reply | None:
    """Why no new order may be placed."""
    barred = write_barred(desk)
    if barred is not None:
        return barred
    if desk.standing.kill_switch:
        return order_error(KILLED)
    return None if desk.account.facts.has_derivatives else user_account()
