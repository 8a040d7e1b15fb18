"""Write benchmark events once: 30 days of several accounts' pageviews, engagements and calls.

python benchmarks/generate.py FOLDER [--pageviews 2000000] [--seed 1]

Plain JSON lines with RFC 3339 times, event and visitor ids, no session ids, about 1 % exact
duplicates. Traffic and pools grow together, so that a call keeps its handful of candidates. One
day is made at a time, so memory follows a day and not the whole.
"""

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from agent_strings import agent_strings
from event_lines import (
    ACCOUNTS,
    SECOND_US,
    Files,
    by_kind,
    json_lines,
    named,
    pageview_lines,
    text,
    time_text,
)

FIRST_DAY = date(2026, 6, 1)
DAYS = 30
DAYS_PER_PAGEVIEW_FILE = 6
PAGES_PER_SESSION = 3.7
CALLS_PER_PAGEVIEW = 0.017
ENGAGEMENTS_PER_PAGEVIEW = 0.05
NUMBERS_PER_PAGEVIEW = 160 / 2_000_000
DAY_US = 86_400 * SECOND_US

SECTIONS = ("abonnement", "mobil", "bredbaand", "tilbud", "kundeservice", "erhverv", "priser")
TOPICS = ("fri-tale", "5g-hjemme", "familie", "fiber-1000", "skift-nu", "roaming", "spar", "hjaelp")
CAMPAIGNS = ("brand_dk", "generic_mobil", "retargeting_30d", "sommer_2026", "nyhedsbrev_uge24")
KEYWORDS = ("billigt+abonnement", "fiber+internet", "bedste+mobil", "skift+selskab", "tilbud+5g")
SOURCES = (  # share of sessions, query of the landing page ("" none), referrer ("" none)
    (0.34, "gclid=EAIaIQobChMI{id}&gad_source=1", "https://www.google.com/"),
    (0.12, "utm_source=google&utm_medium=cpc&utm_campaign={campaign}&utm_term={keyword}&gclid={id}",
     "https://www.google.com/"),
    (0.10, "utm_source=facebook&utm_medium=paid_social&utm_campaign={campaign}&fbclid=IwAR{id}",
     "https://l.facebook.com/"),
    (0.07, "utm_source=newsletter&utm_medium=email&utm_campaign={campaign}", ""),
    (0.05, "msclkid={id}", "https://www.bing.com/"),
    (0.12, "", "https://www.google.com/"),
    (0.02, "", "https://duckduckgo.com/"),
    (0.01, "", "https://www.bing.com/search?q={keyword}"),
    (0.02, "", "https://chatgpt.com/"),
    (0.02, "fbclid=IwAR{id}", "https://m.facebook.com/"),
    (0.03, "", "https://www.trustpilot.example/review/{campaign}"),
    (0.10, "", ""),
)  # fmt: skip
HOUR_WEIGHTS = np.array(
    [2, 1, 1, 1, 1, 2, 5, 9, 14, 17, 18, 18, 17, 17, 17, 16, 14, 12, 12, 13, 13, 11, 8, 4], float
)


@dataclass
class State:
    """What one day leaves for the next: visitors who come back, callers who call again."""

    rng: np.random.Generator
    numbers: list[int]
    first_number: list[int]
    agents: list[str]
    agent_shares: np.ndarray
    sessions: int = 0
    callers: pl.DataFrame = field(default_factory=pl.DataFrame)


def mix(values: np.ndarray, salt: int) -> np.ndarray:
    """A well-spread 64-bit hash of each value (splitmix64): the same visitor, the same facts."""
    mixed = values.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def pick(hashes: np.ndarray, shares: Iterable[float]) -> np.ndarray:
    """The index of a choice for each hash, as often as its share says."""
    limits = np.cumsum(list(shares))
    unit = (hashes >> np.uint64(11)).astype(float) / 2.0**53
    return np.minimum(np.searchsorted(limits, unit * limits[-1], side="right"), len(limits) - 1)


def hex_ids(rng: np.random.Generator, count: int) -> pl.Series:
    """Random ids of 32 hex digits."""
    buffer = pa.py_buffer(rng.bytes(16 * count))
    binary = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, buffer])
    return pl.Series("event_id", pl.from_arrow(binary.cast(pa.binary()))).bin.encode("hex")


def waits_us(rng: np.random.Generator, low_s: int, high_s: int, count: int) -> pl.Series:
    """Even waits, in microseconds."""
    return pl.Series(rng.integers(low_s * SECOND_US, high_s * SECOND_US, count))


def times_of_day(rng: np.random.Generator, count: int) -> np.ndarray:
    """Microseconds after midnight, in the rhythm of a day."""
    hours = rng.choice(24, size=count, p=HOUR_WEIGHTS / HOUR_WEIGHTS.sum())
    return (hours * 3600 * SECOND_US + rng.integers(0, 3600 * SECOND_US, count)).astype(np.int64)


