"""`make compare SALT=path/to/venv`: the corpus of state trees through Salt and through ctl, and what differs.

    python bench/compare.py [--salt VENV] [--record] [CASE …]

Low data, order and returns must be equal, but for what `tests/data/sls/differences.yaml` gives a reason for. With
`--record`, `expected.json` is written anew: what Salt gave, or ctl where a difference is deliberate.
Ends with 1 where there is a difference without a reason, or a reason without a difference.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))
import compare_ctl
import corpus

PARTS = ("pillar", "low", "run", "test")
DIFFERENCES = corpus.CORPUS / "differences.yaml"
EXPECTED = corpus.CORPUS / "expected.json"
WIDTH = 1500
TIMEOUT_S = 900

Outcome = dict[str, Any]


def deliberate() -> dict[str, dict[str, str]]:
    """Read the deliberate differences: for each case, the parts that differ and why."""
    found: dict[str, dict[str, str]] = yaml.safe_load(DIFFERENCES.read_text())["cases"]
    return found


def salt_python(venv: str | None) -> Path | None:
    """Find the Python of an installed Salt: the one asked for, $SALT, or /opt/salt."""
    for root in [venv] if venv else [os.environ.get("SALT"), "/opt/salt"]:
        if root and (Path(root) / "bin" / "salt-call").exists():
            return (Path(root) / "bin" / "python").absolute()
    return None


def ask_salt(python: Path, names: Sequence[str]) -> dict[str, Outcome]:
    """Run cases through Salt, in as many processes as there are processors, at most four."""
    workers = max(1, min(4, os.cpu_count() or 1, len(names) // 8))
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        script = str(Path(__file__).with_name("compare_salt.py"))
        jobs = []
        for number in range(workers):
            target = Path(folder) / f"{number}.json"
            words = [str(python), "-W", "ignore", script, str(target), *names[number::workers]]
            quiet = subprocess.DEVNULL
            jobs.append((target, subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE, text=True)))
        for _target, job in jobs:
            try:
                _output, complaints = job.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                for _target, other in jobs:
                    other.kill()
                    other.communicate()
                raise
            if job.returncode:
                raise SystemExit(f"Salt's Python ended with {job.returncode}:\n{complaints[-2000:]}")
        return {name: found for target, _job in jobs for name, found in json.loads(target.read_text()).items()}


def same(part: str, salt: Any, ctl: Any) -> bool:
    """Tell whether both outcomes are equal, keys in the same order; two refusals are, whatever their words."""
    if corpus.is_refusal(salt) and corpus.is_refusal(ctl):
        return True
    return bool(salt == ctl) and (part == "pillar" or not isinstance(salt, dict) or list(salt) == list(ctl))


def explain(salt: Any, ctl: Any) -> Iterator[str]:
    """Show where two outcomes differ."""
    if isinstance(salt, list) and isinstance(ctl, list) and not corpus.is_refusal([*salt, *ctl][:1]):
        yield from _explain_lows(salt, ctl)
    elif isinstance(salt, Mapping) and isinstance(ctl, Mapping):
        if list(salt) != list(ctl):
            yield f"  Salt: {list(salt)}"
            yield f"  ctl:  {list(ctl)}"
        for tag in salt:
            if tag in ctl and salt[tag] != ctl[tag]:
                yield f"  {tag}"
                yield from _explain_items(salt[tag], ctl[tag])
    else:
        yield f"  Salt: {salt!s:.{WIDTH}}"
        yield f"  ctl:  {ctl!s:.{WIDTH}}"


def _explain_lows(salt: list[Any], ctl: list[Any]) -> Iterator[str]:
    names = [[f"{low['__id__']}/{low['name']}" for low in lows if isinstance(low, dict)] for lows in (salt, ctl)]
    if names[0] != names[1] or not names[0] or not names[1]:
        yield f"  Salt: {names[0] or salt!s:.{WIDTH}}"
        yield f"  ctl:  {names[1] or ctl!s:.{WIDTH}}"
        return
    for one, other in zip(salt, ctl, strict=False):
        if one != other:
            yield f"  {one['__id__']}/{one['name']}"
            yield from _explain_items(one, other)


def _explain_items(salt: Any, ctl: Any) -> Iterator[str]:
    if not isinstance(salt, Mapping) or not isinstance(ctl, Mapping):
        yield f"    Salt {salt!r}, ctl {ctl!r}"
        return
    for key in dict.fromkeys([*salt, *ctl]):
        if salt.get(key) != ctl.get(key):
            yield f"    {key}: Salt {salt.get(key)!r:.{WIDTH}}, ctl {ctl.get(key)!r:.{WIDTH}}"


def compare(salt: Mapping[str, Outcome], ctl: Mapping[str, Outcome]) -> Iterator[str]:
    """Yield a report on each part of a case that differs without a reason, or has a reason and does not differ."""
    known = deliberate()
    for name, found in ctl.items():
        reasons = known.get(name, {})
        for part in (part for part in PARTS if part in found):
            equal = same(part, salt[name][part], found[part])
            if not equal and part not in reasons:
                yield "\n".join([f"{name}: {part} differs", *explain(salt[name][part], found[part])])
            elif equal and part in reasons:
                yield f"{name}: {part} is the same by now; {DIFFERENCES.name} need not list it"


def record(salt: Mapping[str, Outcome], ctl: Mapping[str, Outcome]) -> None:
    """Write what the corpus must come to, a line for each chunk and each return."""
    known = deliberate()
    there = {case.name for case in corpus.cases()}
    expected = {name: case for name, case in json.loads(EXPECTED.read_text()).items() if name in there}
    for name, found in ctl.items():
        if corpus.is_refusal(found["run"]):
            expected[name] = {"problems": [problem.split("\n")[0] for problem in found["run"]]}
            continue
        reasons = known.get(name, {})
        chosen = {part: found[part] if part in reasons else salt[name][part] for part in found}
        expected[name] = chosen | ({"differs": reasons} if reasons else {})
    EXPECTED.write_text(
        "{\n" + ",\n".join(f"{json.dumps(name)}: {_case(expected[name])}" for name in sorted(expected)) + "\n}\n"
    )


def _case(parts: Mapping[str, Any]) -> str:
    written = []
    for part, value in parts.items():
        if part == "low" or part == "problems":
            body = "[\n  " + ",\n  ".join(json.dumps(item) for item in value) + "\n ]" if value else "[]"
        elif part in ("run", "test"):
            lines = [f"{json.dumps(tag)}: {json.dumps(ret)}" for tag, ret in value.items()]
            body = "{\n  " + ",\n  ".join(lines) + "\n }" if lines else "{}"
        else:
            body = json.dumps(value)
        written.append(f" {json.dumps(part)}: {body}")
    return "{\n" + ",\n".join(written) + "\n}"


def main() -> int:
    """Compare, print, and say how many differences have no reason."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--salt", help="the virtual environment that Salt is installed in")
    parser.add_argument("--record", action="store_true", help="write expected.json anew")
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    python = salt_python(arguments.salt)
    if python is None:
        where = f"in {arguments.salt}" if arguments.salt else "(SALT=path/to/venv says where)"
        print(f"skipped: Salt is not installed {where}")
        return 0
    logging.disable(logging.CRITICAL)  # mistakes are what many cases are about
    cases = corpus.cases(arguments.cases)
    left_out = {case.name: missing for case in cases if (missing := case.missing())}
    cases = [case for case in cases if case.name not in left_out]
    salt = ask_salt(python, [case.name for case in cases])
    left_out |= {name: found["missing"] for name, found in salt.items() if "missing" in found}
    cases = [case for case in cases if case.name not in left_out]
    for name, missing in left_out.items():
        print(f"{name}: left out, since there is no {', '.join(missing)}")
    ctl = {case.name: compare_ctl.outcome(case) for case in cases}
    reports = list(compare(salt, ctl))
    print("\n\n".join([*reports, f"{len(cases)} cases, {len(reports)} differences without a reason"]))
    if arguments.record:
        record(salt, ctl)
    return 1 if reports else 0


if __name__ == "__main__":
    sys.exit(main())
