"""Evidence in the events that the model does not use, and how many mistakes it would remove.

Each kind of evidence has a few values; a candidate's probability is multiplied by how often
candidates with its value were true, over how often the model expected it, learned from other
seeds; then the shares of all explanations are taken again. What the model expects of candidates
is first brought to how often they are true in all: otherwise part of what evidence seems to be
worth would be that probabilities are set right, which needs no evidence. That is a simple
conditional analysis, and no proposal of how a model should use it.
"""

from collections.abc import Sequence

import polars as pl

from pipelines.evaluation.baselines import last_display, order_displays
from pipelines.evaluation.reading import Rows
from pipelines.evaluation.scoring import CALL, SESSION

SECOND = 1_000_000
STILL_SECONDS, CLICK_SECONDS = 300, 60
VISITOR = ["account", "visitor_id"]
IN_SESSION = ["account", *SESSION]
# Evidence by its column, and in words.
KINDS = {
    "still_browsing": f"still browsing: a page view of the visitor within {STILL_SECONDS // 60} "
    "minutes after the call",
    "repeated_displays": "repeated displays: how often the session had shown the number",
    "visit_depth": "visit depth: pages of the session up to the call",
    "reallocated": "reallocation in between: another session was shown the number since",
    "form_opened": "a form opened in the session before the call",
    "number_clicked": f"the number clicked within {CLICK_SECONDS} seconds before the call",
}
COUNTS = ([2, 3, 5, 9], ["1", "2", "3 to 4", "5 to 8", "9 or more"])


def with_evidence(candidates: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """Candidates (scoring.list_candidates) with a column of text for each of KINDS."""
    calls = rows.calls.select(*CALL, "start", "tracking_number")
    pairs = candidates.join(calls, on=CALL).with_row_index("row").sort("start")
    pages = rows.displays.select(*IN_SESSION, "time").unique().sort("time")
    depth = pages.with_columns(pl.int_range(1, pl.len() + 1).over(IN_SESSION).alias("depth"))
    seen = _latest(pairs, depth, IN_SESSION)
    after = pairs.join_asof(
        pages.select(*VISITOR, "time"),
        left_on="start",
        right_on="time",
        by=VISITOR,
        strategy="forward",
        allow_exact_matches=False,
        tolerance=STILL_SECONDS * SECOND,
        check_sortedness=False,
    )
    engaged = rows.engagements.sort("time")
    form = _latest(pairs, engaged.filter(pl.col("kind") == "action"), IN_SESSION)
    click = _latest(pairs, engaged.filter(pl.col("kind") == "click"), IN_SESSION)
    recent = pairs["start"] - click["time"] <= CLICK_SECONDS * SECOND
    last = last_display(order_displays(rows.displays), calls).select(*CALL, *SESSION)
    is_last = pairs.join(last.with_columns(is_last=True), on=[*CALL, *SESSION], how="left")
    texts = {
        "still_browsing": _yes(after["time"].is_not_null()),
        "repeated_displays": _cut(pairs["displays"]),
        "visit_depth": _cut(seen["depth"].fill_null(1)),
        "reallocated": _yes(is_last.sort("start", "row")["is_last"].is_null()),
        "form_opened": _yes(form["time"].is_not_null()),
        "number_clicked": _yes(recent.fill_null(False)),
    }
    return pairs.with_columns(**texts).sort("row").drop("row", "start", "tracking_number")


def _latest(pairs: pl.DataFrame, events: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The latest event of the session at or before each call."""
    return pairs.select("start", *by).join_asof(
        events,
        left_on="start",
        right_on="time",
        by=list(by),
        strategy="backward",
        check_sortedness=False,
        coalesce=False,
    )


def _yes(flags: pl.Series) -> pl.Series:
    return flags.replace_strict({True: "yes", False: "no"}, return_dtype=pl.String)


def _cut(counts: pl.Series) -> pl.Series:
    named = pl.col(counts.name).bin_intervals(COUNTS[0], labels=COUNTS[1])
    return counts.cast(pl.Int64).to_frame().select(named.cast(pl.String)).to_series()


def count_evidence(candidates: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """How many candidates with each value of each kind were true, and how many should have been.

    candidates: with_evidence; truth: CALL and SESSION of the calls to learn from. Result: kind,
    value, candidates, expected (summed probabilities), observed.
    """
    told = candidates.join(truth, on=CALL, suffix="_true")
    is_true = (pl.col("visitor_id") == pl.col("visitor_id_true")) & (
        pl.col("session_id") == pl.col("session_id_true")
    )
    long = told.with_columns(is_true.fill_null(False).cast(pl.Float64).alias("is_true")).unpivot(
        on=list(KINDS), index=["probability", "is_true"], variable_name="kind"
    )
    return (
        long.group_by("kind", "value", maintain_order=True)
        .agg(
            pl.len().alias("candidates"),
            pl.col("probability").sum().alias("expected"),
            pl.col("is_true").sum().alias("observed"),
        )
        .sort("kind", "value")
    )


def with_factors(counts: pl.DataFrame) -> pl.DataFrame:
    """Counts (count_evidence) with `factor`: how much oftener than expected candidates were true,
    where over all values of a kind they are true as often as expected."""
    of_kind = pl.col("observed").sum().over("kind") / pl.col("expected").sum().over("kind")
    factor = (pl.col("observed") + 1) / (pl.col("expected") * of_kind + 1)
    return counts.with_columns(factor.alias("factor"))


def apply(candidates: pl.DataFrame, learned: pl.DataFrame, kinds: Sequence[str]) -> pl.DataFrame:
    """Candidates with the probabilities that they would have with some kinds of evidence."""
    for kind in kinds:
        factors = learned.filter(pl.col("kind") == kind).select(
            pl.col("value").alias(kind), pl.col("factor").alias(f"{kind}_factor")
        )
        candidates = candidates.join(factors, on=kind, how="left", maintain_order="left")
    factor = pl.lit(1.0)
    for kind in kinds:
        factor = factor * pl.col(f"{kind}_factor").fill_null(1.0)
    raised = (pl.col("probability") * factor).alias("raised")
    others = 1 - pl.col("probability").sum().over(CALL)
    whole = others + pl.col("raised").sum().over(CALL)
    return (
        candidates.with_columns(raised)
        .with_columns((pl.col("raised") / whole).alias("probability"))
        .drop("raised", *(f"{kind}_factor" for kind in kinds))
        .sort(*CALL, "probability", "rank", descending=[False, False, True, False])
        .with_columns(pl.int_range(pl.len()).over(CALL).alias("rank"))
    )