def day_sessions(state: State, day_start_us: int, count: int) -> pl.DataFrame:
    """One row a session: who, when, how many pages, which number, what landing page."""
    rng = state.rng
    index = np.arange(state.sessions, state.sessions + count, dtype=np.int64)
    state.sessions += count
    back = rng.random(count) < 0.3
    visitor = np.where(back, (rng.random(count) * index).astype(np.int64), index)
    account = pick(mix(visitor, 1), (a[1] for a in ACCOUNTS))
    numbers = np.array(state.numbers)[account]
    ids = hex_ids(rng, count).str.slice(0, 20)
    frame = pl.DataFrame(
        {
            "visitor": mix(visitor, 2) & np.uint64(2**40 - 1),
            "account": account.astype(np.int64),
            "start_us": day_start_us + times_of_day(rng, count),
            "pages": np.minimum(rng.geometric(1 / PAGES_PER_SESSION, count), 40),
            "number": np.array(state.first_number)[account] + rng.integers(0, numbers),
            "kind": pick(mix(index, 3), (s[0] for s in SOURCES)),
            "agent": pl.Series(state.agents).gather(pick(mix(visitor, 4), state.agent_shares)),
            "ip_tail": (mix(visitor, 5) % np.uint64(2**17)).astype(np.int64),
            "section": pl.Series(SECTIONS).gather(rng.integers(0, len(SECTIONS), count)),
            "topic": pl.Series(TOPICS).gather(rng.integers(0, len(TOPICS), count)),
            "campaign": pl.Series(CAMPAIGNS).gather(rng.integers(0, len(CAMPAIGNS), count)),
            "keyword": pl.Series(KEYWORDS).gather(rng.integers(0, len(KEYWORDS), count)),
        }
    ).with_columns(id=ids)
    return frame.with_columns(
        host=pl.Series([a[2] for a in ACCOUNTS]).gather(frame["account"]),
        query=by_kind([source[1] for source in SOURCES]),
        referrer=by_kind([source[2] for source in SOURCES]),
    )


def day_pageviews(state: State, sessions: pl.DataFrame) -> pl.DataFrame:
    """One row a pageview, in the order of sessions; about one in a hundred comes twice."""
    rng = state.rng
    pages = sessions["pages"].to_numpy()
    count = int(pages.sum())
    first = np.cumsum(pages) - pages
    session = np.repeat(np.arange(len(pages)), pages)
    position = np.arange(count) - first[session]
    waits = np.minimum(rng.lognormal(3.7, 1.1, count), 2400.0) * SECOND_US
    waits[first] = 0
    elapsed = np.cumsum(waits)
    section = pl.Series(SECTIONS).gather(rng.integers(0, len(SECTIONS), count))
    topic = pl.Series(TOPICS).gather(rng.integers(0, len(TOPICS), count))
    entry = pl.Series(position == 0)
    frame = sessions.rename({"section": "first_section", "topic": "first_topic"})[session]
    return (
        frame.with_columns(
            hex_ids(rng, count),
            session=pl.Series(session),
            entry=entry,
            time_us=frame["start_us"] + pl.Series((elapsed - elapsed[first][session]).astype(int)),
            section=pl.when(entry).then("first_section").otherwise(section),
            topic=pl.when(entry).then("first_topic").otherwise(topic),
        )
        .with_columns(
            url=pl.concat_str(
                pl.lit("https://"),
                "host",
                pl.lit("/"),
                "section",
                pl.lit("/"),
                "topic",
                pl.when(pl.col("entry") & (pl.col("query") != ""))
                .then(pl.lit("?") + pl.col("query"))
                .otherwise(pl.lit("")),
            )
        )
        .with_columns(referrer=pl.when("entry").then("referrer").otherwise(pl.col("url").shift(1)))
    )


def engagement_lines(state: State, pageviews: pl.DataFrame) -> pl.DataFrame:
    """A click, close or action after about one pageview in twenty; some are forms with a phone."""
    rng = state.rng
    chosen = pageviews[np.flatnonzero(rng.random(len(pageviews)) < ENGAGEMENTS_PER_PAGEVIEW)]
    count = len(chosen)
    after_us = waits_us(rng, 1, 40, count)
    kind = rng.choice(("click", "action", "close"), count, p=(0.7, 0.2, 0.1))
    form = (kind == "action") & (rng.random(count) < 0.25)
    chosen = chosen.with_columns(
        hex_ids(rng, count),
        time_us=chosen["time_us"] + after_us,
        arrival_us=chosen["arrival_us"] + after_us,
        kind=pl.Series(kind.astype(object)),
        form=pl.Series(form),
    )
    entered = pl.when("form").then(
        pl.concat_str(pl.lit('{"name":"Kim Jensen","phone":"'), "phone", pl.lit('","email":"k'),
                      pl.col("visitor").cast(pl.String), pl.lit('@mail.example"}'))
    )  # fmt: skip
    fields = [
        ("account", text("account_name")),
        ("visitor_id", text("visitor_id")),
        ("event_id", text("event_id")),
        ("time", time_text("time_us")),
        ("kind", text("kind")),
        ("name", text(pl.when("form").then(pl.lit("kontakt")).otherwise("topic"))),
        ("fields", entered),
    ]
    return json_lines(chosen, fields)


