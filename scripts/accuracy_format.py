"""How docs/accuracy.md writes tables and figures."""

from collections.abc import Iterator, Sequence

from pipelines.evaluation.bootstrap import Mean

Rows = Sequence[Sequence[str]]


def table(titles: Sequence[str], rows: Rows) -> Iterator[str]:
    """A table in Markdown, the first column to the left."""
    yield f"| {' | '.join(titles)} |"
    yield "|---|" + "---:|" * (len(titles) - 1)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def mean(value: Mean | None) -> str:
    """A mean with its interval."""
    return "" if value is None else f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"


def percent(value: Mean | None) -> str:
    """A mean share with its interval."""
    if value is None:
        return ""
    # Adding zero to a rounded figure leaves no "-0%".
    shares = [f"{round(share, 2) + 0.0:.0%}" for share in value]
    return f"{shares[0]} ({shares[1]} to {shares[2]})"


def bounds(value: Sequence[float]) -> str:
    """A value with its bounds."""
    return f"{value[0]:.3g} ({value[1]:.3g} to {value[2]:.3g})"


def share(value: float | None) -> str:
    """A share in percent."""
    return "" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """A figure of three decimals."""
    return "" if value is None else f"{value:.3f}"


def count(value: int) -> str:
    """A whole number."""
    return f"{value:,}"
