"""Messages of the Hub and of spawners, cleaned so that they can be stored and shown to others."""

import re

MESSAGE_MAX = 1000

_JOINERS = "\u200c\u200d"
_USERINFO = re.compile(r"//[^\s/]*@")
_QUERY = re.compile(r"(?<!\S)([^\s/]*+/[^\s?]*+)\?\S+")
"""Matches from the first `?` after a `/` to the end of a word. Tried once per word."""


def clean(message: str) -> str:
    """Return at most 1,000 characters on one line, without control characters and without credentials in URLs.

    Userinfo and query are removed from every URL and path. Bidirectional and zero-width characters are removed, so that
    no log line can be forged. Joiners between letters stay: Persian, Hindi and emoji need them.
    """
    text = message[: 4 * MESSAGE_MAX]
    if not text.isprintable():
        text = "".join(map(_shown, text, " " + text))
    text = " ".join(text.split())
    text = _QUERY.sub(r"\1", _USERINFO.sub("//", text))
    return text if len(text) <= MESSAGE_MAX else text[: MESSAGE_MAX - 1] + "…"


def _shown(character: str, before: str) -> str:
    joins = character in _JOINERS and before.isprintable() and not before.isascii()
    return character if joins or character.isprintable() else " "
