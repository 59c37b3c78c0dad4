"""Accounts that external authentication vouches for, and the methods that do: what each must be able to say.

A method blocks; it is asked in a thread. None is the answer for whoever is not there or gave a wrong password; a
`JobError` says that the method itself does not work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody known to a method. A token is valid only as long as its account's `stamp` stays what it was."""

    user: str
    groups: Sequence[str] = ()
    stamp: str = ""


class Method(Protocol):
    """A way to authenticate."""

    def check(self, user: str, password: str) -> Account | None:
        """Return the account that this password is right for."""
        ...

    def find(self, user: str) -> Account | None:
        """Return an account that may still be used, without its password: for a token of it."""
        ...
