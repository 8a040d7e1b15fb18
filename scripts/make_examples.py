"""Write realistic example events, with dates that end today, and the truth about their calls.

python scripts/make_examples.py --output DIR [--days 5] [--end YYYY-MM-DD] [--seed 1]

Three sites (a Danish phone shop, a German insurance broker, a small dentist) with visitors, pools
of tracking numbers that are short at busy hours, forms, callers and a switch; what they are like
stands in examples/world.toml and examples/attribeam.toml. truth.csv says which visit really made
each call, in the columns of docs/simulate.md; only attribeam evaluate reads it. Phone numbers are
from ranges without subscribers (Danish series 10 to 19, the German regulator's numbers for films),
addresses from documentation ranges, hosts end in .example.
"""

import argparse
import csv
import gzip
import json
import random
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from example_site import (
    CONFIGURATION,
    DAY_MS,
    EXAMPLES,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    WORLD,
    Event,
    Site,
    Visit,
    written,
)

STATUSES = ((78, "answered"), (10, "missed"), (6, "abandoned"), (3, "busy"), (3, "voicemail"))
WITHHELD = ("anonymous", "Restricted", "266696687", "")
OUTCOMES = (("sale", 1499), ("appointment", 350), ("question", None), ("complaint", None))
TAGS = ("new customer", "existing customer", "price", "opening hours")
NUMBER_HOLD_MS = 5 * MINUTE_MS
KINDS = ("pageviews", "engagements", "calls")
TRUTH_COLUMNS = ("call_id", "account", "visitor_id", "session_id", "reason")


