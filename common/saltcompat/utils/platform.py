"""`salt.utils.platform`: what runs here. ctl runs on Linux."""


def is_linux() -> bool:
    """Whether this is Linux."""
    return True


def is_windows() -> bool:
    """Whether this is Windows."""
    return False


is_darwin = is_freebsd = is_netbsd = is_openbsd = is_sunos = is_smartos = is_aix = is_proxy = is_windows
