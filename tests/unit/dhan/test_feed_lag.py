"""How far behind the feed is: only packets that bring a new trade say so."""

from __future__ import annotations

from algo_scalper.adapters.dhan.feed_lag import FeedLag
from algo_scalper.adapters.dhan.packets import FeedDecoder, encode_ticker
from algo_scalper.domain.instruments import NIFTY, Segment, instrument_key
from algo_scalper.domain.market import Tick
from algo_scalper.domain.units import NS_PER_SECOND

BEGAN_S = 1_795_000_000
OPTION, OTHER = instrument_key(Segment.NSE_FNO, 1), instrument_key(Segment.NSE_FNO, 2)


class Heard:
    """A lag measure, told in seconds since the beginning."""

    def __init__(self) -> None:
        self.lag = FeedLag()

    def note(self, key: int, traded_s: float, received_s: float) -> None:
        self.lag.note(key, BEGAN_S + int(traded_s), round((BEGAN_S + received_s) * NS_PER_SECOND))

    @property
    def current_s(self) -> float:
        return self.lag.current_ns / NS_PER_SECOND

    def worst_s(self, now_s: float) -> float:
        return self.lag.worst_ns(round((BEGAN_S + now_s) * NS_PER_SECOND)) / NS_PER_SECOND


def test_a_trade_told_within_its_second_is_no_delay() -> None:
    heard = Heard()
    heard.note(NIFTY.key, 0, 0.2)
    heard.note(NIFTY.key, 1, 1.9)
    assert (heard.current_s, heard.worst_s(2)) == (0, 0)


def test_a_delay_is_measured_from_the_end_of_the_trades_second() -> None:
    heard = Heard()
    heard.note(NIFTY.key, 0, 46.5)
    heard.note(NIFTY.key, 1, 47.5)
    assert heard.current_s == 45.5
    heard.note(NIFTY.key, 40, 48.0)
    assert (heard.current_s, heard.worst_s(48)) == (7, 45.5)
    heard.note(NIFTY.key, 107, 108.0)
    assert (heard.current_s, heard.worst_s(108)) == (0, 0), "the worst was more than a minute ago"
    assert heard.worst_s(300) == 0


def test_the_last_minute_is_kept_second_by_second() -> None:
    heard = Heard()
    heard.note(NIFTY.key, 0, 1)
    for received in range(1_000):
        heard.note(NIFTY.key, received + 1, received + 5)
        assert len(heard.lag._worst) <= 61
    assert heard.worst_s(1_004) == 3


def test_a_frozen_index_is_not_late() -> None:
    heard = Heard()
    heard.note(NIFTY.key, 0, 0.5)
    heard.note(NIFTY.key, 1, 1.5)
    for second in range(2, 900):  # 15:15 to 15:30: the same packet again and again
        heard.note(NIFTY.key, 1, second)
        assert (heard.current_s, heard.worst_s(second)) == (0, 0)


def test_the_snapshot_of_a_quiet_contract_is_not_late() -> None:
    heard = Heard()
    heard.note(NIFTY.key, 0, 0.5)
    heard.note(OPTION, 30, 90)  # subscribed now, last traded a minute ago, later than the frozen index
    heard.note(NIFTY.key, 20, 90.5)  # older than what is known: says nothing
    assert heard.worst_s(91) == 0
    heard.note(OPTION, 92, 92.1)
    assert heard.worst_s(93) == 0


def test_snapshots_after_a_reconnect_are_not_late() -> None:
    heard = Heard()
    heard.note(OPTION, 0, 0.5)
    heard.lag.begin_anew()
    heard.note(OPTION, 20, 60)
    assert heard.worst_s(60) == 0
    heard.note(OPTION, 61, 64)
    assert heard.current_s == 2


def test_a_time_that_cannot_be_does_not_stop_the_measuring() -> None:
    heard = Heard()
    heard.note(OPTION, 0, 0.5)
    heard.note(OTHER, 1_000_000, 1)
    heard.note(OPTION, 2, 6)
    assert heard.current_s == 3


def test_the_decoder_measures() -> None:
    decoder = FeedDecoder({OPTION: 5})
    for traded_s, received_s in ((0, 1), (1, 9)):
        packet = encode_ticker(Tick(0, OPTION, BEGAN_S + traded_s, 100))
        decoder.decode(packet, (BEGAN_S + received_s) * NS_PER_SECOND)
    assert decoder.lag.worst_ns((BEGAN_S + 9) * NS_PER_SECOND) == 7 * NS_PER_SECOND
