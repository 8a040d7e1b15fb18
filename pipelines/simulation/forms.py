"""What visitors do on pages: clicks on the number, forms, and the calls that forms lead to."""

import numpy as np
import polars as pl

from pipelines.simulation.calls import CALLS, Planned, is_open
from pipelines.simulation.draws import HOUR, MINUTE, SECOND, Ints, happens, log_normal
from pipelines.simulation.pages import FORM, Traffic
from pipelines.simulation.parameters import Parameters

ENGAGEMENTS = {
    "visit": pl.Int64,
    "time_ms": pl.Int64,
    "kind": pl.String,
    "name": pl.String,
    "phone": pl.Int64,
    "callback_requested": pl.Boolean,
}


def clicks(rng: np.random.Generator, p: Parameters, traffic: Traffic) -> pl.DataFrame:
    """Clicks on the number that no call follows."""
    pages = traffic.pages
    at = np.flatnonzero(happens(rng, p.idle_click_probability, len(pages)))
    at = at[~traffic.is_machine(pages.visit[at])]
    time_ms = pages.time_ms[at] + log_normal(rng, 10 * SECOND, 0.8, len(at))
    return _engagements(pages.visit[at], time_ms, "click", "phone-number")


def call_clicks(rng: np.random.Generator, traffic: Traffic, planned: Planned) -> pl.DataFrame:
    """Clicks on the number by which calls were made, seconds before the switch sees them."""
    made = planned.filter(planned.is_click)
    before = log_normal(rng, 4 * SECOND, 0.4, len(made.visit))
    time_ms = np.maximum(made.time_ms - before, traffic.pages.time_ms[made.look])
    return _engagements(made.visit, time_ms, "click", "phone-number")


def forms(
    rng: np.random.Generator, p: Parameters, traffic: Traffic, numbers: Ints
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Forms opened and sent as engagements, and the calls and callbacks that they lead to."""
    visitors, visits, pages = traffic
    look = _form_pages(rng, p, traffic)
    visit, size = pages.visit[look], len(look)
    opened_ms = pages.time_ms[look] + log_normal(rng, 8 * SECOND, 0.7, size)
    sent_ms = opened_ms + log_normal(rng, 70 * SECOND, 0.6, size)
    is_sent = happens(rng, p.form_sent_share, size)
    typo = happens(rng, p.form_typo_probability, size)
    phone = visitors.phone[visits.visitor[visit]]
    draw = rng.random(size)
    wants_call = is_sent & (draw < p.form_callback_share)
    opened = _engagements(visit, opened_ms, "action", "form-open")
    sent = _engagements(visit, sent_ms, "action", "contact-form").with_columns(
        pl.Series("phone", np.where(typo, phone + 5_000_000, phone)),
        pl.Series("callback_requested", wants_call),
    )
    does_call = is_sent & (draw > 1 - p.form_call_share) & ~wants_call
    median_ms = p.form_call_median_minutes * MINUTE
    call_ms = sent_ms + np.where(
        wants_call,
        log_normal(rng, 2 * HOUR, 1.0, size, MINUTE),
        log_normal(rng, median_ms, 1.2, size, 10 * SECOND),
    )
    calls = pl.DataFrame(
        {
            "visit": visit,
            "look": look,
            "time_ms": call_ms,
            "reason": np.where(wants_call, "callback", "form"),
            "phone": phone,
            "number": numbers[look],
            "is_withheld": visitors.is_withheld[visits.visitor[visit]] & ~wants_call,
            "is_outbound": wants_call,
        },
        schema=CALLS,
    )
    made = (does_call | wants_call) & is_open(rng, p, call_ms)
    return pl.concat([opened, sent.filter(pl.Series(is_sent))]), calls.filter(pl.Series(made))


def _form_pages(rng: np.random.Generator, p: Parameters, traffic: Traffic) -> Ints:
    """The page on which a visit opens the form: its latest form page, else its last page."""
    _, visits, pages = traffic
    opens = happens(rng, p.form_probability, len(visits))
    opens &= ~traffic.is_machine(np.arange(len(visits)))
    last = pages.firsts(len(visits))[1:] - 1
    is_form = np.flatnonzero(pages.path == FORM)
    last[pages.visit[is_form]] = is_form
    return last[opens]


def _engagements(visit: Ints, time_ms: Ints, kind: str, name: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"visit": visit, "time_ms": time_ms}
        | {"kind": [kind] * len(visit), "name": [name] * len(visit)}
        | {"phone": [None] * len(visit), "callback_requested": [None] * len(visit)},
        schema=ENGAGEMENTS,
    )
