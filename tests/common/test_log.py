"""Logging: what peers sent cannot forge lines, and lines cannot flood."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from ctl.common import log
from ctl.common.errors import ConfigError


def test_control_characters_are_written_out() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 1, "a\x1b[31m%s", ("b\nERROR forged",), None)
    text = log.Formatter("%(message)s").format(record)
    assert text == "a\\x1b[31mb\n    ERROR forged"


def test_one_line_a_minute_for_each_subject() -> None:
    now = [0.0]
    limiter = log.Limiter(60, now=lambda: now[0], most=2)
    assert [limiter.allows("a"), limiter.allows("a"), limiter.allows("b")] == [True, False, True]
    now[0] = 61
    assert limiter.allows("a")
    assert limiter.allows("c")  # the oldest subject gave way
    assert len(limiter._last) == 2


def test_the_log_file_is_private(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers.clear()
    try:
        log.set_up("error", tmp_path / "d" / "log", "info")
        logging.getLogger("ctl.x").info("hello")
        assert "hello" in (tmp_path / "d" / "log").read_text()
        assert stat.S_IMODE((tmp_path / "d" / "log").stat().st_mode) == 0o600
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(False)


def test_an_unknown_level_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean warning"):
        log.level_number("warnin")