def day_calls(state: State, pageviews: pl.DataFrame, day_start_us: int, count: int) -> pl.DataFrame:
    """Most calls come from a page, some from nowhere, some from earlier callers."""
    rng = state.rng
    columns = ("account", "visitor", "number", "time_us")
    paged = pageviews[rng.integers(0, len(pageviews), round(count * 0.72))].select(columns)
    paged = paged.with_columns(
        time_us=paged["time_us"]
        + pl.Series((rng.exponential(160, len(paged)) * SECOND_US).astype(np.int64))
    )
    lost = pageviews[rng.integers(0, len(pageviews), round(count * 0.20))].select(columns)
    times_us = pl.Series(day_start_us + times_of_day(rng, len(lost)))
    visitors = pl.Series(rng.integers(0, 2**40, len(lost), dtype=np.uint64))
    lost = lost.with_columns(time_us=times_us, visitor=visitors)
    calls = pl.concat([paged, lost])
    if len(state.callers):
        again = state.callers[rng.integers(0, len(state.callers), count - len(calls))]
        times_us = pl.Series(day_start_us + times_of_day(rng, len(again)))
        calls = pl.concat([calls, again.with_columns(time_us=times_us)])
    state.callers = pl.concat([state.callers, paged]).tail(100_000)
    return named(calls)


def call_lines(state: State, calls: pl.DataFrame) -> pl.DataFrame:
    """The calls as a switch reports them: answered or missed, the caller known or withheld."""
    rng, count = state.rng, len(calls)
    answered = pl.Series(rng.random(count) < 0.82)
    ring_us = calls["time_us"] + waits_us(rng, 1, 4, count)
    answer_us = ring_us + waits_us(rng, 2, 25, count)
    talk_us = np.minimum(rng.lognormal(4.6, 1.0, count), 5400) * SECOND_US
    calls = calls.with_columns(
        hex_ids(rng, count),
        answered=answered,
        withheld=pl.Series(rng.random(count) < 0.12),
        ring_us=ring_us,
        answer_us=answer_us,
        end_us=answer_us + pl.Series(talk_us.astype(np.int64)) * answered.cast(pl.Int64),
    )
    calls = calls.with_columns(arrival_us=pl.col("end_us"))
    caller = pl.when("withheld").then(pl.lit("anonymous")).otherwise("phone")
    fields = [
        ("account", text("account_name")),
        ("call_id", text("event_id")),
        ("start", time_text("time_us")),
        ("ring", time_text("ring_us")),
        ("answer", pl.when("answered").then(time_text("answer_us"))),
        ("end", time_text("end_us")),
        ("a_number", text(caller)),
        ("b_number", text("tracking_number")),
        ("c_number", pl.format('"+45190000{}"', (10 + pl.col("account")).cast(pl.String))),
        ("status", pl.when("answered").then(pl.lit('"answered"')).otherwise(pl.lit('"missed"'))),
    ]
    return json_lines(calls, fields)


def generate(folder: Path, pageviews: int, seed: int) -> dict[str, int]:
    """Write the files and the configuration; the number of lines of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [max(8, round(a[1] * NUMBERS_PER_PAGEVIEW * pageviews)) for a in ACCOUNTS]
    first_numbers = list(np.cumsum(numbers) - numbers)
    state = State(np.random.default_rng(seed), numbers, first_numbers, *agent_strings())
    weights = np.array([1.1, 1.1, 1.05, 1.05, 1.0, 0.8, 0.9] * DAYS)[:DAYS]
    first_us = int(datetime.combine(FIRST_DAY, datetime.min.time(), UTC).timestamp()) * SECOND_US
    files = Files(folder)
    for day, share in enumerate(weights / weights.sum()):
        start_us = first_us + day * DAY_US
        wanted = round(pageviews * share / 1.01 / PAGES_PER_SESSION)
        views = named(day_pageviews(state, day_sessions(state, start_us, wanted)))
        arrival = views["time_us"] + waits_us(state.rng, 0, 3, len(views))
        views = views.with_columns(arrival_us=arrival)
        again = views[np.flatnonzero(state.rng.random(len(views)) < 0.01)]
        later = again["arrival_us"] + waits_us(state.rng, 0, 60, len(again))
        again = again.with_columns(arrival_us=later)
        part = day // DAYS_PER_PAGEVIEW_FILE
        files.write(f"pageviews-{part}.jsonl", pageview_lines(pl.concat([views, again])))
        files.write(f"engagements-{part // 3}.jsonl", engagement_lines(state, views))
        calls = day_calls(state, views, start_us, round(pageviews * CALLS_PER_PAGEVIEW * share))
        files.write("calls.jsonl", call_lines(state, calls))
    files.close()
    regions = "".join(f'[accounts.{a[0]}]\ndefault_region = "{a[5]}"\n\n' for a in ACCOUNTS)
    (folder / "attribeam.toml").write_text(f"retention_days = 3650\n\n{regions}", encoding="utf-8")
    facts = {**files.lines, "sessions_started": state.sessions, "numbers": sum(numbers)}
    (folder / "facts.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")
    return facts


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pageviews", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    facts = generate(options.folder, options.pageviews, options.seed)
    print(json.dumps({**facts, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
