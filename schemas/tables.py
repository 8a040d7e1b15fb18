"""The output tables, defined once (SPEC section 10)."""

from schemas.columns import Column, Table, day, integer, moment, number, pairs, text, truth

ACCOUNT = text("account", "The data controller whose data this is.", "REQUIRED")
EMITTED_AT = moment("emitted_at", "When this row was written.", "REQUIRED")
REVISION = integer(
    "revision", "1 for the first row of this id, one more for each later row.", "REQUIRED"
)
IS_DELETED = truth("is_deleted", "True where late events merged this session away.", "REQUIRED")
VISITOR_ID = text("visitor_id", "The tracker's id of the browser.")
SESSION_ID = text(
    "session_id",
    "The session: given by the tracker, else visitor id and start in epoch milliseconds.",
)
SESSION_START = moment("session_start", "The earliest event of the session.")

SOURCE_COLUMNS = (
    text(
        "source",
        "Where the visit came from: utm_source, ad network, engine, network or referring domain.",
    ),
    text("medium", "How it came: cpc, organic, social, referral, (none) …"),
    text("campaign", "utm_campaign as written."),
)
CHANNEL = text("channel", "GA4 default channel group.")

SESSION_COLUMNS = (
    text("entry_page", "Page name of the entry, else its title."),
    text("landing_url", "URL of the entry without user info, fragment and private parameters."),
    text("referrer", "Referrer of the entry, cleaned like the landing URL; null without a host."),
    *SOURCE_COLUMNS,
    text(
        "keyword",
        "utm_term as written, else what the search engine sent, (not provided) where it hides it.",
    ),
    text("content", "utm_content as written."),
    CHANNEL,
    text(
        "source_rule",
        "What gave the source: utm, click_id, search, social, ai, referral, direct, static_number.",
    ),
    pairs("click_ids", "All click ids found in the landing URL."),
    truth(
        "is_bot",
        "True for a robot's user agent; false without a user agent; null without a session.",
    ),
    text("device_type", "mobile, tablet, desktop, bot or other."),
    text("device", "Device family."),
    text("os", "Operating system family."),
    text("os_version", "Operating system version."),
    text("browser", "Browser family."),
    text("browser_version", "Browser version."),
    text("ip_prefix", "Network of the visitor's address: /24 for IPv4, /48 for IPv6."),
    text("consent", "Purposes the visitor agreed to, as sent with the entry.", "REPEATED"),
    pairs("variants", "A/B tests: experiment and variant shown at the entry."),
    pairs("third_party_ids", "Ids of other systems, as sent with the entry."),
)
RULE_SET = text("rule_set", "Version and short hash of all rule data that made this row.")

CANDIDATES = Column(
    "candidates",
    "RECORD",
    "Sessions that may have made the call, likeliest first, at most 10.",
    "REPEATED",
    (
        SESSION_ID,
        VISITOR_ID,
        number("probability", "Probability of this session (the published model)."),
        moment(
            "first_display", "First time this session showed the number, at or before the call."
        ),
        moment("last_display", "Last time this session showed the number, at or before the call."),
        integer("displays", "How often this session showed the number, at or before the call."),
        *SOURCE_COLUMNS,
        CHANNEL,
    ),
)
TOUCHPOINTS = Column(
    "touchpoints",
    "RECORD",
    "The visitor's sessions of the lookback window, the attributed one last, at most 20.",
    "REPEATED",
    (SESSION_ID, SESSION_START, *SOURCE_COLUMNS, CHANNEL),
)

CALL_COLUMNS = (
    moment("call_start", "The caller dialled.", "REQUIRED"),
    moment("call_ring", "The destination started ringing."),
    moment("call_answer", "The call was picked up."),
    moment("call_end", "The call ended."),
    text("direction", "inbound or outbound.", "REQUIRED"),
    text(
        "call_status", "answered, missed, abandoned, busy, failed or voicemail; null where unknown."
    ),
    number("ring_seconds", "From ringing to answer, else to the end."),
    number("talk_seconds", "From answer to end."),
    number("duration_seconds", "From start to end."),
    truth("is_qualified", "Answered, inbound, not excluded and long enough; null where not known."),
    text("outcome_category", "Outcome by voice automation: category."),
    text("outcome_tags", "Outcome by voice automation: tags.", "REPEATED"),
    number("outcome_value", "Outcome by voice automation: value."),
    text("outcome_currency", "Currency of the outcome's value."),
    number("mos", "Mean opinion score of the line's quality."),
    text("caller_key", "Keyed hash of the caller's number; null for a withheld caller."),
    text("caller_masked", "The caller's country code and last two digits."),
    text("caller_country", "The caller's country (ISO 3166)."),
    text(
        "tracking_number", "The number that was dialled (outbound: that the company called from)."
    ),
    text("destination_number", "The number the call was forwarded to."),
    integer(
        "earlier_calls",
        "The caller's earlier inbound calls to the account within the lookback window.",
    ),
    truth("is_first_call", "True where there was no earlier call; null for a withheld caller."),
)
DECISION_COLUMNS = (
    text("status", "attributed, ambiguous, unattributed or excluded.", "REQUIRED"),
    text(
        "method",
        "number_pool, returning_caller, declared, form_phone, callback, static_number or none.",
        "REQUIRED",
    ),
    text("reason", "Why: the rule that decided.", "REQUIRED"),
    number("probability", "Probability of what was decided; null where no probability applies."),
    number("none_probability", "Probability that nobody on the site called."),
    number(
        "saved_probability",
        "Probability that the caller had kept the number; null where it was not called before.",
    ),
)

