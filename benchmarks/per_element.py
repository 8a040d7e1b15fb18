"""The same attribution as ordinary Beam: one element an event, Python at every step.

python benchmarks/per_element.py DATA OUT [--pageviews 100000]

Takes the first pageviews of DATA with the engagements and calls of the same time, and attributes
them on the FnApiRunner: json.loads per line, sessions by GroupByKey on visitor, candidates by
CoGroupByKey on number, decisions by CoGroupByKey on caller. Kinder than most such pipelines:
devices, numbers and domains are looked up once per session or call and kept in a cache.
"""

import argparse
import json
import math
import shutil
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import apache_beam as beam
import phonenumbers
import user_agents
from apache_beam.options.pipeline_options import PipelineOptions
from publicsuffixlist import PublicSuffixList

Event = dict[str, Any]
Key = tuple[str, str]

GAP_S = WINDOW_S = 1800.0
FORM_WINDOW_S = 7 * 86400.0
CALL_PROBABILITY = 0.02
UNRELATED_CALLS_PER_S = 0.1 / 86400
SAVED_CALLS_PER_S = 0.03 / 86400
KNOWN_CALLER_FACTOR = 0.001
CLICK_IDS = {"msclkid": "bing", "gclid": "google", "gbraid": "google", "wbraid": "google",
             "ttclid": "tiktok", "li_fat_id": "linkedin", "twclid": "twitter"}  # fmt: skip
REFERRERS = {"google": ("google", "organic"), "bing": ("bing", "organic"),
             "duckduckgo": ("duckduckgo", "organic"), "facebook": ("facebook", "social"),
             "chatgpt": ("chatgpt", "ai-assistant")}  # fmt: skip
SUFFIXES = PublicSuffixList()


@lru_cache(10_000)
def device(user_agent: str) -> Event:
    """What kind of machine and browser a user agent string names."""
    agent = user_agents.parse(user_agent)
    kinds = (("bot", agent.is_bot), ("tablet", agent.is_tablet), ("mobile", agent.is_mobile),
             ("desktop", agent.is_pc))  # fmt: skip
    return {
        "device_type": next((kind for kind, is_kind in kinds if is_kind), "other"),
        "os": agent.os.family,
        "browser": agent.browser.family,
    }


@lru_cache(100_000)
def phone(number: str) -> str | None:
    """A number as E.164; a withheld one is none."""
    try:
        parsed = phonenumbers.parse(number, "DK")
    except phonenumbers.NumberParseException:
        return None
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


@lru_cache(10_000)
def domain(host: str) -> str:
    """The registrable domain of a host."""
    return SUFFIXES.privatesuffix(host) or host


def source(entry: Event) -> Event:
    """Source, medium, campaign and keyword of a session from its first page."""
    url = urlsplit(entry["url"])
    query = dict(reversed(parse_qsl(url.query)))
    click = next((CLICK_IDS[name] for name in CLICK_IDS if query.get(name)), None)
    referrer = urlsplit(entry.get("referrer") or "").hostname
    external = referrer and domain(referrer) != domain(url.hostname or "")
    if query.get("utm_source"):
        found = (query["utm_source"].lower(), query.get("utm_medium", "(not set)").lower())
    elif click:
        found = (click, "cpc")
    elif external:
        name = domain(str(referrer))
        found = REFERRERS.get(name.partition(".")[0], (name, "referral"))
    else:
        found = ("(direct)", "(none)")
    keyword = query.get("utm_term")
    campaign = query.get("utm_campaign")
    return {"source": found[0], "medium": found[1], "campaign": campaign, "keyword": keyword}


