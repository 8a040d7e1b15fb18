"""Simulated happenings in the form of input events (SPEC section 3), and rows of the truth.

Numbers, addresses and hosts are of ranges without subscribers (Danish series 10 to 19,
documentation addresses, .example).
"""

import numpy as np
import polars as pl

from pipelines.simulation.draws import MINUTE, SECOND, Flags, Ints, log_normal
from pipelines.simulation.pages import PATHS, Traffic
from pipelines.simulation.parameters import Parameters

AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/137.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/137.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0",
)
BOT_AGENT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
# Query of the landing page and referrer by source, in the order of parameters.SOURCES.
ARRIVALS = (
    ("?utm_source=google&utm_medium=cpc&utm_campaign=brand&gclid=b1", "https://www.google.com/"),
    ("?utm_source=google&utm_medium=cpc&utm_campaign=other&gclid=o1", "https://www.google.com/"),
    ("", "https://www.google.com/"),
    ("?utm_source=facebook&utm_medium=paid_social&utm_campaign=f", "https://m.facebook.com/"),
    ("?utm_source=newsletter&utm_medium=email&utm_campaign=weekly", None),
    ("", None),
    ("", "https://www.bing.com/"),
    ("", "https://www.tests.example/best"),
)
FIRST_NUMBER, FIRST_PHONE, PHONES = 4_510_100_000, 4_511_000_000, 8_999_999
SWITCHBOARD = "+4510000001"
TRUTH = ("account", "call_id", "visitor_id", "session_id", "session_start", "reason")


def pageview_events(
    name: str, p: Parameters, traffic: Traffic, numbers: Ints, arrives: Flags
) -> pl.DataFrame:
    """Page views as sent, those that arrive; numbers: what these show."""
    rows = np.flatnonzero(arrives)
    _, visits, pages = traffic
    visit = pages.visit[rows]
    is_entry = np.diff(pages.visit, prepend=-1)[rows] > 0
    frame = pl.DataFrame(
        {
            "time_ms": pages.time_ms[rows],
            "visit": visit,
            "path": pages.path[rows],
            "source": np.where(is_entry, visits.source[visit], -1),
            "number": numbers,
        }
    )
    site = f"https://{name.replace('_', '-')}.example/"
    queries, referrers = zip(*ARRIVALS, strict=True)
    entry = pl.col("source") >= 0
    query = _pick("source", [*queries, ""])
    referrer = pl.when(entry).then(_pick("source", [*referrers, None])).otherwise(pl.lit(site))
    return _visit_columns(name, p, traffic, frame).with_columns(
        pl.concat_str(pl.lit(site), _pick("path", list(PATHS)), query).alias("url"),
        referrer.alias("referrer"),
        _pick("path", [path.title() or "Home" for path in PATHS]).alias("title"),
        pl.Series("user_agent", _agents(traffic, visit)),
        pl.format("192.0.2.{}", pl.col("visitor") % 254 + 1).alias("ip"),
        tracking_number("number").alias("tracking_numbers"),
    )


def engagement_events(
    name: str, p: Parameters, traffic: Traffic, engaged: pl.DataFrame
) -> pl.DataFrame:
    """Engagements as sent; a form's phone number in `fields`."""
    return _visit_columns(name, p, traffic, engaged).with_columns(
        pl.when(pl.col("phone").is_not_null())
        .then(pl.struct(phone_number("phone").alias("phone")))
        .alias("fields")
    )


