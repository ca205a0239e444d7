"""Whatever an answer holds: nothing is raised outside the tree, and nothing is said of it at length.

The long form, a million answers and more, is ``python -m benchmarks.fuzz_json``.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_scalper.adapters.dhan.endpoints import ENDPOINTS
from algo_scalper.adapters.dhan.failures import failure_in
from algo_scalper.adapters.dhan.values import shown
from algo_scalper.adapters.dhan.wire import DEEPEST, Endpoint, read_json
from benchmarks.fuzz_json import GOOD, MOST_MESSAGE, Readers, some_body

ROUNDS = 3_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted({name for _, good in GOOD for one in (good if isinstance(good, list) else [good]) for name in one})
objects = st.dictionaries(st.sampled_from([*NAMES, "status", "errorCode", "oc"]), json_values, max_size=12)


def test_seeded_answers_pass_through_every_reader() -> None:
    chance = Random(20261121)
    readers = Readers(chance)
    for _ in range(ROUNDS):
        readers.take(*some_body(chance))
    assert readers.longest_message < MOST_MESSAGE
    for name in ("bars", "chain", "days", "failure", "funds", "key", "orders", "positions", "reply", "rolling"):
        assert readers.taken[name] > ROUNDS / 500, f"answers that {name} takes, not only such as it refuses"
        assert readers.refused[name] > 0


@given(objects | st.lists(objects, max_size=3) | json_values, st.sampled_from(ENDPOINTS))
@settings(max_examples=300, deadline=None)
def test_no_answer_raises_outside_the_tree(body: object, endpoint: Endpoint[Any]) -> None:
    readers = Readers(Random(7))
    readers.take_body(endpoint, body)
    assert readers.longest_message < MOST_MESSAGE


@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1, 500, 900, 950, 980, 100_000])
@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"data":', b"}"), (b'[{"status":"x","data":', b"}]")]
)
def test_depth_is_no_way_in(depth: int, opening: bytes, closing: bytes) -> None:
    for content in (opening * depth, opening * depth + b"1" + closing * depth):
        readers = Readers(Random(7))
        for _ in range(3):
            readers.take(None, content)
        assert readers.longest_message < MOST_MESSAGE


@pytest.mark.parametrize("content", [b"", b"  \n"])
def test_nothing_is_nothing(content: bytes) -> None:
    assert read_json(content) is None


@pytest.mark.parametrize("content", [b"<html>", b"\xff\xfe", b"[" * 100_000, b"NaN", b"1e999", b'"\\ud800"'])
def test_what_is_no_json_is_text(content: bytes) -> None:
    assert isinstance(read_json(content), str)


def test_a_code_and_a_message_without_end_are_cut() -> None:
    failure = failure_in(400, {"errorCode": "x" * 9_000, "errorMessage": "y" * 9_000})
    assert failure is not None
    assert len(str(failure)) < MOST_MESSAGE


def test_a_value_too_deep_to_print_is_described() -> None:
    deep: list[object] = []
    for _ in range(50_000):
        deep = [deep]
    assert shown(deep) == "list too large to show"
    assert shown(10**5_000) == "int too large to show"
    assert shown("x" * 500) == "'" + "x" * 59
