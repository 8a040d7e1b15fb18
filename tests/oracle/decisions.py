"""One decision per call: the first rule that applies (SPEC 9)."""

from __future__ import annotations

import dataclasses
from typing import Any

from oracle import phones
from oracle.candidates import Candidate, Hypotheses, find_candidates, lookback, pool_settings, weigh
from oracle.decode import Event
from oracle.sessions import Session, build_sessions, entered_phone
from oracle.settings import HOUR, Settings, utc_day, valid_on


@dataclasses.dataclass
class Form:
    """A phone number entered by somebody who is no bot, and the session it was entered in."""

    phone: str
    event: Event
    session: Session


@dataclasses.dataclass
class World:
    """All that is known of one account."""

    account: str
    settings: Settings
    sessions: list[Session]
    calls: list[Event]
    forms: list[Form]


@dataclasses.dataclass
class Decision:
    """What a conversion row says of a call."""

    status: str
    method: str
    reason: str
    probability: float | None
    session: Session | None = None
    static: Settings | None = None
    hypotheses: Hypotheses | None = None
    earlier_calls: int | None = None


def build_world(account: str, events: list[Event], settings: Settings) -> World:
    """Sessions, calls and form entries of one account."""
    sessions = build_sessions(events, settings)
    forms = [
        Form(phone, event, session)
        for session in sessions
        if not session.is_bot
        for event in session.engagements
        if (phone := entered_phone(event)) is not None
    ]
    calls = [event for event in events if event.kind == "call"]
    return World(account, settings, sessions, calls, forms)


def is_outbound(call: Event) -> bool:
    return call.get("direction") == "outbound"


def caller_of(call: Event) -> str | None:
    """The other party's number, outbound the called one; None where withheld or unknown."""
    field = "b_number" if is_outbound(call) else "a_number"
    written = call.get(field)
    return None if written is None or phones.is_withheld(written) else call.number(field)


def tracking_number_of(call: Event) -> str | None:
    """b, or the company's own number for an outbound call."""
    return call.number("a_number" if is_outbound(call) else "b_number")


def before(call: Event) -> tuple[int, str]:
    """Calls are ordered by start, then call_id (SPEC 8)."""
    return (call.time, call.get("call_id"))


def earlier_calls(world: World, call: Event) -> list[Event]:
    """The caller's earlier inbound calls to the account within lookback_days, in order."""
    caller = caller_of(call)
    if caller is None:
        return []
    found = [
        other
        for other in world.calls
        if not is_outbound(other)
        and caller_of(other) == caller
        and before(other) < before(call)
        and call.time - other.time <= lookback(world.settings)
    ]
    return sorted(found, key=before)


def candidates_of(world: World, call: Event) -> list[Candidate]:
    number = tracking_number_of(call)
    if number is None:
        raise AssertionError("an inbound call has a usable b_number")
    settings = pool_settings(world.settings, number, call.time)
    return find_candidates(world.sessions, number, call.time, settings)


def declared_session(world: World, call: Event) -> Session | None:
    """The session of that id that displayed the number at most 24 hours before."""
    number = tracking_number_of(call)
    if call.get("session_id") is None or number is None:
        return None
    window = world.settings["declared_window_hours"] * HOUR
    found = []
    for session in world.sessions:
        shown = [time for time in session.displays(number) if time <= call.time]
        if session.session_id != call.get("session_id") or not shown:
            continue
        if call.time - max(shown) <= window:
            found.append((-max(shown), session.visitor_id, -session.start, session))
    return min(found, key=lambda one: one[:3])[3] if found else None


def form_of(world: World, call: Event) -> Form | None:
    """The latest entry of the caller's number (ties greatest event_id, absent first, hash)."""
    caller = caller_of(call)
    window = world.settings["form_window_hours"] * HOUR
    found = [
        form
        for form in world.forms
        if form.phone == caller and 0 <= call.time - form.event.time <= window
    ]
    found.sort(key=lambda form: form.event.hash)
    found.sort(key=lambda form: form.event.get("event_id") or "", reverse=True)
    found.sort(key=lambda form: form.event.get("event_id") is not None)
    found.sort(key=lambda form: form.event.time, reverse=True)
    return found[0] if found else None


def form_session(form: Form, candidates: list[Candidate]) -> Session:
    """Of the candidates whose visitor made the entry the one displayed last, else the entry's."""
    visitor = form.session.visitor_id
    mine = [one for one in candidates if one.session.visitor_id == visitor]
    return max(mine, key=lambda one: one.displays[-1]).session if mine else form.session


