"""Feed packets against hand-checked bytes, real captures, and their own inverse."""

from __future__ import annotations

import base64
import csv
import json
import struct
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.adapters.dhan.packets import (
    _PRICES,
    MOST_REMEMBERED,
    DayFigures,
    FeedDecoder,
    decode_open_interest,
    decode_previous_close,
    decode_quote,
    decode_tick,
    disconnect_reason,
    encode_disconnect,
    encode_full,
    encode_heartbeat,
    encode_oi,
    encode_prev_close,
    encode_quote,
    encode_status,
    encode_ticker,
    packet_code,
    packet_key,
    split_packets,
)
from algo_scalper.domain.instruments import BANKNIFTY, NIFTY, SENSEX, Segment, instrument_key
from algo_scalper.domain.market import Quote, Tick
from algo_scalper.domain.units import IST, clock_text, tick_nearest
from tests.shared_data import shared

OPTION = instrument_key(Segment.NSE_FNO, 40472)
EQUITY = instrument_key(Segment.NSE_EQ, 383)
TICKS = {OPTION: 5, EQUITY: 5, NIFTY.key: 5, BANKNIFTY.key: 5, SENSEX.key: 1}

FULL = bytes.fromhex(
    "08a20002189e0000333340424100996db969c3f5574236c8ed0901e21c00df043000bc71b300fd2fc300399d790000008242cdcc884266668d4233332a42"
    "820000005d07000001000900333340426666404249020000de17000003001400000040429a994042e3080000851100000c001100cdcc3f42cdcc4042"
    "07120000f70d000014000f009a993f4200004142d2140000650900000c000b0066663f4233334142"
)
"""A NIFTY option at 15:04:57 IST: LTP 48.05, 65 traded, average 53.99, volume 166578230, OI 11760060."""

BIDS = ((4805, 130), (4800, 585), (4795, 2275), (4790, 4615), (4785, 5330))
ASKS = ((4810, 1885), (4815, 6110), (4820, 4485), (4825, 3575), (4830, 2405))


def test_a_full_packet_is_a_tick() -> None:
    tick = decode_tick(FULL, 0, 7, TICKS)
    assert tick is not None
    assert tick == Tick(7, OPTION, 1_773_740_097, 4805, 4805, 4810, 12_935, 18_460, 166_578_230, 11_760_060)
    assert clock_text(tick.exchange_s * 1_000_000_000) == "15:04:57"


def test_a_full_packet_has_five_levels() -> None:
    quote = decode_quote(FULL, 0, 7, TICKS)
    assert quote is not None
    assert quote.tick == decode_tick(FULL, 0, 7, TICKS)
    assert (quote.bids, quote.asks) == (BIDS, ASKS)


def test_encoding_gives_the_same_bytes() -> None:
    tick = decode_tick(FULL, 0, 7, TICKS)
    assert tick is not None
    day = DayFigures(65, 5399, 1_892_865, 3_146_975, 12_791_805, 7_970_105, 6500, 6840, 7070, 4255)
    assert encode_full(Quote(tick, BIDS, ASKS), day, (1, 3, 12, 20, 12), (9, 20, 17, 15, 11)) == FULL


def test_vectors_of_the_protocol() -> None:
    found = {one["name"]: one for one in json.loads(shared("wire_samples/feed/vectors.json").read_text())}
    quote = bytes.fromhex(found["quote_nse_fno_40472"]["hex"])
    tick = decode_tick(quote, 0, 0, TICKS)
    assert tick is not None
    assert (tick.ltp_paise, tick.volume, clock_text(tick.exchange_s * 10**9)) == (5165, 165_829_495, "15:03:45")
    day = DayFigures(65, 5401, 1_894_360, 3_256_045, 0, 0, 6500, 6840, 7070, 4255)
    assert encode_quote(tick, day) == quote
    ticker = bytes.fromhex(found["ticker_nse_eq_383"]["hex"])
    price = decode_tick(ticker, 0, 0, TICKS)
    assert price is not None
    assert (price.key, price.ltp_paise, clock_text(price.exchange_s * 10**9)) == (EQUITY, 39_740, "15:01:27")
    assert encode_ticker(price) == ticker
    oi = bytes.fromhex(found["oi_nse_fno"]["hex"])
    assert decode_open_interest(oi) == (OPTION, 11_760_060)
    assert encode_oi(OPTION, 11_760_060) == oi
    close = bytes.fromhex(found["prev_close_idx_13"]["hex"])
    assert decode_previous_close(close, 0, TICKS) == (NIFTY.key, 2_262_045)
    assert encode_prev_close(NIFTY.key, 2_262_045) == close
    assert encode_status(Segment.NSE_EQ) == bytes.fromhex(found["market_status_nse_eq"]["hex"])
    for reason in (805, 806, 807, 808, 809, 810):
        said = bytes.fromhex(found[f"disconnect_{reason}"]["hex"])
        assert disconnect_reason(said) == reason
        assert encode_disconnect(reason) == said


