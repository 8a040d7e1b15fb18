"""One example site: its visitors, how it writes what they do, and its chances.

examples/world.toml says what the sites are like, examples/attribeam.toml how they are configured.
"""

import random
import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

Event = dict[str, Any]

EXAMPLES = Path(__file__).resolve().parent / "examples"
WORLD: dict[str, Any] = tomllib.loads((EXAMPLES / "world.toml").read_text(encoding="utf-8"))
CONFIGURATION = tomllib.loads((EXAMPLES / "attribeam.toml").read_text(encoding="utf-8"))
SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
HOUR_WEIGHTS = (1, 1, 0, 0, 0, 1, 3, 6, 11, 13, 14, 13, 11, 12, 12, 11, 9, 7, 7, 8, 8, 6, 4, 2)
CONSENTS = ((62, ["analytics", "marketing"]), (15, ["analytics"]), (3, ["functional"]), (20, None))


@dataclass
class Person:
    """Somebody, or a crawler, who visits a site."""

    visitor_id: str
    user_agent: str
    ip: str
    phone: str
    withheld: bool
    consent: list[str] | None
    is_bot: bool

    @property
    def is_tracked(self) -> bool:
        """Events without a word on consent are used, others where analytics are allowed."""
        return self.consent is None or "analytics" in self.consent


@dataclass
class Visit:
    """How a person came, when they looked at pages, and the number they saw."""

    person: Person
    came: dict[str, str]
    times_ms: list[int]
    session_id: str
    number: str = ""


class Site:
    """A site and its chances, from one seed."""

    def __init__(self, account: str, seed: int, start_ms: int) -> None:
        self.account, self.start_ms = account, start_ms
        self.site = WORLD["sites"][account]
        self.rng = random.Random(f"{seed}/{account}")

    def chance(self, share: float) -> bool:
        """True as often as the share says."""
        return self.rng.random() < share

    def weighed(self, choices: Any) -> Any:
        """One of several (weight, value) pairs' values."""
        weights, values = zip(*choices, strict=True)
        return self.rng.choices(values, weights)[0]

    def after_ms(self, least_ms: int, most_ms: int) -> int:
        """A wait between two bounds, rather short than long."""
        return round(least_ms * (most_ms / least_ms) ** self.rng.random())

    def moment_ms(self, day_start_ms: int) -> int:
        """A time of that day, in the rhythm of a day."""
        (hour,) = self.rng.choices(range(24), HOUR_WEIGHTS)
        return day_start_ms + hour * HOUR_MS + self.rng.randrange(HOUR_MS)

    def hexes(self, digits: int) -> str:
        """Random hex digits."""
        return f"{self.rng.getrandbits(4 * digits):0{digits}x}"

    def time(self, moment_ms: int) -> str | int:
        """A time as this site's tracker and switch write it."""
        return moment_ms if self.site.get("epoch_times") else written(moment_ms)

    def phone(self) -> str:
        """A new caller's number."""
        prefix = self.rng.choice(self.site["caller_ranges"])
        if prefix == "+451":
            return f"{prefix}{self.rng.randrange(1_000_000, 9_000_000)}"
        return f"{prefix}{self.rng.randrange(1_000):03d}"

    def spelled(self, phone: str, typed: bool = False) -> str:
        """A number as people type it, or as one switch or another writes it."""
        national = phone[3:] if phone.startswith("+45") else f"0{phone[3:]}"
        if typed:
            return self.rng.choice((phone, f"{national[:4]} {national[4:]}"))
        return self.weighed(
            ((6, phone), (3, national), (1, f"00{phone[1:]}"), (1, f"sip:{phone}@trunk.example"))
        )

    def person(self) -> Person:
        """Somebody new; one in fifty is a crawler."""
        is_bot = self.chance(0.02)
        agents = [(agent["share"], agent["user_agent"]) for agent in WORLD["agents"]]
        since_s = self.start_ms // SECOND_MS - self.rng.randrange(10**6)
        return Person(
            visitor_id=f"{self.rng.randrange(10**8, 10**9)}.{since_s}",
            user_agent=self.rng.choice(WORLD["crawlers"]) if is_bot else self.weighed(agents),
            ip=self.rng.choice(("192.0.2.", "198.51.100.")) + str(self.rng.randrange(1, 255)),
            phone=self.phone(),
            withheld=self.chance(0.08),
            consent=None if is_bot else self.weighed(CONSENTS),
            is_bot=is_bot,
        )

    def visit(self, person: Person, at_ms: int, came: dict[str, str]) -> Visit:
        """A visit of one or more pages, with the tracker's id or the one that is derived."""
        times_ms = [at_ms]
        while self.chance(0.71) and len(times_ms) < 30:
            stay_s = min(self.rng.lognormvariate(3.6, 1), 1200)
            times_ms.append(times_ms[-1] + round(stay_s * SECOND_MS))
        named = f"s-{self.hexes(12)}" if self.site.get("names_sessions") else None
        if person.is_bot:
            came = {"query": "", "referrer": ""}
        return Visit(person, came, times_ms, named or f"{person.visitor_id}-{at_ms}")

    def event(self, visit: Visit, time_ms: int) -> Event:
        """What pageviews and engagements have in common."""
        event: Event = {"account": self.account, "visitor_id": visit.person.visitor_id}
        if self.site.get("names_sessions"):
            event["session_id"] = visit.session_id
        else:
            event["event_id"] = self.hexes(32)
        if visit.person.consent is not None:
            event["consent"] = visit.person.consent
        return event | {"time": self.time(time_ms)}


def written(moment_ms: int) -> str:
    """An RFC 3339 time in Danish winter time."""
    zone = timezone(timedelta(hours=1))
    return datetime.fromtimestamp(moment_ms / 1000, zone).isoformat(timespec="milliseconds")
