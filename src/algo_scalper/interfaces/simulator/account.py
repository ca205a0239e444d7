"""A simulated account: who it is, what it may do, and its tokens. Facts are set at the start and over ``/sim/account``.

Every word built into it is well known and opens nothing: the account exists in this process only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec

from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.domain.totp import STEP_S, totp
from algo_scalper.domain.units import IST, NS_PER_DAY, NS_PER_SECOND, ist_day

SIMULATED = "SIMULATED"
"""The simulated account's client id and token: well-known words, not secrets."""
PIN = "123456"
TOTP_SECRET = "SIMULATEDSIMULATEDSIMULATED23456"  # noqa: S105 - a well-known word of an account that does not exist
CONSENTS_A_DAY = 25
IP_CHANGE_DAYS = 7
SELF, APP = "SELF", "APP"
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")


class HoldingFacts(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A row of ``GET /holdings``, in its own words and rupees."""

    exchange: str = "ALL"
    trading_symbol: str = "NIFTYBEES"
    security_id: str = "10576"
    isin: str = "INF204KB14I2"
    total_qty: int = 0
    dp_qty: int = 0
    t1_qty: int = msgspec.field(default=0, name="t1Qty")
    available_qty: int = 0
    collateral_qty: int = 0
    avg_cost_price: float = 0.0
    last_traded_price: float = 0.0


class AccountFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is so of the account. Times are IST, empty ones take the default their note names."""

    client_id: str = SIMULATED
    name: str = "SIMULATED ACCOUNT"
    token: str = SIMULATED
    """The token made on the web. Minting another kills it, unless it is the well-known word."""
    token_alive: bool = True
    """False: every token is dead, as after a fault at the broker's."""
    token_expires: str = ""
    """``2026-02-03T14:00``, or ``14:00`` of the simulated day; empty: 08:00 of the day after."""
    pin: str = PIN
    totp_secret: str = TOTP_SECRET
    mint_cooldown_s: int = 120
    app_id: str = "SIMULATED-APP"
    app_secret: str = "SIMULATED-APP-SECRET"  # noqa: S105 - see TOTP_SECRET
    redirect_url: str = ""
    """Where the consent page leads; empty: it shows the token id instead."""
    partner_id: str = "SIMULATED-PARTNER"
    partner_secret: str = "SIMULATED-PARTNER-SECRET"  # noqa: S105 - see TOTP_SECRET
    data_plan: bool = True
    data_until: str = ""
    """``2026-03-05 17:52:44.0``; empty: thirty days on."""
    active_segments: str = "E, D, C, M, "
    ddpi: bool = False
    mtf: bool = False
    kill_switch: bool = False
    primary_ip: str = ""
    primary_changed: str = ""
    """The day the address was set, ``2026-01-20``; empty when it was not."""
    secondary_ip: str = ""
    secondary_changed: str = ""
    detected_ip: str = "127.0.0.1"
    """Where requests seem to come from."""
    orders_allowed: bool | None = None
    """None: when no address is registered, or the detected one is."""
    cash_paise: int | None = None
    """None leaves the cash as it is."""
    collateral_paise: int = 0
    """Counted into the balance the broker shows, and good for no option."""
    holdings: tuple[HoldingFacts, ...] = ()

    @property
    def ip_matches(self) -> bool:
        """Is the detected address one of the registered ones?"""
        return self.detected_ip in (self.primary_ip, self.secondary_ip)

    @property
    def may_order(self) -> bool:
        """Are order requests taken from the detected address?"""
        if self.orders_allowed is not None:
            return self.orders_allowed
        return self.ip_matches or not (self.primary_ip or self.secondary_ip)

    @property
    def has_derivatives(self) -> bool:
        """Is the segment of options active?"""
        words = {word.strip() for word in self.active_segments.split(",")}
        return bool(words & {"D", "Derivative"})


def changed(facts: AccountFacts, raw: bytes) -> AccountFacts:
    """The facts with those of a JSON object put over them. Raises `DataError` for anything else."""
    try:
        patch = msgspec.json.decode(raw, type=dict[str, object])
        found = msgspec.convert({**msgspec.to_builtins(facts), **patch}, AccountFacts)
        _instant_ns(found.token_expires, date(2026, 1, 1))
        for day in (found.primary_changed, found.secondary_changed):
            date.fromisoformat(day or "2026-01-01")
        totp(found.totp_secret, 0)
        if not _CLIENT_ID.fullmatch(found.client_id):
            raise DataError(f"client_id {found.client_id[:40]!r} is not 1 to 40 letters, digits, - or _")
    except (msgspec.DecodeError, ValueError, ConfigError) as wrong:
        raise DataError(f"not facts of an account: {wrong}") from None
    return found


def account_facts(path: Path) -> AccountFacts:
    """The facts in a JSON file, the built-in ones where it says nothing. Raises `DataError` naming the file."""
    try:
        return changed(AccountFacts(), path.read_bytes())
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror})") from None
    except DataError as wrong:
        raise DataError(f"{path}: {wrong}") from None


