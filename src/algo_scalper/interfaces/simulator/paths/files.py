"""The instrument lists: the whole market in two layouts, and one segment at a time behind a redirect."""

from __future__ import annotations

from algo_scalper.domain.instruments import Segment
from algo_scalper.domain.units import NS_PER_MS
from algo_scalper.interfaces.simulator import master
from algo_scalper.interfaces.simulator.calls import Access, Call, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.replies import Reply, not_found


def _master(desk: Desk, _: Call, __: str) -> Reply:
    return Reply(200, master.compact_csv(desk.contracts.values()).encode(), "text/csv")


def _detailed(desk: Desk, _: Call, __: str) -> Reply:
    return Reply(200, master.whole_detailed_csv(desk.contracts.values()).encode(), "text/csv")


def _instruments(_: Desk, call: Call, segment: str) -> Reply:
    """The real one too only leads to a file."""
    if segment not in Segment.__members__:
        return not_found(f"/v2{call.path}", 0)
    return Reply(302, b"", location=f"/api-data/instrument/{segment}")


def _instrument_file(desk: Desk, call: Call, segment: str) -> Reply:
    if segment not in Segment.__members__:
        return not_found(call.path, desk.world.now_ns // NS_PER_MS)
    return Reply(200, master.detailed_csv(desk.contracts.values(), Segment[segment]).encode(), "text/csv")


PATHS: Paths = {
    ("GET", "/instrument/{}"): Endpoint(Access.OPEN, Family.NON_TRADING, _instruments),
    ("GET", "/api-data/api-scrip-master.csv"): Endpoint(Access.OPEN, Family.NON_TRADING, _master),
    ("GET", "/api-data/api-scrip-master-detailed.csv"): Endpoint(Access.OPEN, Family.NON_TRADING, _detailed),
    ("GET", "/api-data/instrument/{}"): Endpoint(Access.OPEN, Family.NON_TRADING, _instrument_file),
}
