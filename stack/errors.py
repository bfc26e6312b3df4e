"""What can keep the stack from running, each with a sentence for the person at the terminal."""

from __future__ import annotations

from shared.errors import FacefitError


class StackError(FacefitError):
    """Base of the stack's errors: its text is all that a person needs to see."""


class BinaryMissing(StackError):
    """Raised when Redis or the object store is not installed here."""


class FolderInUse(StackError):
    """Raised when another stack runs on the same data folder."""


class PortTaken(StackError):
    """Raised when the port asked for belongs to somebody else."""


class NotReady(StackError):
    """Raised when a process did not come up in time, or died too often."""


class Interrupted(StackError):
    """Raised where something was waited for when the person asked to stop."""


class DemoFailed(StackError):
    """Raised when the service did not answer the demonstration as it should."""
