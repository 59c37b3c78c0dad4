"""The renderer `gpg`: decrypts the armoured PGP messages in data or text with the real gpg."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from .errors import RenderError

log = logging.getLogger(__name__)

_MESSAGE = re.compile(rb"-----BEGIN PGP MESSAGE-----.*?-----END PGP MESSAGE-----", re.DOTALL)
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Decryption:
    """How PGP messages are decrypted: with the keys in `home`, for the file `path`.

    What cannot be decrypted is an error, or with `must` off stays as it is, with a line in the log.
    """

    home: str
    path: str
    must: bool = True

    def of(self, value: Any) -> Any:
        """Return `value` with every PGP message in it decrypted; a text that has one loses its final newlines."""
        if isinstance(value, str | bytes):
            return self._text(value)
        if isinstance(value, dict):
            return {key: self.of(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.of(item) for item in value]
        return value

    def _text(self, value: str | bytes) -> str | bytes:
        given = value if isinstance(value, bytes) else value.encode()
        if b"-----BEGIN PGP MESSAGE-----" not in given:
            return value
        found, count = _MESSAGE.subn(lambda message: self._open(message.group()), given)
        if not count:
            return value
        found = found.rstrip(b"\n")
        try:
            return found.decode()
        except UnicodeDecodeError:
            return found  # a secret need not be text

    def _open(self, message: bytes) -> bytes:
        program = shutil.which("gpg")
        if program is None:
            raise RenderError("the renderer gpg needs the program gpg", path=self.path)
        command = [program, "--homedir", self.home, "--batch", "--no-tty", "--quiet", "--decrypt"]
        text = message.replace(b"\\n", b"\n")  # as a message is written on a command line
        try:
            done = subprocess.run(command, input=text, capture_output=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise RenderError(f"gpg did not decrypt a value within {_TIMEOUT_S} seconds", path=self.path) from None
        if done.returncode == 0:
            return done.stdout
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        why = f"gpg could not decrypt a value: {reason[-1] if reason else done.returncode}"
        if self.must:
            raise RenderError(why, path=self.path)
        log.warning("%s: %s", self.path, why)
        return message
