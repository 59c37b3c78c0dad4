"""Helpers of a user, which others import or call."""

import salt.utils.stringutils


def label(text, times=1):
    return salt.utils.stringutils.to_unicode(b"<") + text * times + ">"


class Box:
    kind = "box"