CONVERSIONS = Table(
    "conversions",
    "One row per call and revision: the call, the decision, the session it came from.",
    "call_date",
    ("source", "status", "tracking_number"),
    (
        ACCOUNT,
        text(
            "conversion_id",
            "First 32 hex digits of SHA-256 over account, a zero byte and call_id.",
            "REQUIRED",
        ),
        text("call_id", "The switch's id of the call.", "REQUIRED"),
        REVISION,
        truth("is_superseded", "True where the call has moved to another day since.", "REQUIRED"),
        moment("final_at", "After this moment the row does not change.", "REQUIRED"),
        EMITTED_AT,
        day("call_date", "The UTC day of the call's start."),
        *CALL_COLUMNS,
        *DECISION_COLUMNS,
        SESSION_ID,
        VISITOR_ID,
        SESSION_START,
        *SESSION_COLUMNS,
        CANDIDATES,
        TOUCHPOINTS,
        RULE_SET,
    ),
)

SESSIONS = Table(
    "sessions",
    "One row per session and revision: what the visitor did and where the visit came from.",
    "session_date",
    ("source", "visitor_id"),
    (
        ACCOUNT,
        SESSION_ID,
        VISITOR_ID,
        SESSION_START,
        moment("session_end", "The latest event of the session."),
        day("session_date", "The UTC day of the session's start."),
        integer("pageviews", "Pageviews of the session."),
        integer("engagements", "Engagements of the session."),
        integer("actions", "Engagements of kind action."),
        integer("clicks", "Engagements of kind click."),
        *SESSION_COLUMNS,
        text(
            "contact_keys",
            "Keyed hashes of the phones and addresses entered in the session.",
            "REPEATED",
        ),
        RULE_SET,
        REVISION,
        EMITTED_AT,
        IS_DELETED,
    ),
)

DISPLAYS = Table(
    "displays",
    "One row per session, tracking number and UTC day: when the number was shown.",
    "display_date",
    ("tracking_number",),
    (
        ACCOUNT,
        text("tracking_number", "The number shown.", "REQUIRED"),
        SESSION_ID,
        VISITOR_ID,
        SESSION_START,
        moment("first_display", "First display of that day."),
        moment("last_display", "Last display of that day."),
        integer("displays", "Displays of that day."),
        day("display_date", "The UTC day of the displays."),
        REVISION,
        EMITTED_AT,
        IS_DELETED,
    ),
)

PAGEVIEWS = Table(
    "pageviews",
    "What the tracker sent, protected (written with --detail).",
    "pageview_date",
    ("visitor_id",),
    (
        ACCOUNT,
        VISITOR_ID,
        SESSION_ID,
        text("event_id", "The tracker's id of the event."),
        moment("time", "When the page was viewed."),
        day("pageview_date", "The UTC day of the pageview."),
        text("url", "URL of the page, cleaned."),
        text("referrer", "Referrer, cleaned."),
        text("title", "Title of the page."),
        text("page_name", "Adobe Analytics page name."),
        text("user_agent", "User agent as sent."),
        text("ip_prefix", "Network of the visitor's address."),
        text("tracking_numbers", "Numbers shown on the page.", "REPEATED"),
        text("consent", "Purposes agreed to.", "REPEATED"),
        pairs("variants", "A/B tests."),
        pairs("third_party_ids", "Ids of other systems."),
        EMITTED_AT,
    ),
)

ENGAGEMENTS = Table(
    "engagements",
    "What the visitor did on pages, protected (written with --detail).",
    "engagement_date",
    ("visitor_id",),
    (
        ACCOUNT,
        VISITOR_ID,
        SESSION_ID,
        text("event_id", "The tracker's id of the event."),
        moment("time", "When it happened."),
        day("engagement_date", "The UTC day of the engagement."),
        text("kind", "click, close or action."),
        text("name", "Which element or form."),
        text("phone_key", "Keyed hash of the phone number entered."),
        text("phone_masked", "Country code and last two digits of the phone number entered."),
        text("email_key", "Keyed hash of the e-mail address entered."),
        truth("callback_requested", "The visitor asked to be called."),
        text("consent", "Purposes agreed to.", "REPEATED"),
        EMITTED_AT,
    ),
)

DEAD_LETTERS = Table(
    "dead_letters",
    "Events that could not be used, one row each time one came.",
    "received_date",
    ("code",),
    (
        text("account", "The account, where it could be read."),
        text(
            "dead_letter_id",
            "Deterministic: the same line of the same file gives the same id.",
            "REQUIRED",
        ),
        day("received_date", "The UTC day of arrival."),
        moment("received_at", "When it arrived.", "REQUIRED"),
        text("code", "Why it could not be used.", "REQUIRED"),
        text("field", "The field at fault, where one is."),
        text("event_type", "Type of the event, where known."),
        moment("event_time", "Time of the event, where known."),
        text("origin", "Where it came from: a file, or a subscription.", "REQUIRED"),
        integer("line", "The line (row) of the file, counted from 1."),
        text("message_id", "The message, where it came from Pub/Sub."),
        Column("payload", "BYTES", "What was sent, encrypted under the account data's key."),
    ),
)

TABLES = {
    table.name: table
    for table in (CONVERSIONS, SESSIONS, DISPLAYS, PAGEVIEWS, ENGAGEMENTS, DEAD_LETTERS)
}
