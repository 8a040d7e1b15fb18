"""Phone numbers: one form for every spelling (SPEC section 3, Numbers)."""

import re
from functools import lru_cache

import phonenumbers

WITHHELD_WORDS = frozenset(
    ["anonymous", "restricted", "private", "unknown", "unavailable", "withheld", "blocked"]
)
WITHHELD_KEYPAD = frozenset(["266696687", "7378742833", "2562533", "8656696", "86282452253"])
FEWEST_DIGITS = 3
_SCHEME = re.compile(r"^(sip|tel):", re.IGNORECASE)
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
# Areas of no country, as the library names them.
_NO_COUNTRY = (None, "ZZ", "001")


def bare_number(raw: str) -> str:
    """The number without `sip:`, `tel:` and what follows `@`."""
    return _SCHEME.sub("", raw.strip()).split("@", 1)[0]


def is_withheld(raw: str) -> bool:
    """True where the caller's number is one of the words or keypad spellings of a hidden number."""
    name = bare_number(raw).strip().removeprefix("+").strip().lower()
    return name in WITHHELD_WORDS or name in WITHHELD_KEYPAD


@lru_cache(maxsize=1 << 17)
def normalise_number(raw: str, region: str) -> str | None:
    """E.164 where the number is possible, else its digits where there are three or more, else None.

    region: the country that a number without country code belongs to (ISO 3166).
    """
    bare = bare_number(raw)
    if _is_e164(bare):
        return bare
    try:
        parsed = phonenumbers.parse(bare, region)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is not None and phonenumbers.is_possible_number(parsed):
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    digits = "".join(str(int(char)) for char in bare if char.isdecimal())
    return digits if len(digits) >= FEWEST_DIGITS else None


@lru_cache(maxsize=1 << 17)
def describe_number(number: str) -> tuple[str, str | None]:
    """(masked form, ISO country) of a normalised number: country code and last two digits stay."""
    if not number.startswith("+"):
        return "…" + number[-2:], None
    code, national = _split(number)
    if national.startswith("0"):
        parsed = phonenumbers.parse(number, None)
    else:
        parsed = phonenumbers.PhoneNumber(country_code=code, national_number=int(national))
    country = phonenumbers.region_code_for_number(parsed)
    if country is None:
        country = phonenumbers.region_code_for_country_code(code)
    return f"+{code}…{number[-2:]}", None if country in _NO_COUNTRY else country


def _split(number: str) -> tuple[int, str]:
    """Country code and national number of digits after a plus; code 0 where there is none such."""
    for length in (1, 2, 3):
        code = int(number[1 : 1 + length])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return code, number[1 + length :]
    return 0, number[1:]


def _is_e164(bare: str) -> bool:
    """True where parsing and formatting would leave the number as it is; many times as fast."""
    if _INTERNATIONAL.fullmatch(bare) is None:
        return False
    code, national = _split(bare)
    if code == 0 or national.startswith("0"):
        return False
    prefix, lengths = _plan(code)
    return len(national) in lengths and (prefix is None or prefix.match(national) is None)


@lru_cache(maxsize=1 << 9)
def _plan(code: int) -> tuple[re.Pattern[str] | None, frozenset[int]]:
    """A country code's prefix that parsing may take off, and the lengths of its numbers."""
    region = phonenumbers.region_code_for_country_code(code)
    plan = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    assert plan is not None
    assert plan.general_desc is not None
    prefix = plan.national_prefix_for_parsing
    lengths = (*plan.general_desc.possible_length, *plan.general_desc.possible_length_local_only)
    return re.compile(prefix) if prefix else None, frozenset(lengths)
