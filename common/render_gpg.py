"""The renderer `gpg`: decrypts the armoured PGP messages in data or text with the real gpg."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

from .errors import RenderError

_MESSAGE = re.compile(r"-----BEGIN PGP MESSAGE-----.*?-----END PGP MESSAGE-----", re.DOTALL)
_TIMEOUT_S = 60


def decrypt(value: Any, home: str, path: str) -> Any:
    """Return `value` with every PGP message in it decrypted; a string that is one message loses the final newline."""
    if isinstance(value, str):
        text = value.strip()
        if _MESSAGE.fullmatch(text):
            return _open(text, home, path)
        return _MESSAGE.sub(lambda found: _open(found.group(), home, path), value)
    if isinstance(value, dict):
        return {key: decrypt(item, home, path) for key, item in value.items()}
    if isinstance(value, list):
        return [decrypt(item, home, path) for item in value]
    return value


def _open(message: str, home: str, path: str) -> str:
    program = shutil.which("gpg")
    if program is None:
        raise RenderError("the renderer gpg needs the program gpg", path=path)
    command = [program, "--homedir", home, "--batch", "--no-tty", "--quiet", "--decrypt"]
    done = subprocess.run(command, input=message.encode(), capture_output=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise RenderError(f"gpg could not decrypt a value: {reason[-1] if reason else done.returncode}", path=path)
    return done.stdout.decode()
