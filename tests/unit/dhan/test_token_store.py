"""The token's file: whole or not at all, readable by its owner alone, and which of two tokens is used."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import date
from pathlib import Path

import msgspec
import pytest

from algo_scalper.adapters.dhan.token_store import (
    HowMade,
    MintedToken,
    TokenBusy,
    TokenStore,
    choose_token,
    moment_text,
)
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.units import NS_PER_MINUTE
from tests.unit.dhan.scripted import ist, jwt

CLIENT = "1100000001"
DAY = date(2026, 11, 23)
NOW = ist(DAY, "08:20")
ENV = "DHANHQ_ACCESS_TOKEN from .env line 2"


def token_until(expires_ns: int, value: str = "a-secret-token", consumer: str = "APP") -> MintedToken:
    return MintedToken(CLIENT, value, expires_ns, HowMade.PIN_AND_TOTP, consumer, NOW)


def test_what_is_written_is_read_and_only_its_owner_may(tmp_path: Path) -> None:
    store = TokenStore(tmp_path, CLIENT)
    assert store.read() is None
    assert store.stamp() == (0, 0)
    first = token_until(ist(DAY, "20:00"))
    store.write(first)
    before = store.stamp()
    assert store.read() == first
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    store.write(token_until(ist(DAY, "21:00")))
    assert store.stamp() != before
    assert [path.name for path in store.path.parent.iterdir()] == [store.path.name], "no half-written file is left"


def test_an_old_umask_does_not_open_the_file(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        TokenStore(tmp_path, CLIENT).write(token_until(NOW))
    finally:
        os.umask(old)
    assert stat.S_IMODE(TokenStore(tmp_path, CLIENT).path.stat().st_mode) == 0o600


def test_a_file_others_can_read_is_not_used(tmp_path: Path) -> None:
    store = TokenStore(tmp_path, CLIENT)
    store.write(token_until(NOW))
    store.path.chmod(0o640)
    with pytest.raises(StoreError, match=f"chmod 600 {store.path}"):
        store.read()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "torn"),
        (b'{"format":1,"token":{"client_id":"1100000001","access_tok', "torn"),
        (b"[]", "torn"),
        (b"\xff\xfe", "torn"),
        (b"x" * 20_000, "far too large"),
        (
            b'{"format":1,"token":{"client_id":"7","access_token":"t","expires_ns":0,"how":"pasted"}}',
            "no token of this",
        ),
        (
            b'{"format":1,"token":{"client_id":"1100000001","access_token":"","expires_ns":0,"how":"pasted"}}',
            "no token",
        ),
        (b'{"format":3,"token":{"client_id":"7","access_token":"t","expires_ns":0,"how":"pasted"}}', "format 3"),
        (b'{"format":2,"token":{"client_id":"7","access_token":"t","expires_ns":0,"how":"pasted"}}', "torn"),
    ],
)
def test_a_file_that_is_none_is_told_and_not_repeated(tmp_path: Path, content: bytes, why: str) -> None:
    store = TokenStore(tmp_path, CLIENT)
    store.write(token_until(NOW))
    store.path.write_bytes(content)
    with pytest.raises(StoreError, match=why) as told:
        store.read()
    assert "access_tok" not in str(told.value).replace("access_token", "")
    assert "scalper login" in str(told.value)


def test_every_cut_of_the_file_is_noticed(tmp_path: Path) -> None:
    store = TokenStore(tmp_path, CLIENT)
    store.write(token_until(NOW))
    whole = store.path.read_bytes()
    for length in range(len(whole)):
        store.path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="torn"):
            store.read()


def test_nobody_elses_token_is_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="another client id"):
        TokenStore(tmp_path, "1100000002").write(token_until(NOW))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("in the way")
    with pytest.raises(StoreError, match="make its folder writable"):
        TokenStore(tmp_path, CLIENT).write(token_until(NOW))


def test_only_one_process_makes_a_token(tmp_path: Path) -> None:
    store = TokenStore(tmp_path, CLIENT)
    script = (
        "import sys; from pathlib import Path; from algo_scalper.adapters.dhan.token_store import TokenStore\n"
        f"with TokenStore(Path({str(tmp_path)!r}), {CLIENT!r}).making():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(TokenBusy, match="another process"), store.making():
            pass
        other.kill()
        other.wait()
    with store.making():
        pass


def test_the_lock_is_let_go_after_a_fault(tmp_path: Path) -> None:
    store = TokenStore(tmp_path, CLIENT)
    with pytest.raises(KeyError), store.making():
        raise KeyError
    with store.making():
        pass


def test_no_repr_shows_a_token() -> None:
    token = token_until(NOW)
    chosen = choose_token(CLIENT, "", ENV, token, NOW)
    assert "a-secret-token" not in f"{token!r} {token} {chosen!r} {chosen}"
    assert CLIENT not in f"{token!r}{TokenStore(Path('x'), CLIENT)!r}"
    assert b"a-secret-token" in msgspec.json.encode(token), "or this test would prove nothing"


def test_the_token_that_lasts_longer_is_used_and_said_why() -> None:
    early, late = ist(DAY, "09:00"), ist(DAY, "20:00")
    stored, env = token_until(late), jwt(CLIENT, early)
    chosen = choose_token(CLIENT, env, ENV, stored, NOW)
    assert chosen.access_token == "a-secret-token"
    assert chosen.sentence == (
        f"the stored token (pin and totp), until Mon 23 Nov 20:00; it lasts longer than {ENV}, until Mon 23 Nov 09:00"
    )
    chosen = choose_token(CLIENT, jwt(CLIENT, late), ENV, token_until(early), NOW)
    assert (chosen.access_token, chosen.expires_ns, chosen.web_made) == (jwt(CLIENT, late), late, True)
    assert chosen.sentence.startswith(ENV)


def test_a_token_of_another_client_is_never_used() -> None:
    foreign = jwt("1100000002", ist(DAY, "23:00"))
    chosen = choose_token(CLIENT, foreign, ENV, token_until(ist(DAY, "09:00")), NOW)
    assert chosen.access_token == "a-secret-token"
    assert "another client id" in chosen.sentence
    nothing = choose_token(CLIENT, foreign, ENV, None, NOW)
    assert nothing.access_token == ""
    assert "scalper login" in nothing.sentence
    assert foreign not in nothing.sentence


def test_one_that_does_not_say_when_it_ends_stands_behind_one_that_still_lasts() -> None:
    lasting, over = token_until(NOW + NS_PER_MINUTE), token_until(NOW - NS_PER_MINUTE)
    assert choose_token(CLIENT, "a-plain-word", ENV, lasting, NOW).access_token == "a-secret-token"
    assert choose_token(CLIENT, "a-plain-word", ENV, over, NOW).access_token == "a-plain-word"
    assert "does not say when it ends" in choose_token(CLIENT, "a-plain-word", ENV, None, NOW).sentence


def test_a_token_that_is_over_is_used_last_and_said_so() -> None:
    over = token_until(ist(DAY, "08:19"))
    assert "which has passed" in choose_token(CLIENT, "", ENV, over, NOW).sentence
    lasting = jwt(CLIENT, NOW + NS_PER_MINUTE)
    assert choose_token(CLIENT, lasting, ENV, over, NOW).access_token == lasting


def test_the_same_token_in_both_places_is_one() -> None:
    word = jwt(CLIENT, ist(DAY, "20:00"))
    chosen = choose_token(CLIENT, word, ENV, token_until(ist(DAY, "20:00"), word, "SELF"), NOW)
    assert "the same as" in chosen.sentence
    assert chosen.web_made


def test_moments_are_indian() -> None:
    assert moment_text(ist(DAY, "08:59")) == "Mon 23 Nov 08:59"
    assert moment_text(0) == "unknown"
