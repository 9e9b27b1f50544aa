"""The text of HTML messages that the Hub passes on from a spawner."""

import re
from html import unescape

_HTML_MAX = 4000
"""The most characters that are read: four times the longest message."""

# Each pattern stops at the next `<` or takes the rest. html.parser is quadratic in `<a <a <a …`, and raises on `<![`.
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|template|title)\b[^<>]*>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_INLINE = re.compile(r"</?(?:a|abbr|b|code|em|i|kbd|small|span|strong|u)(?:\s[^<>]*)?>", re.IGNORECASE)
_TAG = re.compile(r"<[a-z/!?][^<>]*(?:>|\Z)", re.IGNORECASE)


def words_of(html: str) -> str:
    """Return the HTML's text without tags, possibly empty. Escape it wherever it is shown."""
    text = _TAG.sub(" ", _INLINE.sub("", _UNSEEN.sub(" ", html[:_HTML_MAX])))
    return " ".join(unescape(text).split())
