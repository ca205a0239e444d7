"""The token lies encrypted: readable nowhere, bound to its account, and a lost key costs a new token and nothing else."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import msgspec
import pytest

from algo_scalper.adapters.dhan.token_key import TokenKey, WrongKey
from algo_scalper.adapters.dhan.token_store import HowMade, MintedToken, TokenStore
from algo_scalper.domain.errors import ConfigError, StoreError

CLIENT = "1100000001"
SECRET = "a-secret-token-of-a-day"
SAID = base64.b64encode(bytes(range(32))).decode()
TOKEN = MintedToken(CLIENT, SECRET, 5, HowMade.PASTED, "SELF", 1)


def bytes_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_value_is_readable_nowhere_and_the_key_lies_outside_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "var"
    store = TokenStore(data, CLIENT)
    store.write(TOKEN)
    assert store.read() == TOKEN
    on_disk = bytes_below(tmp_path)
    assert SECRET.encode() not in on_disk
    assert base64.b64encode(SECRET.encode())[:20] not in on_disk
    key = tmp_path / "var.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["var", "var.key"], "no half-written key is left"
    assert key.read_bytes().strip() not in bytes_below(data)


def test_the_environments_key_needs_no_file(tmp_path: Path) -> None:
    TokenStore(tmp_path / "var", CLIENT, SAID).write(TOKEN)
    assert not (tmp_path / "var.key").exists()
    assert TokenStore(tmp_path / "var", CLIENT, SAID.replace("+", "-").replace("/", "_")).read() == TOKEN


def test_two_writings_of_one_token_differ(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "var", CLIENT)
    store.write(TOKEN)
    first = store.path.read_bytes()
    store.write(TOKEN)
    assert store.path.read_bytes() != first


def test_a_lost_key_costs_a_new_token_and_nothing_else(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "var", CLIENT)
    store.write(TOKEN)
    (tmp_path / "var.key").unlink()
    with pytest.raises(StoreError, match=r"its key is gone.*Nothing but the token is lost.*scalper login"):
        store.read()
    store.write(TOKEN)
    assert store.read() == TOKEN


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "var", CLIENT)
    store.write(TOKEN)
    with pytest.raises(StoreError, match=r"not encrypted with the key of ALGO_SCALPER_KEY.*scalper login") as told:
        TokenStore(tmp_path / "var", CLIENT, SAID).read()
    assert SECRET not in str(told.value)
    assert SAID not in str(told.value)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    key = TokenKey(tmp_path / "var")
    sealed = key.encrypt(b"text", "here")
    assert key.decrypt(sealed, "here") == b"text"
    for place in range(len(sealed)):
        with pytest.raises(WrongKey):
            key.decrypt(sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :], "here")
    for length in range(len(sealed)):
        with pytest.raises(WrongKey):
            key.decrypt(sealed[:length], "here")


def test_an_accounts_token_is_not_taken_for_anothers(tmp_path: Path) -> None:
    TokenStore(tmp_path / "var", CLIENT).write(TOKEN)
    other = TokenStore(tmp_path / "var", "1100000002")
    TokenStore(tmp_path / "var", CLIENT).path.rename(other.path)
    with pytest.raises(StoreError, match="was changed since"):
        other.read()


def test_a_plain_file_of_an_earlier_version_is_encrypted_when_it_is_read(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "var", CLIENT)
    store.write(TOKEN)
    store.path.write_bytes(msgspec.json.encode({"format": 1, "token": TOKEN}))
    assert SECRET.encode() in bytes_below(tmp_path), "or this test would prove nothing"
    assert store.read() == TOKEN
    assert SECRET.encode() not in bytes_below(tmp_path)
    assert store.read() == TOKEN


def test_a_plain_file_is_left_to_the_process_that_makes_a_token_now(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "var", CLIENT)
    store.write(TOKEN)
    plain = msgspec.json.encode({"format": 1, "token": TOKEN})
    store.path.write_bytes(plain)
    with store.making():
        assert TokenStore(tmp_path / "var", CLIENT).read() == TOKEN
        assert store.path.read_bytes() == plain


@pytest.mark.parametrize("said", ["secret", "x" * 44, base64.b64encode(bytes(31)).decode(), "ä" * 44])
def test_a_key_that_is_none_is_refused_without_repeating_it(tmp_path: Path, said: str) -> None:
    with pytest.raises(ConfigError, match="openssl rand -base64 32") as refused:
        TokenStore(tmp_path / "var", CLIENT, said).write(TOKEN)
    assert said not in str(refused.value)


def test_a_key_others_can_read_is_not_used(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "var", CLIENT)
    store.write(TOKEN)
    (tmp_path / "var.key").chmod(0o640)
    for use in (store.read, lambda: store.write(TOKEN)):
        with pytest.raises(StoreError, match=rf"chmod 600 {tmp_path / 'var.key'}"):
            use()


def test_a_file_that_holds_no_key_is_told(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "var", CLIENT)
    store.write(TOKEN)
    (tmp_path / "var.key").write_bytes(b"")
    with pytest.raises(StoreError, match="holds no key; remove it"):
        store.read()


def test_the_key_of_a_process_that_was_faster_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = TokenKey(tmp_path / "var"), TokenKey(tmp_path / "var")
    sealed: list[bytes] = []
    looked = TokenKey._key

    def nothing_there_yet(key: TokenKey) -> bytes | None:
        monkeypatch.setattr(TokenKey, "_key", looked)
        sealed.append(theirs.encrypt(b"theirs", ""))
        return None

    monkeypatch.setattr(TokenKey, "_key", nothing_there_yet)
    sealed.append(ours.encrypt(b"ours", ""))
    assert [ours.decrypt(one, "") for one in sealed] == [b"theirs", b"ours"]
