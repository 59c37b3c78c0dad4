"""Run many schedules and say what came of them: `python -m ctl.tests.durability.soak --schedules 200 --seconds 10`.

Results go to a file, one line a schedule; schedules that are in it already are not run again. What a schedule with a
violation left behind stays for a look; of the others nothing does.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ctl.tests.durability import arena, preload, schedule


def one(seed: int, seconds: float, directory: str, library: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Run the schedule of one seed; return its row."""
    home = Path(directory) / f"seed-{seed}"
    shutil.rmtree(home, ignore_errors=True)
    plan = schedule.make(seed, seconds, arena.MINIONS, kinds or schedule.KINDS)
    try:
        report = arena.run(plan, home, library)
    except Exception:  # the boundary around one schedule: the others go on
        return {"seed": seed, "seconds": seconds, "error": traceback.format_exc()}
    row = {**asdict(report), "seconds": seconds, "violations": [str(one) for one in report.violations]}
    if report.violations:
        lines = [str(fault) for fault in plan.faults] + ["", *row["violations"]]
        (home / "report").write_text("\n".join(lines) + "\n")
    else:
        shutil.rmtree(home)
    return row


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines that sum up what came of the schedules."""
    good = [row for row in rows if "error" not in row]
    ends: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for row in good:
        ends.update(row["ends"])
        faults.update(row["faults"])
    yield f"schedules {len(rows)}, of {sum(row['seconds'] for row in rows):.0f} s in all"
    yield f"jobs {sum(r['jobs'] for r in good)}, executions {sum(r['executions'] for r in good)}, " + (
        f"confirmed ends {sum(r['confirmed'] for r in good)}"
    )
    yield "ends: " + ", ".join(f"{name} {count}" for name, count in ends.most_common())
    yield f"faults {sum(faults.values())}: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items()))
    yield f"slowest to settle: {max((row['settle_seconds'] for row in good), default=0):.1f} s"
    for row in rows:
        for what in row.get("violations", ()):
            yield f"VIOLATION seed {row['seed']}: {what}"
        if "error" in row:
            yield f"ERROR seed {row['seed']}: {row['error'].splitlines()[-1]}"
    yield f"violations: {sum(len(row.get('violations', ())) for row in rows)}, errors: {len(rows) - len(good)}"


def main() -> int:
    """Run the program; return 1 where a promise was broken."""
    made = argparse.ArgumentParser(prog="soak", description=__doc__)
    made.add_argument("--schedules", type=int, default=200)
    made.add_argument("--seconds", type=float, default=10.0)
    made.add_argument("--first", type=int, default=1, help="the first seed")
    made.add_argument("--jobs", type=int, default=1, help="how many at once")
    made.add_argument("--seeds", type=int, nargs="*", help="these seeds, instead of counting")
    made.add_argument("--kinds", nargs="*", default=[], help="only these kinds of faults")
    made.add_argument("--directory", type=Path, default=Path(".soak"))
    options = made.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    results = options.directory / "results.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    known = {(row["seed"], row["seconds"]) for row in rows if "error" not in row}
    seeds = options.seeds or range(options.first, options.first + options.schedules)
    left = [seed for seed in seeds if options.seeds or (seed, options.seconds) not in known]
    library = "" if preload.missing() else str(preload.build(options.directory.absolute()))
    home, kinds = str(options.directory), tuple(options.kinds)
    with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool, results.open("a") as file:
        runs = [pool.submit(one, seed, options.seconds, home, library, kinds) for seed in left]
        for done in as_completed(runs):
            row = done.result()
            rows.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
            bad = row.get("violations") or row.get("error", "").splitlines()[-1:]
            print(f"seed {row['seed']:6}: {row.get('jobs', 0):4} jobs, {'; '.join(bad) or 'good'}", flush=True)
    print("\n".join(table(rows)))
    return 1 if any(row.get("violations") or "error" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
