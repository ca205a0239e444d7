"""Values of any msgspec type, read off its definition: a new kind of record is covered the day it is written."""

from __future__ import annotations

from datetime import date
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

Kind = TypeVar("Kind", bound=msgspec.Struct)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


def records_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a msgspec-encodable type: structs, unions, enums, tuples, dictionaries, plain values."""
    return _strategy(inspect.type_info(kind))


def fields_of(kind: type[msgspec.Struct]) -> dict[str, st.SearchStrategy[Any]]:
    """A strategy for each field of a struct, to be overridden where a test needs more than the type."""
    return {field.name: records_of(field.type) for field in msgspec.structs.fields(kind)}


def _strategy(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: _strategy(field.type) for field in fields})
        case inspect.UnionType(types=types):
            return st.one_of([_strategy(one) for one in types])
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case inspect.VarTupleType(item_type=item):
            return st.lists(_strategy(item), max_size=2).map(tuple)
        case inspect.TupleType(item_types=items):
            return st.tuples(*map(_strategy, items))
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_strategy(key), _strategy(value), max_size=2)
        case _:
            return _PLAIN[type(info)]


_PLAIN: dict[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.IntType: INT64,
    inspect.FloatType: st.floats(allow_nan=False),
    inspect.StrType: TEXT,
    inspect.BoolType: st.booleans(),
    inspect.NoneType: st.none(),
    inspect.DateType: st.dates(date(2000, 1, 1), date(2100, 1, 1)),
}


def simplest(kind: type[Kind]) -> Kind:
    """Zeros, empty texts and first members throughout; fields with a default keep it."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return kind(**{field.name: _simplest(field.type) for field in info.fields if field.required})


def _simplest(info: inspect.Type) -> Any:
    match info:
        case inspect.StructType(cls=cls):
            return simplest(cls)
        case inspect.UnionType(types=types):
            return _simplest(types[0])
        case inspect.EnumType(cls=cls):
            return next(iter(cls))
        case _:
            return _SIMPLEST[type(info)]


_SIMPLEST: dict[type[inspect.Type], Any] = {
    inspect.VarTupleType: (),
    inspect.DictType: {},
    inspect.IntType: 0,
    inspect.FloatType: 0.0,
    inspect.StrType: "",
    inspect.BoolType: False,
    inspect.NoneType: None,
    inspect.DateType: date(2026, 11, 30),
}


def kinds_in(union: Any) -> list[type[msgspec.Struct]]:
    """The struct classes of a union, in its order."""
    info = inspect.type_info(union)
    assert isinstance(info, inspect.UnionType)
    return [one.cls for one in info.types if isinstance(one, inspect.StructType)]
