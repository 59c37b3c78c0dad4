"""Users' plugins of the master, and renderers of minions: fetched from the state tree, loaded where they are used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RunFleet = Callable[..., None]

PILLAR = """
import naming


def ext_pillar(minion_id, pillar, *args):
    return {"given": [minion_id, naming.label(*args), __grains__["id"], __salt__["defaults.merge"]({"a": 1}, {"b": 2})]}
"""
RENDERER = """
def render(data, saltenv="base", sls="", **more):
    return {"rendered": data.read().splitlines()[1], "for": __grains__["id"], "sls": sls}
"""
RUNNER = """
import salt.utils.stringutils


def hello(name="you"):
    return salt.utils.stringutils.to_unicode(f"hello {name}")
"""


def test_the_masters_plugins_are_synced_used_changed_and_removed(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        states, pillar = fleet.root / "states", fleet.root / "pillar"
        for name, text in {
            "_pillar/hosts.py": PILLAR,
            "_renderers/own.py": RENDERER,
            "_runners/greet.py": RUNNER,
            "_utils/naming.py": "def label(text):\n    return f'<{text}>'\n",
        }.items():
            (states / name).parent.mkdir(exist_ok=True)
            (states / name).write_text(text)
        (pillar / "top.sls").write_text("base: {'*': [data]}\n")
        (pillar / "data.sls").write_text("#!own\nline\n")
        found = (await fleet.publish("m1", "pillar.items")).returns["m1"]
        assert len(found["_errors"]) == 2
        assert await fleet.run("saltutil.sync_all") == {
            "pillar": ["pillar.hosts"],
            "renderers": ["renderers.own"],
            "runners": ["runners.greet"],
            "utils": ["utils.naming"],
        }
        found = {name: (await fleet.publish(name, "pillar.items")).returns[name] for name in ("m1", "m2")}
        for name, data in found.items():
            assert data == {
                "given": [name, "<word>", name, {"a": 1, "b": 2}], "rendered": "line", "for": name, "sls": "data",
            }  # fmt: skip
        assert await fleet.run("greet.hello", "me") == "hello me"
        (states / "_runners/greet.py").write_text(RUNNER.replace("hello {", "good day {"))
        assert await fleet.run("saltutil.sync_runners") == ["runners.greet"]
        assert await fleet.run("greet.hello") == "good day you"
        (states / "_utils/naming.py").write_text("def label(text):\n    return f'[{text}]'\n")
        assert await fleet.run("saltutil.sync_utils") == ["utils.naming"]
        assert (await fleet.publish("m1", "pillar.items")).returns["m1"]["given"][1] == "[word]"
        (states / "_pillar/hosts.py").unlink()
        assert await fleet.run("saltutil.sync_pillar") == []
        found = (await fleet.publish("m1", "pillar.items")).returns["m1"]
        assert "'hosts'" in found["_errors"][0]

    run_fleet(scenario, 2, ext_pillar=[{"hosts": "word"}])


def test_a_minions_own_renderer_and_modules_come_with_the_highstate_that_needs_them(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        states, made = fleet.root / "states", fleet.root / "made"
        (states / "_renderers").mkdir()
        (states / "_renderers" / "upper.py").write_text(
            "def render(data, saltenv='base', sls='', argline='', **more):\n"
            "    return data.read().replace('WHERE', argline)\n"
        )
        (states / "_modules").mkdir()
        (states / "_modules" / "fresh.py").write_text("def word():\n    return 'fresh'\n")
        (states / "top.sls").write_text("base: {'*': [start, word]}\n")
        (states / "word.sls").write_text(
            f"{made}-word: {{file.managed: [{{contents: {{{{ salt['fresh.word']() }}}}}}]}}\n"
        )
        (states / "start.sls").write_text(
            f"#!upper {made} | yaml\nWHERE: {{file.managed: [{{contents: from WHERE}}]}}\n"
        )
        assert "upper" not in (await fleet.publish("m1", "sys.list_renderers")).returns["m1"]
        done = await fleet.publish("m1", "state.apply")
        assert done.envelopes["m1"]["retcode"] == 0, done.returns
        assert made.read_text().strip() == f"from {made}"
        assert made.with_name("made-word").read_text().strip() == "fresh"
        assert "upper" in (await fleet.publish("m1", "sys.list_renderers")).returns["m1"]

    run_fleet(scenario)
