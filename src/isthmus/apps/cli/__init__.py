"""The command line. Importing it imports no library that commands compute with, so that help comes at once."""

from .program import app, main

__all__ = ["app", "main"]