def call_events(rng: np.random.Generator, name: str, calls: pl.DataFrame) -> pl.DataFrame:
    """Calls as the switch sends them when they end."""
    size = calls.height
    rings, talks = (
        pl.Series(log_normal(rng, median_ms, sigma, size))
        for median_ms, sigma in ((9 * SECOND, 0.6), (2 * MINUTE, 1.1))
    )
    ring, answered = pl.col("start_ms") + 1_500, pl.col("is_answered")
    answer = ring + rings
    other = pl.when("is_withheld").then(pl.lit("anonymous")).otherwise(phone_number("phone"))
    own = tracking_number("number")
    return calls.with_row_index("row").select(
        pl.lit(name).alias("account"),
        call_id().alias("call_id"),
        pl.col("start_ms").alias("start"),
        ring.alias("ring"),
        pl.when(answered).then(answer).alias("answer"),
        (answer + pl.when(answered).then(talks).otherwise(0)).alias("end"),
        pl.when("is_outbound").then(own).otherwise(other).alias("a_number"),
        pl.when("is_outbound").then(other).otherwise(own).alias("b_number"),
        pl.lit(SWITCHBOARD).alias("c_number"),
        pl.when("is_outbound").then(pl.lit("outbound")).alias("direction"),
        pl.when(answered).then(pl.lit("answered")).otherwise(pl.lit("missed")).alias("status"),
        pl.col("start_ms").alias("time_ms"),
    )


def truth_rows(name: str, p: Parameters, calls: pl.DataFrame) -> pl.DataFrame:
    """TRUTH: the session behind each call (session_start in ms), or why there is none."""
    known = pl.col("session_start").is_not_null()
    session = session_id(name, p, "visit")
    return calls.with_row_index("row").select(
        pl.lit(name).alias("account"),
        call_id().alias("call_id"),
        pl.when(known).then(visitor_id(name)).alias("visitor_id"),
        pl.when(known).then(session).alias("session_id"),
        "session_start",
        "reason",
    )


def call_id() -> pl.Expr:
    """The id of a call by the column `row`."""
    return pl.format("c-{}", pl.col("row").cast(pl.String).str.zfill(7))


def visitor_id(name: str) -> pl.Expr:
    """The tracker's id by the column `visitor`."""
    return pl.format("{}.{}", pl.lit(name[:2]), pl.col("visitor"))


def session_id(name: str, p: Parameters, visit: str) -> pl.Expr:
    """The tracker's name of a visit, or the id that follows from visitor and start."""
    if p.names_sessions:
        return pl.format("s-{}", pl.col(visit))
    return pl.format("{}-{}", visitor_id(name), pl.col("session_start"))


def tracking_number(column: str) -> pl.Expr:
    """A number of the pool as it is shown."""
    return pl.format("+{}", pl.col(column) + FIRST_NUMBER)


def pool_numbers(p: Parameters) -> list[str]:
    """The numbers that pages may show."""
    size = p.pool_numbers + (p.overflow == "number")
    return [f"+{FIRST_NUMBER + number}" for number in range(size)]


def phone_number(column: str) -> pl.Expr:
    """A person's phone number."""
    return pl.format("+{}", pl.col(column) % PHONES + FIRST_PHONE)


def _visit_columns(name: str, p: Parameters, traffic: Traffic, rows: pl.DataFrame) -> pl.DataFrame:
    """Adds what page views and engagements have in common; rows: visit, time_ms."""
    visitor = traffic.visits.visitor[rows["visit"].to_numpy()]
    refused = pl.Series(traffic.visitors.is_refused[visitor])
    named = session_id(name, p, "visit") if p.names_sessions else pl.lit(None, pl.String)
    return rows.with_columns(
        pl.Series("visitor", visitor),
        pl.lit(name).alias("account"),
        pl.col("time_ms").alias("time"),
        named.alias("session_id"),
        pl.when(refused).then(pl.lit(["functional"])).alias("consent"),
    ).with_columns(visitor_id(name).alias("visitor_id"))


def _agents(traffic: Traffic, visit: Ints) -> np.ndarray:
    visitor = traffic.visits.visitor[visit]
    agent = np.where(traffic.visitors.is_bot[visitor], len(AGENTS), traffic.visitors.agent[visitor])
    return np.asarray([*AGENTS, BOT_AGENT], dtype=object)[agent]


def _pick(column: str, words: list[str | None]) -> pl.Expr:
    """The word of a place; -1 is the last."""
    table = pl.Series(words, dtype=pl.String)
    place = pl.when(pl.col(column) < 0).then(len(words) - 1).otherwise(pl.col(column))
    return pl.lit(table).gather(place)
