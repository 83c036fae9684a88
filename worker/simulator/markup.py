"""Answers as XML, for requests with Format=XML: the content of the JSON answer, element by element."""

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

XML_TYPE = "text/xml;charset=utf-8"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
# What XML 1.0 cannot hold in any spelling: most control characters, lone surrogates, two non-characters.
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(content: Mapping[str, Any], root: str | None) -> bytes:
    """Write ``content`` under a root element, or without one, which is then no whole XML document.

    A list becomes one element for each of its items, under the list's own name; a null and an empty list
    leave no element. A character that XML cannot hold is replaced by U+FFFD.
    """
    inner = _elements(content)
    return (inner if root is None else f"{_DECLARATION}<{root}>{inner}</{root}>").encode()


def _elements(content: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_text(item)}</{name}>"
        for name, value in content.items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    )


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return _elements(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    # A bare carriage return would be read as a line feed.
    return escape(_IMPOSSIBLE.sub("\ufffd", str(value)), {"\r": "&#13;"})
