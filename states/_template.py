"""Templates of managed files, rendered with what the running job knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.errors import CommandExecutionError, CommandNotFoundError, CtlError, FileServerError, PluginNotLoaded
from ..modules._rendering import job_renderer
from ._planning import Missing


def render_text(text: str, *, engine: str, path: str, saltenv: str, context: Mapping[str, Any]) -> str:
    """Render the text of a template; `path` names it in errors and tells what its relative imports are relative to.

    Raises `Missing` where the template asks for something that an earlier state may provide.
    """
    try:
        return job_renderer().template(text, path=path, saltenv=saltenv, context=context, engine=engine)
    except CtlError as error:
        if _lacks_something(error):
            raise Missing(str(error)) from error
        raise


def template_context(defaults: Any, context: Any, **facts: Any) -> dict[str, Any]:
    """Put a template's variables together: what is known of the file, then `defaults`, then `context`."""
    variables: dict[str, Any] = dict(facts)
    for name, value in (("defaults", defaults), ("context", context)):
        if value is None:
            continue
        if not isinstance(value, Mapping):
            raise CommandExecutionError(f"{name} must be a mapping")
        variables.update(value)
    return variables


def _lacks_something(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, CommandNotFoundError | PluginNotLoaded):
            return True
        if isinstance(error, FileNotFoundError) and not isinstance(error, FileServerError):
            return True
        error = error.__cause__ or error.__context__
    return False
