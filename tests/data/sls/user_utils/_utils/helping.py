"""A helper of a user."""


def double(number):
    return 2 * number
