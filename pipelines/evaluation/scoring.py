"""Each call against its truth: what became of it, and how probable the model held what is true."""

import polars as pl

CALL = ["account", "call_id"]
SESSION = ["visitor_id", "session_id"]
OUTCOMES = ("right", "wrong", "missed", "abstained", "rightly_none")
# A true explanation that the model held for impossible costs this much and not infinitely more.
LEAST_PROBABILITY = 1e-6
# Methods by which the caller or the switch says who it was; no explanations are weighed.
TOLD = ("form_phone", "declared")
# What explains a call by the reason that the truth gives. Whatever the reason, the true session is
# a true explanation where it is a candidate (of a retry within the window both are true). KEPT is
# one only where that hypothesis stands, which asks for an earlier call by the caller to the number.
# Where none of them holds, nobody of those listed called: the model's background.
SESSION_SHOWN, NUMBER_KEPT, NOBODY_LISTED = "session", "kept number", "nobody"
EXPLAINED_BY = {
    "browsing": SESSION_SHOWN,
    "after_visit": SESSION_SHOWN,
    "later": SESSION_SHOWN,
    "form": SESSION_SHOWN,
    # From an earlier call or visit, and, of strangers, from before there was a site.
    "retry": NUMBER_KEPT,
    "repeat": NUMBER_KEPT,
    "saved_number": NUMBER_KEPT,
    "remembered_number": NUMBER_KEPT,
    "printed_number": NUMBER_KEPT,
    # On the site, but unseen; and no second wrong number is dialled because the first was kept.
    "not_tracked": NOBODY_LISTED,
    "misdial": NOBODY_LISTED,
}
KEPT = [reason for reason, explanation in EXPLAINED_BY.items() if explanation == NUMBER_KEPT]


def list_candidates(calls: pl.DataFrame) -> pl.DataFrame:
    """One row per call and candidate, likeliest first: CALL, SESSION, `rank` from 0, probability,
    first_display, last_display (us), displays."""
    listed = calls.select(*CALL, "candidates").explode("candidates").drop_nulls("candidates")
    flat = listed.unnest("candidates").with_columns(
        pl.col("first_display", "last_display").dt.epoch("us"),
        pl.int_range(pl.len()).over(CALL).alias("rank"),
    )
    return flat.select(
        *CALL, *SESSION, "rank", "probability", "first_display", "last_display", "displays"
    )