class World(Site):
    """All that happens on one site, from one seed."""

    def __init__(self, account: str, seed: int, start_ms: int, days: int) -> None:
        super().__init__(account, seed, start_ms)
        self.days = days
        self.rules = CONFIGURATION["accounts"][account]
        self.numbers = [n for pool in self.rules["pools"] for n in pool["numbers"]]
        self.events: dict[str, list[tuple[int, Event]]] = {kind: [] for kind in KINDS}
        self.truth: dict[str, Event] = {}

    def play(self) -> None:
        """Visits with what they lead to, and calls from people who saw no page."""
        visits = self.visits()
        self.lend_numbers(visits)
        for visit in visits:
            self.browse(visit)
            if not visit.person.is_bot:
                self.follow_up(visit)
        for day in range(self.days):
            self.strangers(self.start_ms + day * DAY_MS)

    def visits(self) -> list[Visit]:
        """Everybody's visits in order; some people come back."""
        found = []
        sources = [(source["share"], source) for source in WORLD["sources"]]
        for day in range(self.days):
            for _ in range(self.site["visits_per_day"]):
                person, at_ms = self.person(), self.moment_ms(self.start_ms + day * DAY_MS)
                source = self.weighed(sources)
                found.append(self.visit(person, at_ms, source))
                while self.chance(0.2):
                    at_ms += self.after_ms(2 * HOUR_MS, 3 * DAY_MS)
                    found.append(
                        self.visit(person, at_ms, self.rng.choice(WORLD["return_sources"]))
                    )
        return sorted(found, key=lambda visit: visit.times_ms[0])

    def lend_numbers(self, visits: list[Visit]) -> None:
        """Each visit the number that is free longest; when none is, the one that is free next."""
        free_ms = dict.fromkeys(self.numbers, 0)
        for visit in visits:
            visit.number = min(free_ms, key=free_ms.__getitem__)
            lent_until_ms = visit.times_ms[-1] + NUMBER_HOLD_MS
            free_ms[visit.number] = max(free_ms[visit.number], lent_until_ms)

    def browse(self, visit: Visit) -> None:
        """The pageviews of a visit, and clicks on the way."""
        query, referrer = (
            visit.came[part].format(
                id=self.hexes(20),
                campaign=quote_plus(self.rng.choice(self.site["campaigns"])),
                keyword=quote_plus(self.rng.choice(self.site["keywords"])),
            )
            for part in ("query", "referrer")
        )
        person, variant = visit.person, self.rng.choice("AB")
        for position, time_ms in enumerate(visit.times_ms):
            page = self.rng.choice(self.site["pages"])
            url = f"https://{self.site['host']}/{page}" + (f"?{query}" if query else "")
            event = self.event(visit, time_ms) | {
                "url": url,
                "title": f"{page.rpartition('/')[2].title() or 'Forside'} | {self.account.title()}",
                "user_agent": person.user_agent,
                "ip": person.ip,
                "tracking_numbers": self.rng.choice((visit.number, [visit.number])),
            }
            if referrer:
                event["referrer"] = referrer
            if self.account == "allvers":
                event["page_name"] = f"de:{page.replace('/', ':')}"
            if position == 0 and not person.is_bot:
                event["third_party_ids"] = {"ga_client_id": person.visitor_id}
                event["variants"] = {"hero": variant}
            self.events["pageviews"].append((time_ms, event))
            if self.chance(0.01):
                self.events["pageviews"].append((time_ms + 2 * SECOND_MS, event))
            if self.chance(0.06) and not person.is_bot:
                self.engage(visit, time_ms + 4 * SECOND_MS, "click", name="phone-number")
            query, referrer = "", url
        if self.chance(0.1) and not person.is_bot:
            self.engage(visit, visit.times_ms[-1] + 20 * SECOND_MS, "close")

    def engage(self, visit: Visit, time_ms: int, kind: str, **more: Any) -> None:
        """Something done on a page."""
        event = self.event(visit, time_ms) | {"kind": kind} | more
        self.events["engagements"].append((time_ms, event))

    def follow_up(self, visit: Visit) -> None:
        """Most visits lead to nothing; some to a call, a form and a call, or a call back."""
        draw = self.rng.random()
        seen_ms = self.rng.choice(visit.times_ms)
        if draw < 0.075:
            self.caller(visit, seen_ms + self.after_ms(10 * SECOND_MS, 20 * MINUTE_MS), "browsing")
        elif draw < 0.105:
            wants_call = draw > 0.095
            person, sent_ms = visit.person, visit.times_ms[-1] + 30 * SECOND_MS
            fields = {"name": "Kim Jensen", "phone": self.spelled(person.phone, typed=True)}
            fields["email"] = f"kim{person.visitor_id[:6]}@mail.example"
            wanted = {"callback_requested": True} if wants_call else {}
            self.engage(visit, sent_ms, "action", name="contact-form", fields=fields, **wanted)
            if wants_call:
                at_ms = sent_ms + self.after_ms(5 * MINUTE_MS, 5 * HOUR_MS)
                numbers = {"a_number": self.site["switchboard"], "b_number": person.phone}
                self.call(at_ms, "callback", visit, direction="outbound", **numbers)
            else:
                self.caller(visit, sent_ms + self.after_ms(2 * MINUTE_MS, 2 * DAY_MS), "form")

    def caller(self, visit: Visit, at_ms: int, reason: str) -> None:
        """A visitor calls the number seen: tries again, calls once more, or days later."""
        more: Event = {}
        if self.site.get("names_sessions") and reason == "browsing" and self.chance(0.7):
            more["session_id"] = visit.session_id if self.chance(0.9) else f"s-{self.hexes(12)}"
        person = visit.person
        a_number = self.rng.choice(WITHHELD) if person.withheld else self.spelled(person.phone)
        more |= {"a_number": a_number, "b_number": visit.number}
        answered = self.call(at_ms, reason, visit, **more)
        more.pop("session_id", None)
        if not answered and self.chance(0.6):
            self.call(at_ms + self.after_ms(2 * MINUTE_MS, 15 * MINUTE_MS), "retry", visit, **more)
        elif answered and self.chance(0.1):
            self.call(at_ms + self.after_ms(HOUR_MS, 5 * HOUR_MS), "repeat", visit, **more)
        elif answered and self.chance(0.15):
            at_ms += self.after_ms(20 * HOUR_MS, 4 * DAY_MS)
            self.call(at_ms, "saved_number", visit, **more)

    def strangers(self, day_start_ms: int) -> None:
        """Calls that no visit made: misdials, a printed number, the company's own test phone."""
        kinds = [
            ("misdial", self.rng.choice(self.numbers))
            for _ in range(self.site["strangers_per_day"])
        ]
        kinds += [
            ("printed_number", static["number"]) for static in self.rules.get("static_numbers", ())
        ]
        kinds += [("excluded_caller", self.numbers[0])] if "excluded_callers" in self.rules else []
        for reason, b_number in kinds:
            own = reason == "excluded_caller"
            a_number = self.rules["excluded_callers"][0] if own else self.spelled(self.phone())
            at_ms = self.moment_ms(day_start_ms)
            self.call(at_ms, reason, None, a_number=a_number, b_number=b_number)

    def call(self, at_ms: int, reason: str, visit: Visit | None, **more: Any) -> bool:
        """A call as the switch reports it when it ends, and its truth; whether it was answered."""
        status = self.weighed(STATUSES)
        ring_ms = at_ms + self.rng.randrange(800, 3_000)
        picked_up_ms = ring_ms + self.after_ms(3 * SECOND_MS, 30 * SECOND_MS)
        times_ms = {"start": at_ms, "ring": ring_ms, "answer": picked_up_ms}
        times_ms["end"] = picked_up_ms + round(self.rng.lognormvariate(4.8, 1) * SECOND_MS)
        if status != "answered":
            times_ms |= {"end": times_ms.pop("answer")}
        if status == "busy":
            times_ms |= {"end": times_ms.pop("ring")}
        call: Event = {"account": self.account, "call_id": f"c-{self.hexes(16)}"}
        call |= {name: self.time(moment_ms) for name, moment_ms in times_ms.items()} | more
        call = {name: value for name, value in call.items() if value != ""}
        call["c_number"] = self.site["switchboard"]
        if not self.site.get("epoch_times") or status != "answered":
            call["status"] = status
        if status == "answered" and self.chance(0.4):
            category, value = self.rng.choice(OUTCOMES)
            call["outcome"] = {"category": category, "tags": ["voicebot", self.rng.choice(TAGS)]}
            if value:
                currency = "EUR" if self.account == "allvers" else "DKK"
                call["outcome"] |= {"value": value, "currency": currency}
        if self.chance(0.3):
            mos = round(self.rng.uniform(3.2, 4.5), 2)
            call["quality"] = {"mos": mos, "jitter_ms": self.rng.randrange(1, 30)}
        self.events["calls"].append((times_ms["end"], call))
        if self.chance(0.02):
            later = (
                {"sequence": 1, "outcome": {"category": "corrected"}} if self.chance(0.5) else {}
            )
            self.events["calls"].append((times_ms["end"] + 5 * SECOND_MS, call | later))
        truth: Event = {"call_id": call["call_id"], "account": self.account, "reason": reason}
        if visit and visit.person.is_tracked:
            truth |= {"visitor_id": visit.person.visitor_id, "session_id": visit.session_id}
        elif visit and reason == "browsing":
            truth["reason"] = "not_tracked"
        self.truth[call["call_id"]] = truth
        return status == "answered"


