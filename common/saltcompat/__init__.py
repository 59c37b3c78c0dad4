"""What `import salt` means inside a plugin of a user, and only there: the small part of Salt's library they use.

Nothing here is Salt's code: the names lead to ctl's own functions and to the standard library. The loader answers a
user's plugin's `import salt.x` with the module `x` of this package.
"""

from ... import __version__ as ctl_version

__version__ = "3008.3"
__ctl_version__ = ctl_version
