"""Measure attribeam against its two yardsticks, as whole processes, in one run.

python benchmarks/run.py [FOLDER] [--large] [--runs N] [--only NAME] [--json | --markdown]

The events are generated once into FOLDER. Every round runs attribeam, the bare DuckDB script (also
without its sessions' landing pages) and the per-element pipeline one after the other, so that a
machine that is busy for a while is busy for all; of several rounds the median counts.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from measure import Result, machine, measure

HERE = Path(__file__).resolve().parent
KINDS = ("pageviews", "engagements", "calls")
NOW = "2026-07-02T00:00:00Z"
PAGEVIEWS, PAGEVIEWS_LARGE, PAGEVIEWS_PER_ELEMENT = 2_000_000, 10_000_000, 100_000
TARGET_RATIO, TARGET_RATIO_LARGE = 2.0, 1.5
TARGET_SPEEDUP = 8.0
TARGET_PEAK_MIB = 1536.0


def fresh(folder: Path) -> Path:
    """A folder that does not exist yet."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def stage_seconds(report: Path) -> dict[str, float]:
    """The stages of a run report, where it has them: a number each, or an object with seconds."""
    if not report.exists():
        return {}
    stages = json.loads(report.read_text(encoding="utf-8")).get("stages") or {}
    found = {name: s["seconds"] if isinstance(s, dict) else s for name, s in stages.items()}
    return {name: float(took_s) for name, took_s in found.items()}


class Bench:
    """The programs that are measured, on one folder of events."""

    PROGRAMS = ("attribeam", "bare DuckDB", "bare DuckDB, keys only", "per element")

    def __init__(self, data: Path, work: Path) -> None:
        self.data, self.work = data, work
        self.facts = json.loads((data / "facts.json").read_text(encoding="utf-8"))
        self.events = sum(self.facts[kind] for kind in KINDS)
        key = base64.b64encode(bytes(range(32))).decode("ascii")
        self.environment = {**os.environ, "ATTRIBEAM_KEY": key}

    def attribeam(self, result: Result) -> None:
        """`attribeam backfill` into an empty warehouse."""
        out = fresh(self.work / "attribeam")
        command = [str(Path(sys.executable).parent / "attribeam"), "backfill"]
        for kind in KINDS:
            command += [f"--{kind}", f"{self.data}/{kind}*.jsonl"]
        command += ["--config", f"{self.data}/attribeam.toml", "--output", str(out)]
        measure([*command, "--short-history", "--now", NOW], result, self.environment)
        result.events_per_second.append(self.events / result.walls_s[-1])
        result.stages_s = stage_seconds(out / "run_report.json")

    def bare(self, result: Result, *more: str) -> None:
        """The bare DuckDB script."""
        out = fresh(self.work / "bare")
        script = [sys.executable, str(HERE / "bare_duckdb.py"), str(self.data), str(out), *more]
        measure(script, result, self.environment)
        result.events_per_second.append(self.events / result.walls_s[-1])

    def bare_keys_only(self, result: Result) -> None:
        """The bare DuckDB script, without landing page and referrer."""
        self.bare(result, "--keys-only")

    def per_element(self, result: Result) -> None:
        """The per-element pipeline, on a slice; its rate leaves out its own start-up."""
        out = fresh(self.work / "per_element")
        script = [sys.executable, str(HERE / "per_element.py"), str(self.data), str(out)]
        script += ["--pageviews", str(PAGEVIEWS_PER_ELEMENT)]
        said = json.loads(measure(script, result, self.environment).splitlines()[-1])
        result.events_per_second.append(float(said["events_per_second"]))

    def run(self, runs: int, only: list[str]) -> dict[str, Result]:
        """Every program once a round."""
        programs: list[Callable[[Result], None]] = [
            self.attribeam,
            self.bare,
            self.bare_keys_only,
            self.per_element,
        ]
        named = zip(self.PROGRAMS, programs, strict=True)
        chosen = {name: run for name, run in named if not only or name in only}
        results = {name: Result(name) for name in chosen}
        for round_number in range(1, runs + 1):
            for name, run in chosen.items():
                print(f"round {round_number}: {name} …", file=sys.stderr, flush=True)
                run(results[name])
        return results