def own_session(world: World, call: Event) -> Session | None:
    """Declared, else form, else the likeliest candidate without the known-caller rule."""
    declared = declared_session(world, call)
    if declared is not None:
        return declared
    candidates = candidates_of(world, call)
    form = form_of(world, call)
    if form is not None:
        return form_session(form, candidates)
    settings = call_settings(world, call)
    hypotheses = weigh(candidates, call.time, settings, is_repeat=False, origin_visitor=None)
    if hypotheses.candidates and hypotheses.candidates[0].rounded >= settings["min_probability"]:
        return hypotheses.candidates[0].session
    return None


def call_settings(world: World, call: Event) -> Settings:
    number = tracking_number_of(call)
    return pool_settings(world.settings, number, call.time) if number else world.settings


def repeat_calls(world: World, call: Event) -> list[Event]:
    """The caller's earlier calls to this same number."""
    number = tracking_number_of(call)
    return [other for other in earlier_calls(world, call) if tracking_number_of(other) == number]


def origin_of(world: World, call: Event) -> Session | None:
    """The own session of the earliest of the earlier calls to this number that has one."""
    for earlier in repeat_calls(world, call):
        session = own_session(world, earlier)
        if session is not None:
            return session
    return None


def static_of(world: World, call: Event) -> Settings | None:
    """The configured static number, valid on the UTC day of the call."""
    region = world.settings["default_region"]
    for entry in world.settings["static_numbers"]:
        if not valid_on(entry, utc_day(call.time)):
            continue
        if phones.normalise(str(entry["number"]), region) == tracking_number_of(call):
            return entry
    return None


def decide(world: World, call: Event) -> Decision:
    """The decision, with the hypotheses and the count of earlier calls."""
    decision = first_rule(world, call)
    if caller_of(call) is not None:
        decision.earlier_calls = len(earlier_calls(world, call))
    return decision


def first_rule(world: World, call: Event) -> Decision:
    """The rules in the order of the table."""
    settings = call_settings(world, call)
    hypotheses, origin = None, None
    if not is_outbound(call):
        repeats = repeat_calls(world, call)
        origin = origin_of(world, call)
        hypotheses = weigh(
            candidates_of(world, call),
            call.time,
            settings,
            is_repeat=bool(repeats),
            origin_visitor=origin.visitor_id if origin else None,
        )
    decision = given_rules(world, call, hypotheses) or (
        likeliest(hypotheses, origin, settings)
        if hypotheses is not None
        else Decision("unattributed", "none", "outbound", None)
    )
    decision.hypotheses = hypotheses
    return decision


def given_rules(world: World, call: Event, hypotheses: Hypotheses | None) -> Decision | None:
    """Excluded callers, static numbers, declared sessions, forms."""
    region = world.settings["default_region"]
    excluded = {phones.normalise(str(n), region) for n in world.settings["excluded_callers"]}
    caller = caller_of(call)
    if caller is not None and caller in excluded:
        return Decision("excluded", "none", "excluded_caller", None)
    static = None if is_outbound(call) else static_of(world, call)
    if static is not None:
        return Decision("attributed", "static_number", "static_number", 1.0, static=static)
    if call.get("session_id") is not None:
        declared = declared_session(world, call)
        return Decision("attributed", "declared", "declared", 1.0, session=declared)
    form = form_of(world, call)
    if form is None:
        return None
    session = form_session(form, hypotheses.candidates if hypotheses else [])
    word = "callback" if is_outbound(call) else "form_phone"
    sure = call_settings(world, call)["identity_probability"]
    return Decision("attributed", word, word, sure, session=session)


def likeliest(hypotheses: Hypotheses, origin: Session | None, settings: Settings) -> Decision:
    """The rules by probability; ties go to session, saved, none in that order."""
    enough = settings["min_probability"]
    top = hypotheses.candidates[0] if hypotheses.candidates else None
    ranked: list[tuple[str, Any]] = [("session", top.rounded)] if top else []
    if hypotheses.saved is not None:
        ranked.append(("saved", round(hypotheses.saved, 9)))
    ranked.append(("none", round(hypotheses.none, 9)))
    best, probability = max(ranked, key=lambda one: one[1])
    if best == "session" and top is not None and probability >= enough:
        method = "number_pool"
        return Decision("attributed", method, method, top.probability, session=top.session)
    if best == "saved" and probability >= enough:
        if origin is None:
            reason = "returning_caller_unknown_origin"
            return Decision("unattributed", "none", reason, hypotheses.saved)
        method = "returning_caller"
        return Decision("attributed", method, method, hypotheses.saved, session=origin)
    if top is None:
        return Decision("unattributed", "none", "no_display_in_window", hypotheses.none)
    if best == "none" and probability >= enough:
        return Decision("unattributed", "none", "likely_unrelated", hypotheses.none)
    return Decision("ambiguous", "none", "several_candidates", top.probability)
