"""The API's answer as one typed model, whatever shape it came in, with every field of the specification.

Field names are those of the specification in snake_case; its own names are the aliases, by which a dump is
written. Unknown fields are kept beside the known ones (``model_extra``). No repr shows a value: answers hold
phone numbers.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr
from pydantic.alias_generators import to_pascal

from worker.ccc.elements import load_elements
from worker.ccc.errors import Unanswered
from worker.ccc.shapes import Boolean, ChannelId, Integer, Map, Text, Texts, as_map, as_maps, as_text, load_json
from worker.ccc.text import clean_content_type, clean_request_id

MAX_BODY_BYTES = 1 << 20


class _Shape(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="allow", alias_generator=to_pascal, serialize_by_alias=True, frozen=True
    )

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return []


class ChannelContext(_Shape):
    """One channel of the call: a customer's or an agent's leg."""

    associated_data: Map = Field(default_factory=dict)
    call_type: Text = None
    channel_flags: Text = None
    channel_id: ChannelId = None
    channel_state: Text = None
    destination: Text = None
    index: Integer = None
    job_id: Text = None
    originator: Text = None
    release_initiator: Text = None
    release_reason: Text = None
    skill_group_id: Text = None
    timestamp: Integer = None
    user_extension: Text = None
    user_id: Text = None


class CallContext(_Shape):
    """The call that the key was pressed in."""

    call_type: Text = None
    instance_id: Text = None
    job_id: Text = None
    channel_contexts: Annotated[list[ChannelContext], BeforeValidator(as_maps)] = Field(default_factory=list)


class UserContext(_Shape):
    """The agent on whose behalf the key was pressed."""

    break_code: Text = None
    device_id: Text = None
    extension: Text = None
    heartbeat: Integer = None
    instance_id: Text = None
    job_id: Text = None
    mobile: Text = None
    outbound_scenario: Boolean = None
    reserved: Integer = None
    signed_skill_group_id_list: Texts = Field(default_factory=list)
    user_id: Text = None
    user_state: Text = None
    work_mode: Text = None


class Data(_Shape):
    """What an answer says beside its outcome."""

    call_context: Annotated[CallContext | None, BeforeValidator(as_map)] = None
    user_context: Annotated[UserContext | None, BeforeValidator(as_map)] = None


class Answer(_Shape):
    """An answer with a Code in it: OK or an error.

    request_id is None unless it looks like one, since it goes into logs and records as it is.
    """

    code: Text = None
    http_status_code: Integer = None
    message: Text = None
    params: Texts = Field(default_factory=list)
    request_id: Annotated[str | None, BeforeValidator(lambda value: clean_request_id(as_text(value)))] = None
    data: Annotated[Data, BeforeValidator(lambda value: as_map(value) or {})] = Field(default_factory=Data)

    _http_status: int = PrivateAttr(200)
    _retry_after: str | None = PrivateAttr(None)

    @property
    def http_status(self) -> int:
        """The HTTP status that the answer came with; http_status_code is the one written inside it."""
        return self._http_status

    @property
    def retry_after(self) -> str | None:
        """The header x-acs-retry-after as it came."""
        return self._retry_after

    def contexts(self) -> dict[str, Any]:
        """CallContext and UserContext by these names as plain JSON values; holds personal data."""
        return self.data.model_dump(mode="json", include={"call_context", "user_context"})


def parse_answer(http_status: int, content_type: str | None, body: bytes, *, retry_after: str | None = None) -> Answer:
    """The answer that a body holds, an error's as well (see classify.raise_for).

    JSON and XML are told apart by their first character. Raises Unanswered where there is no Code to be found:
    neither JSON nor XML, of another shape, not UTF-8, over 1 MiB, nested too deeply. retry_after is the header
    x-acs-retry-after.
    """
    fields, problem = _decode(body)
    if not problem:
        answer = Answer.model_validate(fields)
        if answer.code and answer.code.strip():
            answer._http_status = http_status  # noqa: SLF001  (a class's own factory)
            answer._retry_after = retry_after  # noqa: SLF001
            return answer
        problem = "no Code in it"
    # Raised out here so that it carries no context: a JSON error holds the whole body.
    raise unanswered(
        f"what came is none of its answers ({problem}; HTTP {http_status}, {clean_content_type(content_type)})",
        http_status=http_status,
    )


def unanswered(what: str, *, http_status: int | None = None, written: bool = True) -> Unanswered:
    """The error for a request that nobody knows the outcome of; what says why, in words of our own."""
    if not written:
        message = f"No connection to the API: {what}. Not a byte of the request was written; send it again."
        return Unanswered(message, written=False)
    message = (
        f"No answer from the API: {what}. Whether the key was pressed is unknown; send the same request "
        "again under the same nonce."
    )
    return Unanswered(message, http_status=http_status)


def _decode(body: bytes) -> tuple[dict[str, Any], str]:
    """The fields of a body, or what is wrong with it; the one place that knows of the answer's format."""
    if len(body) > MAX_BODY_BYTES:
        return {}, f"over {MAX_BODY_BYTES} bytes"
    for starts, decoder in _DECODERS.items():
        if body.lstrip(_BLANK).startswith(starts):
            return decoder(body)
    return {}, "neither a JSON object nor XML"


def _decode_json(body: bytes) -> tuple[dict[str, Any], str]:
    try:
        value = load_json(body.decode("utf-8-sig"))
    except ValueError:
        return {}, "not readable as JSON"
    return (value, "") if isinstance(value, dict) else ({}, "not a JSON object")


def _decode_xml(body: bytes) -> tuple[dict[str, Any], str]:
    try:
        fields = load_elements(body.decode("utf-8-sig"))
    except ValueError:
        return {}, "not readable as XML"
    names, values = list(fields), list(fields.values())
    # A root element, whatever its name: SendDtmfSignalingResponse, Error.
    if len(names) == 1 and names[0] not in _FIELDS and isinstance(values[0], dict):
        return values[0], ""
    return fields, ""


# White space and the byte order mark.
_BLANK = b" \t\r\n\xef\xbb\xbf"
_FIELDS = {field.alias for field in Answer.model_fields.values()}
# By the first byte, since proxies and gateways are careless with the content type.
_DECODERS: dict[bytes, Callable[[bytes], tuple[dict[str, Any], str]]] = {b"{": _decode_json, b"<": _decode_xml}
