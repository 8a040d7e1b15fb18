"""Personal values: keyed hashes, network prefixes, encrypted payloads (SPEC section 11)."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import os
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_VARIABLE = "ATTRIBEAM_KEY"
KEY_FILE_VARIABLE = "ATTRIBEAM_KEY_FILE"
KEY_BYTES = 32
KEY_ADVICE = (
    f"set {KEY_VARIABLE} to {KEY_BYTES} random bytes in base64 (openssl rand -base64 {KEY_BYTES}),"
    f" or {KEY_FILE_VARIABLE} to a file that holds them, and keep the key: without it earlier"
    " rows no longer match new ones"
)
_KEY_DIGITS = 32
_URL_ALPHABET = str.maketrans("-_", "+/")
_IPV4_PREFIX = 24
_IPV6_PREFIX = 48


class KeyMissing(ValueError):
    """There is no usable secret key; the message says what to do."""


def load_key() -> bytes:
    """The secret key of 32 bytes from ATTRIBEAM_KEY, else from the file in ATTRIBEAM_KEY_FILE.

    Raises KeyMissing where neither is set or what is there is not 32 bytes in base64.
    """
    text = os.environ.get(KEY_VARIABLE, "").strip()
    if text:
        return _key_of(text, KEY_VARIABLE)
    path = os.environ.get(KEY_FILE_VARIABLE, "").strip()
    if not path:
        raise KeyMissing(f"no secret key: {KEY_ADVICE}")
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyMissing(f"{KEY_FILE_VARIABLE}: {path} cannot be read: {KEY_ADVICE}") from error
    return _key_of(text, f"{KEY_FILE_VARIABLE}: {path}")


def _key_of(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.translate(_URL_ALPHABET), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        # `from None`: the text of the key must not reach a log.
        raise KeyMissing(f"{where}: not {KEY_BYTES} bytes in base64: {KEY_ADVICE}") from None
    return key


def caller_key(account: str, number: str, key: bytes) -> str:
    """A number (E.164) as 32 hex digits of HMAC-SHA-256 over account, a zero byte, the number."""
    digest = _keyed(key).copy()  # a third of the time that a new one takes
    digest.update(f"{account}\0{number}".encode())
    return digest.hexdigest()[:_KEY_DIGITS]


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def email_key(account: str, address: str, key: bytes) -> str:
    """An e-mail address, trimmed already, as the same kind of key; its case is no matter."""
    return caller_key(account, address.lower(), key)


@lru_cache(maxsize=1 << 16)
def ip_prefix(address: str) -> str | None:
    """The /24 or /48 network of an address, None where it is none.

    An IPv4 address written as IPv6 is what it stands for.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((int(parsed), _IPV6_PREFIX), strict=False))
        parsed = parsed.ipv4_mapped
    return str(ipaddress.IPv4Network((int(parsed), _IPV4_PREFIX), strict=False))


@lru_cache(maxsize=8)
def _cipher(key: bytes) -> AESSIV:
    derived = HKDF(SHA256(), length=64, salt=None, info=b"attribeam dead letter payload")
    return AESSIV(derived.derive(key))


def encrypt_payload(payload: bytes, key: bytes) -> bytes:
    """A dead letter's payload, encrypted so that equal payloads give equal bytes.

    AES-SIV under a key derived from the secret one: a repeated run writes the same rows.
    """
    return _cipher(key).encrypt(payload, None)


def decrypt_payload(encrypted: bytes, key: bytes) -> bytes:
    """What `encrypt_payload` was given. Raises cryptography's InvalidTag under another key."""
    return _cipher(key).decrypt(encrypted, None)


def content_id(*parts: bytes) -> str:
    """32 hex digits that name these parts: deterministic, and no part can run into the next."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:_KEY_DIGITS]
