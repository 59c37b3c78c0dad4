"""Templates on the master are rendered in a sandbox, in a worker with bounds of memory and time; it lives on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ctl.common.config import MasterConfig
from ctl.common.errors import CtlError, JobTimeout
from ctl.common.wire import pack_payload, unpack_payload
from ctl.master.workers import WorkerPool

# The ways out of a sandbox that are publicly known, and ways to the machine that templates of a master have no use for.
ESCAPES = [
    "''.__class__.__mro__[1].__subclasses__()",
    "()|attr('__class__')|attr('__base__')",
    "[].__class__.__base__.__subclasses__()[0].__init__.__globals__",
    "{}['__class__']",
    "self.__init__.__globals__.__builtins__",
    "self._TemplateReference__context.environment.globals",
    "lipsum.__globals__['os'].popen('touch MADE').read()",
    "cycler.__init__.__globals__.os.system('touch MADE')",
    "joiner.__init__.__globals__.os.system('touch MADE')",
    "namespace.__init__.__globals__.os.system('touch MADE')",
    "config.__class__.from_envvar",
    "request.application.__globals__",
    "'{0.__class__.__init__.__globals__}'.format(opts)",
    "'{a.__class__}'.format_map({'a': opts})",
    "('{0.__class__.__mro__}'|format(opts)).format(opts)",
    "''.format.__func__",
    "('%s' % opts.__class__.__mro__)",
    "opts|attr('__class__')",
    "opts|map(attribute='__class__.__mro__')|list",
    "([opts]|map('attr', '__class__')|list)[0].mro",
    "[opts]|groupby('__class__')",
    "[opts]|sum(attribute='__class__')",
    "['{0.__class__}']|map('format', opts)|list ~ ['']|first.__class__",
    "dict.__base__.__subclasses__()",
    "odict.__init__.__globals__",
    "odict.__mro__",
    "salt.__class__.__init__.__globals__",
    "salt._functions._loader",
    "salt['grains.get'].__globals__",
    "salt['grains.get'].__code__.co_consts",
    "salt['cmd.run']('touch MADE')",
    "salt.cmd.shell('touch MADE')",
    "salt['file.read']('SECRET')",
    "salt['cp.get_file_str']('/SECRET')",
    "salt['slsutil.renderer']('SECRET')",
    "salt['slsutil.renderer'](string='#!py\\nimport os\\ndef run(): os.system(\"touch MADE\")')",
    "salt['hashutil.digest_file']('SECRET')",
    "salt['hashutil.base64_decodefile']('bWFkZQ==', 'MADE')",
    "'SECRET'|file_hashsum",
    "'FOLDER'|list_files",
    "'SECRET'|is_text_file",
    "'SECRET'|is_empty",
    "'http://127.0.0.1:1/'|http_query",
    "raise.__globals__",
    "show_full_context.__globals__",
    "caller.__globals__",
    "(salt.keys)().__class__",
    "cycler('a').next.__func__.__globals__",
    "grains.update({'id': 'db1'}) or grains.id.__class__",
    "opts.items.__self__.__class__",
    "(1).__class__",
    "true.__class__.__base__",
    "(range)(3).__class__",
    "joiner(',').__init__",
    "namespace(a=1).__setitem__.__globals__",
]
STATEMENTS = [
    "{% include '/etc/passwd' %}",
    "{% include '../../../../etc/passwd' %}",
    "{% import_text 'SECRET' as x %}{{ x }}",
    "{% import_yaml '../SECRET' as x %}{{ x }}",
    "{% from 'file:///etc/passwd' import x %}",
    "{% extends '/etc/passwd' %}",
    "{% set x = ''.__class__ %}{{ x.__mro__ }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{% macro m() %}{{ m.__globals__ }}{% endmacro %}{{ m() }}",
    "{% call(x) (lipsum.__globals__).get('os') %}{% endcall %}",
    "{% if ''.__class__.__base__ %}{% endif %}{{ ''.__class__.__base__ }}",
    "{% with a = opts.__class__ %}{{ a.__init__ }}{% endwith %}",
    "{% filter attr('__class__') %}x{% endfilter %}{{ ''.__doc__ }}",
]
TOO_MUCH = [
    "{{ 'a' * 10**10 }}",
    "{{ [0] * 10**10 }}",
    "{{ range(10**9) | list }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{{ '%10000000000d' % 1 }}",
    "{{ '{:>10000000000}'.format(1) }}",
    "{{ 'a' | center(10**10) }}",
    "{{ 'a'.ljust(10**10) }}",
    "{{ ('a' * 10**8).replace('a', 'b' * 1000) }}",
    "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "a: " + "[" * 100_000,
    "{% macro again(n) %}{% for i in range(99999) %}{{ again(n) if n < 3 }}{% endfor %}{% endmacro %}{{ again(0) }}",
]
FOREVER = [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{{ 10 ** (10 ** 9) }}",
    "{{ lipsum(n=10**9) }}",
]

Pillar = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def with_master(tmp_path: Path) -> Callable[..., None]:
    """Run a scenario with the worker processes of a master: `scenario(pool, pillar)`."""
    (tmp_path / "pillar").mkdir()
    (tmp_path / "pillar" / "top.sls").write_text("base: {'*': [data]}")

    def run(scenario: Any, **settings: Any) -> None:
        options = {"root_dir": str(tmp_path / "root"), "pillar_roots": {"base": [str(tmp_path / "pillar")]}}
        config = MasterConfig.from_mapping({**options, "worker_count": 1, **settings})

        async def main() -> None:
            pool = WorkerPool(config)

            async def pillar(text: str, timeout: float = config.render_timeout) -> dict[str, Any]:
                (tmp_path / "pillar" / "data.sls").write_text(text)
                request = {"op": "pillar", "id": "web1", "grains": pack_payload({"os": "Debian"}), "override": None}
                done = await pool.request({**request, "saltenv": None, "pillarenv": None}, timeout=timeout)
                found: dict[str, Any] = unpack_payload(done["payload"])
                return found

            try:
                assert await pillar("alive: {{ 1 + 1 }}") == {"alive": 2}
                await scenario(pool, pillar)
                assert await pillar("alive: {{ 1 + 1 }}") == {"alive": 2}
            finally:
                await pool.close()

        asyncio.run(main())

    return run


def test_s11_no_template_gets_out_of_the_sandbox(with_master: Any, tmp_path: Path) -> None:
    secret, made = tmp_path / "secret", tmp_path / "made"
    secret.write_text("canary\n")

    async def scenario(pool: Any, pillar: Pillar) -> None:
        (worker,) = pool._all
        own = psutil.Process(worker.process.pid)
        for text in [*(f"x: {{{{ {escape} }}}}" for escape in ESCAPES), *STATEMENTS]:
            text = text.replace("SECRET", str(secret)).replace("MADE", str(made)).replace("FOLDER", str(tmp_path))
            found = await pillar(text)
            assert list(found) == ["_errors"], (text, found)
            assert "canary" not in str(found)
            assert not made.exists(), text
            assert own.children() == [], text
        assert list(pool._all) == [worker]

    with_master(scenario)


def test_s11_what_would_take_too_much_memory_is_an_error(with_master: Any) -> None:
    async def scenario(pool: Any, pillar: Pillar) -> None:
        (worker,) = pool._all
        for text in TOO_MUCH:
            found = await pillar(text)
            assert list(found) == ["_errors"], (text[:80], str(found)[:200])
            assert psutil.Process(worker.process.pid).memory_info().rss < 2 * 1024**3

    with_master(scenario)


def test_s11_what_takes_too_long_is_ended(with_master: Any) -> None:
    async def scenario(pool: Any, pillar: Pillar) -> None:
        for text in FOREVER:
            (worker,) = pool._all
            with pytest.raises(JobTimeout, match="took longer"):
                await pillar(text, timeout=1.0)
            assert worker.process.poll() is not None
            assert await pillar("alive: true") == {"alive": True}  # by another worker, which is warm for the next

    with_master(scenario)


def test_s11_a_worker_that_is_killed_is_an_error_of_one_request(with_master: Any) -> None:
    async def scenario(pool: Any, pillar: Pillar) -> None:
        with pytest.raises(CtlError, match="died"):
            await pillar("#!py\nimport os\ndef run():\n    os.abort()\n")

    with_master(scenario)


def test_s11_renderers_that_run_programs_can_be_switched_off(with_master: Any, tmp_path: Path) -> None:
    made = tmp_path / "made"

    async def scenario(pool: Any, pillar: Pillar) -> None:
        for text in (
            f"#!py\nopen({str(made)!r}, 'w')\ndef run(): return {{}}\n",
            f"#!mako|yaml\n<% open({str(made)!r}, 'w') %>\n",
        ):
            (error,) = (await pillar(text))["_errors"]
            assert "is not allowed by the configuration" in error
        assert not made.exists()

    with_master(scenario, renderer_blacklist=["py", "mako"])