def seconds(text: str) -> float:
    """An RFC 3339 time as seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def visitor_event(line: str) -> tuple[Key, Event]:
    """A pageview or engagement by account and visitor."""
    event = json.loads(line)
    event["time"] = seconds(event["time"])
    return (event["account"], event["visitor_id"]), event


def call_by_number(line: str) -> tuple[Key, Event]:
    """A call by account and dialled number."""
    call = json.loads(line)
    call["start"] = seconds(call["start"])
    call["caller"] = phone(call["a_number"])
    return (call["account"], phone(call["b_number"]) or ""), call


class BuildSessions(beam.DoFn):
    """One visitor's events to sessions; tagged `displays` by number and `forms` by caller."""

    def process(self, element: tuple[Key, Iterable[Event]]) -> Iterator[Any]:
        """Duplicates out, then a new session at each pageview after 30 minutes of silence."""
        (account, visitor_id), events = element
        unique = {(event["event_id"], event["time"]): event for event in events}
        sessions: list[list[Event]] = []
        last_s = -math.inf
        for event in sorted(unique.values(), key=lambda event: (event["time"], "kind" in event)):
            if not sessions or ("url" in event and event["time"] - last_s > GAP_S):
                sessions.append([])
            sessions[-1].append(event)
            last_s = event["time"]
        for of_session in sessions:
            yield from self.session(account, visitor_id, of_session)

    def session(self, account: str, visitor_id: str, events: list[Event]) -> Iterator[Any]:
        """A session's row, its displays and the phone numbers entered in it."""
        start = events[0]["time"]
        pageviews = [event for event in events if "url" in event]
        row = {
            "account": account,
            "visitor_id": visitor_id,
            "session_id": f"{visitor_id}-{int(start * 1000)}",
            "session_start": start,
            "session_end": events[-1]["time"],
            "pageviews": len(pageviews),
        }
        if pageviews:
            row |= {"landing_url": pageviews[0]["url"], **source(pageviews[0])}
            row |= device(pageviews[0]["user_agent"])
        yield row
        shown: dict[str, list[float]] = {}
        for event in pageviews:
            for number in event["tracking_numbers"]:
                shown.setdefault(number, []).append(event["time"])
        for number, times in shown.items():
            yield beam.pvalue.TaggedOutput("displays", ((account, phone(number)), (row, times)))
        for event in events:
            entered = event.get("fields", {}).get("phone")
            if entered:
                form = (event["time"], row)
                yield beam.pvalue.TaggedOutput("forms", ((account, phone(entered)), form))


def find_candidates(element: tuple[Key, dict[str, Any]]) -> Iterator[tuple[Key, Event]]:
    """Each call of a number with the sessions that displayed it shortly before, by caller."""
    (account, _), joined = element
    displays = list(joined["displays"])
    for call in joined["calls"]:
        latest: dict[str, tuple[float, Event]] = {}
        for row, times in displays:
            before = [t for t in times if t <= call["start"]]
            if not before or call["start"] - max(before) > WINDOW_S:
                continue
            known = latest.get(row["visitor_id"])
            if row.get("device_type") != "bot" and (known is None or known[0] < max(before)):
                latest[row["visitor_id"]] = (max(before), row)
        candidates = sorted(latest.values(), key=lambda found: -found[0])
        caller = call["caller"] or call["call_id"]
        yield (account, caller), {**call, "candidates": candidates}


def density(delay_s: float) -> float:
    """How likely a call is this long after a display, per second."""
    return 0.8 / 180 * math.exp(-delay_s / 180) + 0.2 / 1800 * math.exp(-delay_s / 1800)


