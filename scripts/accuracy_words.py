"""What docs/accuracy.md says around its figures."""

HEAD = """\
<!-- Written by make accuracy from runs: never by hand. -->
# Accuracy

How often is the attribution right? On simulated sites the truth is known.
[simulate.md](simulate.md) tells what they are like: people who behave in ways that the model does
not know, delays that are not exponential, faults of every kind. **They are not your site**: read
differences between rules, and what goes wrong, rather than levels.

- **Fitting**: every profile, {fit_days} days; `attribeam calibrate` saw events, no truth.
- **Measuring**: every profile, {days} days, none used in fitting: {calls} inbound calls. Seeds of a
  fit with the seeds measured with it: {pairs}.
- The method was chosen on fits to seeds 1 to 5, measured on seeds 11 to 15 and 31 to 35; 21 to 25
  were seen with an earlier method. The seeds measured here were not looked at before.
- Each run is the real `attribeam backfill`. Intervals are 95%, by drawing again (2,000 times) fits,
  and of each fit its seeds. So few fits make them coarse, and rather too narrow.
- **Weighed calls** are those for which probabilities decide; the others were told by a form.

On your own data, with a truth of your own (a file of calls and sessions): `attribeam evaluate
--output warehouse --truth truth.csv`, with intervals where there are several of each. Without:
`attribeam calibrate`.
"""

TARGETS = """\
The target is held against the weighed calls of all seeds together. A few hundred calls look
miscalibrated by chance alone: the column says how much perfect probabilities would show on
average for all seeds together. One seed at a time, as one account of two weeks would see it, more
of that chance is in the figure, and errors of one fit do not cancel with those of another; the
choice to pool was made after both had been seen. One figure for all calls also hides errors of
explanations that cancel: below they are looked at
[by the explanation that leads](#by-the-explanation-that-leads) and
[of attributed rows](#of-attributed-rows).
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
by probability, for the rules by the shortest time since the display. Robots that say so are left
out for all.

Of **all calls** attribeam's surest are mostly those told by forms, at 0.99, which rules about
displays do not know: much of what is won there, forms win. Of **weighed calls**, all that a form
told left out for both, probabilities are compared with rules.
"""

LEADING = """\
Of weighed calls, by the explanation that is likeliest: that the number was **shown** in a session,
that the caller **kept** it, or **nobody** listed. What is true follows from the reason in the
truth: who tries again, repeats or calls from a saved, printed or remembered number had kept it,
and where the number had been shown by a candidate, that is true also.
"""

ROWS = """\
Whoever reads a row takes its `probability` for that of its session being right. So here it is held
against just that, by method. Of `returning_caller` the probability is that the number was kept; the
session is that of an earlier call, whose own uncertainty is not in it.
"""

REASONS = """\
All profiles and seeds together. Reasons are told in [simulate.md](simulate.md#truthcsv).
"""

EVIDENCE = """\
The model knows when a session last had the number on the screen, and no more. What else the
events hold, and how many of the wrong calls it would remove, fitted parameters, weighed calls,
where as many are attributed as now: a candidate's probability is multiplied by how much oftener
than expected such candidates were true **in the seed of the fit, with its truth**, and measured on
the seeds of that fit. What is expected was first brought to how often candidates are true in all,
so that setting probabilities right is not taken for evidence. A negative figure means that it made
more wrong. What comes after a call may be known only minutes later: *still browsing* would change
a row once.
"""

FITTED = """\
Defaults: call_probability 0.02, delay_means 180 s and 1800 s with weights 0.8 and 0.2,
background_calls_per_day 0.1, saved_number_calls_per_day 0.03, known_caller_factor 0.001. In
brackets the bounds that `attribeam calibrate` gives, 5% to 95% of fits to days drawn again; how far
the seeds of a profile lie apart says whether to believe them. [method.md](method.md) tells how it
fits.

The fit asks **which number was called** when a call came (Cox's partial likelihood), so it needs no
assumption on when people call, but one on who: that nobody hidden, not tracked or no candidate any
more, holds some numbers rather than others. For these it has terms of its own, a background by the
age of a number's freshest contact. Means are fixed, shares fitted, with a prior.

`attribeam calibrate` refuses an account whose data cannot support a fit, and says why. A value that
is true of simulated sites says nothing about yours: fit your own.
"""

LOSSES = """\
What got worse, or missed its target, as far as the figures above show it:
"""

CLOSING = """\
What no figure here shows:

- Simulated truth is only as good as the simulation. No real site's truth was available.
- Fitting costs coverage: with lower probabilities fewer calls reach `min_probability`. At equal
  coverage the order of calls hardly changes; what changes is what probabilities say, over all
  explanations together. By each of them 0.8 need not mean 0.8: see the tables.
- The model's background is one number for day and night and for all numbers of a pool; sites are
  not so. An overflow number that everybody sees in a peak is the worst of it.
- A form's 0.99 (`identity_probability`) is set, not fitted. Families who share a phone, and
  people who fill in a form in one visit and call from another, make it wrong more often than
  that.
- Of a returning caller the probability is that the number was kept; that the earlier call was
  attributed rightly is not part of it.
- Who tries again within the window is attributed to the session of the earlier call, since the
  known caller's other explanations all but vanish and that session leads. That it was the right
  one is taken for granted: the earlier call's own uncertainty is not in the formula.

`make accuracy` writes this page again from the seeds.
"""
