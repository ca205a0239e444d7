"""What ``GET /sim/status`` tells, and the status page shows: market, account, sockets, orders and faults."""

from __future__ import annotations

from algo_scalper.domain.instruments import INDIA_VIX_KEY
from algo_scalper.interfaces.simulator.brokerage import Brokerage
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.venue import Venue

MOST_ROWS = 30


def status(venue: Venue) -> dict[str, object]:
    """Everything but the time, which the server keeps."""
    desk, book, standing = venue.desk, venue.world.book(), venue.desk.standing
    facts = desk.account.facts
    return {
        "world_ns": venue.world.now_ns,
        "day": desk.day.isoformat(),
        "regime": venue.world.market.regime,
        "market": _market(desk),
        "account": {
            "client_id": facts.client_id,
            "name": facts.name,
            "token": _token(venue),
            "may_order": facts.may_order and not venue.faults.refuse_ip,
        },
        "feeds": [
            {"number": feed.number, "instruments": len(feed.modes), "messages": feed.outbox.sent}
            for feed in venue.sockets.feeds
        ],
        "depths": [
            {
                "number": depth.number,
                "levels": depth.levels,
                "instruments": len(depth.keys),
                "messages": depth.outbox.sent,
            }
            for depth in venue.sockets.depths
        ],
        "order_sockets": [
            {"logged_in": session.logged_in, "messages": session.outbox.sent} for session in venue.sockets.orders
        ],
        "orders": len(book.orders),
        "order_rows": [
            {
                "id": row.broker_id,
                "name": desk.contracts[row.key].name,
                "side": row.side.name,
                "kind": row.kind,
                "status": row.status,
                "quantity": row.quantity,
                "filled": row.filled_quantity,
                "price": row.price_paise / 100,
                "trigger": row.trigger_paise / 100,
                "correlation_id": row.correlation_id,
                "reason": row.reason,
            }
            for row in reversed(book.orders[-MOST_ROWS:])
        ],
        "positions": {str(held.key): held.net_quantity for held in book.positions},
        "position_rows": [
            {
                "name": desk.contracts[held.key].name,
                "quantity": held.net_quantity,
                "bought": held.bought_value_paise / 100,
                "sold": held.sold_value_paise / 100,
                "last": desk.last_paise(held.key) / 100,
            }
            for held in book.positions
        ],
        "available_paise": book.funds.available_paise,
        "standing": {
            "super_orders": sum(not one.is_over for one in standing.super_orders.values()),
            "forever_orders": sum(one.is_waiting for one in standing.forever_orders.values()),
            "triggers": sum(one.can_fire for one in standing.price_triggers.values()),
            "pnl_exit": standing.pnl_exit.status,
            "kill_switch": standing.kill_switch,
        },
        "faults": venue.faults,
        "held": venue.held,
        "rate_limited": venue.limits.refused,
        "counters": venue.sockets.counters,
        "served": venue.served,
    }


def accounts(brokerage: Brokerage) -> list[dict[str, object]]:
    """Every account in a line, the first one first."""
    return [
        {
            "client_id": venue.desk.client_id,
            "name": venue.desk.account.facts.name,
            "token": _token(venue),
            "sockets": len(venue.sockets.data) + len(venue.sockets.orders),
        }
        for venue in brokerage.venues
    ]


def _token(venue: Venue) -> str:
    return "dead" if not venue.desk.account.facts.token_alive else venue.faults.token


def _market(desk: Desk) -> list[dict[str, object]]:
    names = {key: index.name for key, index in desk.indices.items()} | {INDIA_VIX_KEY: "INDIA VIX"}
    return [
        {
            "name": name,
            "last": desk.last_paise(key) / 100,
            "previous_close": desk.world.previous_close_paise.get(key, 0) / 100,
        }
        for key, name in names.items()
    ]
