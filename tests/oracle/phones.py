"""Telephone numbers, withheld callers, keys and masks (SPEC 3, 11)."""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress

import phonenumbers

from oracle.wire import trim

WITHHELD = {
    "anonymous",
    "restricted",
    "private",
    "unknown",
    "unavailable",
    "withheld",
    "blocked",
    "266696687",
    "7378742833",
    "2562533",
    "8656696",
    "86282452253",
}


def bare(text: str) -> str:
    """Remove `sip:`, `tel:` and what follows `@` (SPEC 3)."""
    text = trim(text)
    if text[:4].lower() in ("sip:", "tel:"):
        text = text[4:]
    return trim(text.split("@", 1)[0])


def is_withheld(text: str) -> bool:
    """The caller has withheld the number (SPEC 3)."""
    return bare(text).removeprefix("+").lower() in WITHHELD


@functools.lru_cache(maxsize=4096)
def normalise(text: str, region: str) -> str | None:
    """E.164 where possible, else three or more digits, else None: `bad_number` (SPEC 3)."""
    text = bare(text)
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is not None and phonenumbers.is_possible_number(parsed):
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    digits = phonenumbers.normalize_digits_only(text)
    return digits if len(digits) >= 3 else None


def keyed(account: str, value: str, key: bytes) -> str:
    """The first 32 hex digits of HMAC-SHA-256 of account, a zero byte, the value (SPEC 11)."""
    message = account.encode() + b"\0" + value.encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]


def email_of(text: str) -> str:
    """An e-mail address, trimmed and lower case (SPEC 11)."""
    return trim(text).lower()


def country(number: str) -> str | None:
    """The caller's country, where the number is E.164."""
    if not number.startswith("+"):
        return None
    return phonenumbers.region_code_for_number(phonenumbers.parse(number))


def masked(number: str) -> str:
    """Country code and last two digits (SPEC 11; the format is the oracle's own)."""
    if not number.startswith("+"):
        return f"…{number[-2:]}"
    return f"+{phonenumbers.parse(number).country_code}…{number[-2:]}"


def ip_prefix(text: str) -> str | None:
    """The /24 or /48 an address lies in, None where it is no address (SPEC 11)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    length = 24 if address.version == 4 else 48
    packed = int(address) >> (address.max_prefixlen - length) << (address.max_prefixlen - length)
    return f"{type(address)(packed)}/{length}"
