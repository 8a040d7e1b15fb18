"""Decisions: who made each call, by the first rule that applies (SPEC section 9)."""

from typing import NamedTuple

import polars as pl

from schemas.config import Config
from schemas.stages import SETTLED
from transforms.callers import count_earlier, find_forms, find_origins, knows_number
from transforms.candidates import CALL
from transforms.models import NumberPlan, with_models
from transforms.probabilities import (
    DAY_SECONDS,
    rounded,
    share,
    total_weights,
    with_weights,
)
from transforms.sessions import SESSION_FIELDS
from transforms.settings import divided, form_window, lookback, with_settings

FACTS = ("visitor_id", "session_id", "session_start", *SESSION_FIELDS, "touchpoints")
LIKELIEST = ("last_contact", "session_id", "visitor_id")
MAX_SHOWN = 10
SHOWN = (
    "session_id",
    "visitor_id",
    "probability",
    "first_display",
    "last_display",
    "displays",
    "source",
    "medium",
    "campaign",
    "channel",
)

# rule -> (status, method, reason), in the order in which they apply.
RULES = {
    "excluded_caller": ("excluded", "none", "excluded_caller"),
    "static_number": ("attributed", "static_number", "static_number"),
    "declared": ("attributed", "declared", "declared"),
    "form_phone": ("attributed", "form_phone", "form_phone"),
    "callback": ("attributed", "callback", "callback"),
    "outbound": ("unattributed", "none", "outbound"),
    "number_pool": ("attributed", "number_pool", "number_pool"),
    "returning_caller": ("attributed", "returning_caller", "returning_caller"),
    "returning_caller_unknown_origin": ("unattributed", "none", "returning_caller_unknown_origin"),
    "no_display_in_window": ("unattributed", "none", "no_display_in_window"),
    "likely_unrelated": ("unattributed", "none", "likely_unrelated"),
    "several_candidates": ("ambiguous", "none", "several_candidates"),
}


class Evidence(NamedTuple):
    """All that is known of some calls and their callers.

    calls: schemas.events.CALLS, each call once. candidates, declared: as transforms.candidates
    gives them, with `touchpoints`. entries: form entries (account, caller_key, time, event_id,
    hash and FACTS of their session). settled: of calls that were decided for good before, and whose
    evidence is not here any more, account, call_id and FACTS of their own session (null without).
    """

    calls: pl.DataFrame
    candidates: pl.DataFrame
    declared: pl.DataFrame
    entries: pl.DataFrame
    settled: pl.DataFrame = pl.DataFrame(schema=SETTLED)


class Decisions(NamedTuple):
    """rows: one per call that is not settled. own: the own sessions of these calls, where they have
    one: account, call_id, FACTS."""

    rows: pl.DataFrame
    own: pl.DataFrame


def decide(
    evidence: Evidence, plan: NumberPlan, config: Config, excluded: pl.DataFrame
) -> Decisions:
    """One row per call: the call, its parameters, the decision, the session decided on.

    Adds to the calls: earlier_calls, rule, status, method, reason, probability, none_probability,
    saved_probability, FACTS (null without a session), candidates (list of SHOWN).
    """
    facts, evidence = _number_facts(evidence)
    calls = _prepare(evidence.calls, plan, config)
    candidates = with_weights(evidence.candidates, calls)
    unaided = total_weights(calls.with_columns(w_saved=pl.lit(0.0)), candidates, "weight")
    calls = calls.join(_best(unaided, candidates, "weight", "unaided"), on=CALL, how="left")
    forms = _form_sessions(find_forms(calls, evidence.entries), candidates)
    found = _own_sessions(calls, evidence.declared, forms)
    found = found.join(evidence.settled, on=CALL, how="anti")
    settled = evidence.settled.select(found.columns).drop_nulls("visitor_id")
    own = pl.concat([found, settled])
    origins = find_origins(calls, own)
    calls = calls.join(origins.rename(_named("origin")), on=CALL, how="left")
    candidates, calls = _with_known_caller(candidates, calls)
    calls = (
        calls.join(_best(calls, candidates, "aided_weight", "aided"), on=CALL, how="left")
        .join(_facts_of(evidence.declared, "declared"), on=CALL, how="left")
        .join(_facts_of(forms, "form"), on=CALL, how="left")
        .with_columns(share("w_none", 1.0).alias("p_none"), share("w_saved", 0.0).alias("p_saved"))
    )
    decided = _choose(_apply_rules(calls.join(evidence.settled, on=CALL, how="anti"), excluded))
    rows = (
        decided.join(_shown(calls, candidates, facts), on=CALL, how="left")
        .with_columns(pl.col("candidates").fill_null([]))
        .rename({"session_id": "given_session_id"})
        .join(facts, on="fact", how="left")
        .drop("fact")
    )
    return Decisions(rows, found.select(*CALL, "fact").join(facts, on="fact").drop("fact"))


