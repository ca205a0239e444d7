"""What may be stored as a setting, and which of three places says what is watched."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import NIFTY, SENSEX, Segment, instrument_key
from algo_scalper.domain.market import Tick
from algo_scalper.runtime.config import load_algo
from algo_scalper.runtime.publish import WatchLine
from algo_scalper.runtime.setting_values import BOUNDS, known_setting, stored_value
from algo_scalper.runtime.settings import VARIABLES, Kind, load_settings, why_not_stored
from algo_scalper.runtime.watching import Watching
from algo_scalper.runtime.watchlist import STORED, Watched, Watchlist, choose, parse_list

RELIANCE = instrument_key(Segment.NSE_EQ, 2885)
OPTION = instrument_key(Segment.NSE_FNO, 42_500)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("log_level", "DEBUG", "debug"),
        ("PAPER_MODE", "no", "false"),
        ("PORT", "3001", "3001"),
        ("DHANHQ_WS_MODE", "Full", "full"),
        ("DHANHQ_WS_WATCHLIST", "NSE_EQ:2885; IDX_I:51", "NSE_EQ:2885; IDX_I:51"),
        ("VALID_EXCHANGES", "NSE", "NSE"),
        ("VALID_EXCHANGES", "nse, bse", "BSE,NSE"),
    ],
)
def test_a_value_is_stored_in_one_spelling(name: str, value: str, kept: str) -> None:
    assert stored_value(known_setting(name), value) == kept


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LOG_LEVL", "x", "LOG_LEVL: no such setting; the nearest is LOG_LEVEL"),
        ("CLIENT_ID", "1", "CLIENT_ID is an older name; the setting is DHANHQ_CLIENT_ID"),
        ("RAILS_ENV", "x", "RAILS_ENV has no effect here"),
        ("PAPER_MODE", "maybe", "PAPER_MODE='maybe' is neither true nor false"),
        ("PORT", "80000", "PORT='80000' is not a whole number from 1 to 65535"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL='loud' is not one of debug, info"),
        ("DHANHQ_WS_WATCHLIST", "NSE:1", "DHANHQ_WS_WATCHLIST: 'NSE:1' is not an instrument; write it as NSE_EQ:2885"),
        ("VALID_EXCHANGES", "NSE,NSX", "VALID_EXCHANGES='NSE,NSX': NSX is not read here; write NSE,BSE"),
        ("VALID_EXCHANGES", ",", "nothing is not read here; write NSE,BSE"),
        ("DHANHQ_CLIENT_ID", "11\n22", "DHANHQ_CLIENT_ID='11\\n22' holds a character that cannot be printed"),
        ("DHANHQ_PIN", "123456", "a secret is not kept among the settings; put it into .env"),
        ("DHANHQ_BASE_URL", "https://x", "it says where the token is sent"),
        ("LOG_LEVEL", " ", "an empty value says nothing; take the stored one back"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_the_way_out(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        stored_value(known_setting(name), value)
    assert said in str(refused.value)


def test_every_whole_number_has_its_bounds_and_no_secret_is_read_from_the_store(tmp_path: Path) -> None:
    assert {one.name for one in VARIABLES if one.kind is Kind.COUNT} == set(BOUNDS)
    stored = {one.name: "planted" for one in VARIABLES}
    settings = load_settings({}, tmp_path / "none", None, stored)
    for one in VARIABLES:
        assert (settings.text(one.name) == "planted") is (why_not_stored(one.name) == "")


def test_the_stored_list_goes_before_the_file_and_the_file_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "algo.yml"
    file.write_text("indices: {NIFTY: {}}\nguards: {events: off}\nwatchlist: [SENSEX, 'NSE_EQ:2885', IDX_I:51]\n")
    algo = load_algo(file, "algo.yml")
    settings = load_settings({"DHANHQ_WS_WATCHLIST": "IDX_I:13"}, tmp_path / "none")
    stored = [Watched(OPTION, "NIFTY 01 DEC 24500 CE")]
    assert choose(stored, algo, settings) == Watchlist(STORED, tuple(stored))
    in_file = choose([], algo, settings)
    assert in_file.source == "algo.yml line 3"
    assert in_file.items == (Watched(SENSEX.key, "SENSEX"), Watched(RELIANCE, "NSE_EQ:2885"))
    by_environment = choose([], algo._replace(watchlist=algo.watchlist._replace(value=())), settings)
    assert by_environment == Watchlist("DHANHQ_WS_WATCHLIST from environment", (Watched(NIFTY.key, "NIFTY"),))
    assert choose([], None, load_settings({}, tmp_path / "none")).items == ()


def test_a_list_is_apart_by_comma_semicolon_and_line_as_the_original_wrote_it() -> None:
    keys = [item.key for item in parse_list("NSE_EQ:2885;IDX_I:13,\nVIX ,", "here")]
    assert keys == [NIFTY.key, instrument_key(Segment.IDX_I, 21), RELIANCE]
    with pytest.raises(ConfigError, match="more than the 500"):
        parse_list(",".join(f"NSE_EQ:{n}" for n in range(1, 502)), "here")


# --- at work -----------------------------------------------------------------------------------------------------------


class Feed:
    """What is subscribed, counted as the real one counts."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[int]]] = []

    def subscribe(self, keys: object) -> None:
        self.asked.append(("want", list(keys)))  # type: ignore[call-overload]

    def unsubscribe(self, keys: object) -> None:
        self.asked.append(("let go", list(keys)))  # type: ignore[call-overload]


def watching() -> tuple[Watching, Feed, dict[int, int]]:
    feed, ticks = Feed(), {NIFTY.key: 5, OPTION: 5}
    return Watching(feed.subscribe, feed.unsubscribe, ticks), feed, ticks


def a_list(*keys: int) -> Watchlist:
    return Watchlist("the test", tuple(Watched(key, str(key)) for key in keys))


def test_what_is_only_watched_never_reaches_the_engine_and_what_it_wants_still_does() -> None:
    at_work, _, ticks = watching()
    at_work.core_wants([NIFTY.key])
    at_work.follow(a_list(NIFTY.key, RELIANCE, OPTION), {RELIANCE: 10})
    assert ticks == {NIFTY.key: 5, OPTION: 5, RELIANCE: 10}, "a tick that is known stays as it is"
    heard = [Tick(1, key, 0, 100) for key in (NIFTY.key, RELIANCE, OPTION)]
    assert at_work.sift(heard) == heard[:1]
    assert set(at_work.newest) == {NIFTY.key, RELIANCE, OPTION}
    at_work.core_wants([OPTION])
    at_work.core_wants([OPTION])
    assert at_work.sift(heard) == [heard[0], heard[2]]
    at_work.core_lets_go([OPTION])
    assert at_work.sift(heard) == [heard[0], heard[2]], "wanted twice, let go once"
    at_work.core_lets_go([OPTION])
    assert at_work.sift(heard) == heard[:1]


def test_only_what_changed_is_subscribed_and_a_price_goes_with_its_line() -> None:
    at_work, feed, ticks = watching()
    at_work.follow(a_list(RELIANCE), {})
    assert ticks[RELIANCE] == 1, "to the paisa, while nobody has told its tick"
    at_work.sift([Tick(7, RELIANCE, 0, 2_950_05)])
    assert at_work.view().lines == (WatchLine(RELIANCE, str(RELIANCE), 2_950_05, 7),)
    at_work.follow(a_list(OPTION), {})
    assert feed.asked == [("want", [RELIANCE]), ("want", [OPTION]), ("let go", [RELIANCE])]
    assert at_work.newest == {}
    assert at_work.view().lines == (WatchLine(OPTION, str(OPTION)),)
