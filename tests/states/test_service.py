"""Service states over services that only remember."""

from __future__ import annotations

from typing import Any

import pytest


class Services:
    """What `service`'s functions do, on a few sets."""

    def __init__(self) -> None:
        self.known = {"web", "db"}
        self.up: set[str] = set()
        self.boot: set[str] = set()
        self.hidden: set[str] = set()
        self.calls: list[str] = []
        self.broken = False

    def available(self, name: str) -> bool:
        return name in self.known

    def status(self, name: str, sig: str | None = None) -> bool:
        return name in self.up

    def enabled(self, name: str) -> bool:
        return name in self.boot

    def masked(self, name: str, runtime: bool = False) -> bool:
        return name in self.hidden

    def _do(self, what: str, name: str, names: set[str], wanted: bool) -> bool:
        self.calls.append(f"{what} {name}")
        if not self.broken:
            (names.add if wanted else names.discard)(name)
        return True

    def start(self, name: str) -> bool:
        return self._do("start", name, self.up, True)

    def stop(self, name: str) -> bool:
        return self._do("stop", name, self.up, False)

    def restart(self, name: str) -> bool:
        return self._do("restart", name, self.up, True)

    def reload(self, name: str) -> bool:
        return self._do("reload", name, self.up, True)

    def enable(self, name: str) -> bool:
        return self._do("enable", name, self.boot, True)

    def disable(self, name: str) -> bool:
        return self._do("disable", name, self.boot, False)

    def mask(self, name: str, runtime: bool = False) -> bool:
        return self._do("mask", name, self.hidden, True)

    def unmask(self, name: str, runtime: bool = False) -> bool:
        return self._do("unmask", name, self.hidden, False)


@pytest.fixture
def services(machine: Any) -> Services:
    fake = Services()
    words = ("available", "status", "enabled", "masked", "start", "stop", "restart", "reload", "enable", "disable")
    machine.replace(**{f"service_{word}": getattr(fake, word) for word in (*words, "mask", "unmask")})
    return fake


def test_a_service_is_started_and_enabled(machine: Any, services: Services) -> None:
    assert dict(machine.dry("service.running", name="web").changes) == {"web": True}
    outcome = machine.settle("service.running", name="web", enable=True, reload=True)
    assert (outcome.result, outcome.changes) == (True, {"web": True})
    assert services.calls == ["start web", "enable web"]
    assert machine.plan("service.running", name="web").comment == "The service web is already running"


def test_enabling_alone_starts_nothing(machine: Any, services: Services) -> None:
    services.up.add("web")
    outcome = machine.settle("service.running", name="web", enable=True)
    assert services.calls == ["enable web"]
    assert "enabled" in outcome.comment
    machine.settle("service.running", name="web", enable=False)
    assert services.calls[-1] == "disable web"


def test_a_service_that_does_not_start_fails(machine: Any, services: Services) -> None:
    services.broken = True
    outcome = machine.run("service.running", name="web")
    assert outcome.result is False
    assert "failed to start" in outcome.comment


def test_an_unknown_service_is_refused_or_uncertain_or_dead(machine: Any, services: Services) -> None:
    for function in ("service.running", "service.enabled"):
        assert machine.plan(function, name="nothing").result is False
        dry = machine.dry(function, name="nothing")
        assert (dry.result, dry.certain) == (None, False)
    for function in ("service.dead", "service.disabled"):
        assert machine.plan(function, name="nothing").result is True


def test_dead(machine: Any, services: Services) -> None:
    services.up.add("db")
    services.boot.add("db")
    outcome = machine.settle("service.dead", name="db", enable=False)
    assert outcome.changes == {"db": True}
    assert services.calls == ["stop db", "disable db"]
    services.broken = True
    services.up.add("db")
    assert machine.run("service.dead", name="db").result is False


def test_enabled_disabled_masked_unmasked(machine: Any, services: Services) -> None:
    for function in ("enabled", "disabled", "masked", "unmasked"):
        if function == "disabled":
            services.boot.add("web")
        assert machine.settle(f"service.{function}", name="web").result is True
    services.hidden.add("web")
    machine.settle("service.running", name="web", unmask=True)
    assert services.calls[-2:] == ["unmask web", "start web"]


@pytest.mark.parametrize(
    ("options", "up", "wanted"),
    [
        ({}, True, "restart web"),
        ({"reload": True}, True, "reload web"),
        ({"full_restart": True}, True, "restart web"),
        ({}, False, "start web"),
    ],
)
def test_a_watch_restarts_or_reloads(
    machine: Any, services: Services, options: dict[str, Any], up: bool, wanted: str
) -> None:
    if up:
        services.up.add("web")
    outcome = machine.run("service.mod_watch", name="web", sfun="running", **options)
    assert (outcome.result, outcome.changes) == (True, {"web": True})
    assert services.calls == [wanted]


def test_a_watch_of_a_dead_service_stops_it(machine: Any, services: Services) -> None:
    assert machine.run("service.mod_watch", name="web", sfun="dead").result is True
    services.up.add("web")
    machine.run("service.mod_watch", name="web", sfun="dead")
    assert services.calls == ["stop web"]


def test_a_watch_in_a_dry_run_needs_no_service(machine: Any, services: Services) -> None:
    plan = machine.dry("service.mod_watch", name="later", sfun="running")
    assert (plan.result, dict(plan.changes)) == (None, {"later": True})
