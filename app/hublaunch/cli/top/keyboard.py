"""Single keys from a terminal, without waiting for the end of a line."""

import codecs
import os
import re
import select
import termios
import tty
from collections.abc import Sequence
from types import TracebackType
from typing import Self

_SEQUENCE = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
_NAMES = {
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "backspace",
    "\x08": "backspace",
    **{f"\x1b{kind}A": "up" for kind in "[O"},
    **{f"\x1b{kind}B": "down" for kind in "[O"},
    **{f"\x1b{kind}H": "home" for kind in "[O"},
    **{f"\x1b{kind}F": "end" for kind in "[O"},
    "\x1b[1~": "home",
    "\x1b[4~": "end",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
}
_READ_BYTES = 1024


class Keyboard:
    """The keys of the terminal `descriptor`. When the context ends, the terminal is restored.

    Ctrl-C still interrupts. Ctrl-Z does nothing, because the terminal of a suspended command would stay changed.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before = termios.tcgetattr(descriptor)
        self._text = codecs.getincrementaldecoder("utf-8")("replace")

    def __enter__(self) -> Self:
        tty.setcbreak(self._descriptor)
        changed = termios.tcgetattr(self._descriptor)
        changed[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, changed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def keys(self, *, within_s: float) -> Sequence[str]:
        """Return the keys pressed, after at most `within_s`: a character, or a name such as `up` or `enter`.

        Raises EOFError once the terminal is gone.
        """
        if not select.select([self._descriptor], [], [], within_s)[0]:
            return []
        try:
            typed = os.read(self._descriptor, _READ_BYTES)
        except OSError as error:
            raise EOFError from error
        if not typed:
            raise EOFError
        found = _SEQUENCE.findall(self._text.decode(typed))
        return [name for key in found if (name := _NAMES.get(key, key)) in _KNOWN or name.isprintable()]


_KNOWN = frozenset(_NAMES.values())
