"""Settings, rules and watchlist over the API: read by anyone who may read, changed as a command is given."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.exceptions import ClientException, ServiceUnavailableException
from litestar.params import FromPath, FromQuery, JSONBody

from algo_scalper.adapters.storage.tables import ChangeKind
from algo_scalper.domain.errors import AlgoScalperError, ConfigError
from algo_scalper.domain.events import OperatorWord
from algo_scalper.domain.instruments import key_text
from algo_scalper.interfaces.api.access import COMMANDS
from algo_scalper.interfaces.api.command import say
from algo_scalper.interfaces.api.desk import Desk, desk_of
from algo_scalper.interfaces.api.shapes import readable
from algo_scalper.runtime.account_changes import AccountChanges
from algo_scalper.runtime.publish import Answer, Ask, AskKind

AnyRequest = Request[Any, Any, Any]
WHO = "page"


class NewValue(msgspec.Struct, frozen=True):
    """What is asked for. ``value`` null takes back what is stored."""

    value: str | None


class Instruments(msgspec.Struct, frozen=True):
    """``SEGMENT:ID``, an index's name, or a name the catalog knows."""

    names: list[str]


@get("/api/settings")
async def read_settings(request: AnyRequest) -> Any:
    """Every setting: value, place, what is stored and by whom. Secrets are masked."""
    changes = _changes(desk_of(request))
    return [row._asdict() for row in await _read(changes.settings)]


@get("/api/settings/history")
async def read_setting_history(request: AnyRequest, name: FromQuery[str] = "") -> Any:
    """Who changed which setting, newest first."""
    changes = _changes(desk_of(request))
    return readable(list(await _read(lambda: changes.history(ChangeKind.SETTING, name.upper()))))


@post("/api/settings/{name:str}", opt={COMMANDS: True})
async def change_setting(request: AnyRequest, name: FromPath[str], data: JSONBody[NewValue]) -> Response[Any]:
    """Store one for the next start."""
    return await _change(desk_of(request), Ask(AskKind.SETTING, name, data.value, WHO))


@get("/api/rules")
async def read_rules(request: AnyRequest) -> Any:
    """Every rule: written, in force, and where it is written."""
    shown = await _read(_changes(desk_of(request)).rules)
    return {"day": shown.day, "version": shown.version, "rules": [row._asdict() for row in shown.rows]}


@get("/api/rules/history")
async def read_rule_history(request: AnyRequest, key: FromQuery[str] = "") -> Any:
    """Who changed which rule, and from when on it counted; newest first."""
    changes = _changes(desk_of(request))
    return readable(list(await _read(lambda: changes.history(ChangeKind.RULE, key))))


@post("/api/rules/{key:str}", opt={COMMANDS: True})
async def change_rule(request: AnyRequest, key: FromPath[str], data: JSONBody[NewValue]) -> Response[Any]:
    """Lay one over ``algo.yml``. The answer says from when on it counts."""
    return await _change(desk_of(request), Ask(AskKind.RULE, key, data.value, WHO))


@post("/api/apply/{position_id:str}", opt={COMMANDS: True})
async def apply_rules(request: AnyRequest, position_id: FromPath[str]) -> Response[dict[str, Any]]:
    """Give one open position the exit rules of now."""
    desk = desk_of(request)
    view = desk.record.view
    if view is None or all(position.id != position_id for position in view.positions):
        return Response({"detail": f"no open position {position_id}"}, status_code=404)
    return say(desk, OperatorWord.APPLY, position_id)


@get("/api/watchlist")
async def read_watchlist(request: AnyRequest) -> Any:
    """What is watched, which place says so, and the last prices heard."""
    desk = desk_of(request)
    watchlist = await _read(_changes(desk).watchlist)
    heard = {line.key: line for line in desk.record.watch.lines} if desk.record.watch else {}
    items = []
    for item in watchlist.items:
        line = heard.get(item.key)
        row = {"instrument": key_text(item.key), "name": item.label}
        items.append({**row, **readable({"ltp_paise": line.ltp_paise, "at_ns": line.at_ns})} if line else row)
    return {"source": watchlist.source, "items": items}


@post("/api/watchlist", opt={COMMANDS: True})
async def add_to_watchlist(request: AnyRequest, data: JSONBody[Instruments]) -> Response[Any]:
    """Put these on the stored list."""
    changes = _changes(desk_of(request))
    return await _answered(changes.watch(data.names, off=False, by=WHO))


@delete("/api/watchlist/{name:str}", opt={COMMANDS: True}, status_code=200)
async def take_off_watchlist(request: AnyRequest, name: FromPath[str]) -> Response[Any]:
    """Take one off the stored list."""
    return await _answered(_changes(desk_of(request)).watch([name], off=True, by=WHO))


def _changes(desk: Desk) -> AccountChanges:
    if desk.settings.changes is None:
        raise ServiceUnavailableException("this desk knows no account whose settings it could show")
    return desk.settings.changes


async def _read(read: Any) -> Any:
    """Off the loop: a database is read."""
    try:
        return await asyncio.to_thread(read)
    except ConfigError as refused:
        raise ClientException(str(refused)) from None
    except AlgoScalperError as fault:
        raise ServiceUnavailableException(str(fault)) from None


async def _change(desk: Desk, ask: Ask) -> Response[Any]:
    return await _answered(_changes(desk).change(ask))


async def _answered(asking: Any) -> Response[Any]:
    """200 with what was done and from when on it counts; 400 with why not; 503 when it could not be asked."""
    try:
        answer: Answer = await asking
    except ConfigError as refused:
        raise ClientException(str(refused)) from None
    except AlgoScalperError as fault:
        raise ServiceUnavailableException(str(fault)) from None
    if not answer.done:
        raise ClientException(answer.text)
    return Response({"kept": answer.text}, status_code=200)


CHANGE_ROUTES = [
    read_settings,
    read_setting_history,
    change_setting,
    read_rules,
    read_rule_history,
    change_rule,
    apply_rules,
    read_watchlist,
    add_to_watchlist,
    take_off_watchlist,
]
