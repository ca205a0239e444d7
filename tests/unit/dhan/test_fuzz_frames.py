"""Whatever comes off the wire: nothing is raised outside the tree, nothing grows without bound.

The long form, a million messages and more with memory watched, is ``python -m benchmarks.fuzz_wire``.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from algo_scalper.adapters.dhan.order_stream import parse_alert, split_documents
from algo_scalper.domain.errors import AlgoScalperError
from benchmarks.fuzz_wire import Sinks, depth_message, feed_message, order_message

ROUNDS = 3_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "exchange",
    "segment",
    "securityId",
    "orderNo",
    "txnType",
    "orderType",
    "quantity",
    "tradedQty",
    "remainingQuantity",
    "price",
    "triggerPrice",
    "tradedPrice",
    "avgTradedPrice",
    "status",
    "correlationId",
    "reasonDescription",
]
words = st.sampled_from(["NSE", "BSE", "D", "E", "B", "S", "LMT", "SL", "Traded", "Pending", "65", "", "0"])
alerts = st.builds(
    lambda data: {"Type": "order_alert", "Data": data},
    st.dictionaries(st.sampled_from(FIELDS), words | json_values | st.integers(-(2**80), 2**80), max_size=15),
)


def test_seeded_messages_pass_through_every_decoder() -> None:
    chance, sinks = Random(20261121), Sinks()
    for _ in range(ROUNDS):
        sinks.take_feed(feed_message(chance))
        sinks.take_depth(depth_message(chance))
        sinks.take_orders(order_message(chance))
    assert sinks.ticks > ROUNDS / 10, "messages that are not refused at the first byte"
    assert sinks.books > ROUNDS / 20
    assert sinks.reports > ROUNDS / 10
    assert sinks.unreadable > ROUNDS / 10
    assert sinks.kept() < 6_000


@given(alerts)
@settings(max_examples=200, deadline=None)
def test_no_alert_raises_outside_the_tree(alert: dict[str, object]) -> None:
    try:
        parse_alert(alert)
    except AlgoScalperError:
        return


@given(st.text(max_size=300))
def test_no_text_raises(text: str) -> None:
    documents, rest = split_documents(text)
    assert len(rest) <= len(text)
    assert len(documents) <= len(text)
