"""What goes wrong on one machine, said in one sentence to the person at the terminal."""


class LocalError(Exception):
    """The stack cannot start or go on; the message is a sentence that says what to do."""


class PartEnded(LocalError):
    """A part of the stack ended while it started."""


class PortLost(LocalError):
    """A port that was free when it was chosen is somebody else's now: another start chooses another."""


def last_lines(text: str, count: int = 12) -> str:
    """The end of a program's output, indented to stand below a sentence; empty when it said nothing."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "".join(f"\n  {line}" for line in lines[-count:])
