"""What is answered: success, refusals in the shape of the gateway or of the API, and a proxy's pages."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import uuid4
from zlib import crc32

from worker.simulator import markup
from worker.simulator.calls import Call
from worker.simulator.errors import Refusal
from worker.simulator.shapes import NO_ROOT, ODD

JSON_TYPE = "application/json;charset=utf-8"

_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
_SOME_TIME = 9_007_199_254_740_991
# These come from the API itself, which answers in its own shape; all others from the gateway before it.
_OF_THE_API = ("NotExists.",)
_NUMBERS = re.compile(r"\+?(\d{3,15})\D{1,12}?(\d{3,15})")
_PAGE = (
    "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1>"
    "</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_REASONS = {
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}


@dataclass(slots=True)
class Answer:
    """An answer ready to be written: ``code`` is what the log calls it."""

    code: str
    status: int
    body: bytes
    request_id: str
    content_type: str = JSON_TYPE
    retry_after_ms: int | None = None
    location: str | None = None


def new_request_id() -> str:
    """An id as the vendor writes them: a UUID in capitals."""
    return str(uuid4()).upper()


def refused(
    refusal: Refusal, request_id: str, host: str, request: Mapping[str, str], odd: frozenset[str] = frozenset()
) -> Answer:
    """The body of an error, in the gateway's shape or in the API's own, as JSON or as the request wants it."""
    code = refusal.code
    if code.startswith(_OF_THE_API) or refusal.status == 200:
        body: dict[str, Any] = {
            "RequestId": request_id,
            "HttpStatusCode": refusal.status,
            "Code": code,
            "Message": refusal.message,
            "Params": [],
        }
    else:
        body = {
            "RequestId": request_id,
            "HostId": host,
            "Code": code,
            "Message": refusal.message,
            "Recommend": f"https://api.aliyun.com/troubleshoot?q={code}&product=CCC&requestId={request_id}",
        }
    answer = _answer(code, refusal.status, body, request, odd)
    answer.retry_after_ms = refusal.retry_after_ms
    return answer


def page(status: int, request_id: str) -> Answer:
    """What a proxy on the way says: HTML, no Code."""
    body = _PAGE.format(status=status, reason=_REASONS.get(status, "Error"))
    return Answer("(page)", status, body.encode(), request_id, content_type="text/html")


def redirect(status: int, location: str, request_id: str) -> Answer:
    """A redirect, which a client that signs its requests must not follow."""
    return Answer("(redirect)", status, b"", request_id, content_type="text/html", location=location)


def executed(call: Call, request: Mapping[str, str], request_id: str, now_ms: int, odd: frozenset[str]) -> Answer:
    """Success. ``odd`` names the shapes of `ODD` in which the answer departs from its schema."""
    facts = (call.instance_id, call.job_id, call.channel_id, request["UserId"], request["DeviceId"])
    pieces = _pieces(*facts)
    if len(pieces) == 3 and not odd and not _wants_xml(request):
        body = f'{{"RequestId":"{request_id}",{str(now_ms).join(pieces)}'.encode("utf-8", "surrogatepass")
        return Answer("OK", 200, body, request_id)
    content = {"RequestId": request_id} | _success(*facts, now_ms)
    for name in odd:
        ODD[name](content)
    return _answer("OK", 200, content, request, odd)


def _answer(code: str, status: int, content: dict[str, Any], request: Mapping[str, str], odd: frozenset[str]) -> Answer:
    """The content as the request wants it written."""
    if not _wants_xml(request):
        body = _JSON.encode(content).encode("utf-8", "surrogatepass")
        return Answer(code, status, body, content["RequestId"])
    root = "Error" if status >= 400 else "SendDtmfSignalingResponse"
    body = markup.write(content, None if NO_ROOT in odd else root)
    return Answer(code, status, body, content["RequestId"], content_type=markup.XML_TYPE)


def _wants_xml(request: Mapping[str, str]) -> bool:
    return request.get("Format", "").upper() == "XML"


@lru_cache(maxsize=4096)
def _pieces(instance: str, job: str, channel: str, user: str, device: str) -> list[str]:
    """The answer of a channel without its request id, cut where the time stands: it is the same each time."""
    whole = _JSON.encode(_success(instance, job, channel, user, device, _SOME_TIME))
    return whole[1:].split(str(_SOME_TIME))


def _numbers(channel_id: str) -> tuple[str, str, str]:
    """Caller, called and extension of a made-up call, the same ones each time for a channel."""
    extension = f"800{crc32(channel_id.encode('utf-8', 'surrogatepass')) % 100_000:05d}"
    found = _NUMBERS.search(channel_id)
    if found is not None:
        return found[1], found[2], extension
    return f"0101{extension[1:]}", f"139{extension}", extension


def _success(  # noqa: PLR0917 - what an answer is made of
    instance: str, job: str, channel_id: str, user: str, device: str, now_ms: int
) -> dict[str, Any]:
    originator, destination, extension = _numbers(channel_id)
    channel = {
        "AssociatedData": {},
        "CallType": "OUTBOUND",
        "ChannelFlags": "",
        "ChannelId": channel_id,
        "ChannelState": "ESTABLISHED",
        "Destination": destination,
        "Index": 0,
        "JobId": job,
        "Originator": originator,
        "ReleaseInitiator": "",
        "ReleaseReason": "",
        "SkillGroupId": f"skillgroup@{instance}",
        "Timestamp": now_ms,
        "UserExtension": extension,
        "UserId": user,
    }
    context = {
        "BreakCode": "",
        "DeviceId": device,
        "Extension": extension,
        "Heartbeat": now_ms,
        "InstanceId": instance,
        "JobId": job,
        "Mobile": destination,
        "OutboundScenario": True,
        "Reserved": 0,
        "SignedSkillGroupIdList": [f"skillgroup@{instance}"],
        "UserId": user,
        "UserState": "TALKING",
        "WorkMode": "ON_SITE",
    }
    return {
        "Code": "OK",
        "HttpStatusCode": 200,
        "Message": "",
        "Params": [],
        "Data": {
            "CallContext": {
                "CallType": "OUTBOUND",
                "InstanceId": instance,
                "JobId": job,
                "ChannelContexts": [channel],
            },
            "UserContext": context,
        },
    }
