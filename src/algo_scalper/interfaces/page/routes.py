"""The page: one template, one script, one style sheet, and the chart library beside them. No build, no network."""

from __future__ import annotations

import mimetypes
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from algo_scalper.interfaces.api.access import OPEN_TO_ALL
from algo_scalper.interfaces.api.desk import Desk, desk_of

AnyRequest = Request[Any, Any, Any]

_HERE = Path(__file__).parent
_ASSETS = {path.name: path for path in (*(_HERE / "static").iterdir(), *(_HERE / "static/vendor").iterdir())}
_TEMPLATES = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True)
mimetypes.add_type("text/javascript", ".mjs")


@get("/", opt={OPEN_TO_ALL: True}, media_type="text/html")
async def show_page(request: AnyRequest) -> Response[str]:
    """The page for who may see it. On play money anyone at this machine may; otherwise the token is asked for."""
    desk = desk_of(request)
    if desk.access.is_cookie(request.cookies.get(desk.access.cookie, "")):
        return Response(_render(desk, "page.html"))
    if desk.access.plays():
        return Response(_render(desk, "page.html"), cookies=[_cookie(desk, "play")])
    return Response(_render(desk, "login.html", wrong=False), status_code=401)


@post("/login", opt={OPEN_TO_ALL: True}, media_type="text/html")
async def login(request: AnyRequest) -> Response[str]:
    """The form of the login page: the token for a cookie."""
    desk = desk_of(request)
    form = await request.form()
    if not desk.access.is_token(str(form.get("token", "")).strip()):
        return Response(_render(desk, "login.html", wrong=True), status_code=401)
    return Response("", status_code=303, headers={"Location": "/"}, cookies=[_cookie(desk, "login")])


@get("/assets/{name:str}", opt={OPEN_TO_ALL: True}, sync_to_thread=False)
def show_asset(name: FromPath[str]) -> Response[bytes]:
    """One of the page's own files."""
    path = _ASSETS.get(name)
    if path is None or path.is_dir():
        raise NotFoundException(f"no such file: {name}")
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    return Response(_bytes_of(path), media_type=kind, headers={"Cache-Control": "no-cache"})


@cache
def _bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def _render(desk: Desk, name: str, **values: object) -> str:
    view = desk.record.view
    return _TEMPLATES.get_template(name).render(
        market=view.market if view else desk.settings.market,
        money=view.money if view else desk.settings.money,
        version=desk.settings.version,
        logs_in=desk.settings.paste_token is not None,
        changes_rules=desk.settings.changes is not None,
        **values,
    )


def _cookie(desk: Desk, grade: str) -> Cookie:
    return Cookie(
        key=desk.access.cookie, value=desk.access.cookie_value(grade), path="/", httponly=True, samesite="strict"
    )


PAGE_ROUTES = [show_page, login, show_asset]
