"""Phone numbers: one form for every spelling (SPEC section 3, Numbers)."""

import re
from functools import lru_cache

import phonenumbers

WITHHELD_WORDS = frozenset(
    "anonymous restricted private unknown unavailable withheld blocked".split()
)
WITHHELD_KEYPAD = frozenset(
    "266696687 7378742833 2562533 8656696 86282452253".split()
)
_SCHEME = re.compile(r"^(sip|tel):", re.IGNORECASE)


def bare_number(raw: str) -> str:
    """The number without `sip:`, `tel:` and what follows `@`."""
    return _SCHEME.sub("", raw.strip()).split("@", 1)[0]


def is_withheld(raw: str) -> bool:
    """True where the caller's number is one of the words or keypad spellings of a hidden number."""
    name = bare_number(raw).removeprefix("+").strip().lower()
    return name in WITHHELD_WORDS or name in WITHHELD_KEYPAD


@lru_cache(maxsize=1 << 17)
def normalise_number(raw: str, region: str) -> str | None:
    """E.164 where the number is possible, else its digits where there are three or more, else None."""
    bare = bare_number(raw)
    try:
        parsed = phonenumbers.parse(bare, region)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is not None and phonenumbers.is_possible_number(parsed):
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    digits = "".join(str(int(char)) for char in bare if char.isdecimal())
    return digits if len(digits) >= 3 else None


@lru_cache(maxsize=1 << 17)
def describe_number(number: str) -> tuple[str, str | None]:
    """(masked form, ISO country) of a normalised number: country code and last two digits stay."""
    if not number.startswith("+"):
        return "…" + number[-2:], None
    parsed = phonenumbers.parse(number, None)
    country = phonenumbers.region_code_for_number(parsed)
    if country is None:
        country = phonenumbers.region_code_for_country_code(parsed.country_code)
    known = country if country not in ("ZZ", "001") else None
    return f"+{parsed.country_code}…{number[-2:]}", known
