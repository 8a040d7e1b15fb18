"""What docs/accuracy.md says around its figures."""

HEAD = """\
<!-- Written by make accuracy from runs: never by hand. -->
# Accuracy

How often is the attribution right? On simulated sites the truth is known.
[simulate.md](simulate.md) tells what they are like: people who behave in ways that the model does
not know, delays that are not exponential, faults of every kind. **They are not your site**: read
differences between rules, and what goes wrong, rather than levels.

- **Fitting**: every profile, {fit_days} days, seed {fit_seed}; `attribeam calibrate` saw events,
  no truth.
- **Measuring**: every profile, {days} days, seeds {seeds}, none used in fitting: {calls} inbound
  calls. The method was chosen on seeds 1, 2 and 11 to 15, before these were looked at.
- Each run is the real `attribeam backfill`. Intervals are 95%, by drawing the seeds again (2,000
  times); few seeds make them coarse.
- **Weighed calls** are those for which probabilities decide; the others were told by a form.

On your own data, with a truth of your own (a file of calls and sessions): `attribeam evaluate
--output warehouse --truth truth.csv`. Without: `attribeam calibrate`.
"""

TARGETS = """\
The target is held against the weighed calls of all seeds together. A few hundred calls look
miscalibrated by chance alone: the column says how much perfect probabilities would show on
average for all seeds together. One seed at a time, as one account of two weeks would see it, more
of that chance is in the figure; the choice to pool was made after both had been seen.
"""

METRICS_HELP = """\
Of all inbound calls: **right** and **wrong** (attributed to a session that did not make the
call), **missed** (unattributed, though a session made it), **abstained** (ambiguous), **rightly
none**. Precision = right / attributed; recall = right / calls that a session made, also those
from numbers saved days ago and after the window. Log loss and Brier score are over all
explanations of a call (sessions, kept number, nobody); of calls told by a form, over the form's
session and not. Calibration error: of the likeliest explanation, ten bins (Guo et al. 2017).
"""

RULES = """\
Every rule attributes as many calls as it can; then it and attribeam are compared where **both
attribute the same number of calls**, as many as the one that attributes fewer, each its surest:
by probability, for the rules by the shortest time since the display. attribeam's include those
told by forms, which rules about displays do not know. Robots that say so are left out for all.
"""

REASONS = """\
All profiles and seeds together. Reasons are told in [simulate.md](simulate.md#truthcsv).
"""

EVIDENCE = """\
The model knows when a session last had the number on the screen, and no more. What else the
events hold, and how many of the wrong calls it would remove, fitted parameters, weighed calls,
where as many are attributed as now: a candidate's probability is multiplied by how much oftener
than expected such candidates were true **in the fitting seed, with its truth**, and measured on
the other seeds. A negative figure means that it made more wrong. What comes after a call may be
known only minutes later: *still browsing* would change a row once.
"""

FITTED = """\
From the fitting seed; defaults: call_probability 0.02, delay_means 180 s and 1800 s with weights
0.8 and 0.2, background_calls_per_day 0.1, saved_number_calls_per_day 0.03, known_caller_factor
0.001. Bounds: the least and the greatest of 12 fits to days drawn again; of the last two, of a
Poisson count.

The fit asks **which number was called** when a call came (Cox's partial likelihood), so it needs
no assumption on when people call; it looks back four hours. Contacts older than the window are no
candidates, so their calls go to the background, which therefore stands for everybody that no
listed session explains: not tracked, too late, saved, printed, misdialled.

`attribeam calibrate` refuses an account with fewer than 100 calls with candidates, 7 days or 2
numbers, and where on held-out days (every fifth) the configured parameters say better which
number was called. A pool gets a background of its own from 100 calls with candidates. A value
that is true of simulated sites says nothing about yours: fit your own.
"""

LOSSES = """\
What got worse, or missed its target, as far as the figures above show it:
"""

CLOSING = """\
What no figure here shows:

- Simulated truth is only as good as the simulation. No real site's truth was available.
- Fitting costs coverage: with honest probabilities fewer calls reach `min_probability`. At equal
  coverage the order of calls hardly changes; what changes is that 0.8 means 0.8.
- The model's background is one number for day and night and for all numbers of a pool; sites are
  not so.
- A form's 0.99 (`identity_probability`) is set, not fitted. Families who share a phone, and
  people who fill in a form in one visit and call from another, make it wrong more often than
  that.
- Of a returning caller the probability is that the number was kept; that the earlier call was
  attributed rightly is not part of it.

`make accuracy` writes this page again from the seeds.
"""
