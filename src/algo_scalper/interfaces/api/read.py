"""The reading half of the API: health, and the day as JSON."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.exceptions import ClientException
from litestar.params import FromQuery, QueryParameter

from algo_scalper.domain.errors import ConfigError, StoreError
from algo_scalper.interfaces.api.access import OPEN_TO_ALL
from algo_scalper.interfaces.api.desk import desk_of
from algo_scalper.interfaces.api.health import health
from algo_scalper.interfaces.api.shapes import DEFAULT_LIMIT, decision_row, readable, select_decisions

AnyRequest = Request[Any, Any, Any]


@get(["/up", "/api/health"], opt={OPEN_TO_ALL: True})
async def read_health(request: AnyRequest) -> Response[dict[str, Any]]:
    """200 when every vital part is alive, else 503; the body is the same and needs no token."""
    desk = desk_of(request)
    status, body = health(
        desk.record,
        age_ns=desk.reader.age_ns,
        engine=desk.settings.engine_state(),
        version=desk.settings.version,
        market=desk.settings.market,
        money=desk.settings.money,
        mirror=desk.settings.mirror_view,
    )
    return Response(body, status_code=status)


@get("/api/status")
async def read_status(request: AnyRequest) -> Response[Any]:
    """The whole view; 503 before the engine was first heard."""
    view = desk_of(request).record.view
    if view is None:
        return Response({"detail": "the engine has not been heard yet; see /api/health"}, status_code=503)
    return Response(readable(view))


@get("/api/positions")
async def read_positions(request: AnyRequest) -> Any:
    """Open positions."""
    view = desk_of(request).record.view
    return readable(view.positions) if view else []


@get("/api/orders")
async def read_orders(request: AnyRequest) -> Any:
    """The day's orders."""
    view = desk_of(request).record.view
    return readable(view.orders) if view else []


@get("/api/trades")
async def read_trades(request: AnyRequest) -> Any:
    """The day's closed positions, newest first, with their charges by line."""
    return readable(list(desk_of(request).record.trades.values())[::-1])


@get("/api/decisions")
async def read_decisions(
    request: AnyRequest,
    kind: FromQuery[str] = "",
    index: FromQuery[str] = "",
    from_time: Annotated[str, QueryParameter(name="from")] = "",
    to_time: Annotated[str, QueryParameter(name="to")] = "",
    limit: FromQuery[int] = DEFAULT_LIMIT,
) -> Any:
    """Why in, why out, why not; newest first. ``from`` and ``to`` are HH:MM of the session's day."""
    try:
        lines = select_decisions(
            desk_of(request).record.decisions.values(),
            kind=kind,
            index=index.upper(),
            from_time=from_time,
            to_time=to_time,
            limit=limit,
        )
    except ConfigError as error:
        raise ClientException(str(error)) from None
    return [decision_row(line) for line in lines]


@get("/api/jobs")
async def read_jobs(request: AnyRequest) -> Response[Any]:
    """Every job with its next time and its last run; an empty list where the desk runs none, 503 without the store."""
    jobs = desk_of(request).settings.jobs
    if jobs is None:
        return Response([])
    try:
        return Response(readable(await jobs.listing()))
    except StoreError as fault:
        return Response({"detail": str(fault)}, status_code=503)


READ_ROUTES = [read_health, read_status, read_positions, read_orders, read_trades, read_decisions, read_jobs]
