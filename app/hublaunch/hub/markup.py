"""The words of HTML that the Hub passes on from a spawner."""

import re
from html import unescape

_HTML_MAX = 4000
"""Characters that are read. A message is a quarter of that at most."""

# Each looks no further than to the next `<`, or takes the rest: html.parser is quadratic in `<a <a <a …`, and raises
# for `<![`.
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|template|title)\b[^<>]*>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_INLINE = re.compile(r"</?(?:a|abbr|b|code|em|i|kbd|small|span|strong|u)(?:\s[^<>]*)?>", re.IGNORECASE)
_TAG = re.compile(r"<[a-z/!?][^<>]*(?:>|\Z)", re.IGNORECASE)


def words_of(html: str) -> str:
    """The text of the HTML without its tags; `""` if it has none. It is text, to be escaped wherever it is shown."""
    text = _TAG.sub(" ", _INLINE.sub("", _UNSEEN.sub(" ", html[:_HTML_MAX])))
    return " ".join(unescape(text).split())