def test_real_index_messages() -> None:
    decoder = FeedDecoder(TICKS)
    ticks: list[Tick] = []
    lines = shared("wire_samples/feed/real_idx_quote_frames_20261001.b64").read_text().splitlines()
    messages = [base64.b64decode(line) for line in lines if line and not line.startswith("#")]
    for message in messages:
        ticks += decoder.decode(message, 1)
    assert len(ticks) == sum(len(message) for message in messages) // 50
    assert len(ticks) > len(messages) > 15, "two packets in one message are two ticks"
    assert {tick.key for tick in ticks} == {NIFTY.key, BANKNIFTY.key, SENSEX.key}
    assert ticks[0].ltp_paise == 2_254_730, "22547.30078125 on the wire"
    assert {clock_text(tick.exchange_s * 10**9)[:5] for tick in ticks} <= {"09:20", "09:21"}
    assert all(tick.volume == tick.oi == tick.bid_paise == tick.ask_paise == 0 for tick in ticks)
    assert decoder.counts.torn == decoder.counts.unlisted == 0
    nifty = [tick.ltp_paise for tick in ticks if tick.key == NIFTY.key]
    assert all(price % 5 == 0 and 2_254_000 < price < 2_255_500 for price in nifty)


def test_ltt_is_the_ist_clock_written_as_utc() -> None:
    rows = csv.reader(
        line
        for line in shared("wire_samples/feed/real_nifty_ltt_capture_20260610.csv").read_text().splitlines()
        if not line.startswith("#")
    )
    assert next(rows) == ["received_ist", "ltt_raw", "ltp"]
    for received, ltt, ltp in rows:
        packet = struct.pack("<BHBIfI", 2, 16, 0, 13, float(ltp), int(ltt))
        tick = decode_tick(packet, 0, 0, TICKS)
        assert tick is not None
        seen = datetime.fromisoformat(f"2026-06-10T{received}").replace(tzinfo=IST).astimezone(UTC).timestamp()
        assert abs(tick.exchange_s - seen) < 1.5
        assert tick.ltp_paise == round(float(ltp) * 100)


def test_a_packet_in_the_middle_of_a_message() -> None:
    message = encode_heartbeat() + FULL + encode_disconnect(805)
    offsets, torn = split_packets(message)
    assert (offsets, torn) == ([0, 8, 170], None)
    assert [packet_code(message, at) for at in offsets] == [0, 8, 50]
    assert packet_key(message, 8) == OPTION
    assert decode_tick(memoryview(message), 8, 7, TICKS) == decode_tick(FULL, 0, 7, TICKS)
    assert disconnect_reason(message) == 805


@pytest.mark.parametrize("cut", [1, 7, 8, 100, 161])
def test_a_torn_tail_is_told_and_the_rest_kept(cut: int) -> None:
    decoder = FeedDecoder(TICKS)
    found = decoder.decode(FULL + FULL[:cut], 1)
    assert len(found) == 1
    assert decoder.counts.torn == 1
    assert decoder.last_torn is not None
    assert decoder.last_torn.offset == 162
    assert "byte 162" in str(decoder.last_torn)


@pytest.mark.parametrize("length", [0, 1, 7, 161])
def test_a_length_too_short_for_its_code_ends_the_walk(length: int) -> None:
    broken = bytearray(FULL)
    broken[1:3] = length.to_bytes(2, "little")
    offsets, torn = split_packets(bytes(broken) + FULL)
    assert offsets == []
    assert torn is not None
    assert (torn.code, torn.stated_bytes) == (8, length)


def test_a_longer_packet_of_a_known_code_is_read_by_its_beginning() -> None:
    longer = bytearray(FULL + b"\0" * 6)
    longer[1] = 168
    assert FeedDecoder(TICKS).decode(bytes(longer) + FULL, 1) == [decode_tick(FULL, 0, 1, TICKS)] * 2


def test_unknown_codes_are_skipped_by_length_and_counted() -> None:
    index_packet = struct.pack("<BHBI", 1, 20, 0, 13) + b"\xff" * 12
    depth_v1 = struct.pack("<BHBI", 3, 112, 2, 40472) + b"\xff" * 104
    decoder = FeedDecoder(TICKS)
    found = decoder.decode(index_packet + depth_v1 + FULL + encode_status(Segment.NSE_EQ) + encode_heartbeat(), 1)
    assert len(found) == 1
    assert decoder.counts.unknown == {1: 1, 3: 1}
    assert (decoder.counts.statuses, decoder.counts.heartbeats, decoder.counts.torn) == (1, 1, 0)


