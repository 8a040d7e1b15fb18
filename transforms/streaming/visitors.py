"""Visitors in the stream: what each says to numbers, callers and tables (SPEC sections 5-7)."""

from dataclasses import dataclass

import polars as pl

from schemas.config import Account, Config
from schemas.events import ENGAGEMENTS, PAGEVIEWS
from transforms.decisions import FACTS
from transforms.displays import daily_displays, find_displays, find_engaged, find_showings
from transforms.rows import display_rows, session_rows
from transforms.sessions import Visits, sessionize, touchpoints
from transforms.settings import (
    HOUR,
    allowed_lateness,
    lookback,
    session_gap,
    session_max_gap,
    with_settings,
)
from transforms.steps import Tables, form_entries, visit_counts, widest_window
from transforms.streaming.calls import DECLARED_KEY
from transforms.streaming.replacement import SAID, messages, said_of
from transforms.streaming.state import Change, Outcome, Schema, State, change, key_of
from transforms.visits import ENGAGEMENT, PAGEVIEW, drop_duplicates, number_sessions, order_visits

VISITOR_KEY = key_of("visitor", "account", "visitor_id")
SESSION = ("account", "visitor_id", "session_id", "session_start")
SESSION_KEY = key_of("session", *SESSION)
DISPLAY_KEY = key_of("display", *SESSION, "tracking_number", "day")
SHOWING_KEY = key_of("showing", *SESSION, "tracking_number")
ENTRY_KEY = key_of("entry", *SESSION, "caller_key", "time", "hash")
ENTERED_KEY = key_of("caller", "account", "caller_key")
EVENTS: Schema = {"rank": pl.Int8} | PAGEVIEWS | ENGAGEMENTS
PAST: Schema = {
    "account": pl.String,
    "visitor_id": pl.String,
    "is_bot": pl.Boolean,
    "session_id": pl.String,
    "session_start": pl.Int64,
    **dict.fromkeys(("source", "medium", "campaign", "channel"), pl.String),
    "closes": pl.Int64,
}
# What the revisions, not the visitors, say of a row.
REVISED = ("revision", "emitted_at", "is_deleted")


