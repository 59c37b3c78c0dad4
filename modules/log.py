"""Write to the minion's log from templates and command lines."""

from __future__ import annotations

import logging

log = logging.getLogger("ctl.user")


def debug(message: str) -> bool:
    """Log a message at level debug.

    CLI example: `ctl '*' log.debug 'checking the map'`
    """
    log.debug("%s", message)
    return True


def info(message: str) -> bool:
    """Log a message at level info.

    CLI example: `ctl '*' log.info 'all is well'`
    """
    log.info("%s", message)
    return True


def warning(message: str) -> bool:
    """Log a message at level warning.

    CLI example: `ctl '*' log.warning 'this will not do for long'`
    """
    log.warning("%s", message)
    return True


def error(message: str) -> bool:
    """Log a message at level error.

    CLI example: `ctl '*' log.error 'this should not be'`
    """
    log.error("%s", message)
    return True


def critical(message: str) -> bool:
    """Log a message at level critical.

    CLI example: `ctl '*' log.critical 'look at this now'`
    """
    log.critical("%s", message)
    return True


def exception(message: str) -> bool:
    """Log a message at level error, as for an exception.

    CLI example: `ctl '*' log.exception 'this went wrong'`
    """
    log.error("%s", message)
    return True
