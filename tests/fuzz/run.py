"""Run fuzz targets for long, guided by coverage: `make fuzz`, or `python tests/fuzz/run.py --seconds 600 yaml sls`.

Each target runs in a process of its own, bounded in time for one input, in memory, and in the length of an input. What
is found is kept below `.fuzz/` (the corpus that grew, and each input that broke a target, which belongs into
`tests/data/fuzz` once it is repaired). Needs the extra `fuzz` (atheris).
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEEDS = HERE.parent / "data" / "fuzz"
KEPT = HERE.parents[1] / ".fuzz"
SECONDS_OF_ONE_INPUT = 25  # instrumented code is ten times as slow, and the machine may be busy
MEMORY_MIB = 400  # of the whole process: the interpreter, what it imports and the instrumentation take a good third
LENGTH = 4096
_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_RATE = re.compile(r"stat::average_exec_per_sec:\s*(\d+)")
_MEMORY = re.compile(r"stat::peak_rss_mb:\s*(\d+)")
_SLOWEST = re.compile(r"stat::slowest_unit_time_sec:\s*(\d+)")
_COVERED = re.compile(r"cov: (\d+)")


def load_targets() -> dict[str, Callable[[bytes], None]]:
    """Load the files of targets, which are beside this one."""
    found: dict[str, Callable[[bytes], None]] = {}
    for name in ("targets", "dialogues"):
        module = sys.modules.get(f"fuzz_{name}")
        if module is None:
            spec = importlib.util.spec_from_file_location(f"fuzz_{name}", HERE / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
        found.update(module.TARGETS)
    return found


def seeds(name: str) -> list[Path]:
    """Return the inputs that every run of a target begins with."""
    return sorted(path for path in (SEEDS / name).glob("*") if path.is_file())


def fuzz(name: str, arguments: list[str]) -> None:
    """Be the process that runs one target; does not return."""
    import atheris

    with atheris.instrument_imports(include=["ctl"]):
        target = load_targets()[name]
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


def run(name: str, seconds: int) -> bool:
    """Run one target in a process of its own, and print a line of figures; False where it broke."""
    corpus, broken = KEPT / "corpus" / name, KEPT / "broken"
    for directory in (corpus, broken):
        directory.mkdir(parents=True, exist_ok=True)
    limits = [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_OF_ONE_INPUT}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-max_len={LENGTH}",
    ]
    command = [sys.executable, __file__, "--only", name, "--", *limits, "-print_final_stats=1"]
    command += [f"-artifact_prefix={broken}/{name}-", str(corpus), str(SEEDS / name)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    print(_line(name, done.stdout, done.returncode), flush=True)
    if done.returncode != 0:
        print("\n".join(done.stdout.splitlines()[-60:]))
    return done.returncode == 0


def _line(name: str, said: str, code: int) -> str:
    runs, rate, memory, slowest = (_number(figure, said) for figure in (_RUNS, _RATE, _MEMORY, _SLOWEST))
    covered = max((int(found) for found in _COVERED.findall(said)), default=0)
    return (
        f"{name:10} {runs:>10} runs {rate:>7}/s  coverage {covered:>6}  memory {memory:>4} MiB of {MEMORY_MIB}  "
        f"slowest {slowest} s of {SECONDS_OF_ONE_INPUT}  {'ok' if code == 0 else 'BROKEN'}"
    )


def _number(figure: re.Pattern[str], said: str) -> str:
    found = figure.search(said)
    return found[1] if found else "?"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the targets that are named, or all of them, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("targets", nargs="*", help="which; all of them without any")
    parser.add_argument("--seconds", type=int, default=60, help="how long each")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    words = list(sys.argv[1:] if arguments is None else arguments)
    own, _, rest = (words, [], []) if "--" not in words else (words[: words.index("--")], [], words)
    options = parser.parse_args(own)
    if options.only:
        fuzz(options.only, rest[rest.index("--") + 1 :])
    known = load_targets()
    if unknown := sorted(set(options.targets) - set(known)):
        parser.error(f"there is no target {', '.join(unknown)}; known: {', '.join(known)}")
    good = [run(name, options.seconds) for name in options.targets or known]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
