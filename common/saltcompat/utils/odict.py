"""`salt.utils.odict`: a dict keeps its order already."""

from collections import OrderedDict

__all__ = ["OrderedDict"]
