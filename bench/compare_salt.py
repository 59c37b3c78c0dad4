"""Run cases of the corpus through Salt: started with Salt's own Python, prints JSON (case -> part -> outcome).

path/to/salt/bin/python bench/compare_salt.py OUTPUT [CASE …]
"""

from __future__ import annotations

import copy
import json
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import corpus
import salt.config  # type: ignore[import-not-found, unused-ignore]
import salt.loader  # type: ignore[import-not-found, unused-ignore]
import salt.pillar  # type: ignore[import-not-found, unused-ignore]

TOP = "top.sls"
PLUGINS = {
    "modules": "module_dirs",
    "states": "states_dirs",
    "utils": "utils_dirs",
    "renderers": "render_dirs",
    "pillar": "pillar_dirs",
}


def base_options(scratch: Path) -> dict[str, Any]:
    """Make the configuration of a masterless minion that writes only below `scratch`."""
    settings = {
        "root_dir": str(scratch / "root"),
        "id": corpus.MINION,
        "file_client": "local",
        "log_level": "quiet",
        "log_level_logfile": "quiet",
        "log_file": str(scratch / "log"),
        "autoload_dynamic_modules": False,
    }
    config = scratch / "minion"
    config.write_text(json.dumps(settings))
    options: dict[str, Any] = salt.config.minion_config(str(config))
    options["file_client"] = "local"
    return options


def options_of(case: corpus.Case, base: dict[str, Any], scratch: Path, keys: dict[str, str]) -> dict[str, Any]:
    """Make the configuration for one case, with its grains and its pillar."""
    options = copy.deepcopy(base) | dict(case.config) | keys | {"scratch": str(corpus.SCRATCH)}
    options["cachedir"] = str(scratch / "cache" / case.name)  # listings of trees are kept there
    options["file_roots"] = {env: [*paths] for env, paths in case.file_roots.items()}
    if case.sls:
        _add_top(case, options, scratch / "top" / case.name)
    options["pillar_roots"] = case.pillar_roots or {"base": [str(case.folder / "no-pillar")]}
    for kind, key in PLUGINS.items():
        options[key] = case.plugins(kind)
    options["grains"] = {**corpus.GRAINS, **case.grains}
    if case.plugins("grains"):
        options["grains_dirs"] = case.plugins("grains")
        plain = salt.loader.grains({**copy.deepcopy(base), "grains": {}})
        found = salt.loader.grains({**copy.deepcopy(options), "grains": {}})
        options["grains"] |= {key: value for key, value in found.items() if key not in plain}
    pillar = salt.pillar.get_pillar(options, options["grains"], corpus.MINION, "base")
    options["pillar"] = pillar.compile_pillar()
    return options


def _add_top(case: corpus.Case, options: dict[str, Any], folder: Path) -> None:
    """Give the named SLS a top file: Salt's show_low_sls leaves out `extend` and what `require_in` does."""
    folder.mkdir(parents=True)
    saltenv = case.options.get("saltenv", "base")
    (folder / TOP).write_text(json.dumps({saltenv: {"*": list(case.sls)}}))
    options["file_roots"][saltenv].append(str(folder))


def outcome(case: corpus.Case, base: dict[str, Any], scratch: Path, keys: dict[str, str]) -> dict[str, Any]:
    """Make the calls of one case."""
    options = options_of(case, base, scratch, keys)
    functions = salt.loader.minion_mods(options, utils=salt.loader.utils(options))
    found: dict[str, Any] = {"pillar": corpus.comparable("pillar", options["pillar"])} if case.pillar_roots else {}
    for part, (name, args, kwargs) in case.calls().items():
        if name == "state.show_low_sls" and not kwargs.keys() & {"pillar", "pillarenv"}:
            name, args = "state.show_lowstate", []
        try:
            given = functions[name](*args, **copy.deepcopy(kwargs))
            found[part] = case.comparable(part, given)
        except Exception as error:  # whatever Salt raises is its answer
            found[part] = [f"Salt raised {type(error).__name__}: {error}"]
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def main() -> None:
    """Write the outcome of every case that is named."""
    logging.disable(logging.CRITICAL)
    scratch = Path(tempfile.mkdtemp(prefix="compare-"))
    try:
        base = base_options(scratch)
        found = {}
        for case in corpus.cases(sys.argv[2:]):
            if missing := case.missing(of_salt=True):
                found[case.name] = {"missing": missing}
                continue
            with corpus.scratch(), corpus.keyring(case) as keys:
                found[case.name] = outcome(case, base, scratch, keys)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    Path(sys.argv[1]).write_text(json.dumps(found, default=str))


if __name__ == "__main__":
    main()
