"""What the report calls things: definitions shown on hover, reasons and codes in plain words."""

STATUSES = {
    "attributed": "Attributed",
    "ambiguous": "Ambiguous",
    "unattributed": "Unattributed",
    "excluded": "Excluded",
}
METHODS = {
    "number_pool": "The session that had the number on the screen",
    "returning_caller": "The caller had kept the number from an earlier call",
    "declared": "The switch named the session",
    "form_phone": "The caller's number was entered in a form",
    "callback": "The company called back a number entered in a form",
    "static_number": "The number stands for one source",
}
CALL_STATUSES = {
    "answered": "Answered",
    "missed": "Missed",
    "abandoned": "Caller hung up",
    "busy": "Busy",
    "failed": "Failed",
    "voicemail": "Voicemail",
    None: "Not known",
}
CALLERS = {"first": "First call", "repeat": "Repeat call", "withheld": "Number withheld"}
DEAD_LETTERS = {
    "too_large": "Over 1 MiB",
    "not_json": "Not JSON in UTF-8",
    "not_object": "JSON, but no object",
    "unknown_type": "A type that is not known",
    "missing_field": "A required field is absent",
    "bad_type": "A required field of the wrong type",
    "bad_time": "A time that cannot be read or is not possible",
    "bad_number": "A required phone number that is none",
    "end_before_start": "A call that ends before it starts",
    "too_late": "Came after the call's row had become final",
}
NOT_KNOWN = "not known from a backfill"
NO_SOURCE = "not known, or excluded"
# Title and definition by key; the page shows a definition where the key is named.
TERMS = {
    "calls": (
        "Calls",
        "Every call once, as its row now stands (view conversions_latest), by the UTC day on which "
        "it began. Calls by the company (outbound) are among them.",
    ),
    "attributed": (
        "Attributed",
        "One source was decided: by the number on the visitor's screen, a form, a kept number, the "
        "switch, or a number that stands for one source.",
    ),
    "ambiguous": (
        "Ambiguous",
        "Visitors had the number on the screen, but no explanation is likely enough "
        "(min_probability) to choose one. None is chosen.",
    ),
    "unattributed": (
        "Unattributed",
        "No session explains the call: nobody saw the number, or somebody who was not on the site "
        "is the likeliest caller.",
    ),
    "several_candidates": (
        "Several visitors may have called",
        "Visitors had the number on the screen before the call, but none of them is likely enough.",
    ),
    "no_display_in_window": (
        "Nobody had the number on the screen",
        "No page with the number was seen in the minutes before the call (match_window_minutes).",
    ),
    "likely_unrelated": (
        "Most likely nobody on the site",
        "Pages had shown the number, but so long before that a misdialled call, or one to a "
        "printed number, is likelier.",
    ),
    "returning_caller_unknown_origin": (
        "Number kept from an unknown visit",
        "The caller had called this number before, and most likely kept it; but no visit is known "
        "for those earlier calls.",
    ),
    "outbound": (
        "Outbound, without a form before",
        "The company called a number that nobody had entered in a form on the site.",
    ),
    "excluded": ("Excluded", "Calls of own staff and tests, named in excluded_callers."),
    "expected": (
        "Expected",
        "Calls by probability instead of by decision: each session that may have made a call "
        "counts with its probability. Where sources share numbers it is the fairer count. What no "
        "session explains belongs to no source, so it adds up to fewer than all calls.",
    ),
    "doubt": (
        "Decisions expected to be wrong",
        "The sum of 1 - probability over attributed calls. It holds as far as the configured "
        "delays and rates fit this site.",
    ),
    "qualified": (
        "Qualified",
        "Inbound, answered, not excluded and long enough (qualified_seconds, by default 30). Where "
        "the switch sends no answer time it is not known, and not counted.",
    ),
    "first": (
        "First call",
        "A call with no earlier inbound call of the same caller to the account within "
        "lookback_days (by default 30). Of outbound calls the customer called is the caller.",
    ),
    "repeat": ("Repeat call", "A call of a caller who had called the account before."),
    "withheld": (
        "Number withheld",
        "The caller's number was not sent, so whether it was a first call is not known.",
    ),
    "missed": (
        "Missed calls",
        "Inbound calls that nobody took: missed, hung up by the caller, busy, failed or voicemail. "
        "The share is of inbound calls whose ending is known.",
    ),
    "delay": (
        "Time from page to call",
        "From the last time the chosen session showed the number to the call. Only calls decided "
        "by the number on the screen.",
    ),
    "certainty": (
        "Probability of the decision",
        "How likely the chosen explanation is among all explanations of the call. Numbers that "
        "stand for one source, and sessions named by the switch, count as 100%; forms as set by "
        "identity_probability.",
    ),
    "load": (
        "Visitors per number",
        "Visitors who were shown a number within a clock hour, on average over the numbers on "
        "display, robots included. A visitor counts from the first to the last display.",
    ),
    "shared": (
        "Shared displays",
        "The share of visitors whose number another visitor was shown within the same clock hour. "
        "A call to such a number has several possible callers.",
    ),
    "number": (
        "Tracking number",
        "A phone number shown on the site, or printed. The company's own, not a caller's.",
    ),
    "displays": ("Displays", "Pageviews that showed the number, robots' included."),
    "sessions": (
        "Sessions",
        "Visits, without those of robots: events of one browser with no more than the configured "
        "silence between them.",
    ),
    "pool_sessions": ("Sessions of a number", "Visits that showed the number, robots' included."),
    "from_session": (
        "Attributed to a visit",
        "Calls attributed to a session that is known. A number that stands for one source has "
        "neither page nor device.",
    ),
    "rate": (
        "Calls per 1,000 sessions",
        "Attributed calls by sessions of the report's days. A call may follow days after a visit.",
    ),
    "source": (
        "Source / medium",
        "Where the visit began: utm_source and utm_medium, else the ad network, search engine, "
        "social network, AI assistant or site that it came from. (no source) are calls that are "
        "ambiguous, unattributed or excluded, and attributed ones of whose session no page is "
        "known.",
    ),
    "campaign": ("Campaign", "utm_campaign, as written."),
    "keyword": (
        "Keyword",
        "utm_term, else what the search engine sent; (not provided) where it hides it.",
    ),
    "landing": ("Landing page", "The first page of the visit, without the query."),
    "open": (
        "Not final yet",
        "Late events may still change these calls' rows (allowed_lateness_hours after the call).",
    ),
    "revised": (
        "Changed by late events",
        "Calls whose row was written again because events came after it had been written. Only a "
        "stream shows them: a backfill writes each call once, with all events that it finds.",
    ),
    "dead_letters": (
        "Dead letters",
        "Events that could not be used. They are kept, encrypted, with the reason; nothing stops.",
    ),
    "too_late": (
        "Too late",
        "Events that came after all they could have changed was final (dead letters too_late). "
        "A backfill can still use them, and finds none too late.",
    ),
    "bots": (
        "Robots",
        "Sessions of crawlers and monitors by their user agent. They are never candidates for a "
        "call, but they do hold tracking numbers.",
    ),
    "rule_set": (
        "Rule set",
        "Version and hash of the lists of search engines, networks and channels behind the rows.",
    ),
}
