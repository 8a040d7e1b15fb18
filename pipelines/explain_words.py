"""The rules of SPEC sections 6 and 9 in plain words, for one call."""

from collections.abc import Iterator
from typing import Any

from schemas.config import Account, Model

SOURCE_RULES = {
    "utm": "the landing URL named its source (utm_source)",
    "click_id": "the landing URL carried a click id of a paid ad",
    "search": "the visit came from a search engine",
    "social": "the visit came from a social network",
    "ai": "the visit came from an AI assistant",
    "referral": "the visit came from a link on another site",
    "direct": "there was no campaign, click id or outside referrer",
    "static_number": "the number itself stands for this source (static_numbers)",
}


def caller_words(call: dict[str, Any], earlier: int, settings: Account) -> Iterator[str]:
    """Who called, and what is known of the caller's past."""
    if call["caller_key"] is None:
        yield "withheld or unknown: nothing is known of earlier calls"
        return
    who = call["caller_masked"] or "number known"
    country = f" ({call['caller_country']})" if call["caller_country"] else ""
    yield f"{who}{country}, key {call['caller_key']}"
    days = f"{settings.lookback_days:g} days"
    count = call["earlier_calls"]
    if not count:
        yield f"first call to this account within {days}"
        return
    yield f"{count} earlier call{'s' if count > 1 else ''} to this account within {days}"
    if earlier < count:
        yield f"(of which {earlier} are in this warehouse)"


def decision_words(call: dict[str, Any], settings: Account, model: Model) -> Iterator[str]:
    """Why this rule applied and not one before it."""
    reason = call["reason"]
    probability = "" if call["probability"] is None else f"{call['probability']:.1%}"
    given = f"{model.min_probability:.0%}"
    is_others = _is_by_another(call, model)
    enough = "the min_probability then in force" if is_others else f"{given} (min_probability)"
    yield DECISION_RULES[reason].format(
        probability=probability,
        enough=enough,
        forms=f"{settings.form_window_hours:g}",
        declared=f"{settings.declared_window_hours:g}",
        window=f"{model.match_window_minutes:g}",
        number=call["tracking_number"],
        session=call["session_id"],
    )
    if is_others:
        yield f"Another configuration decided this row: the given one's min_probability is {given}."
    if reason == "declared" and call["visitor_id"] is None:
        yield (
            "But no session of that id had shown the number in the "
            f"{settings.declared_window_hours:g} hours before the call, so nothing more is known."
        )
    elif call["session_id"] is not None:
        yield f"Session {call['session_id']} of visitor {call['visitor_id']}."


def _is_by_another(call: dict[str, Any], model: Model) -> bool:
    """Whether the row says of its likeliest explanation the opposite of what the model asks for."""
    reason, session = call["reason"], call["probability"]
    if "{enough}" not in DECISION_RULES[reason] or session is None:
        return False
    is_open = reason == "several_candidates"
    others = (call["none_probability"], call["saved_probability"]) if is_open else ()
    likeliest = max([session, *(value for value in others if value is not None)])
    return bool((likeliest >= model.min_probability) == is_open)


def source_words(call: dict[str, Any]) -> Iterator[str]:
    """What the source is and which rule gave it."""
    if call["source"] is None:
        yield "none: no session was decided on" if call["visitor_id"] is None else "none known"
        return
    campaign = f", campaign {call['campaign']}" if call["campaign"] else ""
    keyword = f", keyword {call['keyword']}" if call["keyword"] else ""
    yield f"{call['source']} / {call['medium']}{campaign}{keyword}: {call['channel']}"
    rule = call["source_rule"]
    yield f"because {SOURCE_RULES.get(rule, rule)} (rule {rule}, rule set {call['rule_set']})"
    if call["landing_url"]:
        yield f"landing page {call['landing_url']}"
    if call["referrer"]:
        yield f"referrer {call['referrer']}"


DECISION_RULES = {
    "excluded_caller": (
        "The caller's number is one of the account's excluded_callers, so the call counts for no "
        "source."
    ),
    "static_number": (
        "{number} is configured as a static number: it stands for its source, whoever calls it."
    ),
    "declared": "The switch named the session itself ({session}), so nothing was left to decide.",
    "form_phone": (
        "The caller's number had been entered in a form on the site in the {forms} hours before "
        "the call: {probability}."
    ),
    "callback": (
        "The company called a number that had been entered in a form on the site in the {forms} "
        "hours before: {probability}."
    ),
    "outbound": (
        "The company made this call, and the number it called had not been entered in a form on "
        "the site in the {forms} hours before."
    ),
    "number_pool": (
        "Of all explanations the first session above is the likeliest, {probability}: at least "
        "{enough}."
    ),
    "returning_caller": (
        "The caller had called {number} before; that the number was kept is the likeliest "
        "explanation, {probability}: at least {enough}. So the call counts for the session behind "
        "the earliest of those earlier calls that has one."
    ),
    "returning_caller_unknown_origin": (
        "The caller had called {number} before; that the number was kept is the likeliest "
        "explanation, {probability}: at least {enough}. But no session is known for those earlier "
        "calls."
    ),
    "no_display_in_window": (
        "No session had shown {number} or used a page with it in the {window} minutes before the "
        "call."
    ),
    "likely_unrelated": (
        "Sessions had shown {number}, but that none of them made the call is the likeliest "
        "explanation, {probability}: at least {enough}."
    ),
    "several_candidates": (
        "No explanation is likely enough: the likeliest session has {probability}, and {enough} "
        "is asked for."
    ),
}