def test_a_heartbeat_without_a_length_is_eight_bytes() -> None:
    assert split_packets(b"\0" * 8 + FULL) == ([0, 8], None)


def test_nobody_asked_for_it() -> None:
    decoder = FeedDecoder({})
    assert decoder.decode(FULL, 1) == []
    assert decoder.counts.unlisted == 1


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800000, 0xFF800000])
def test_a_price_that_is_no_number_is_counted_not_raised(bits: int) -> None:
    broken = bytearray(FULL)
    broken[8:12] = bits.to_bytes(4, "little")
    decoder = FeedDecoder(TICKS)
    assert decoder.decode(bytes(broken) + FULL, 1) == [decode_tick(FULL, 0, 1, TICKS)]
    assert decoder.counts.unreadable == 1


def test_open_interest_joins_the_next_quote() -> None:
    decoder = FeedDecoder(TICKS)
    quote = encode_quote(Tick(0, OPTION, 1_773_740_097, 5165, volume=65))
    assert decoder.decode(encode_oi(OPTION, 4_242) + quote, 1)[0].oi == 4_242


def test_the_previous_close_is_kept() -> None:
    decoder = FeedDecoder(TICKS)
    decoder.decode(encode_prev_close(NIFTY.key, 2_262_045), 1)
    assert decoder.previous_close_paise == {NIFTY.key: 2_262_045}


def test_the_last_quantity_wraps_at_sixteen_bits() -> None:
    packet = encode_quote(Tick(0, OPTION, 1, 100), DayFigures(last_quantity=65_536 + 130))
    assert struct.unpack_from("<H", packet, 12) == (130,)


def test_sell_quantity_comes_before_buy_quantity() -> None:
    packet = encode_full(Quote(Tick(0, OPTION, 1, 100)), DayFigures(sell_quantity=7, buy_quantity=9))
    assert struct.unpack_from("<II", packet, 26) == (7, 9)


def test_an_instrument_that_never_traded_has_no_exchange_time() -> None:
    tick = decode_tick(encode_full(Quote(Tick(0, OPTION, 0, 0))), 0, 1, TICKS)
    assert tick is not None
    assert tick.exchange_s == 0


def test_a_disconnect_is_not_seen_where_there_is_none() -> None:
    # Byte 152 of this Full packet, where a disconnect packet at the end would begin, is made to look like its code.
    message = bytearray(FULL)
    message[-10] = 50
    assert disconnect_reason(bytes(message)) is None
    assert disconnect_reason(b"\x32\x0a") is None


prices = st.integers(0, 30_000_00 // 5).map(lambda steps: steps * 5)
u32 = st.integers(0, 2**32 - 1)
levels = st.lists(st.tuples(st.integers(1, 600_000).map(lambda steps: steps * 5), st.integers(1, 10**6)), max_size=5)


@given(prices, u32, u32, st.integers(1, 2**32 - 1 - 19_800), levels, levels)
def test_full_packets_round_trip(
    ltp: int, volume: int, oi: int, at_s: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]
) -> None:
    best_bid, best_ask = (bids[0][0] if bids else 0), (asks[0][0] if asks else 0)
    tick = Tick(5, OPTION, at_s, ltp, best_bid, best_ask, sum(q for _, q in bids), sum(q for _, q in asks), volume, oi)
    quote = Quote(tick, tuple(bids), tuple(asks))
    packet = encode_full(quote)
    assert len(packet) == 162
    assert decode_quote(packet, 0, 5, TICKS) == quote
    assert FeedDecoder(TICKS).decode(packet, 5) == [tick]


@given(st.integers(1, 131_072_00))
def test_index_prices_round_trip_to_the_paisa(ltp: int) -> None:
    tick = Tick(5, SENSEX.key, 1_773_740_097, ltp)
    assert decode_tick(encode_ticker(tick), 0, 5, TICKS) == tick
    assert decode_tick(encode_quote(tick), 0, 5, TICKS) == tick


@given(st.integers(0, 400_000_00), st.sampled_from([1, 5, 10, 25]))
def test_rounding_is_the_rounding_of_the_house(paise: int, tick_paise: int) -> None:
    (wire,) = struct.unpack("<f", struct.pack("<f", paise / 100))
    packet = struct.pack("<BHBIfI", 2, 16, 2, 40472, wire, 1_773_759_897)
    tick = decode_tick(packet, 0, 0, {OPTION: tick_paise})
    assert tick is not None
    assert tick.ltp_paise == tick_nearest(wire, tick_paise)


