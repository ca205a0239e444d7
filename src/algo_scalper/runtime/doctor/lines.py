"""A line of the doctor's: a name, a light, what was found, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Light(StrEnum):
    """Green: as it should be. Amber: look at it. Red: trading cannot go well like this."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


class Line(msgspec.Struct, frozen=True):
    """One finding. ``remedy`` is empty where nothing need be done."""

    name: str
    light: Light
    value: str
    remedy: str = ""


def green(name: str, value: str) -> Line:
    """As it should be."""
    return Line(name, Light.GREEN, value)


def amber(name: str, value: str, remedy: str = "") -> Line:
    """Worth looking at."""
    return Line(name, Light.AMBER, value, remedy)


def red(name: str, value: str, remedy: str) -> Line:
    """Trading cannot go well like this; a red line always says what to do."""
    return Line(name, Light.RED, value, remedy)


def worst(lines: Iterable[Line]) -> Light:
    """The gravest of the lights; green when there is none."""
    order = list(Light)
    return max((line.light for line in lines), key=order.index, default=Light.GREEN)
