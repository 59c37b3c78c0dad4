"""`make bench`: what ctl takes for its work; with SALT=path/to/venv the same work on Salt, in turn.

    python bench/run.py [--salt VENV] [--list] [ROW …]

A ROW is a name or a glob of the list; all without. Machines are noisy: runs are taken in turn (ctl, Salt, ctl, Salt),
and medians are compared. The floor is what the machine takes for the least of the same work, measured in the same run.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import rows_daemons
import rows_files
import rows_jobs
import rows_states
from stage import MANY_MINIONS, Stage
from table import Line, header


@dataclass(frozen=True)
class Row:
    """One or more lines that are measured together, with at least so many minions."""

    name: str
    minions: int
    measure: Callable[[Stage], Iterator[Line]]


# in this order: memory before a minion has learnt what states need, few minions before many
ROWS = (
    Row("version", 1, rows_jobs.version),
    Row("call", 1, rows_jobs.call),
    Row("ping", 1, rows_jobs.ping),
    Row("memory", 1, rows_daemons.memory),
    Row("processor", 1, rows_daemons.processor),
    Row("client", 1, rows_jobs.client),
    Row("burst", 1, rows_jobs.burst),
    Row("get-file", 1, rows_files.get_file),
    Row("large-return", 1, rows_files.large_return),
    Row("managed", 1, rows_states.managed),
    Row("chain", 1, rows_states.chain),
    Row("commands", 1, rows_states.commands),
    Row("recurse", 1, rows_states.recurse),
    Row("compiled", 1, rows_states.compiled),
    Row("includes", 1, rows_states.includes),
    Row("starts", 1, rows_daemons.starts),
    Row("dead", 5, rows_daemons.dead),
    Row("ping-many", MANY_MINIONS, rows_jobs.ping_many),
    Row("client-many", MANY_MINIONS, rows_jobs.client_many),
)


def chosen(names: Sequence[str]) -> list[Row]:
    """Return the rows that the names mean; ends the program where one means none."""
    for name in names:
        if not any(fnmatch.fnmatchcase(row.name, name) for row in ROWS):
            raise SystemExit(f"there is no row {name!r}; there are {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if not names or any(fnmatch.fnmatchcase(row.name, name) for name in names)]


def play(rows: Sequence[Row], salt: Path | None) -> None:
    """Measure rows and print each line as it comes."""
    print(f"{_processor()}, {os.cpu_count()} of them, Python {platform.python_version()}; medians")
    print(header(), flush=True)
    with tempfile.TemporaryDirectory(prefix="ctl-bench-") as directory:
        stage = Stage(Path(directory), salt)
        try:
            stage.start()
            for row in rows:
                stage.grow(row.minions)
                for line in row.measure(stage):
                    print(line, flush=True)
        finally:
            stage.stop()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    """Read the words and play."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--salt", type=Path, help="the virtual environment that Salt is installed in")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    words = parser.parse_args()
    if words.list:
        print("\n".join(row.name for row in ROWS))
        return
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its bytecode
    play(chosen(words.rows), words.salt)


if __name__ == "__main__":
    main()
