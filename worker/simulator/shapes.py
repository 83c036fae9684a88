"""The odd shapes in which the API has been seen to answer, each a change to a regular answer."""

import json
from collections.abc import Callable
from typing import Any

Body = dict[str, Any]
NO_ROOT = "no-root"
_NUMERIC = ("Mobile", "Extension", "Destination", "Originator")


def _contexts(body: Body) -> list[Body]:
    """Every object of the answer that may hold the fields which vary."""
    channels = body["Data"]["CallContext"]["ChannelContexts"]
    return [*(channels if isinstance(channels, list) else [channels]), body["Data"]["UserContext"]]


def _one_channel_object(body: Body) -> None:
    call = body["Data"]["CallContext"]
    if isinstance(call["ChannelContexts"], list):
        call["ChannelContexts"] = call["ChannelContexts"][0]


def _numbers_for_strings(body: Body) -> None:
    for context in _contexts(body):
        for name in _NUMERIC:
            if str(context.get(name, "")).isdigit():
                context[name] = int(context[name])


def _strings_for_numbers(body: Body) -> None:
    body["HttpStatusCode"] = str(body["HttpStatusCode"])
    for context in _contexts(body):
        for name in ("Index", "Timestamp", "Heartbeat", "Reserved"):
            if name in context:
                context[name] = str(context[name])
    user = body["Data"]["UserContext"]
    user["OutboundScenario"] = "true" if user["OutboundScenario"] else "false"


def _lists_in_strings(body: Body) -> None:
    user = body["Data"]["UserContext"]
    user["SignedSkillGroupIdList"] = json.dumps(user["SignedSkillGroupIdList"])
    for channel in _contexts(body)[:-1]:
        channel["ChannelFlags"] = "[]"


def _escaped_channel_id(body: Body) -> None:
    for channel in _contexts(body)[:-1]:
        channel["ChannelId"] = channel["ChannelId"].replace(">", "&amp;gt;") + '"'


def _nulls(body: Body) -> None:
    body["Message"] = body["Params"] = None
    for context in _contexts(body):
        for name in (
            "AssociatedData",
            "ReleaseReason",
            "SkillGroupId",
            "BreakCode",
            "SignedSkillGroupIdList",
        ):
            if name in context:
                context[name] = None


def _unknown_fields(body: Body) -> None:
    body["Success"] = True
    for context in _contexts(body):
        context["AddedLater"] = {"Nested": [1, "two", None]}


def _no_data(body: Body) -> None:
    del body["Data"]


def _no_root(_body: Body) -> None:
    """Only how XML is written changes, not what."""


def _specification(body: Body) -> None:
    """The example of the specification, whatever the request was."""
    job = "job-65735740600893440"
    body["Data"] = {
        "CallContext": {
            "CallType": "OUTBOUND",
            "InstanceId": "ccc-test",
            "JobId": job,
            "ChannelContexts": {
                "AssociatedData": "{}",
                "CallType": "OUTBOUND",
                "ChannelFlags": "[]",
                "ChannelId": f'ch:user:1318888888-&amp;gt;80011474:1609234221870:{job}"',
                "ChannelState": "CREATED",
                "Destination": 80011474,
                "Index": 0,
                "JobId": job,
                "Originator": 1012345678,
                "ReleaseInitiator": "",
                "ReleaseReason": "",
                "SkillGroupId": "skillgroup@ccc-test",
                "Timestamp": 1609234221870,
                "UserExtension": "",
                "UserId": "user-test@ccc-test",
            },
        },
        "UserContext": {
            "BreakCode": "Warm-up",
            "DeviceId": "ACC-YUNBS-1.0.10-bse05179638553000176add4046f",
            "Extension": 80011474,
            "Heartbeat": 1609234221870,
            "InstanceId": "ccc-test",
            "JobId": job,
            "Mobile": 13900000001,
            "OutboundScenario": False,
            "Reserved": 1609234221870,
            "SignedSkillGroupIdList": '["skill-group@ccc-test"]',
            "UserId": "user-test@ccc-test",
            "UserState": "OFFLINE",
            "WorkMode": "ON_SITE",
        },
    }


ODD: dict[str, Callable[[Body], None]] = {
    "specification": _specification,
    "one-channel-object": _one_channel_object,
    "numbers-for-strings": _numbers_for_strings,
    "strings-for-numbers": _strings_for_numbers,
    "lists-in-strings": _lists_in_strings,
    "escaped-channel-id": _escaped_channel_id,
    "nulls": _nulls,
    "unknown-fields": _unknown_fields,
    "no-data": _no_data,
    NO_ROOT: _no_root,
}
