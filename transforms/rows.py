"""Rows of the output tables, from what the steps found (SPEC section 10)."""

import polars as pl
import polars_hash as plh

from schemas.config import Config
from schemas.rules import rule_set
from schemas.tables import CONVERSIONS, DEAD_LETTERS, DISPLAYS, SESSION_COLUMNS, SESSIONS
from transforms.channels import classify_channels
from transforms.decisions import SHOWN
from transforms.settings import MICROSECONDS, allowed_lateness, divided, with_settings

# BigQuery has no null lists, so no row has one.
REPEATED = [column.name for column in SESSION_COLUMNS if column.mode == "REPEATED"]


def utc(*names: str) -> pl.Expr:
    """Columns of microseconds as timestamps."""
    return pl.col(*names).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def utc_day(name: str) -> pl.Expr:
    """The UTC day of a column of microseconds."""
    return pl.col(name).cast(pl.Datetime("us")).dt.date()


def conversion_rows(decided: pl.DataFrame, config: Config, emitted_at: int) -> pl.DataFrame:
    """Rows of `conversions`, revision 1, from transforms.decisions.decide's result.

    emitted_at: us.
    """
    decided = with_settings(
        decided,
        config,
        lateness=allowed_lateness,
        qualified_seconds=lambda account: float(account.qualified_seconds),
        assume_answered=lambda account: account.assume_answered,
    )
    decided = _static_sources(decided).with_columns(
        pl.coalesce(
            "status_given", pl.when(pl.col("answer").is_not_null()).then(pl.lit("answered"))
        ).alias("call_status")
    )
    return decided.with_columns(
        _conversion_id().alias("conversion_id"),
        pl.lit(1, pl.Int64).alias("revision"),
        pl.lit(False).alias("is_superseded"),
        (pl.col("start") + pl.col("lateness")).alias("final_at"),
        pl.lit(emitted_at, pl.Int64).alias("emitted_at"),
        utc_day("start").alias("call_date"),
        *(pl.col(name).alias(f"call_{name}") for name in ("start", "ring", "answer", "end")),
        _seconds(pl.coalesce("answer", "end") - pl.col("ring")).alias("ring_seconds"),
        _seconds(pl.col("end") - pl.col("answer")).alias("talk_seconds"),
        _seconds(pl.col("end") - pl.col("start")).alias("duration_seconds"),
        _is_qualified().alias("is_qualified"),
        pl.col("outcome_tags").fill_null([]),
        (pl.col("earlier_calls") == 0).alias("is_first_call"),
        # A session that nobody knows keeps the name that the call gives it.
        pl.when(pl.col("rule") == "declared")
        .then(pl.coalesce("session_id", "given_session_id"))
        .otherwise("session_id")
        .alias("session_id"),
        pl.col("candidates").list.eval(_candidate()),
        pl.col("touchpoints").list.eval(_touchpoint()).fill_null([]),
        pl.col(REPEATED).fill_null([]),
        pl.lit(rule_set()).alias("rule_set"),
    ).select(utc(name) if name in _TIMES else pl.col(name) for name in CONVERSIONS.names)


_TIMES = frozenset(
    [
        "final_at",
        "emitted_at",
        "call_start",
        "call_ring",
        "call_answer",
        "call_end",
        "session_start",
    ]
)


def _conversion_id() -> pl.Expr:
    """First 32 hex digits of SHA-256 over account, a zero byte, call_id."""
    name = plh.concat_str("account", pl.lit("\0"), "call_id")
    return name.chash.sha2_256().str.slice(0, 32)


def _seconds(microseconds: pl.Expr) -> pl.Expr:
    return divided(microseconds, MICROSECONDS)


def _is_qualified() -> pl.Expr:
    """Whether the call counts for a marketer; needs call_status, status and the call's times."""
    picked_up = pl.coalesce("answer", "ring", "start")
    long_enough = _seconds(pl.col("end") - picked_up) >= pl.col("qualified_seconds")
    status = pl.col("call_status").fill_null(pl.when("assume_answered").then(pl.lit("answered")))
    never = (
        (pl.col("direction") == "outbound")
        | (pl.col("status") == "excluded")
        | pl.col("end").is_null()
    )
    qualified = pl.when(status.is_not_null()).then((status == "answered") & long_enough)
    return pl.when(never).then(False).otherwise(qualified)


def _static_sources(decided: pl.DataFrame) -> pl.DataFrame:
    """Fills the source columns of calls to a number that stands for one source."""
    is_static = pl.col("rule") == "static_number"
    static = {"source": "static_source", "medium": "static_medium", "campaign": "static_campaign"}
    channels = classify_channels(decided.select(**static, source_rule=pl.lit("static_number")))
    filled: dict[str, pl.Expr | pl.Series] = {
        "source": pl.col("static_source"),
        "medium": pl.col("static_medium"),
        "campaign": pl.col("static_campaign"),
        "channel": channels,
        "source_rule": pl.lit("static_number"),
    }
    return decided.with_columns(
        pl.when(is_static).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in filled.items()
    )


def _candidate() -> pl.Expr:
    fields = [
        utc_field(name) if name in ("first_display", "last_display") else pl.element().struct[name]
        for name in SHOWN
    ]
    return pl.struct(fields)


def _touchpoint() -> pl.Expr:
    others = ("source", "medium", "campaign", "channel")
    fields = [pl.element().struct.field("session_id"), utc_field("session_start")]
    return pl.struct([*fields, *(pl.element().struct.field(name) for name in others)])


def utc_field(name: str) -> pl.Expr:
    """A struct field of microseconds as a timestamp, inside a list."""
    field = pl.element().struct.field(name)
    return field.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias(name)


def session_rows(sessions: pl.DataFrame, emitted_at: int) -> pl.DataFrame:
    """Rows of `sessions`, revision 1, from transforms.sessions.sessionize's result."""
    times = ("session_start", "session_end", "emitted_at")
    return (
        sessions.with_columns(
            pl.col(REPEATED).fill_null([]), utc_day("session_start").alias("session_date")
        )
        .with_columns(*_first_revision(emitted_at))
        .with_columns(utc(*times))
        .select(SESSIONS.names)
    )


def display_rows(daily: pl.DataFrame, sessions: pl.DataFrame, emitted_at: int) -> pl.DataFrame:
    """Rows of `displays`, revision 1, from transforms.displays.daily_displays' result."""
    times = ("session_start", "first_display", "last_display", "emitted_at")
    whose = sessions.select("session", "account", "session_id", "visitor_id", "session_start")
    return (
        daily.join(whose, on="session", maintain_order="left")
        .with_columns(pl.col("day").cast(pl.Int32).cast(pl.Date).alias("display_date"))
        .with_columns(*_first_revision(emitted_at))
        .with_columns(utc(*times))
        .select(DISPLAYS.names)
    )


def _first_revision(emitted_at: int) -> list[pl.Expr]:
    return [
        pl.lit(1, pl.Int64).alias("revision"),
        pl.lit(emitted_at, pl.Int64).alias("emitted_at"),
        pl.lit(False).alias("is_deleted"),
    ]


def dead_letter_rows(letters: pl.DataFrame) -> pl.DataFrame:
    """Rows of `dead_letters`, from transforms.decode's table of them."""
    return (
        letters.with_columns(utc_day("received_at").alias("received_date"))
        .with_columns(utc("received_at", "event_time"))
        .select(DEAD_LETTERS.names)
    )
