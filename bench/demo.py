"""`make demo`: one master and three minions below `.demo/`, without root, and the first commands a user would try."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import fleet

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".demo"
MINIONS = {"web1": "web", "web2": "web", "db1": "db"}

ACTIVATE = """\
# . .demo/activate: from here on `ctl` talks to the demo's master
export PATH="{bin}:$PATH"
export CTL_CONFIG_DIR="{config}"
"""


def show(*words: str) -> None:
    """Print a command as a person would type it, run it, and end the demo where it fails."""
    typed = " ".join(f"'{word}'" if set(word) & set("*: ") else word for word in words)
    print(f"\n$ {typed}", flush=True)
    done = subprocess.run([fleet.BIN / words[0], "-c", HOME / "master/etc", *words[1:]], check=False)
    if done.returncode:
        raise SystemExit(f"{typed} ended with exit code {done.returncode}; the daemons' logs are in {HOME}/*/log")


def prepare() -> fleet.Fleet:
    """Lay out `.demo/` anew."""
    if fleet.stop_noted(HOME):
        print("The demo that was running has been stopped.")
    shutil.rmtree(HOME, ignore_errors=True)
    shutil.copytree(Path(__file__).parent / "demo_tree", HOME)
    made = fleet.Fleet(HOME)
    for name, role in MINIONS.items():
        made.add_minion(name, {"grains": {"role": role}})
    (HOME / "activate").write_text(ACTIVATE.format(bin=fleet.BIN, config=made.config_dir))
    return made


def start() -> None:
    """Start the fleet and walk through it."""
    made = prepare()
    print(f"Starting a master on 127.0.0.1:{made.request_port} and minions {', '.join(MINIONS)} …", flush=True)
    try:
        made.start()
        made.write_pids()
        print("Their keys were accepted, each by the fingerprint that the minion itself shows.")
        show("ctl-key", "-L")
        show("ctl", "*", "test.ping")
        show("ctl", "-G", "role:web", "grains.item", "role", "os")
        show("ctl", "*", "state.highstate")
        print("\nOnce more: nothing is left to do.")
        show("ctl", "*", "state.highstate", "--state-output=terse")
    except BaseException:
        made.stop()
        raise
    print(f"\nThe fleet keeps running. Go on with:\n\n  . {HOME.name}/activate")
    print("  ctl '*' cmd.run 'uptime'\n  ctl '*' sys.doc test")
    print(f"\nIts state tree is {HOME.name}/srv, its pillar {HOME.name}/pillar. `make demo-stop` ends it.")


def stop() -> None:
    """Stop the fleet."""
    count = fleet.stop_noted(HOME)
    print(f"{count} processes of the demo were stopped." if count else "No demo is running.")


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]]()
