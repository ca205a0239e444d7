"""What a call to Dhan is made of: an endpoint, its budget, its body and its reply, and how their values are written.

The table of all endpoints is `endpoints`; what they carry is in `bodies` and `replies`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Generic, TypeVar, get_args

import msgspec

from algo_scalper.adapters.dhan.values import ABSENT_TEXTS, number, shown
from algo_scalper.domain.errors import DataError

R = TypeVar("R")


class Host(StrEnum):
    """Which of Dhan's machines answers."""

    REST = "rest"
    AUTH = "auth"
    """Tokens are made here. No credentials are sent as headers, and the paths have no version."""


class Effect(Enum):
    """What a call may do at the broker, and so what a lost answer means."""

    READ = "read"
    """Nothing. It may be repeated."""
    CHANGE = "change"
    """Changes the account. Never repeated; a lost answer raises `AnswerLost`, and reading shows what happened."""
    ORDER = "order"
    """Places, changes or cancels an order. Never repeated; its answer is one of `domain.ports.Outcome`."""


class Family(StrEnum):
    """Which of the broker's budgets a call is taken from."""

    ORDER = "order"
    DATA = "data"
    QUOTE = "quote"
    OPTION_CHAIN = "option_chain"
    NON_TRADING = "non_trading"
    AUTH = "auth"


class Endpoint(msgspec.Struct, Generic[R], frozen=True):
    """One row of the table. ``path`` has ``{names}`` where arguments go."""

    name: str
    method: str
    path: str
    reply: type[R]
    family: Family
    effect: Effect
    summary: str
    body: type[msgspec.Struct] | None = None
    host: Host = Host.REST
    needs_address: bool = False
    """Only taken from the whitelisted static IP address."""
    rows: bool = False
    """The reply is a list; where the service answers with a single object, that is the list's one element."""
    empty: bool = False
    """A success may come without a body."""
    query: tuple[str, ...] = ()
    """Arguments that go into the query."""
    headers: tuple[str, ...] = ()
    """What is sent as a header besides the usual ones."""
    spellings: Mapping[str, str] = MappingProxyType({})
    """Other names under which Dhan has sent a field, and the name the reply's fields are known by."""

    def __str__(self) -> str:
        return f"{self.name} ({self.method} {self.path})"


class Paise(int):
    """Money in paise; on the wire a number of rupees, as a float or in a string."""

    __slots__ = ()


class Text(str):
    """Text as it stands; the wire may have a number, and Dhan's words for absent (``NA``, year one) are empty."""

    __slots__ = ()


class Count(int):
    """A whole number; the wire may have ``65``, ``65.0`` or ``"65"``."""

    __slots__ = ()


class Amount(float):
    """A number that need not be whole paise (an average, a margin, a greek); the wire may have a string."""

    __slots__ = ()


AsRupees = Annotated[int, "rupees"]
"""Of a body: money in paise, written as a number of rupees."""
AsRupeesText = Annotated[int, "rupees in a string"]
"""Of a body: money in paise, written as rupees in a string."""
AsCountText = Annotated[int, "count in a string"]
"""Of a body: a whole number, written in a string."""

NO_PAISE = Paise(0)
NO_TEXT = Text("")
NO_COUNT = Count(0)
NO_AMOUNT = Amount(0.0)

DEEPEST = 32
"""Levels of nesting in an answer; Dhan's have six."""


def read_value(kind: type, value: object) -> object:
    """How the four kinds above are read, for msgspec. Raises ValueError for what cannot be one."""
    try:
        if kind is Text:
            if not isinstance(value, str | int | float):
                raise ValueError(f"{shown(value)} is not a text")
            found = str(value).strip()
            return Text("" if found in ABSENT_TEXTS else found)
        if kind is Paise:
            return Paise(round(number(value, "value") * 100))
        if kind is Amount:
            return Amount(number(value, "value"))
        if kind is Count:
            exact = number(value, "value")
            if exact != int(exact):
                raise ValueError(f"{shown(value)} is not a whole number")
            return Count(int(exact))
    except DataError as wrong:
        raise ValueError(str(wrong)) from None
    raise NotImplementedError(f"no reading for {kind}")


