"""XML as the same plain values that JSON would have given.

The text is parsed as the content of an element of our own. So it may have one root element or none, and a
DTD, which stands before the root and nowhere else, is a syntax error: no entity can be declared, and one that
was not declared is an error too. Nothing is expanded, nothing is fetched.
"""

import re
from typing import Any
from xml.parsers import expat

_MAX_DEPTH = 64
_DECLARATION = re.compile(r"\A\s*<\?xml\s[^>]*\?>")


def load_elements(text: str) -> dict[str, Any]:
    """The top-level elements of an XML text by name.

    An element with elements in it is a dict of these, another one its text, one that is repeated a list;
    attributes are left out. Raises ValueError for what is not XML, is nested deeper than 64 levels or has text
    outside of its elements.
    """
    tree = _Tree()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    try:
        # A declaration may stand at the very beginning alone. What encoding it names is of no matter any more.
        parser.Parse(f"<_>{_DECLARATION.sub('', text, count=1)}</_>", True)  # noqa: FBT003  (positional in C)
    except expat.ExpatError:
        whole = False
    else:
        whole = True
    if not whole or tree.stray:
        raise ValueError("not XML")
    return tree.fields


class _Tree:
    """Elements as they come; the first one is our own."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.stray = False
        self._open: list[tuple[dict[str, Any], list[str]]] = []

    def start(self, name: str, _: object) -> None:  # noqa: ARG002  (expat's signature)
        if len(self._open) > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        self._open.append(({}, []))

    def text(self, text: str) -> None:
        self._open[-1][1].append(text)

    def end(self, name: str) -> None:
        fields, texts = self._open.pop()
        text = "".join(texts)
        if not self._open:
            self.fields = fields
            self.stray = bool(text.strip())
            return
        # White space alone is how somebody laid the text out.
        value = fields or (text if text.strip() else "")
        siblings, _ = self._open[-1]
        if name not in siblings:
            siblings[name] = value
        elif isinstance(siblings[name], list):
            siblings[name].append(value)
        else:
            siblings[name] = [siblings[name], value]
