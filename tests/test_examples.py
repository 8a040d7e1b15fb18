"""The example events: made by a script, the same every time, never in the future, all of life."""

import csv
import gzip
import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import phonenumbers
import pytest

from pipelines.evaluation.reading import read_truth
from schemas.config import load_config

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_examples.py"
KINDS = ("pageviews", "engagements", "calls")
YESTERDAY = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
WITHHELD = {"anonymous", "Restricted", "266696687"}


def make(folder: Path, *more: str) -> Path:
    """Run the script as a reader would."""
    subprocess.run([sys.executable, str(SCRIPT), "--output", str(folder), *more], check=True)
    return folder


def lines(folder: Path, kind: str) -> list[str]:
    """The lines of one kind, as sent."""
    plain = folder / f"{kind}.jsonl"
    packed = folder / f"{kind}.jsonl.gz"
    content = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    return content.decode().splitlines()


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The lines that are events with a time and a visitor or call."""
    found = []
    for line in lines(folder, kind):
        try:
            event = json.loads(line)
            moment(event["start" if kind == "calls" else "time"])
            event["call_id" if kind == "calls" else "visitor_id"]
        except (ValueError, TypeError, KeyError):
            continue
        found.append(event)
    return found


def moment(value: str | float) -> datetime:
    """A time as the sites write it."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return datetime.fromtimestamp(value / 1000, UTC)


def truth(folder: Path) -> dict[str, dict[str, str]]:
    """The truth by call."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return {row["call_id"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five whole days that ended yesterday."""
    return make(tmp_path_factory.mktemp("week"), "--end", YESTERDAY)


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five days up to this moment."""
    return make(tmp_path_factory.mktemp("today"))


def test_same_seed_same_files(week: Path, tmp_path: Path) -> None:
    """One seed and one last day make the same bytes, another seed makes others."""
    again = make(tmp_path / "again", "--end", YESTERDAY)
    other = make(tmp_path / "other", "--end", YESTERDAY, "--seed", "2")
    names = sorted(path.name for path in week.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert all((week / name).read_bytes() == (again / name).read_bytes() for name in names)
    assert (week / "calls.jsonl").read_bytes() != (other / "calls.jsonl").read_bytes()


def test_nothing_in_the_future(today: Path) -> None:
    """No time of an event is later than the end of the run, and there are events of some days."""
    now = datetime.now(UTC)
    for kind in KINDS:
        columns = ("start", "ring", "answer", "end") if kind == "calls" else ("time",)
        times = [moment(e[c]) for e in events(today, kind) for c in columns if c in e]
        assert max(times) <= now
        assert min(times) >= now - timedelta(days=6) or kind == "calls"


def test_every_call_has_its_truth(week: Path, today: Path) -> None:
    """Each usable call stands in the truth once and the truth names no other calls."""
    for folder in (week, today):
        calls = {call["call_id"] for call in events(folder, "calls")}
        unusable = {call_id for call_id in calls if call_id.startswith("cut-")}
        assert calls - unusable == set(truth(folder))


def test_truth_names_visits_that_took_place(week: Path) -> None:
    """The visit that made a call began with a pageview, before the call, and showed its number;
    its id is the tracker's or follows from visitor and start."""
    began: dict[tuple[str, str], dict[str, Any]] = {}
    for view in events(week, "pageviews"):
        start_ms = round(moment(view["time"]).timestamp() * 1000)
        derived = f"{view['visitor_id']}-{start_ms}"
        began.setdefault((view["visitor_id"], view.get("session_id", derived)), view)
    rows = truth(week)
    for call in events(week, "calls"):
        row = rows.get(call["call_id"], {})
        if not row.get("visitor_id"):
            continue
        view = began[row["visitor_id"], row["session_id"]]
        assert moment(view["time"]) < moment(call["start"])
        assert "analytics" in view.get("consent", ["analytics"])
        if row["reason"] != "callback":
            assert call["b_number"] in view["tracking_numbers"]


def test_size(week: Path) -> None:
    """The examples are big enough to be interesting and small enough to be read."""
    assert 6_000 <= len(lines(week, "pageviews")) <= 10_000
    assert 250 <= len(lines(week, "calls")) <= 420
    assert {call["account"] for call in events(week, "calls")} == {
        "allvers",
        "nordmobil",
        "tandhavn",
    }


