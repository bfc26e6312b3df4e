"""What a reference may be within a batch, where tables and file names are made of references."""

from __future__ import annotations

from shared.schemas import MAX_REFERENCE_LENGTH


def reference_fault(reference: str) -> str | None:
    """Tell why a text is no reference of a batch's item; None if it is one."""
    if len(reference) > MAX_REFERENCE_LENGTH:
        return f"a reference has at most {MAX_REFERENCE_LENGTH} characters"
    if not reference.isprintable():
        return "a reference has printable characters only"
    if not reference[:1].isalnum():
        return "a reference starts with a letter or digit"
    return None


def reference_of_name(name: str) -> str | None:
    """Make a reference of a file's name; None if nothing of it can be one.

    What comes before the first letter or digit is left out, what cannot be printed becomes `_`, and what is too long is
    cut.
    """
    printable = "".join(letter if letter.isprintable() else "_" for letter in name)
    return without_marks_before(printable)[:MAX_REFERENCE_LENGTH] or None


def without_marks_before(name: str) -> str:
    """Return a name from its first letter or digit on: cameras name photos `_MG_1234.JPG`."""
    start = next((at for at, letter in enumerate(name) if letter.isalnum()), len(name))
    return name[start:]