@dataclass
class VisitorsStage:
    """By account and visitor. In: `pageview`, `engagement`, events. Out: messages of `sessions`,
    `displays` (rows), `showings` and `entries` (with FACTS); `counts`.

    Keeps `events` of open sessions, `past` (a line a session, for touchpoints) and `said`. A
    session is closed when no event that is still accepted can belong to it.
    """

    config: Config
    inputs = {"pageview": PAGEVIEWS, "engagement": ENGAGEMENTS}
    tables = {"events": EVENTS, "past": PAST, "said": SAID}
    filed = frozenset[str]()

    def __call__(self, state: State, inputs: Tables, watermark: int) -> Outcome:
        new = _events(inputs)
        visitors = new["part"].unique()
        old = state.load("events", visitors)
        events = pl.concat([old, new.select(old.columns)])
        pages, engaged = _of_kind(events, PAGEVIEW), _of_kind(events, ENGAGEMENT)
        kept = drop_duplicates(order_visits(pages, engaged))
        numbered = self._with_closing(number_sessions(kept, self.config))
        visits = Visits(numbered.filter(pl.col("closes") >= watermark), pages, engaged)
        sessions = self._sessions(visits)
        past = state.load("past", visitors).drop("part")
        past = past.filter(pl.col("closes") < watermark)
        said = state.load("said", visitors).filter(pl.col("until") >= watermark)
        now = self._say(visits, sessions, past)
        dues = sessions.group_by("owner").agg(pl.col("until").max().alias("due"))
        saying = pl.concat([said_of(target, rows) for target, rows in now.items()])
        changes = {
            "events": _kept_events(events, old.height, visits, dues),
            "past": self._kept_past(sessions, past, watermark),
            "said": change(_with_due(saying, dues), cleared=visitors),
        }
        messages_of = {target: messages(target, rows, said) for target, rows in now.items()}
        counts = visit_counts(new, kept, old)
        return Outcome(changes, {**messages_of, "counts": counts})

    def _with_closing(self, visits: pl.DataFrame) -> pl.DataFrame:
        """Adds closes (us), from when on no accepted event can belong to the visit's session."""
        known = with_settings(visits, self.config, silence=close_horizon)
        end = pl.col("time").last().over("session")
        return known.with_columns((end + pl.col("silence")).alias("closes")).drop("silence")

    def _sessions(self, visits: Visits) -> pl.DataFrame:
        """Sessions with owner (the visitor's key), until (when the session closes, us) and part."""
        closing = visits.visits.group_by("session").agg(pl.col("closes").first().alias("until"))
        sessions = sessionize(visits, self.config).join(
            closing, on="session", maintain_order="left"
        )
        return sessions.with_columns(VISITOR_KEY.alias("owner"), SESSION_KEY.alias("part"))

    def _say(self, visits: Visits, sessions: pl.DataFrame, past: pl.DataFrame) -> Tables:
        """What the visitors have to say now, by target."""
        displays = find_displays(visits)
        showings = find_showings(displays, find_engaged(visits.visits, displays))
        entries = form_entries(visits, sessions).drop("account")
        wanted = pl.concat([showings["session"], entries["session"]]).unique()
        known = pl.concat([sessions, _numbered(past, sessions)], how="diagonal")
        facts = sessions.join(touchpoints(known, wanted, self.config), on="session")
        facts = facts.select("session", "account", "owner", "until", *FACTS)
        named = {
            "showings": self._with_places(showings.join(facts, on="session")),
            "entries": entries.join(facts, on="session").with_columns(
                ENTRY_KEY.alias("part"), pl.concat_list(ENTERED_KEY).alias("keys")
            ),
        }
        rows = self._rows(sessions, daily_displays(showings))
        said = rows | {name: table.drop("session") for name, table in named.items()}
        return {name: table.unique("part", maintain_order=True) for name, table in said.items()}

    def _with_places(self, showings: pl.DataFrame) -> pl.DataFrame:
        """Adds part, and keys: the number's hours that calls from here may be in, the session."""
        known = with_settings(showings, self.config, window=widest_window)
        latest = pl.col("last_contact") + pl.col("window")
        hours = pl.int_ranges(
            pl.col("first_display") // HOUR, pl.when(~pl.col("is_bot")).then(latest // HOUR + 1)
        )
        known = known.with_columns(SHOWING_KEY.alias("part"), hours.alias("slice"))
        at_number = (
            known.select("part", "account", "tracking_number", "slice")
            .explode("slice")
            .drop_nulls("slice")
            .group_by("part")
            .agg(key_of("number", "account", "tracking_number", "slice").alias("at_number"))
        )
        return (
            known.join(at_number, on="part", how="left", maintain_order="left")
            .with_columns(DECLARED_KEY.alias("as_declared"))
            .with_columns(
                pl.concat_list(pl.col("at_number").fill_null([]), "as_declared").alias("keys")
            )
            .drop("window", "slice", "at_number", "as_declared")
        )

    def _rows(self, sessions: pl.DataFrame, daily: pl.DataFrame) -> Tables:
        """Messages of the tables' rows, with wake (us): when the session is over for now."""
        known = with_settings(sessions, self.config, gap=session_gap)
        wake = (pl.col("session_end") + pl.col("gap")).alias("wake")
        whose = known.select(
            "session", *SESSION, "owner", "until", wake, pl.col("until").alias("final")
        )
        shown = daily.join(whose, on="session", maintain_order="left")
        rows = {
            "sessions": (session_rows(sessions, 0), whose, SESSION_KEY),
            "displays": (display_rows(daily, sessions, 0), shown, DISPLAY_KEY),
        }
        return {
            name: table.drop(REVISED).hstack(
                of.select(key.alias("part"), "owner", "until", "wake", "final").with_columns(
                    pl.concat_list("part").alias("keys")
                )
            )
            for name, (table, of, key) in rows.items()
        }

    def _kept_past(self, sessions: pl.DataFrame, past: pl.DataFrame, watermark: int) -> Change:
        """A line for every session that may still be somebody's touchpoint."""
        first = sessions.group_by("account", "visitor_id").agg(
            pl.col("session_start").min().alias("first"), pl.col("until").max().alias("open_until")
        )
        lines = pl.concat(
            [past, sessions.with_columns(pl.col("until").alias("closes")).select(list(PAST))]
        ).join(first, on=["account", "visitor_id"])
        lines = with_settings(
            lines, self.config, lookback=lookback, lateness=allowed_lateness
        ).with_columns((pl.col("session_start") + pl.col("lookback")).alias("reach"))
        due = pl.max_horizontal(pl.col("reach") + pl.col("lateness"), "open_until")
        is_needed = (pl.col("reach") >= pl.col("first")) | (
            pl.col("reach") + pl.col("lateness") >= watermark
        )
        kept = (
            lines.filter(is_needed)
            .select(*PAST, VISITOR_KEY.alias("part"), due.alias("due"))
            .with_columns(pl.col("due").max().over("part"))
        )
        return change(kept, cleared=kept["part"].unique())


