"""The odd shapes in which the API sends its values, each brought to the type that the specification gives.

No as_... ever raises: a value that makes no sense is None (or empty), because the key behind the answer has
been pressed, whatever its side matters look like.
"""

import html
import json
import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_MAX_LONG = 2**63 - 1
_MAX_DEPTH = 64
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

# NaN and Infinity are no JSON, and whatever stores the answer later may not take them.
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def load_json(text: str) -> Any:
    """The value of a JSON text, fit to be written as JSON again.

    Raises ValueError for what is not JSON, is nested deeper than 64 levels or holds a number of thousands of
    digits; lone surrogates become question marks.
    """
    try:
        value = _DECODER.decode(text)
        if _SURROGATE.search(text):
            tidy = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
            value = _DECODER.decode(tidy.decode("utf-8"))
    except RecursionError:
        value = None
        nested = True
    else:
        nested = text.count("[") + text.count("{") > _MAX_DEPTH and _deep(value)
    if nested:
        raise ValueError("nested too deeply")
    return value


def as_text(value: object) -> str | None:
    """A string, or a number or boolean where the specification says String."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else None


def as_channel_id(value: object) -> str | None:
    """A channel id, which comes HTML-escaped up to twice and with a stray quote at its end."""
    text = as_text(value)
    if text is None:
        return None
    for _ in range(2):
        text = html.unescape(text)
    return text.strip().strip('"')


def as_integer(value: object) -> int | None:
    """A whole number that fits a Long, or a string that holds one."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_LONG:
        return value
    return None


def as_boolean(value: object) -> bool | None:
    """A boolean, or "true", "false", 1, 0, "1" or "0"."""
    text = as_text(value)
    return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower()) if text else None


def as_list(value: object) -> list[Any]:
    """A list, a list as JSON inside a string, or one value where a list should be."""
    if isinstance(value, str):
        value = _inner(value, "[{", otherwise=[value] if value.strip() else [])
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def as_texts(value: object) -> list[str]:
    """A list of strings, in the shapes of as_list; what is no string and no number is left out.

    An object with one entry is the wrapping that older answers and XML have: {"Param": ["a", "b"]}.
    """
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return [text for text in map(as_text, as_list(value)) if text is not None]


def as_map(value: object) -> dict[str, Any] | None:
    """An object, or an object as JSON inside a string."""
    if isinstance(value, str):
        value = _inner(value, "{", otherwise=None)
    return value if isinstance(value, dict) else None


def as_maps(value: object) -> list[dict[str, Any]]:
    """A list of objects, in the shapes of as_list; what is no object is left out."""
    return [one for one in map(as_map, as_list(value)) if one is not None]


Text = Annotated[str | None, BeforeValidator(as_text)]
ChannelId = Annotated[str | None, BeforeValidator(as_channel_id)]
Integer = Annotated[int | None, BeforeValidator(as_integer)]
Boolean = Annotated[bool | None, BeforeValidator(as_boolean)]
Texts = Annotated[list[str], BeforeValidator(as_texts)]
Map = Annotated[dict[str, Any], BeforeValidator(lambda value: as_map(value) or {})]


def _inner(text: str, starts: str, *, otherwise: object) -> object:
    text = text.strip()
    if not text.startswith(tuple(starts)):
        return otherwise
    try:
        return load_json(text)
    except ValueError:
        return otherwise


def _deep(value: object) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return False
    return True


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
