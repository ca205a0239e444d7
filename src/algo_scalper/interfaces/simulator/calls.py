"""A request without its transport, what may be asked of the world to answer it, and the table's row for a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from enum import Enum

import msgspec

from algo_scalper.domain.commands import OrderCommand
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.market import OptionChain
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.replies import Reply
from algo_scalper.simulation.account_book import PLAIN, Particulars


class Call(msgspec.Struct, frozen=True):
    """One HTTP request, without its transport."""

    method: str
    path: str
    """Without ``/v2`` and trailing slash."""
    is_v2: bool
    token: str
    client_id: str
    body: bytes = b""
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    """Names in lower case."""


class OrderAsked(msgspec.Struct, frozen=True):
    """An order request for the world, and how its yes (with the broker's id) and its no (with the reason) are printed."""

    command: OrderCommand
    accepted: Callable[[str], Reply]
    rejected: Callable[[str], Reply]
    particulars: Particulars = PLAIN


class DeedAsked(msgspec.Struct, frozen=True):
    """Something done to the account when the request reaches the broker; ``act`` gets that instant and prints the answer."""

    act: Callable[[int], Reply]


class BookAsked(msgspec.Struct, frozen=True):
    """A reading of the book, and what of it is printed."""

    print: Callable[[BookRead], Reply]


class ChainAsked(msgspec.Struct, frozen=True):
    """An option chain, and how it is printed."""

    underlying: str
    expiry: date
    print: Callable[[OptionChain], Reply]


Asked = OrderAsked | DeedAsked | BookAsked | ChainAsked


class Access(Enum):
    """Whose token is asked for, and what a bad one, or a missing data plan, is answered."""

    OPEN = "open"
    READ = "read"
    WRITE = "write"
    DATA = "data"
    CHART = "chart"


class Endpoint(msgspec.Struct, frozen=True):
    """One path. The answer's last argument is what stood for the ``{}`` of the path, several joined by ``/``."""

    access: Access
    family: Family
    answer: Callable[[Desk, Call, str], Reply | Asked]
    is_order: bool = False
    """Does it act on the account through the exchange? Time begins with it, and faults of order requests touch it."""


Paths = dict[tuple[str, str], Endpoint]
"""(method, path) -> endpoint, for one subject."""