@dataclass
class Target:
    """One promise, and what was measured."""

    what: str
    measured: float
    limit: float
    at_most: bool
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the promise holds."""
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    def __str__(self) -> str:
        bound = "at most" if self.at_most else "at least"
        verdict = "met" if self.met else "MISSED"
        return f"{self.measured:.2f}{self.unit} ({bound} {self.limit:g}{self.unit}): {verdict}"


def targets(results: dict[str, Result], large: bool) -> list[Target]:
    """The targets that the measured programs allow to judge."""
    found: list[Target] = []
    ours = results.get("attribeam")
    if ours is None:
        return found
    if bare := results.get("bare DuckDB"):
        limit = TARGET_RATIO_LARGE if large else TARGET_RATIO
        ratio = ours.wall_s / bare.wall_s
        found.append(Target("wall time against bare DuckDB", ratio, limit, True, "x"))
    if per_element := results.get("per element"):
        ratio = ours.rate / per_element.rate
        found.append(Target("events/s against per-element Beam", ratio, TARGET_SPEEDUP, False, "x"))
    if not large:
        peak_mib = max(ours.peaks_mib)
        found.append(Target("peak memory", peak_mib, TARGET_PEAK_MIB, True, " MiB"))
    return found


def table(results: dict[str, Result]) -> list[list[str]]:
    """Head and rows of what was measured."""
    rows = [["program", "wall s", "processor s", "peak MiB", "events/s"]]
    for result in results.values():
        walls = [f"{result.wall_s:.1f}", f"{median(result.cpus_s):.1f}"]
        rows.append([result.name, *walls, f"{max(result.peaks_mib):,.0f}", f"{result.rate:,.0f}"])
    return rows


def markdown(bench: Bench, results: dict[str, Result], facts: dict[str, Any], large: bool) -> str:
    """The section for docs/performance.md."""
    head, *rows = table(results)
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    counts = ", ".join(f"{bench.facts[kind]:,} {kind}" for kind in KINDS)
    lines = [
        f"## {bench.facts['pageviews'] / 1e6:.0f} M pageviews",
        "",
        f"{counts}; {facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB memory, "
        f"load {facts['load_1_minute']} at the start; {versions}. Median of {facts['runs']} runs, "
        "peak the highest; whole processes with their start-up, but for the per-element rate, "
        f"which is that of the pipeline alone on {PAGEVIEWS_PER_ELEMENT:,} pageviews.",
        "",
        "| " + " | ".join(head) + " |",
        "|---" + "|---:" * (len(head) - 1) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *(f"- {target.what}: {target}" for target in targets(results, large)),
    ]
    ours = results.get("attribeam")
    if ours and ours.stages_s:
        lines += ["", "| stage of attribeam | s |", "|---|---:|"]
        lines += [f"| {stage} | {took_s:.2f} |" for stage, took_s in ours.stages_s.items()]
    return "\n".join(lines)


def plain(results: dict[str, Result], large: bool) -> str:
    """The same for a terminal."""
    rows = table(results)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    lines += ["", *(f"{target.what}: {target}" for target in targets(results, large))]
    ours = results.get("attribeam")
    if ours and ours.stages_s:
        lines += ["", "stages of attribeam:"]
        lines += [f"  {stage}: {took_s:.2f} s" for stage, took_s in ours.stages_s.items()]
    return "\n".join(lines)


def as_json(results: dict[str, Result], facts: dict[str, Any], large: bool) -> str:
    """The same for a script."""
    judged = [{**asdict(target), "met": target.met} for target in targets(results, large)]
    measured = [{**asdict(result), "wall_s": result.wall_s} for result in results.values()]
    return json.dumps({"machine": facts, "results": measured, "targets": judged}, indent=2)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="default: bench-data[-large]")
    parser.add_argument("--large", action="store_true", help="10 M pageviews instead of 2 M")
    parser.add_argument("--runs", type=int, default=1, help="rounds, of which medians are taken")
    parser.add_argument("--only", action="append", default=[], choices=Bench.PROGRAMS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    folder = options.folder or Path("bench-data-large" if options.large else "bench-data")
    if not (folder / "facts.json").exists():
        print(f"generating events into {folder} …", file=sys.stderr, flush=True)
        count = PAGEVIEWS_LARGE if options.large else PAGEVIEWS
        script = [sys.executable, str(HERE / "generate.py"), str(folder), "--pageviews", str(count)]
        subprocess.run(script, check=True, stdout=sys.stderr)
    facts = {**machine(), "runs": options.runs}
    bench = Bench(folder, folder / "out")
    results = bench.run(options.runs, options.only)
    shutil.rmtree(bench.work, ignore_errors=True)
    if options.json:
        print(as_json(results, facts, options.large))
    elif options.markdown:
        print(markdown(bench, results, facts, options.large))
    else:
        print(plain(results, options.large))


if __name__ == "__main__":
    main()
