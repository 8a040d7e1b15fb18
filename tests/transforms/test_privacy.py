"""Keys, network prefixes and encrypted payloads (SPEC section 11)."""

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from transforms import privacy

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(privacy.KEY_VARIABLE, raising=False)
    monkeypatch.delenv(privacy.KEY_FILE_VARIABLE, raising=False)


def test_caller_key_is_the_hmac_of_the_specification() -> None:
    """The key of a number is HMAC-SHA-256 of account, zero byte, number: its first 32 digits."""
    expected = hmac.new(KEY, b"shop\0+4533123456", hashlib.sha256).hexdigest()[:32]
    assert privacy.caller_key("shop", "+4533123456", KEY) == expected


def test_caller_key_depends_on_account_number_and_key() -> None:
    """Another account, number or key gives another key; so does a zero byte that moves."""
    keys = {
        privacy.caller_key("shop", "+45331234", KEY),
        privacy.caller_key("shop2", "+45331234", KEY),
        privacy.caller_key("shop", "+45331235", KEY),
        privacy.caller_key("shop", "+45331234", bytes(32)),
    }
    assert len(keys) == 4


def test_email_key_ignores_case() -> None:
    """An address has one key however its letters are written."""
    assert privacy.email_key("a", "Me@Blå.DK", KEY) == privacy.caller_key("a", "me@blå.dk", KEY)


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("0.0.0.0", "0.0.0.0/24"),
        ("255.255.255.255", "255.255.255.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("2001:DB8:1:2::3%eth0", "2001:db8:1::/48"),
        ("::1", "::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("01.2.3.4", None),
        ("1.2.3", None),
        ("1.2.3.4:80", None),
        ("[::1]", None),
        ("٣.2.3.4", None),
        ("256.1.1.1", None),
        ("192.0.2.77, 10.0.0.1", None),
        ("nowhere", None),
        ("", None),
    ],
)
def test_ip_prefix(address: str, prefix: str | None) -> None:
    """An address becomes its /24 or /48; IPv4 within IPv6 is IPv4; what is no address, nothing."""
    assert privacy.ip_prefix(address) == prefix


@pytest.mark.parametrize("payload", [b"", b"x", b"{}" * 1000, bytes(1 << 20)])
def test_payloads_come_back(payload: bytes) -> None:
    """What was encrypted can be decrypted under the same key, and equal input gives equal bytes."""
    encrypted = privacy.encrypt_payload(payload, KEY)
    assert privacy.decrypt_payload(encrypted, KEY) == payload
    assert privacy.encrypt_payload(payload, KEY) == encrypted
    assert payload == b"" or payload not in encrypted


def test_payloads_need_their_key() -> None:
    """Under another key a payload cannot be read."""
    with pytest.raises(InvalidTag):
        privacy.decrypt_payload(privacy.encrypt_payload(b"secret", KEY), bytes(32))


def test_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """ATTRIBEAM_KEY is the key in base64; white space around it is no matter."""
    monkeypatch.setenv("ATTRIBEAM_KEY", f" {TEXT}\n")
    assert privacy.load_key() == KEY


def test_key_in_the_alphabet_for_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Base64 with - and _ is read too."""
    key = b"\xfb\xff" * 16
    monkeypatch.setenv("ATTRIBEAM_KEY", base64.urlsafe_b64encode(key).decode())
    assert privacy.load_key() == key


def test_key_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without ATTRIBEAM_KEY the file that ATTRIBEAM_KEY_FILE names holds the key."""
    (tmp_path / "key").write_text(TEXT + "\n")
    monkeypatch.setenv("ATTRIBEAM_KEY_FILE", str(tmp_path / "key"))
    assert privacy.load_key() == KEY


def test_no_key() -> None:
    """Without a key the message says how to make one."""
    with pytest.raises(privacy.KeyMissing, match="openssl rand -base64 32"):
        privacy.load_key()


@pytest.mark.parametrize("text", ["x", "not base64!", TEXT[:-4], TEXT + TEXT, "blå"])
def test_bad_key(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A key that is not 32 bytes in base64 is refused, and the message does not repeat it."""
    monkeypatch.setenv("ATTRIBEAM_KEY", text)
    with pytest.raises(privacy.KeyMissing, match="not 32 bytes") as caught:
        privacy.load_key()
    assert text == "x" or text not in str(caught.value)


def test_unreadable_key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key file that is missing or no text is named in the message."""
    for name, content in (("missing", None), ("binary", b"\xff" * 32)):
        if content:
            (tmp_path / name).write_bytes(content)
        monkeypatch.setenv("ATTRIBEAM_KEY_FILE", str(tmp_path / name))
        with pytest.raises(privacy.KeyMissing, match=name):
            privacy.load_key()


def test_content_ids_keep_their_parts_apart() -> None:
    """Parts that run together differently have different ids."""
    assert privacy.content_id(b"a", b"bc") != privacy.content_id(b"ab", b"c")
