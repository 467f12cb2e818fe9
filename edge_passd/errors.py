"""The one exception that means: the input is bad, and here is what to do about it."""


class BadInput(Exception):
    """Bad input from outside: a missing file, a broken image, an unknown class, an absent library.

    The message is one line that says what is wrong, where, and what to do. The command line
    prints it on stderr and ends with exit status 2; nothing prints a traceback for it.
    """
