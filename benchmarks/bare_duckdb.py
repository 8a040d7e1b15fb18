"""The yardstick: the same attribution in bare DuckDB, as an expert would write it for speed.

python benchmarks/bare_duckdb.py DATA OUT [--keys-only]

It reads the same files with RFC 3339 times, removes duplicates, builds sessions by the 30-minute
gap, finds for every call the sessions that displayed its number in the 30 minutes before, and
writes sessions, displays and conversions (with candidates) to Parquet by day. No sources, devices,
phone numbers, forms, earlier calls or checks; one bad line ends it. With --keys-only sessions are
written without their landing page and referrer.

What makes it fast: explicit column types; one sort of integers (64-bit hashes of visitor and event,
whose chance of a clash is below one in a million here) that serves duplicates and sessions alike;
wide columns fetched once, by row number, for entries only; and the time-range search as an equal
join on half-hour buckets, since the window is as wide as a bucket.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import duckdb

THREADS = 2

READ_EVENTS = """
create temp table events as
select account, visitor_id, event_id, epoch_us(time) as time_us, number, is_pageview {entry}
from (
    select account, visitor_id, event_id, time, tracking_numbers[1] as number,
           true as is_pageview {entry}
    from read_json('{data}/pageviews-*.jsonl', format = 'newline_delimited', columns = {{
        account: 'VARCHAR', visitor_id: 'VARCHAR', event_id: 'VARCHAR', time: 'TIMESTAMPTZ',
        tracking_numbers: 'VARCHAR[]' {entry_types}}})
    union all by name
    select account, visitor_id, event_id, time, false as is_pageview
    from read_json('{data}/engagements-*.jsonl', format = 'newline_delimited', columns = {{
        account: 'VARCHAR', visitor_id: 'VARCHAR', event_id: 'VARCHAR', time: 'TIMESTAMPTZ'}}))
"""
# A new session starts at a pageview after 30 minutes of silence and at a visitor's first event.
MARK_STARTS = """
create temp table marked as
select visitor, time_us, row, number, is_pageview,
       coalesce(is_pageview and time_us - lag(time_us) over w > 1_800_000_000, true) as starts,
       coalesce(time_us = lag(time_us) over w and event = lag(event) over w, false) as again
from (select hash(account, visitor_id) as visitor, hash(event_id) as event, time_us,
             rowid as row, number, is_pageview from events)
window w as (partition by visitor order by time_us, is_pageview desc, event)
"""
COUNT_SESSIONS = """
create temp table counted as
select visitor, time_us, row, number, is_pageview,
       sum(starts::int) over (partition by visitor order by time_us, starts desc
                              rows unbounded preceding)::int as nth
from marked where not again
"""
BUILD_SESSIONS = """
create temp table sessions as
select visitor, nth, account, visitor_id,
       visitor_id || '-' || start_us // 1000 as session_id,
       make_timestamptz(start_us) as session_start, make_timestamptz(end_us) as session_end,
       pageviews, engagements {entry}, make_timestamp(start_us)::date as session_date
from (
    select visitor, nth, min(time_us) as start_us, max(time_us) as end_us,
           count(*) filter (is_pageview) as pageviews,
           count(*) filter (not is_pageview) as engagements,
           coalesce(arg_min(row, time_us) filter (is_pageview), min(row)) as row
    from counted group by visitor, nth) as spans
join events on events.rowid = spans.row
"""
READ_CALLS = """
create temp table calls as
select distinct on (account, call_id) *
from read_json('{data}/calls.jsonl', format = 'newline_delimited', columns = {{
    account: 'VARCHAR', call_id: 'VARCHAR', start: 'TIMESTAMPTZ', ring: 'TIMESTAMPTZ',
    answer: 'TIMESTAMPTZ', "end": 'TIMESTAMPTZ', a_number: 'VARCHAR', b_number: 'VARCHAR',
    c_number: 'VARCHAR', status: 'VARCHAR'}})
"""
FIND_CANDIDATES = """
create temp table candidates as
with wanted as (
    select call_id, account, b_number as number, epoch_us(start) as call_us,
           call_us // 1_800_000_000 - unnest([0, 1]) as bucket
    from calls),
shown as (
    select visitor, nth, number, time_us, time_us // 1_800_000_000 as bucket
    from counted where number is not null),
latest as (
    select wanted.account, call_id, visitor, nth, call_us, max(time_us) as last_us,
           min(time_us) as first_us, count(*) as displays
    from wanted join shown using (number, bucket)
    where time_us <= call_us and time_us >= call_us - 1_800_000_000
    group by all)
select latest.*, session_id, visitor_id, session_start {entry},
       0.8 / 180 * exp((last_us - call_us) / 180e6)
       + 0.2 / 1800 * exp((last_us - call_us) / 1800e6) as density
from latest join sessions using (account, visitor, nth)
qualify row_number() over (partition by account, call_id, visitor
                           order by last_us desc, nth desc) = 1
"""
DECIDE = """
create temp table conversions as
with weighed as (
    select *, 0.02 * sum(density) over (partition by account, call_id) as all_sessions,
           0.02 * density / (0.1 / 86400 + all_sessions) as probability
    from candidates),
chances as (
    select account, call_id, max(probability) as probability,
           arg_max(struct_pack(session_id, visitor_id, session_start {entry}), probability) as best,
           list_reverse_sort(list(struct_pack(probability, last_us, first_us, displays,
                                              session_id, visitor_id)))[:10] as candidates
    from weighed group by account, call_id)
select calls.*, probability, candidates, if(probability >= 0.5, best, null) as session,
       start::date as call_date
from calls left join chances using (account, call_id)
"""
WRITE = {
    "sessions": "select * exclude (visitor, nth) from sessions",
    "displays": """
        select account, number, session_id, visitor_id, session_start, first_display, last_display,
               displays, display_date
        from (select visitor, nth, number, make_timestamp(time_us)::date as display_date,
                     make_timestamptz(min(time_us)) as first_display,
                     make_timestamptz(max(time_us)) as last_display, count(*) as displays
              from counted where number is not null group by all)
        join sessions using (visitor, nth)""",
    "conversions": "from conversions",
}
DAY_COLUMN = {"sessions": "session_date", "displays": "display_date", "conversions": "call_date"}


def attribute(data: Path, out: Path, keys_only: bool) -> dict[str, int]:
    """Read, attribute and write; the number of rows of each table."""
    entry, entry_types = "", ""
    if not keys_only:
        entry, entry_types = ", url, referrer", ", url: 'VARCHAR', referrer: 'VARCHAR'"
    connection = duckdb.connect()
    connection.execute(f"set threads = {THREADS}; set preserve_insertion_order = false")
    connection.execute("set TimeZone = 'UTC'")
    steps = (READ_EVENTS, MARK_STARTS, COUNT_SESSIONS, BUILD_SESSIONS, READ_CALLS,
             FIND_CANDIDATES, DECIDE)  # fmt: skip
    for step in steps:
        connection.execute(step.format(data=data, entry=entry, entry_types=entry_types))
    rows = {}
    for table, query in WRITE.items():
        shutil.rmtree(out / table, ignore_errors=True)
        how = f"format parquet, partition_by ({DAY_COLUMN[table]})"
        written = connection.execute(f"copy ({query}) to '{out / table}' ({how})").fetchone()
        rows[table] = written[0] if written else 0
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--keys-only", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = attribute(options.data, options.out, options.keys_only)
    print(json.dumps({"seconds": round(time.monotonic() - began, 3), "rows": rows}))


if __name__ == "__main__":
    main()