def read_json(content: bytes) -> object:
    """JSON where it is JSON, else the text. An empty body (202 with nothing) is None."""
    if not content.strip():
        return None
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # nested deeper than Python can follow
        return content.decode(errors="replace")


def read_reply(endpoint: Endpoint[R], body: object) -> R:
    """The reply of an endpoint from its decoded JSON. Nulls count as absent.

    Raises DataError naming the field, also for an object that has none of the fields: every one of them may be absent,
    so a foreign object would otherwise pass for an answer in which all is nothing.
    """
    if body is None:
        if not endpoint.empty:
            raise DataError(f"{endpoint}: the answer is empty")
        body = {}
    elif endpoint.rows and isinstance(body, dict):
        body = [body]
    try:
        found = msgspec.convert(_tidied(body, endpoint.spellings), endpoint.reply, strict=False, dec_hook=read_value)
    except msgspec.ValidationError as wrong:
        raise DataError(f"{endpoint}: the answer is not what it should be: {wrong}") from None
    if not endpoint.empty:
        for answer, told in zip(found, body, strict=True) if isinstance(body, list) else ((found, body),):  # type: ignore[call-overload]
            _recognised(endpoint, answer, told)
    return found


def _recognised(endpoint: Endpoint[Any], answer: object, told: object) -> None:
    if isinstance(answer, msgspec.Struct) and isinstance(told, dict):
        known = {*answer.__struct_encode_fields__, *endpoint.spellings}
        if known.isdisjoint(told):
            raise DataError(f"{endpoint}: the answer has none of the fields it should have: {shown(told)}")


def write_body(body: msgspec.Struct | Mapping[str, object] | None, client_id: str) -> dict[str, object] | None:
    """A request's JSON: the body's fields, rupees for paise, and whose account it is. What is None is left out."""
    if body is None:
        return None
    fields = _written_fields(body) if isinstance(body, msgspec.Struct) else dict(body)
    return {"dhanClientId": client_id, **fields}


_WRITTEN: dict[str, Callable[[int], object]] = {
    "rupees": lambda paise: paise / 100,
    "rupees in a string": lambda paise: f"{paise / 100:.2f}",
    "count in a string": str,
}


_PLAIN: dict[type, Callable[[Any], object]] = {Paise: int, Text: str, Count: int, Amount: float}
"""What an answer's values are sent as: an id read in one answer goes into the next request."""


def _written_fields(body: msgspec.Struct) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, known_as, unit in _plan(type(body)):
        value = getattr(body, name)
        if value is not None:
            found[known_as] = _written(value) if unit is None else unit(value)
    return found


def _written(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return _written_fields(value)
    if isinstance(value, tuple | list):
        return [_written(one) for one in value]
    plain = _PLAIN.get(type(value))
    return value if plain is None else plain(value)


@lru_cache(maxsize=128)
def _plan(body: type[msgspec.Struct]) -> tuple[tuple[str, str, Callable[[int], object] | None], ...]:
    """Each field's name here, its name on the wire and how its unit is written: by its type, whatever the value is."""
    return tuple((field.name, field.encode_name, _unit(field.type)) for field in msgspec.structs.fields(body))


def _unit(kind: object) -> Callable[[int], object] | None:
    for one in (kind, *get_args(kind)):
        for note in getattr(one, "__metadata__", ()):
            return _WRITTEN[note]
    return None


def _tidied(body: object, spellings: Mapping[str, str], depth: int = 0) -> object:
    """Without nulls in objects, and each key under the name it is known by."""
    if depth > DEEPEST:
        raise DataError(f"the answer is nested more than {DEEPEST} deep")
    if isinstance(body, dict):
        return {
            spellings.get(key, key): _tidied(value, spellings, depth + 1)
            for key, value in body.items()
            if value is not None
        }
    if isinstance(body, list):
        # Most lists are columns of numbers, by the ten thousand.
        return [_tidied(one, spellings, depth + 1) if isinstance(one, dict | list) else one for one in body]
    return body