def _number_facts(evidence: Evidence) -> tuple[pl.DataFrame, Evidence]:
    """The sessions' columns once, as `fact` with FACTS; the evidence keeps their number."""
    tables = (evidence.candidates, evidence.declared, evidence.entries, evidence.settled)
    facts = pl.concat([table.select(FACTS) for table in tables]).with_row_index("fact")
    slim = []
    offset = 0
    for table in tables:
        kept = [name for name in table.columns if name not in FACTS or name in LIKELIEST]
        numbered = table.select(kept).with_row_index("fact", offset=offset)
        slim.append(numbered)
        offset += table.height
    return facts, Evidence(evidence.calls, *slim)


def _prepare(calls: pl.DataFrame, plan: NumberPlan, config: Config) -> pl.DataFrame:
    """Calls with their parameters, the caller's past, w_none and w_saved before the factor."""
    calls = with_models(calls.rename({"status": "status_given"}), plan)
    calls = with_settings(calls, config, lookback=lookback, form_window=form_window)
    inbound = pl.col("direction") == "inbound"
    calls = knows_number(count_earlier(calls))
    w_none = divided(pl.col("background_calls_per_day"), DAY_SECONDS)
    w_saved = divided(pl.col("saved_number_calls_per_day"), DAY_SECONDS)
    return calls.with_columns(
        pl.when(inbound).then(w_none).alias("w_none"),
        pl.when(inbound & pl.col("knows_number")).then(w_saved).alias("w_saved"),
    )


def _best(calls: pl.DataFrame, candidates: pl.DataFrame, weight: str, prefix: str) -> pl.DataFrame:
    """The likeliest candidate of each call that has one: PREFIX_fact, _visitor_id, p_PREFIX.

    calls: with `total`, the sum that the weights are shares of.
    """
    return (
        _likeliest(candidates, calls, weight)
        .unique(CALL, keep="first", maintain_order=True)
        .select(
            *CALL,
            pl.col("fact").alias(f"{prefix}_fact"),
            pl.col("visitor_id").alias(f"{prefix}_visitor_id"),
            pl.col("probability").alias(f"p_{prefix}"),
        )
    )


def _likeliest(candidates: pl.DataFrame, calls: pl.DataFrame, weight: str) -> pl.DataFrame:
    """Candidates with their probability, call by call, likeliest first."""
    return (
        candidates.join(calls.select(*CALL, "total"), on=CALL)
        .with_columns(share(weight, 0.0).alias("probability"))
        .with_columns(rounded("probability").alias("compared"))
        .sort(*CALL, "compared", *LIKELIEST, descending=[False, False, True, True, False, False])
    )