@given(st.binary(max_size=400))
def test_no_bytes_raise(noise: bytes) -> None:
    decoder = FeedDecoder(dict.fromkeys((NIFTY.key, OPTION), 5))
    decoder.decode(noise, 1)
    decoder.decode(memoryview(noise), 1)
    disconnect_reason(noise)
    offsets, torn = split_packets(noise)
    starts = [*offsets, torn.offset if torn is not None else len(noise)]
    assert all(later - start >= 8 for start, later in pairwise(starts))


@pytest.mark.parametrize("offset", [8, 62 + 12, 62 + 16], ids=["ltp", "bid", "ask"])
@pytest.mark.parametrize("price", [-0.05, 10_000_001.0, 3e38, float("nan"), float("inf")])
def test_a_price_that_cannot_be_one_is_no_tick_and_no_quote(offset: int, price: float) -> None:
    broken = bytearray(FULL)
    broken[offset : offset + 4] = struct.pack("<f", price)
    decoder = FeedDecoder(TICKS)
    assert decoder.decode(bytes(broken), 1) == []
    assert decoder.counts.unreadable == 1
    assert decode_quote(bytes(broken), 0, 1, TICKS) is None


def test_a_deep_level_that_cannot_be_one_spoils_the_quote_alone() -> None:
    broken = bytearray(FULL)
    broken[-4:] = struct.pack("<f", -1)
    assert decode_quote(bytes(broken), 0, 1, TICKS) is None
    assert FeedDecoder(TICKS).decode(bytes(broken), 1) == [decode_tick(FULL, 0, 1, TICKS)]


def test_nothing_is_kept_of_instruments_nobody_asked_for() -> None:
    decoder = FeedDecoder(TICKS)
    for number in range(1_000, 2_000):
        decoder.decode(encode_oi(instrument_key(Segment.NSE_FNO, number), 1), 1)
        decoder.decode(encode_prev_close(instrument_key(Segment.IDX_I, number), 100), 1)
    assert decoder.counts.unlisted == 1_000
    assert decoder._open_interest == decoder.previous_close_paise == {}


packets = st.one_of(
    st.just(FULL),
    st.builds(lambda ltp: encode_quote(Tick(0, OPTION, 1_773_740_097, ltp, volume=65)), prices),
    st.builds(lambda ltp: encode_full(Quote(Tick(0, NIFTY.key, 1_773_740_097, ltp))), prices),
    st.builds(lambda ltp: encode_ticker(Tick(0, OPTION, 1_773_740_097, ltp)), prices),
    st.builds(lambda oi: encode_oi(OPTION, oi), u32),
    st.binary(min_size=8, max_size=170),
)
changes = st.lists(st.tuples(st.integers(0, 161), st.integers(0, 255)), max_size=3)


def packet_by_packet(message: bytes) -> tuple[list[Tick], int]:
    """What `decode_tick` says of each packet, and how many had a price that cannot be one."""
    found, unreadable, interest = [], 0, dict[int, int]()
    for at in split_packets(message)[0]:
        if packet_code(message, at) == 5:
            key, told = decode_open_interest(message, at)
            interest[key] = told
        try:
            tick = decode_tick(message, at, 7, TICKS, interest)
        except ValueError:
            unreadable += 1
        else:
            found += [] if tick is None else [tick]
    return found, unreadable


@given(st.lists(st.tuples(packets, changes), max_size=12), st.booleans())
def test_a_packet_read_at_one_look_is_read_as_with_care(
    told: list[tuple[bytes, list[tuple[int, int]]]], learnt: bool
) -> None:
    message = b""
    for packet, changed in told:
        changing = bytearray(packet)
        for at, value in changed:
            if at < len(changing):
                changing[at] = value
        message += changing
    decoder = FeedDecoder(TICKS)
    if learnt:
        traded = Tick(0, OPTION, 1, 5)
        for known in (FULL, encode_quote(traded), encode_ticker(traded), encode_full(Quote(Tick(0, NIFTY.key, 1, 5)))):
            decoder.decode(known, 1)
    found, unreadable = packet_by_packet(message)
    assert decoder.decode(memoryview(message), 7) == found
    assert decoder.counts.unreadable == unreadable
    torn = split_packets(message)[1]
    assert (decoder.last_torn, decoder.counts.torn) == (torn, int(torn is not None))


def test_prices_kept_in_mind_are_bounded() -> None:
    key = instrument_key(Segment.NSE_FNO, 1)
    for paise in range(0, (MOST_REMEMBERED + 10) * 7, 7):
        packet = encode_ticker(Tick(0, key, 1, paise))
        assert FeedDecoder({key: 7}).decode(packet, 0)[0].ltp_paise == paise
    assert len(_PRICES[7]) <= MOST_REMEMBERED
