"""docs/simulate.md: the parameters and profiles as they are, in a table."""

import msgspec

from pipelines.simulation.parameters import DESCRIPTIONS, SOURCES, Parameters
from pipelines.simulation.profiles import PROFILES

HEAD = """\
<!-- Written by make accuracy from pipelines/simulation: change the definitions there. -->
# Simulated sites

`attribeam simulate --days 14 --seed 1 --output simulated` simulates sites with a pool of tracking
numbers, event by event, and writes what the project reads (`pageviews.jsonl`, `engagements.jsonl`,
`calls.jsonl`, `attribeam.toml`) and what it does not know: `truth.csv`.

- **Seed**: days, seed, profile and parameters decide every byte; the clock does not (day one is
  2025-01-06, a Monday).
- **Profiles**: {profiles}. Without `--profile` each is an account of its name.
- **Parameters**: `--set pool_numbers=4`, as often as wanted; a list is written
  `--set 'delay_shares=[1,0,0,0]'`. An unknown name or a value out of bounds is an error.
- **Speed**: everything but the lending of numbers is done by column. A million page views take
  well under a minute, most of it writing.

## What happens on a site

Visitors come by hour and weekday, in bursts where there is a campaign, return, and look at pages
on a path that leads some to the contact page and the form. The pool lends a visit the number that
is free longest, holds it for a while after each page, gives who returns the same one, and shares
or overflows when it is empty; robots hold numbers too. A visit leads to a call by what the visitor
wants, by source and by having seen the contact page: while browsing (log-normal), soon after
(Weibull), later, after comparing (log-normal), or days later from the saved number. Most stop
browsing then; some click on the number instead of dialling. Calls are missed, tried again, called
back, repeated. Families share phones, callers withhold numbers, forms hold a wrong digit. Nobody
on the site misdials, reads an old print, remembers: at hours and on weekdays of their own
(`stranger_hour_weights`), in the morning and on Mondays rather than when the site is full. On the
way page views are lost, trackers blocked, consent refused, events doubled and late, and the
switch's clock is not the site's.

None of this uses code of `transforms/` (a test walks the imports). No delay is exponential, no
call probability alike for all, and calls by nobody on the site do not follow its traffic. What it
has in common with the model all the same: visitors decide independently of each other, and how
soon they call does not depend on which number they see.

## truth.csv

`account`, `call_id`, `visitor_id`, `session_id`, `session_start` (epoch ms), `reason`. The session
is the one whose page the caller looked at: the tracker's id, or the id that follows from visitor
and start. `reason`:

| reason | session | the call |
|---|---|---|
| `browsing` `after_visit` `later` | the visit's | made while browsing, soon after, or later |
| `saved_number` | the visit it was saved from | a first call, days later |
| `retry` `repeat` | the first call's | tried again when missed; made again, the number kept |
| `form` `callback` | the form's | made, or received (outbound), after sending the form |
| `missed_callback` | the missed call's | the company calls back (outbound) |
| `not_tracked` | none | from a page, by a visitor of whom nothing usable had arrived by then |
| `misdial` `printed_number` `remembered_number` | none | by nobody on the site |

The other reasons stay where nothing of the visit had arrived, with an empty session: a caller who
kept the number kept it, tracked or not. `attribeam evaluate` takes from the reason one thing: with
`retry`, `repeat`, `saved_number`, `printed_number` and `remembered_number` the caller had kept the
number. With any other word, in a truth of your own too, only the session explains the call, and
where it is no candidate, nobody.

### A truth of your own

CSV with a first line of names, or Parquet (`.parquet`). Each call stands there once; other columns
are ignored, and calls that it does not name are left out. So are outbound and excluded calls, and
those of static numbers, which have a source and no session.

| column | |
|---|---|
| `account` `call_id` | as in the events |
| `visitor_id` `session_id` | the session that made the call, by the table `sessions`; empty: none |
| `reason` | a word of the table above, any other, or empty |

### From a simulation to fitted parameters

With a secret key in `ATTRIBEAM_KEY` ([privacy](../README.md#privacy)). Simulated days are of
2025, which `--keep-expired` keeps; calibrate and the rules of others need `--detail`.

```sh
attribeam simulate --days 30 --seed 1 --profile insurance --output simulated
EVENTS="--pageviews simulated/pageviews.jsonl --engagements simulated/engagements.jsonl
    --calls simulated/calls.jsonl --detail --keep-expired"
attribeam backfill $EVENTS --config simulated/attribeam.toml --output before
attribeam evaluate --output before --truth simulated/truth.csv
attribeam calibrate --output before --config simulated/attribeam.toml --write fitted.toml
attribeam backfill $EVENTS --config fitted.toml --output after
attribeam evaluate --output after --truth simulated/truth.csv
```

The second backfill writes into a new folder, so that both can be compared: fewer calls are
attributed, and far fewer of them wrong.

## Parameters

Lists by source are in this order: {sources}. The default stands for a profile where nothing else
does.

"""


def describe() -> str:
    """The whole page."""
    names = ", ".join(f"`{name}`" for name in PROFILES)
    titles = ["parameter", "meaning", "default", *PROFILES]
    head = HEAD.format(profiles=names, sources="; ".join(SOURCES))
    rows = [f"| {' | '.join(titles)} |", "|---|---|" + "---:|" * (len(titles) - 2)]
    defaults = Parameters()
    for name, text in DESCRIPTIONS.items():
        own = [_shown(values[name]) if name in values else "" for values in PROFILES.values()]
        rows.append(
            f"| `{name}` | {text} | {_shown(getattr(defaults, name))} | {' | '.join(own)} |"
        )
    return head + "\n".join(rows) + "\n"


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode().replace(".0,", ",").removesuffix(".0").strip('"')
