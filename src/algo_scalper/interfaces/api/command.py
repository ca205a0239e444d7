"""The commanding half of the API: a person's word on its way to the engine, and nothing done here."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.exceptions import ClientException
from litestar.params import FromPath, JSONBody

from algo_scalper.domain.errors import ConfigError, StoreError
from algo_scalper.domain.events import OperatorWord
from algo_scalper.interfaces.api.access import COMMANDS
from algo_scalper.interfaces.api.desk import Desk, desk_of

AnyRequest = Request[Any, Any, Any]
KILL_WORD = "KILL"


class Confirmation(msgspec.Struct, frozen=True):
    """What kill wants typed."""

    confirm: str = ""


@post("/api/halt", opt={COMMANDS: True})
async def halt(request: AnyRequest) -> Response[dict[str, Any]]:
    """No entries from now on; exits go on."""
    return say(desk_of(request), OperatorWord.HALT)


@post("/api/resume", opt={COMMANDS: True})
async def resume(request: AnyRequest) -> Response[dict[str, Any]]:
    """Take entries again."""
    return say(desk_of(request), OperatorWord.RESUME)


@post("/api/close/{position_id:str}", opt={COMMANDS: True})
async def close(request: AnyRequest, position_id: FromPath[str]) -> Response[dict[str, Any]]:
    """Leave one position now."""
    desk = desk_of(request)
    view = desk.record.view
    if view is None or all(position.id != position_id for position in view.positions):
        return Response({"detail": f"no open position {position_id}"}, status_code=404)
    return say(desk, OperatorWord.CLOSE, position_id)


@post("/api/kill", opt={COMMANDS: True})
async def kill(request: AnyRequest, data: JSONBody[Confirmation]) -> Response[dict[str, Any]]:
    """Halt and flatten everything of ours. Wants ``{"confirm": "KILL"}``."""
    if data.confirm != KILL_WORD:
        raise ClientException('kill closes every position of ours; confirm it with {"confirm": "KILL"}')
    return say(desk_of(request), OperatorWord.KILL)


class PastedToken(msgspec.Struct, frozen=True):
    """A token copied from web.dhan.co."""

    access_token: str = ""

    def __repr__(self) -> str:
        return "PastedToken(***)"


@post("/api/broker-token", opt={COMMANDS: True})
async def replace_broker_token(request: AnyRequest, data: JSONBody[PastedToken]) -> Response[dict[str, Any]]:
    """Keep a new access token of the broker; what runs takes it up in seconds. The answer never repeats it."""
    paste = desk_of(request).settings.paste_token
    if paste is None:
        return Response({"detail": "this desk is not logged in to a broker"}, status_code=404)
    try:
        return Response({"kept": paste(data.access_token.strip())}, status_code=202)
    except (ConfigError, StoreError) as refused:
        raise ClientException(str(refused)) from None


def say(desk: Desk, word: OperatorWord, target: str = "") -> Response[dict[str, Any]]:
    """202: the word is on its way, and the view shows when it took effect. 503: it was not sent."""
    if not desk.reader.say(word, target, by="page"):
        return Response(
            {"detail": f"{word} was NOT sent: the engine is not connected. To get out now, use the broker's own app."},
            status_code=503,
        )
    return Response({"sent": word, "target": target}, status_code=202)


COMMAND_ROUTES = [halt, resume, close, kill, replace_broker_token]
