"""The keyed stages of the flow as pure steps: all tables of some keys in, tables out (SPEC 2).

Each step is the whole of one stage: a backfill gives it all its input at once. The steps hold
configuration only, no data, so a worker can keep and pickle them.
"""

from dataclasses import dataclass

import polars as pl

from schemas.config import Account, Config
from transforms.calls import latest_calls
from transforms.candidates import SESSION, find_candidates, find_declared
from transforms.decisions import FACTS, Evidence, decide
from transforms.detail import engagement_rows, pageview_rows
from transforms.displays import (
    daily_displays,
    find_displays,
    find_engaged,
    find_showings,
    within_reach,
)
from transforms.models import NumberPlan, with_models
from transforms.rows import conversion_rows, display_rows, session_rows
from transforms.sessions import Visits, sessionize, touchpoints
from transforms.settings import MINUTE, declared_window, with_settings
from transforms.visits import ENGAGEMENT, PAGEVIEW, drop_duplicates, number_sessions, order_visits

Tables = dict[str, pl.DataFrame]
COUNTS = {"kind": pl.String, "name": pl.String, "count": pl.Int64}


def count_rows(kind: str, **counts: int) -> pl.DataFrame:
    """Counts for the ledger: kind, name, count."""
    rows = [(kind, name, count) for name, count in counts.items()]
    return pl.DataFrame(rows, schema=COUNTS, orient="row")


@dataclass
class Step:
    """A stage's decision: tables by name in, tables by name out, for any set of whole keys."""

    config: Config
    now: int

    def __call__(self, tables: Tables) -> Tables:
        raise NotImplementedError


class CallsStep(Step):
    """By account and call_id: `call` events in, `calls`, each once, out."""

    def __call__(self, tables: Tables) -> Tables:
        calls = latest_calls(tables["call"])
        accepted, sent = calls.height, tables["call"].height
        return {
            "calls": calls,
            "counts": count_rows("call", accepted=accepted, duplicates=sent - accepted),
        }


@dataclass
class VisitorsStep(Step):
    """By account and visitor: `pageview` and `engagement` events in.

    Out: `sessions` and `displays` (rows), `showings` (within reach of `calls`, with FACTS) and
    `entries` (form entries with FACTS); with `detail` also rows of `pageviews`, `engagements`.
    """

    detail: bool = False

    def __call__(self, tables: Tables) -> Tables:
        pageviews, engagements = tables["pageview"], tables["engagement"]
        sent = order_visits(pageviews, engagements)
        kept = drop_duplicates(sent)
        visits = Visits(number_sessions(kept, self.config), pageviews, engagements)
        sessions = sessionize(visits, self.config)
        displays = find_displays(visits)
        showings = find_showings(displays, find_engaged(visits.visits, displays))
        near = self._near(showings, sessions, tables["calls"])
        entries = form_entries(visits, sessions)
        wanted = pl.concat([near["session"], entries["session"]]).unique()
        facts = sessions.filter(pl.col("session").is_in(wanted.implode())).join(
            touchpoints(sessions, wanted, self.config), on="session"
        )
        facts = facts.select("session", "account", *FACTS)
        detail = {}
        if self.detail:
            detail["pageviews"] = pageview_rows(visits, sessions, self.now)
            detail["engagements"] = engagement_rows(visits, sessions, self.now)
        return detail | {
            "sessions": session_rows(sessions, self.now),
            "displays": display_rows(daily_displays(showings), sessions, self.now),
            "showings": near.join(facts, on="session").drop("session"),
            "entries": entries.join(facts.drop("account"), on="session").drop("session"),
            "counts": visit_counts(sent, kept),
        }

    def _near(
        self, showings: pl.DataFrame, sessions: pl.DataFrame, calls: pl.DataFrame
    ) -> pl.DataFrame:
        """The showings that calls can reach: columns of find_showings, and slice."""
        names = sessions.select("session", "account", "visitor_id", "session_id")
        named = showings.join(names, on="session", maintain_order="left")
        named = with_settings(
            named, self.config, horizon=widest_window, declared_horizon=declared_window
        )
        return within_reach(named, calls).select(*showings.columns, "slice")


def widest_window(account: Account) -> int:
    """The widest match window of an account's pools, us."""
    windows = [account.match_window_minutes]
    windows += [account.pool_model(pool).match_window_minutes for pool in account.pools]
    return round(max(windows) * MINUTE)


def visit_counts(
    sent: pl.DataFrame, kept: pl.DataFrame, held: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Counts of the pageviews and engagements sent (rank): accepted, duplicates.

    kept: what duplicates leave of those sent and of those that were held before.
    """
    counts = []
    for kind, rank in (("pageview", PAGEVIEW), ("engagement", ENGAGEMENT)):
        new, after, before = (
            0 if rows is None else int((rows["rank"] == rank).sum()) for rows in (sent, kept, held)
        )
        accepted = after - before
        counts.append(count_rows(kind, accepted=accepted, duplicates=new - accepted))
    return pl.concat(counts)


def form_entries(visits: Visits, sessions: pl.DataFrame) -> pl.DataFrame:
    """Phone numbers entered by people: session, account, caller_key, time, event_id, hash."""
    rows = visits.visits.filter(pl.col("rank") != PAGEVIEW)
    keys = visits.engagements["phone_key"][rows["row"]]
    humans = sessions.filter(~pl.col("is_bot")).select("session")
    return (
        rows.with_columns(keys.alias("caller_key"))
        .filter(pl.col("caller_key").is_not_null())
        .join(humans, on="session", how="semi")
        .select("session", "account", "caller_key", "time", "event_id", "hash")
    )


class CandidatesStep(Step):
    """By account, number and hour: `calls`, `showings` in, `candidates` and `declared` out."""

    def __call__(self, tables: Tables) -> Tables:
        named = ["account", "tracking_number", *SESSION]
        showings = tables["showings"].unique(named).drop("slice")
        calls = with_models(tables["calls"], NumberPlan(self.config))
        callers = calls.select("account", "call_id", "caller_key")
        found = {
            "candidates": find_candidates(showings, calls),
            "declared": find_declared(showings, calls, self.config),
        }
        return {name: rows.join(callers, on=["account", "call_id"]) for name, rows in found.items()}


@dataclass
class DecisionsStep(Step):
    """By account and caller: `calls`, `candidates`, `declared` and `entries` in, `conversions` out.

    excluded: keys of callers who never count (account, caller_key).
    """

    excluded: pl.DataFrame

    def __call__(self, tables: Tables) -> Tables:
        evidence = Evidence(
            tables["calls"],
            tables["candidates"].drop("caller_key"),
            tables["declared"].drop("caller_key"),
            tables["entries"],
        )
        decided = decide(evidence, NumberPlan(self.config), self.config, self.excluded)
        return {"conversions": conversion_rows(decided.rows, self.config, self.now)}
