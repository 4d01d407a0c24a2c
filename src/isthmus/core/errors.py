"""What can go wrong, in one line each: what is wrong, where, and what to do.

Command-line programs print the message and exit with status 2; a message never spans lines.
"""


class IsthmusError(Exception):
    """Every error that a user can cause and mend."""


class DataError(IsthmusError, ValueError):
    """The data cannot be read or used: a missing file, a damaged cell, too few rows, wrong columns."""


class OptionError(IsthmusError, ValueError):
    """An option has an unknown name or a value outside its bounds."""


class ModelFileError(IsthmusError, ValueError):
    """A model file is missing, damaged, or not one of ours."""


class ArchiveError(IsthmusError, ValueError):
    """An archive is missing, damaged, cut short, or not one of ours."""


class DivergenceError(IsthmusError, ArithmeticError):
    """Training kept producing numbers that are not finite."""


class LostProcessError(IsthmusError, RuntimeError):
    """One of several processes that train together is gone."""