def score(calls: pl.DataFrame, candidates: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Calls that have a truth, with what is true of them.

    Adds true_visitor_id, true_session_id, true_reason; `outcome`, one of OUTCOMES; `leading`, the
    likeliest explanation, as EXPLAINED_BY names it (null of a form, a declared session), with
    `confidence`, its probability (of these: that of the row), and `is_confirmed`, whether it is
    true; log_loss and brier over all explanations; n_candidates, delay_seconds from the likeliest
    candidate's last display.
    """
    renamed = {"visitor_id": "true_visitor_id", "session_id": "true_session_id"}
    told = calls.join(
        truth.rename(renamed | {"reason": "true_reason"}), on=CALL, maintain_order="left"
    )
    told = told.join(_listed(told, candidates), on=CALL, how="left", maintain_order="left")
    told = told.with_columns(pl.col("n_candidates").fill_null(0)).with_columns(_outcome())
    return _with_explanations(told)


def _listed(told: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Of each call with candidates: how many, the likeliest's probability and delay, the sum of
    squares, the true one's probability."""
    is_true = _is_true()
    pairs = candidates.join(
        told.select(*CALL, "start", "true_visitor_id", "true_session_id"), on=CALL
    )
    return pairs.group_by(CALL).agg(
        pl.len().cast(pl.Int64).alias("n_candidates"),
        pl.col("probability").sum().alias("p_listed"),
        pl.col("probability").pow(2).sum().alias("squares"),
        pl.col("probability").filter(is_true).sum().alias("p_true_session"),
        is_true.any().alias("is_listed"),
        pl.col("probability").filter(pl.col("rank") == 0).first().alias("p_first"),
        is_true.filter(pl.col("rank") == 0).first().alias("first_is_true"),
        ((pl.col("start") - pl.col("last_display")) / 1e6)
        .filter(pl.col("rank") == 0)
        .first()
        .alias("delay_seconds"),
    )


def _is_true() -> pl.Expr:
    same = (pl.col("visitor_id") == pl.col("true_visitor_id")) & (
        pl.col("session_id") == pl.col("true_session_id")
    )
    return same.fill_null(False)


def _outcome() -> pl.Expr:
    attributed = pl.col("status") == "attributed"
    return (
        pl.when(attributed & _is_true())
        .then(pl.lit("right"))
        .when(attributed)
        .then(pl.lit("wrong"))
        .when(pl.col("status") == "ambiguous")
        .then(pl.lit("abstained"))
        .when(pl.col("true_session_id").is_not_null())
        .then(pl.lit("missed"))
        .otherwise(pl.lit("rightly_none"))
        .alias("outcome")
    )


def _with_explanations(told: pl.DataFrame) -> pl.DataFrame:
    """The explanations are the candidates, a kept number, nobody, and, of more candidates than a
    row lists, the rest. Those that are true count as one. Of TOLD calls there are two: the session
    of the row, and not."""
    zero = ("p_listed", "squares", "p_true_session", "p_first")
    told = told.with_columns(
        pl.col(zero).fill_null(0.0),
        pl.col("none_probability", "saved_probability").fill_null(0.0),
        pl.col("is_listed", "first_is_true").fill_null(False),
        stands=pl.col("saved_probability").is_not_null(),
    )
    kept = pl.col("true_reason").is_in(KEPT).fill_null(False)
    none, saved = pl.col("none_probability"), pl.col("saved_probability")
    told = told.with_columns(
        (pl.col("stands") & kept).alias("kept_is_true"),
        (1 - pl.col("p_listed") - none - saved).clip(0, 1).alias("p_rest"),
    )
    nobody = ~pl.col("is_listed") & ~pl.col("kept_is_true")
    unlisted = nobody & pl.col("true_session_id").is_not_null() & (pl.col("p_rest") > 1e-9)
    told = told.with_columns(
        (nobody & ~unlisted).alias("none_is_true"), unlisted.alias("rest_is_true")
    )
    saved_true, none_true, rest_true = (
        pl.col(name).cast(pl.Float64) for name in ("kept_is_true", "none_is_true", "rest_is_true")
    )
    parts = ((saved, saved_true), (none, none_true), (pl.col("p_rest"), rest_true))
    p_true = pl.col("p_true_session") + pl.sum_horizontal(p * flag for p, flag in parts)
    false_squares = pl.col("squares") - pl.col("p_true_session") ** 2
    false_squares += pl.sum_horizontal(p**2 * (1 - flag) for p, flag in parts)
    is_told, stated = pl.col("method").is_in(TOLD), pl.col("probability")
    of_told = pl.when(pl.col("outcome") == "right").then(stated).otherwise(1 - stated)
    told = told.with_columns(
        pl.when(is_told).then(of_told).otherwise(p_true).alias("p_true"),
        pl.when(is_told).then((1 - of_told) ** 2).otherwise(false_squares).alias("false_squares"),
    )
    return told.with_columns(
        pl.col("p_true").clip(LEAST_PROBABILITY, 1).log().neg().alias("log_loss"),
        ((1 - pl.col("p_true")) ** 2 + pl.col("false_squares")).alias("brier"),
        *_likeliest(),
    ).drop("p_true", "false_squares", "stands", "squares", "p_listed", "p_true_session")


def _likeliest() -> tuple[pl.Expr, ...]:
    """`leading`, `confidence` and `is_confirmed`, ties as the decision has them: session, kept,
    nobody."""
    told = pl.col("method").is_in(TOLD)
    first, saved, none = (
        pl.col(name) for name in ("p_first", "saved_probability", "none_probability")
    )
    session_leads = (first >= saved) & (first >= none) & (pl.col("n_candidates") > 0)
    kept_leads = (saved >= none) & pl.col("stands")
    leading = (
        pl.when(told)
        .then(pl.lit(None, pl.String))
        .when(session_leads)
        .then(pl.lit(SESSION_SHOWN))
        .when(kept_leads)
        .then(pl.lit(NUMBER_KEPT))
        .otherwise(pl.lit(NOBODY_LISTED))
    )
    confidence = pl.when(told).then("probability").otherwise(pl.max_horizontal(first, saved, none))
    confirmed = (
        pl.when(told)
        .then(pl.col("outcome") == "right")
        .when(session_leads)
        .then("first_is_true")
        .when(kept_leads)
        .then("kept_is_true")
        .otherwise("none_is_true")
    )
    return leading.alias("leading"), confidence.alias("confidence"), confirmed.alias("is_confirmed")
