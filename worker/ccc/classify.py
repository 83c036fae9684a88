"""From an answer to the class of its outcome: the table of error codes, by Code first and HTTP status second.

Messages say what is wrong and what to do. Code, request id and content type come from the network and are
cleaned before they stand in an error; the API's own Message is never quoted, since it names the channel.
"""

import re

from worker.ccc.answer import Answer
from worker.ccc.errors import ApiError, Gone, NotExecuted, Refused, Rejected, ReplayRefused, Undetermined
from worker.ccc.text import clean_code

_MAX_RETRY_AFTER_MS = 60_000

_GONE = frozenset({"NotExists.ChannelId", "NotExists.JobId", "NotExists.InstanceId"})

# The part of a code before its first dot; what a family of codes says holds for its members not listed here.
_FAMILIES: dict[str, type[ApiError]] = {
    "NotExists": Rejected,
    "MissingParameter": Rejected,
    "Parameter": Rejected,
    "UnsupportedHTTPMethod": Rejected,
    "InvalidAccessKeyId": Refused,
    "SignatureDoesNotMatch": Refused,
    "IncompleteSignature": Refused,
    "InvalidSecurityToken": Refused,
    "Forbidden": Refused,
    "NoPermission": Refused,
    "Permission": Refused,
    "AbnormalService": Refused,
    "InvalidTimeStamp": Refused,
    "IllegalTimestamp": Refused,
    "Throttling": NotExecuted,
    "ServiceUnavailable": NotExecuted,
    "InternalError": Undetermined,
    "InternalService": Undetermined,
    "SignatureNonceUsed": ReplayRefused,
}

_TEXTS: dict[type[ApiError], str] = {
    Gone: "The API says that the call, its channel or the instance does not exist ({}). No key can reach "
    "this call any more; if the call should be in progress, check the ids.",
    Rejected: "The API rejects the request as wrong ({}). It would be rejected again: correct the arguments "
    "of the task or the settings.",
    Refused: "The API refuses this account or this machine's clock ({}). Every request fails alike until an "
    "operator acts: check the AccessKey, its permissions, the security token and the clock.",
    NotExecuted: "The API throttles or is unavailable and did not execute the request ({}). Make a new "
    "attempt after a pause; if it goes on, ask for a higher quota or send fewer keys at once.",
    Undetermined: "The API reports an error that leaves open whether the key was pressed ({}). Find out how "
    "the call stands before the key is pressed again.",
    ReplayRefused: "The API has seen this request already ({}): an earlier copy of it was taken. Do not "
    "press the key again.",
}


def raise_for(answer: Answer) -> None:
    """Return if the answer's Code is OK, else raise what it means, with code, HTTP status and request id."""
    error = classify(answer)
    if error is None:
        return
    code, request_id = clean_code(answer.code), answer.request_id
    facts = f"code {code}, HTTP {answer.http_status}, request id {request_id or 'unknown'}"
    retry_after_ms = _milliseconds(answer.retry_after) if error is NotExecuted else None
    raise error(_TEXTS[error].format(facts), code, answer.http_status, request_id, retry_after_ms)


def classify(answer: Answer) -> type[ApiError] | None:
    """The class of what the answer says; None for OK."""
    code = (answer.code or "").strip()
    if code == "OK":
        return None
    if code in _GONE:
        return Gone
    family = _FAMILIES.get(code.partition(".")[0])
    if family is not None:
        return family
    if code.startswith("Invalid"):
        return Rejected
    # An error may come with HTTP 200; then the status inside the answer is the better witness.
    status = answer.http_status if answer.http_status >= 400 else answer.http_status_code or 0
    return Rejected if 400 <= status < 500 else Undetermined


def _milliseconds(header: str | None) -> int | None:
    """x-acs-retry-after as milliseconds, at most a minute; None if it is missing or not a whole number."""
    text = (header or "").strip()
    return min(int(text), _MAX_RETRY_AFTER_MS) if re.fullmatch(r"[0-9]{1,18}", text) else None