def _instant_ns(text: str, day: date) -> int:
    """UTC ns of an IST time, with or without its day. Raises ValueError."""
    whole = text if len(text) > len("14:00:00") else f"{day.isoformat()}T{text or '00:00'}"
    return int(datetime.fromisoformat(whole).replace(tzinfo=IST).timestamp()) * NS_PER_SECOND


class Grant(msgspec.Struct, frozen=True):
    """A minted token."""

    token: str
    expires_ns: int
    consumer: str
    """``SELF`` for one made on the web or renewed from such, ``APP`` for all others."""


class Consents(msgspec.Struct):
    """Consents under way: which were begun today, and the token ids they led to."""

    day: str = ""
    begun: dict[str, str] = {}
    """Consent id -> ``app`` or ``partner``."""
    count: int = 0
    granted: dict[str, str] = {}
    """Token id -> ``app`` or ``partner``."""


class AccountState(msgspec.Struct):
    """What is kept over a restart."""

    facts: AccountFacts = AccountFacts()
    minted: Grant | None = None
    web_token_replaced: bool = False
    sequence: int = 0


class Account:
    """Facts and tokens of one account. Every question carries the instant at which it is asked."""

    def __init__(self, facts: AccountFacts, day: date, state: AccountState | None = None) -> None:
        kept = state if state is not None else AccountState(facts)
        self.facts = kept.facts
        self.day = day
        self.minted = kept.minted
        self._replaced = kept.web_token_replaced
        self._sequence = kept.sequence
        self._minted_at: tuple[int, int] | None = None
        self._elsewhere: Grant | None = None
        self.consents = Consents()

    def export(self) -> AccountState:
        """What is to be kept."""
        return AccountState(self.facts, self.minted, self._replaced, self._sequence)

    # Tokens

    @property
    def web_expires_ns(self) -> int:
        """When the web's token ends."""
        if self.facts.token_expires:
            return _instant_ns(self.facts.token_expires, self.day)
        return _instant_ns("08:00", self.day + timedelta(days=1))

    def is_known(self, token: str) -> bool:
        """Was this ever a token of the account's, as far as is remembered?"""
        return token == self.facts.token or (self.minted is not None and token == self.minted.token)

    def admits(self, token: str, now_ns: int) -> bool:
        """Is the token good now?"""
        expires_ns = self.expires_ns(token)
        return self.facts.token_alive and expires_ns is not None and now_ns < expires_ns

    def expires_ns(self, token: str) -> int | None:
        """When a token ends; None for one that is not the account's, or no longer."""
        if self.minted is not None and token == self.minted.token:
            return self.minted.expires_ns
        if token == self.facts.token and not self._replaced:
            return self.web_expires_ns
        return None

    def renews(self, token: str) -> bool:
        """May this token be renewed? Only one made on the web may."""
        if self.minted is not None and token == self.minted.token:
            return self.minted.consumer == SELF
        return token == self.facts.token

    def mint(self, now_ns: int, consumer: str, partner_id: str = "") -> Grant:
        """A new token for 24 hours; the one before it is dead."""
        self._sequence += 1
        expires_ns = (now_ns // NS_PER_SECOND) * NS_PER_SECOND + NS_PER_DAY
        claims = {
            "iss": "dhan",
            "partnerId": partner_id,
            "exp": expires_ns // NS_PER_SECOND,
            "iat": now_ns // NS_PER_SECOND,
            "tokenConsumerType": consumer,
            "webhookUrl": "",
            "dhanClientId": self.facts.client_id,
        }
        head, body = _segment({"typ": "JWT", "alg": "HS512"}), _segment(claims)
        # Signed with a word everybody knows; the number makes two tokens of one second differ.
        seal = hmac.digest(f"{SIMULATED}{self._sequence}".encode(), f"{head}.{body}".encode(), hashlib.sha512)
        self.minted = Grant(f"{head}.{body}.{_base64(seal)}", expires_ns, consumer)
        self._replaced = self.facts.token != SIMULATED
        return self.minted

    def mint_elsewhere(self, now_ns: int) -> None:
        """A person makes another token on the web: whatever was in use is dead."""
        self._elsewhere = self.mint(now_ns, SELF)
        self._replaced = True

    def undo_mint_elsewhere(self) -> None:
        """The web's own token is good again, if nobody has made another since."""
        if self._elsewhere is not None and self.minted is self._elsewhere:
            self.minted, self._replaced = None, False

    def consumer(self, token: str) -> str:
        """``SELF`` for a token made on the web, ``APP`` for one an application made."""
        return self.minted.consumer if self.minted is not None and token == self.minted.token else SELF

    def cools_down(self, now_ns: int, real_ns: int) -> bool:
        """Was a token made by PIN less than two minutes ago? If not, one is being made now."""
        wait_ns = self.facts.mint_cooldown_s * NS_PER_SECOND
        last = self._minted_at
        if last is not None and now_ns - last[0] < wait_ns and real_ns - last[1] < wait_ns:
            return True
        self._minted_at = (now_ns, real_ns)
        return False

    def knows_code(self, code: str, *clocks_ns: int) -> bool:
        """Is this the one-time password of one of these instants, or of the step beside it?"""
        seconds = [at_ns // NS_PER_SECOND + step for at_ns in clocks_ns for step in (-STEP_S, 0, STEP_S)]
        return code in {totp(self.facts.totp_secret, second) for second in seconds if second >= 0}

    # Consents

    def begin_consent(self, kind: str, now_ns: int) -> str | None:
        """A new consent's id; None when the day has had its twenty-five."""
        today = ist_day(now_ns).isoformat()
        if self.consents.day != today:
            self.consents = Consents(today, {}, 0, {})
        if self.consents.count >= CONSENTS_A_DAY:
            return None
        self.consents.count += 1
        number = self._uuid(f"{kind} consent")
        self.consents.begun[number] = kind
        return number

    def grant_consent(self, consent_id: str, kind: str) -> str | None:
        """The person agreed: the token id of it; None for a consent nobody began."""
        if self.consents.begun.get(consent_id) != kind:
            return None
        del self.consents.begun[consent_id]
        token_id = self._uuid("token id")
        self.consents.granted[token_id] = kind
        return token_id

    def has_consent(self, number: str) -> bool:
        """Is this the id of a consent under way, or of the token it led to?"""
        return number in self.consents.begun or number in self.consents.granted

    def consume_consent(self, token_id: str, kind: str) -> bool:
        """Use a token id up; False for one that is none, or used."""
        return self.consents.granted.get(token_id) == kind and self.consents.granted.pop(token_id) == kind

    def _uuid(self, of: str) -> str:
        self._sequence += 1
        text = hashlib.sha256(f"{self.facts.client_id}/{self._sequence}/{of}".encode()).hexdigest()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"

    # Addresses

    def set_ip(self, ip: str, slot: str, today: date) -> bool:
        """Register an address; False within seven days of the slot's last change."""
        since = self.facts.primary_changed if slot == "PRIMARY" else self.facts.secondary_changed
        if since and today < date.fromisoformat(since) + timedelta(days=IP_CHANGE_DAYS):
            return False
        on = today.isoformat()
        if slot == "PRIMARY":
            self.facts = msgspec.structs.replace(self.facts, primary_ip=ip, primary_changed=on)
        else:
            self.facts = msgspec.structs.replace(self.facts, secondary_ip=ip, secondary_changed=on)
        return True


def _segment(claims: object) -> str:
    return _base64(msgspec.json.encode(claims))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
