"""What comes from the network and stands in an error all the same, cleaned.

A faulty or hostile answer may carry anything in these places; none of it may bring a phone number, a channel
id or a line break into a log.
"""

import re

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
_REQUEST_ID = re.compile(r"(?=.*[A-Za-z-])[A-Za-z0-9-]{1,64}")
_CONTENT_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,60}")
_LONG_NUMBER = re.compile(r"[0-9]{5}")


def clean_code(code: str | None) -> str:
    """An error code as it came, or "unreadable" if it does not look like one."""
    text = (code or "").strip()
    return text if _CODE.fullmatch(text) and not _LONG_NUMBER.search(text) else "unreadable"


def clean_request_id(request_id: str | None) -> str | None:
    """A request id as it came, or None if it does not look like one."""
    text = (request_id or "").strip()
    return text if _REQUEST_ID.fullmatch(text) else None


def clean_content_type(content_type: str | None) -> str:
    """A media type without its parameters, or words that say that there is none to be read."""
    if not content_type:
        return "no content type"
    text = content_type.partition(";")[0].strip().lower()
    return text if _CONTENT_TYPE.fullmatch(text) and not _LONG_NUMBER.search(text) else "unreadable content type"