def test_all_situations_occur(week: Path) -> None:
    """Every kind of situation that attribution must tell apart is there, by the simulator's words
    but for the company's own calls."""
    reasons = {row["reason"] for row in truth(week).values()}
    assert reasons == {
        "browsing",
        "callback",
        "excluded_caller",
        "form",
        "misdial",
        "not_tracked",
        "printed_number",
        "repeat",
        "retry",
        "saved_number",
    }


def test_the_truth_is_one_that_evaluate_reads(week: Path) -> None:
    """Every call of the file is read, with the session that made it where there is one."""
    read = read_truth(week / "truth.csv")
    assert read.height == len(truth(week))
    assert 0 < read["session_id"].null_count() < read.height / 2


def test_all_kinds_of_call_occur(week: Path) -> None:
    """Calls are answered and not, withheld, outbound, corrected, doubled, judged and measured."""
    calls = events(week, "calls")
    statuses = {call.get("status") for call in calls}
    assert {"answered", "missed", "abandoned", "busy", "voicemail", None} <= statuses
    assert any(call.get("a_number") in WITHHELD for call in calls)
    assert any("a_number" not in call for call in calls)
    assert any(call.get("direction") == "outbound" for call in calls)
    assert any(call.get("sequence") == 1 for call in calls)
    assert any("session_id" in call for call in calls)
    assert any("outcome" in call for call in calls)
    assert any("quality" in call for call in calls)
    assert max(Counter(lines(week, "calls")).values()) > 1


def test_all_kinds_of_visit_occur(week: Path) -> None:
    """Visitors come by all ways and devices, come back, consent or not; crawlers hold numbers."""
    views = events(week, "pageviews")
    urls = " ".join(view["url"] for view in views)
    referrers = " ".join(view.get("referrer", "") for view in views)
    agents = " ".join({view["user_agent"] for view in views})
    for part in ("gclid=", "msclkid=", "fbclid=", "utm_medium=email", "utm_medium=paid_social"):
        assert part in urls
    for part in ("google.com", "bing.com/search?q=", "facebook", "chatgpt.com", "android-app:"):
        assert part in referrers
    for part in ("iPhone", "iPad", "Android", "Windows", "Macintosh", "Googlebot"):
        assert part in agents
    consents = {tuple(view["consent"]) if "consent" in view else None for view in views}
    assert consents == {None, ("analytics", "marketing"), ("analytics",), ("functional",)}
    assert {view["variants"]["hero"] for view in views if "variants" in view} == {"A", "B"}
    assert any("third_party_ids" in view for view in views)
    assert max(Counter(lines(week, "pageviews")).values()) > 1
    visits = Counter(view["visitor_id"] for view in views if "variants" in view)
    assert max(visits.values()) > 1


def test_numbers_are_shared_under_load(week: Path) -> None:
    """At busy hours two visitors look at pages with one number within half an hour."""
    shown: dict[str, list[tuple[datetime, str]]] = {}
    for view in events(week, "pageviews"):
        numbers = view.get("tracking_numbers", [])
        for number in [numbers] if isinstance(numbers, str) else numbers:
            shown.setdefault(number, []).append((moment(view["time"]), view["visitor_id"]))
    shared = sum(
        later[0] - earlier[0] < timedelta(minutes=30) and later[1] != earlier[1]
        for displays in shown.values()
        for earlier, later in zip(sorted(displays), sorted(displays)[1:], strict=False)
    )
    assert shared > 100


def test_forms_and_malformed_lines_occur(week: Path) -> None:
    """Some visitors leave a phone number, some ask for a call, and a few lines are unusable."""
    engagements = events(week, "engagements")
    assert {e["kind"] for e in engagements if "kind" in e} == {"click", "close", "action", "hover"}
    assert any("phone" in e.get("fields", {}) for e in engagements)
    assert any(e.get("callback_requested") for e in engagements)
    assert len(events(week, "pageviews")) < len(lines(week, "pageviews"))


def test_configuration_fits(week: Path) -> None:
    """The configuration loads, and every number dialled inbound is one of its numbers."""
    config = load_config(week / "attribeam.toml")
    for call in events(week, "calls"):
        account = config.account(call["account"])
        configured = [number for pool in account.pools for number in pool.numbers]
        configured += [static.number for static in account.static_numbers]
        region = account.default_region
        dialled = {e164(number, region) for number in configured}
        if call.get("direction") != "outbound" and not call["call_id"].startswith("cut-"):
            assert e164(call["b_number"], region) in dialled


def e164(number: str, region: str) -> str:
    """A number as the pipeline keeps it; it must be possible."""
    parsed = phonenumbers.parse(number, region)
    assert phonenumbers.is_possible_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
