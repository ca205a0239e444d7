"""The table of all REST paths, and what is said to those it turns away. Each subject's paths are in `paths`."""

from __future__ import annotations

from algo_scalper.interfaces.simulator.calls import Access, Call, Endpoint, Paths
from algo_scalper.interfaces.simulator.orders_in import Refused, body_object
from algo_scalper.interfaces.simulator.paths import (
    auth,
    charts,
    controls,
    edis,
    files,
    forever_orders,
    funds,
    market_data,
    orders,
    portfolio,
    profile,
    statements,
    super_orders,
    triggers,
)
from algo_scalper.interfaces.simulator.replies import (
    Reply,
    data_authentication,
    data_not_subscribed,
    invalid_authentication,
    no_access,
    order_error,
)

ENDPOINTS: Paths = {
    **orders.PATHS,
    **super_orders.PATHS,
    **forever_orders.PATHS,
    **triggers.PATHS,
    **portfolio.PATHS,
    **funds.PATHS,
    **profile.PATHS,
    **controls.PATHS,
    **statements.PATHS,
    **edis.PATHS,
    **market_data.PATHS,
    **charts.PATHS,
    **files.PATHS,
    **auth.PATHS,
}
_PATTERNS: dict[tuple[str, int], list[tuple[list[str], Endpoint]]] = {}
for (_method, _path), _endpoint in ENDPOINTS.items():
    if "{}" in _path:
        _parts = _path.split("/")
        _PATTERNS.setdefault((_method, len(_parts)), []).append((_parts, _endpoint))


def find(method: str, path: str) -> tuple[Endpoint, str] | None:
    """The endpoint of a path, and what stands for its ``{}``, several joined by ``/``."""
    exact = ENDPOINTS.get((method, path))
    if exact is not None:
        return (exact, "") if "{}" not in path else None
    parts = path.split("/")
    for pattern, endpoint in _PATTERNS.get((method, len(parts)), ()):
        pairs = list(zip(pattern, parts, strict=True))
        if all(part and wanted in ("{}", part) for wanted, part in pairs[1:]):
            return endpoint, "/".join(part for wanted, part in pairs if wanted == "{}")
    return None


def turned_away(access: Access) -> Reply:
    """What each family answers to a dead or unknown token."""
    if access is Access.DATA:
        return data_authentication()
    return invalid_authentication() if access is Access.READ else order_error("Invalid Token")


def without_data_plan(access: Access) -> Reply | None:
    """What the data families answer to an account without a data plan; None for those that need none."""
    if access is Access.DATA:
        return data_not_subscribed()
    return no_access() if access is Access.CHART else None


def budget_key(call: Call) -> str:
    """What separates budgets within a family: the option chain's (underlying, expiry)."""
    if call.path != "/optionchain":
        return ""
    try:
        body = body_object(call.body)
    except Refused:
        return ""
    return f"{market_data.either(body, 'UnderlyingScrip')}/{market_data.either(body, 'Expiry')}"
