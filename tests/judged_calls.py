"""Calls, their truth and displays by hand, for tests of evaluation."""

from typing import Any

import polars as pl

from pipelines.evaluation.scoring import list_candidates, score

Row = dict[str, Any]
SECOND = 1_000_000
MINUTE = 60 * SECOND
T = 1_736_121_600 * SECOND
CANDIDATE = pl.Struct(
    {
        "session_id": pl.String,
        "visitor_id": pl.String,
        "probability": pl.Float64,
        "first_display": pl.Datetime("us", "UTC"),
        "last_display": pl.Datetime("us", "UTC"),
        "displays": pl.Int64,
    }
)
CALLS = {
    "account": pl.String,
    "call_id": pl.String,
    "start": pl.Int64,
    "tracking_number": pl.String,
    "caller_key": pl.String,
    "status": pl.String,
    "method": pl.String,
    "reason": pl.String,
    "probability": pl.Float64,
    "none_probability": pl.Float64,
    "saved_probability": pl.Float64,
    "visitor_id": pl.String,
    "session_id": pl.String,
    "candidates": pl.List(CANDIDATE),
}


def candidate(name: str, probability: float, seconds_before: int = 60, displays: int = 1) -> Row:
    """A candidate of visitor v<name> and session s<name>."""
    shown = T - seconds_before * SECOND
    return {
        "session_id": f"s{name}",
        "visitor_id": f"v{name}",
        "probability": probability,
        "first_display": shown,
        "last_display": shown,
        "displays": displays,
    }


def calls(*rows: Row) -> pl.DataFrame:
    """Calls c0, c1, … at T to number n; with `session` attributed by the pool to it."""
    filled = []
    for number, row in enumerate(rows):
        session = row.pop("session", None)
        usual: Row = {"account": "a", "call_id": f"c{number}", "start": T, "tracking_number": "n"}
        usual |= {"status": "ambiguous", "method": "none", "candidates": []}
        if session:
            usual |= {"status": "attributed", "method": "number_pool"}
            usual |= {"visitor_id": f"v{session}", "session_id": f"s{session}"}
        filled.append(usual | row)
    return pl.DataFrame(filled, schema=CALLS)


def truth(*rows: tuple[str | None, str]) -> pl.DataFrame:
    """For c0, c1, …: the name of the true session, or none, and the reason."""
    return pl.DataFrame(
        [
            ("a", f"c{number}", name and f"v{name}", name and f"s{name}", reason)
            for number, (name, reason) in enumerate(rows)
        ],
        schema=["account", "call_id", "visitor_id", "session_id", "reason"],
        orient="row",
        infer_schema_length=None,
    ).cast({"visitor_id": pl.String, "session_id": pl.String})


def scored(found: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    return score(found, list_candidates(found), told)


FIVE = (
    {"session": "1", "probability": 0.8, "none_probability": 0.1,
     "candidates": [candidate("1", 0.8), candidate("2", 0.1)]},
    {"session": "1", "probability": 0.6, "none_probability": 0.1,
     "candidates": [candidate("1", 0.6), candidate("2", 0.3)]},
    {"probability": 0.4, "none_probability": 0.2,
     "candidates": [candidate("1", 0.4), candidate("2", 0.4)]},
    {"status": "unattributed", "probability": 1.0, "none_probability": 1.0},
    {"status": "unattributed", "probability": 0.7, "none_probability": 0.7,
     "candidates": [candidate("1", 0.3)]},
)  # fmt: skip
FIVE_TRUE = truth(
    ("1", "browsing"), ("2", "browsing"), ("2", "later"), (None, "misdial"), ("9", "later")
)


def five() -> pl.DataFrame:
    return scored(calls(*(dict(row) for row in FIVE)), FIVE_TRUE)


def shown(*rows: tuple[str, int, str]) -> pl.DataFrame:
    """Displays: session's name, minutes from T, number."""
    return pl.DataFrame(
        [
            ("a", f"v{name}", f"s{name}", T + minutes * MINUTE, number)
            for name, minutes, number in rows
        ],
        schema=["account", "visitor_id", "session_id", "time", "tracking_number"],
        orient="row",
    )


DISPLAYS = shown(
    ("1", -70, "n"), ("1", -10, "n"), ("2", -4, "n"), ("2", -1, "n"), ("3", 1, "n"), ("4", -2, "m")
)