def _form_sessions(forms: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Per call with a form entry: the entry's visitor's candidate, else the entry's session."""
    shown = candidates.select(*CALL, "visitor_id", pl.col("fact").alias("candidate_fact"))
    return forms.join(shown, on=[*CALL, "visitor_id"], how="left").select(
        *CALL, pl.coalesce("candidate_fact", "fact").alias("fact"), "visitor_id"
    )


def _own_sessions(calls: pl.DataFrame, declared: pl.DataFrame, forms: pl.DataFrame) -> pl.DataFrame:
    """Each inbound call's own session: declared, else form, else likeliest and likely enough."""
    likely = calls.filter(rounded("p_unaided") >= pl.col("min_probability")).select(
        *CALL,
        pl.col("unaided_fact").alias("fact"),
        pl.col("unaided_visitor_id").alias("visitor_id"),
    )
    columns = [*CALL, "fact", "visitor_id"]
    inbound = calls.filter(pl.col("direction") == "inbound").select(CALL)
    return (
        pl.concat([declared.select(columns), forms.select(columns), likely.select(columns)])
        .unique(CALL, keep="first", maintain_order=True)
        .join(inbound, on=CALL, how="semi")
    )


def _with_known_caller(
    candidates: pl.DataFrame, calls: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The weights once the caller is known to have called the number before (SPEC section 8)."""
    factor = pl.when("knows_number").then("known_caller_factor").otherwise(1.0)
    calls = calls.with_columns(factor.alias("factor"))
    origin_visitor = pl.col("visitor_id") == pl.col("origin_visitor_id")
    aided = pl.col("weight") * pl.when(origin_visitor).then(1.0).otherwise(pl.col("factor"))
    candidates = (
        candidates.join(calls.select(*CALL, "factor", "origin_visitor_id"), on=CALL)
        .with_columns(aided.alias("aided_weight"))
        .drop("factor", "origin_visitor_id")
    )
    calls = calls.with_columns(pl.col("w_none") * pl.col("factor"))
    return candidates, total_weights(calls, candidates, "aided_weight")


def _apply_rules(calls: pl.DataFrame, excluded: pl.DataFrame) -> pl.DataFrame:
    """Adds `rule`, the first of RULES that applies."""
    calls = calls.join(
        excluded.with_columns(is_excluded=True), on=["account", "caller_key"], how="left"
    )
    inbound = pl.col("direction") == "inbound"
    enough = pl.col("min_probability")
    session, saved, none = (
        rounded(name).fill_null(-1.0) for name in ("p_aided", "p_saved", "p_none")
    )
    session_leads = (session >= saved) & (session >= none)
    saved_leads = ~session_leads & (saved >= none)
    none_leads = ~session_leads & ~saved_leads
    conditions = {
        "excluded_caller": pl.col("is_excluded"),
        "static_number": inbound & pl.col("static_source").is_not_null(),
        "declared": pl.col("session_id").is_not_null(),
        "form_phone": inbound & pl.col("form_fact").is_not_null(),
        "callback": pl.col("form_fact").is_not_null(),
        "outbound": ~inbound,
        "number_pool": session_leads & (session >= enough),
        "returning_caller": saved_leads & (saved >= enough) & pl.col("origin_fact").is_not_null(),
        "returning_caller_unknown_origin": saved_leads & (saved >= enough),
        "no_display_in_window": pl.col("p_aided").is_null(),
        "likely_unrelated": none_leads & (none >= enough),
        "several_candidates": pl.lit(True),
    }
    rule = pl.coalesce(
        pl.when(condition.fill_null(False)).then(pl.lit(name))
        for name, condition in conditions.items()
    )
    return calls.with_columns(rule.alias("rule")).drop("is_excluded")


def _choose(calls: pl.DataFrame) -> pl.DataFrame:
    """Adds what the rule says: status, method, reason, probability, the session's `fact`."""
    probability = {
        "static_number": pl.lit(1.0),
        "declared": pl.lit(1.0),
        "form_phone": pl.col("identity_probability"),
        "callback": pl.col("identity_probability"),
        "number_pool": pl.col("p_aided"),
        "returning_caller": pl.col("p_saved"),
        "returning_caller_unknown_origin": pl.col("p_saved"),
        "no_display_in_window": pl.col("p_none"),
        "likely_unrelated": pl.col("p_none"),
        "several_candidates": pl.col("p_aided"),
    }
    fact = {
        "declared": "declared_fact",
        "form_phone": "form_fact",
        "callback": "form_fact",
        "number_pool": "aided_fact",
        "returning_caller": "origin_fact",
    }
    meaning = pl.DataFrame(
        [(rule, *words) for rule, words in RULES.items()],
        schema=["rule", "status", "method", "reason"],
        orient="row",
    )
    return calls.join(meaning, on="rule", how="left").with_columns(
        _by_rule(probability).alias("probability"),
        _by_rule({rule: pl.col(name) for rule, name in fact.items()}).alias("fact"),
        pl.col("p_none").alias("none_probability"),
        pl.col("p_saved").alias("saved_probability"),
    )


def _by_rule(values: dict[str, pl.Expr]) -> pl.Expr:
    return pl.coalesce(
        pl.when(pl.col("rule") == rule).then(value) for rule, value in values.items()
    )


def _shown(calls: pl.DataFrame, candidates: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """The candidates column: account, call_id, candidates (the MAX_SHOWN likeliest)."""
    ranked = _likeliest(candidates, calls, "aided_weight")
    first = ranked.filter(pl.int_range(pl.len()).over(*CALL) < MAX_SHOWN)
    told = facts.select("fact", "source", "medium", "campaign", "channel")
    return (
        first.join(told, on="fact", maintain_order="left")
        .group_by(CALL, maintain_order=True)
        .agg(pl.struct(SHOWN).alias("candidates"))
    )


def _named(prefix: str) -> dict[str, str]:
    return {"fact": f"{prefix}_fact", "visitor_id": f"{prefix}_visitor_id"}


def _facts_of(rows: pl.DataFrame, prefix: str) -> pl.DataFrame:
    return rows.select(*CALL, pl.col("fact").alias(f"{prefix}_fact"))