def make(output: Path, days: int, end: date, seed: int, now: datetime) -> dict[str, int]:
    """Write the files; the number of lines of each kind. What comes after now is left out."""
    day = datetime(end.year, end.month, end.day, tzinfo=UTC) - timedelta(days=days - 1)
    start_ms = round(day.timestamp() * 1000)
    end_ms = min(start_ms + days * DAY_MS, round(now.timestamp() * 1000))
    worlds = [World(account, seed, start_ms, days) for account in WORLD["sites"]]
    for world in worlds:
        world.play()
    output.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    counts, calls = {}, set()
    for kind in KINDS:
        events = [pair for world in worlds for pair in world.events[kind] if pair[0] < end_ms]
        events.sort(key=lambda pair: pair[0])
        calls |= {event.get("call_id") for _, event in events}
        lines = [json.dumps(e, ensure_ascii=False, separators=(",", ":")) for _, e in events]
        for line in WORLD["malformed"][kind]:
            lines.insert(rng.randrange(len(lines) + 1), line.replace("TIME", written(start_ms)))
        content = "".join(f"{line}\n" for line in lines).encode()
        if kind == "pageviews":
            (output / "pageviews.jsonl.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (output / f"{kind}.jsonl").write_bytes(content)
        counts[kind] = len(lines)
    shutil.copyfile(EXAMPLES / "attribeam.toml", output / "attribeam.toml")
    with (output / "truth.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, TRUTH_COLUMNS, lineterminator="\n")
        table.writeheader()
        truth = {call_id: row for world in worlds for call_id, row in world.truth.items()}
        table.writerows(row for call_id, row in truth.items() if call_id in calls)
    return counts


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="folder to write into")
    parser.add_argument("--days", type=int, default=5, help="days to make (5)")
    parser.add_argument("--end", type=date.fromisoformat, help="last day (today, UTC)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another history (1)")
    options = parser.parse_args()
    now = datetime.now(UTC)
    end = options.end or now.date()
    if options.days < 1 or end > now.date():
        parser.error("--days must be at least 1 and --end not after today (UTC)")
    counts = make(options.output, options.days, end, options.seed, now)
    said = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    print(f"{said} in {options.output}")


if __name__ == "__main__":
    main()