def close_horizon(account: Account) -> int:
    """How long after its last event (us) an event that is still accepted may continue a session."""
    return session_max_gap(account) + allowed_lateness(account)


def _events(inputs: Tables) -> pl.DataFrame:
    """Pageviews and engagements as one table, with part."""
    kinds = (("pageview", PAGEVIEW), ("engagement", ENGAGEMENT))
    ranked = [inputs[name].with_columns(rank=pl.lit(rank, pl.Int8)) for name, rank in kinds]
    events = pl.concat([pl.DataFrame(schema=EVENTS), *ranked], how="diagonal")
    return events.with_columns(VISITOR_KEY.alias("part"))


def _of_kind(events: pl.DataFrame, rank: int) -> pl.DataFrame:
    """The events of one kind, with `place`, their row among all."""
    columns = PAGEVIEWS if rank == PAGEVIEW else ENGAGEMENTS
    placed = events.with_row_index("place").filter(pl.col("rank") == rank)
    return placed.select(*columns, "place")


def _kept_events(events: pl.DataFrame, held: int, visits: Visits, dues: pl.DataFrame) -> Change:
    """Keeps what open sessions consist of: the first `held` events are in the state already, and
    stay unless one of their visitor's has to go."""
    places = pl.concat(
        table["place"].gather(visits.visits.filter(pl.col("rank") == rank)["row"])
        for rank, table in ((PAGEVIEW, visits.pageviews), (ENGAGEMENT, visits.engagements))
    )
    marked = events.with_row_index("place").with_columns(
        pl.col("place").is_in(places.implode()).alias("stays"),
        (pl.col("place") < held).alias("old"),
    )
    cleared = marked.filter(pl.col("old") & ~pl.col("stays"))["part"].unique()
    rewritten = pl.col("part").is_in(cleared.implode())
    rows = marked.filter(pl.col("stays") & (~pl.col("old") | rewritten))
    return change(_with_due(rows.drop("place", "stays", "old"), dues), cleared=cleared)


def _with_due(rows: pl.DataFrame, dues: pl.DataFrame) -> pl.DataFrame:
    """Adds due (us): what belongs to a visitor is kept until all the visitor's sessions close."""
    owner = "part" if "part" in rows.columns else "owner"
    return rows.join(dues, left_on=owner, right_on="owner", maintain_order="left").with_columns(
        pl.col(owner).alias("part")
    )


def _numbered(past: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Closed sessions with the columns that touchpoints reads: session and visitor numbers too."""
    visitors = sessions.select("account", "visitor_id", "visitor").unique()
    first = sessions["session"].cast(pl.Int64).to_numpy().max(initial=0)
    return (
        past.join(visitors, on=["account", "visitor_id"])
        .drop("closes")
        .with_row_index("session", offset=int(first) + 1)
    )