def decide(element: tuple[Key, dict[str, Any]]) -> Iterator[str]:
    """One caller's calls in order: by form, by display, by an earlier call."""
    _, joined = element
    forms = sorted(joined["forms"], key=lambda form: form[0])
    origins: dict[str, Event] = {}
    for earlier, call in enumerate(sorted(joined["calls"], key=lambda call: call["start"])):
        form = next((row for t, row in reversed(forms)
                     if 0 <= call["start"] - t <= FORM_WINDOW_S), None)  # fmt: skip
        number, origin = call["b_number"], origins.get(call["b_number"])
        saved = SAVED_CALLS_PER_S if origin else 0.0
        factor = KNOWN_CALLER_FACTOR if origin else 1.0
        weights = [
            CALL_PROBABILITY * density(call["start"] - last_s)
            * (1.0 if origin and row["visitor_id"] == origin["visitor_id"] else factor)
            for last_s, row in call["candidates"]
        ]  # fmt: skip
        total = sum(weights) + saved + UNRELATED_CALLS_PER_S * factor
        best = max(range(len(weights)), key=weights.__getitem__, default=None)
        session, method, probability = None, "none", saved / total
        if form:
            session, method, probability = form, "form_phone", 0.99
        elif best is not None and weights[best] / total >= 0.5:
            session, method = call["candidates"][best][1], "number_pool"
            probability = weights[best] / total
        elif saved / total >= 0.5:
            session, method = origin, "returning_caller"
        if session and number not in origins:
            origins[number] = session
        candidates = [
            {"session_id": row["session_id"], "last_display": last_s, "probability": weight / total}
            for (last_s, row), weight in zip(call["candidates"], weights, strict=True)
        ]
        row = {**(session or {}), **call, "candidates": candidates, "earlier_calls": earlier}
        yield json.dumps({**row, "method": method, "probability": probability})


def attribute(slice_folder: Path, out: Path) -> None:
    """Build and run the pipeline."""
    options = PipelineOptions(["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as p:
        pageviews = p | "Read pageviews" >> beam.io.ReadFromText(f"{slice_folder}/pageviews.jsonl")
        engaged = p | "Read engagements" >> beam.io.ReadFromText(
            f"{slice_folder}/engagements.jsonl"
        )
        calls = p | "Read calls" >> beam.io.ReadFromText(f"{slice_folder}/calls.jsonl")
        sessions, displays, forms = (
            (pageviews, engaged)
            | beam.Flatten()
            | "By visitor" >> beam.Map(visitor_event)
            | "Gather visitor" >> beam.GroupByKey()
            | beam.ParDo(BuildSessions()).with_outputs("displays", "forms", main="sessions")
        )
        with_candidates = (
            {"displays": displays, "calls": calls | "By number" >> beam.Map(call_by_number)}
            | "Gather number" >> beam.CoGroupByKey()
            | beam.FlatMap(find_candidates)
        )
        conversions = (
            {"calls": with_candidates, "forms": forms}
            | "Gather caller" >> beam.CoGroupByKey()
            | beam.FlatMap(decide)
        )
        sessions_json = sessions | "Sessions to JSON" >> beam.Map(json.dumps)
        sessions_json | "Write sessions" >> beam.io.WriteToText(f"{out}/sessions.jsonl")
        conversions | "Write conversions" >> beam.io.WriteToText(f"{out}/conversions.jsonl")


def cut_slice(data: Path, folder: Path, pageviews: int) -> int:
    """The first pageviews, and the engagements and calls of the same time; how many events."""
    folder.mkdir(parents=True)
    lines: list[str] = []
    for path in sorted(data.glob("pageviews-*.jsonl")):
        with path.open(encoding="utf-8") as file:
            lines += islice(file, pageviews - len(lines))
    end_s = max(seconds(json.loads(line)["time"]) for line in lines[-2000:])
    events = len(lines)
    (folder / "pageviews.jsonl").write_text("".join(lines), encoding="utf-8")
    for kind, column in (("engagements", "time"), ("calls", "start")):
        with (folder / f"{kind}.jsonl").open("w", encoding="utf-8") as kept:
            for path in sorted(data.glob(f"{kind}*.jsonl")):
                with path.open(encoding="utf-8") as file:
                    early = [line for line in file if seconds(json.loads(line)[column]) <= end_s]
                kept.writelines(early)
                events += len(early)
    return events


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pageviews", type=int, default=100_000)
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    events = cut_slice(options.data, options.out / "slice", options.pageviews)
    began = time.monotonic()
    attribute(options.out / "slice", options.out)
    took_s = time.monotonic() - began
    facts = {"seconds": round(took_s, 2), "events": events}
    print(json.dumps({**facts, "events_per_second": round(events / took_s)}))


if __name__ == "__main__":
    # Beam needs functions that can be imported, which those of __main__ cannot.
    import per_element

    per_element.main()
