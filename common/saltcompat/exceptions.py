"""`salt.exceptions`: names that plugins raise and catch, as members of ctl's own tree."""

import builtins

from ..errors import (
    ArgumentError,
    AuthenticationError,
    AuthorizationError,
    CommandExecutionError,
    CommandNotFoundError,
    CtlError,
    FileServerError,
    RenderError,
)

SaltException = CtlError
SaltRenderError = RenderError
SaltInvocationError = ArgumentError
SaltReqTimeoutError = TimeoutError = builtins.TimeoutError
FileserverConfigError = FileServerError
EauthAuthenticationError = AuthenticationError


class MinionError(CtlError):
    """A minion could not fetch or read something."""


class SaltConfigurationError(CtlError):
    """A plugin is configured wrongly."""


class SaltSystemExit(SystemExit):
    """A plugin wants its process to end."""


__all__ = [
    "ArgumentError",
    "AuthenticationError",
    "AuthorizationError",
    "CommandExecutionError",
    "CommandNotFoundError",
    "EauthAuthenticationError",
    "FileserverConfigError",
    "MinionError",
    "SaltConfigurationError",
    "SaltException",
    "SaltInvocationError",
    "SaltRenderError",
    "SaltReqTimeoutError",
    "SaltSystemExit",
    "TimeoutError",
]
