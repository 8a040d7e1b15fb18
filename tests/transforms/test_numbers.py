"""Phone numbers in all spellings (SPEC section 3, Numbers)."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.numbers import describe_number, is_withheld, normalise_number


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("+4533123456", "DK", "+4533123456"),
        ("33123456", "DK", "+4533123456"),
        (" 33 12-34 56 ", "DK", "+4533123456"),
        ("004533123456", "DK", "+4533123456"),
        ("sip:+4533123456@pbx.example;user=phone", "DK", "+4533123456"),
        ("TEL:33123456", "DK", "+4533123456"),
        ("(212) 555-0123", "US", "+12125550123"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("٣٣١٢٣٤٥٦", "DK", "+4533123456"),
        ("+44 (0)20 7946 0000", "DK", "+442079460000"),
        ("+390612345678", "DK", "+390612345678"),
        ("112", "DK", "112"),
        ("12", "DK", None),
        ("+999123456", "DK", "999123456"),
        ("", "DK", None),
        ("anonymous", "DK", None),
        ("sip:alice@example.com", "DK", None),
        ("sip:@host123", "DK", None),
        ("1" * 300, "DK", "1" * 300),
    ],
)
def test_normalise(raw: str, region: str, expected: str | None) -> None:
    """E.164 where possible, else three or more digits, else nothing."""
    assert normalise_number(raw, region) == expected


@given(
    st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)) | st.integers(1, 999),
    st.text("0123456789", min_size=2, max_size=14),
    st.sampled_from(["DK", "US", "GB", "IT", "AR", "BR", "MX", ""]),
)
def test_the_short_way_is_the_library(code: int, national: str, region: str) -> None:
    """Numbers that skip the parser come out as the parser would have had them."""
    raw = f"+{code}{national}"
    try:
        parsed = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        parsed = None
    expected = code_and_national = f"{code}{national}"
    if parsed is not None and phonenumbers.is_possible_number(parsed):
        expected = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    assert normalise_number(raw, region) == (expected if len(code_and_national) >= 3 else None)


@pytest.mark.parametrize(
    "raw",
    [
        *("anonymous", "Restricted", "PRIVATE", "unknown", "Unavailable", "withheld", "blocked"),
        *("266696687", "7378742833", "2562533", "8656696", "86282452253", "+266696687"),
        *("sip:anonymous@anonymous.invalid", "tel:+2562533", " Anonymous "),
    ],
)
def test_withheld(raw: str) -> None:
    """The words and their keypad spellings, however dressed, are hidden numbers."""
    assert is_withheld(raw)


@pytest.mark.parametrize("raw", ["", "anonymously", "26669668", "+4533123456", "no number", "@"])
def test_not_withheld(raw: str) -> None:
    """Any other text is not."""
    assert not is_withheld(raw)


@pytest.mark.parametrize(
    ("number", "masked", "country"),
    [
        ("+4533123456", "+45…56", "DK"),
        ("+12125550123", "+1…23", "US"),
        ("+14165550123", "+1…23", "CA"),
        ("+390612345678", "+39…78", "IT"),
        ("+80012345678", "+800…78", None),
        ("112", "…12", None),
    ],
)
def test_describe(number: str, masked: str, country: str | None) -> None:
    """Of a number the country code, the last two digits and the country are shown."""
    assert describe_number(number) == (masked, country)
