"""States that raise."""

from salt.exceptions import CommandExecutionError, SaltInvocationError


def invocation(name):
    raise SaltInvocationError("wrong arguments")


def execution(name):
    raise CommandExecutionError("gone wrong")


def missing_argument(name, needed="x"):
    raise KeyError(needed)
