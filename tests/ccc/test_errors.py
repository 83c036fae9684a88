"""From code and status to the class of an error, and what an error says and does not say."""

import json
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ccc import errors
from worker.ccc.answer import Answer, parse_answer
from worker.ccc.classify import classify, raise_for
from worker.ccc.errors import (
    ApiError,
    Gone,
    NotExecuted,
    Refused,
    Rejected,
    ReplayRefused,
    TooLate,
    Unanswered,
    Undetermined,
)

CLASSES = [Gone, Rejected, Refused, NotExecuted, Undetermined, Unanswered, ReplayRefused, TooLate]


def _answer(
    code: str, status: int, *, inner: object = None, request_id: str = "AB-1", retry_after: str | None = None
) -> Answer:
    fields = {
        "Code": code,
        "RequestId": request_id,
        "HttpStatusCode": inner,
        "Message": "The specified channel ch:customer:13188888888 does not exist in call job-65735740600893440.",
    }
    return parse_answer(status, "application/json", json.dumps(fields).encode(), retry_after=retry_after)


def _raised(answer: Answer) -> ApiError:
    with pytest.raises(ApiError) as caught:
        raise_for(answer)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (Gone, ["NotExists.ChannelId", "NotExists.JobId", "NotExists.InstanceId"]),
        (Rejected, ["MissingParameter", "InvalidParameter", "Parameter.Format", "InvalidDtmf.Malformed"]),
        (Rejected, ["UnsupportedHTTPMethod", "NotExists.UserId", "NotExists", "InvalidVersion"]),
        (Refused, ["InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive", "SignatureDoesNotMatch"]),
        (Refused, ["IncompleteSignature", "InvalidSecurityToken.Expired", "Forbidden.RAM", "NoPermission"]),
        (Refused, ["Permission.Denied", "AbnormalService.Arrears", "InvalidTimeStamp.Expired", "IllegalTimestamp"]),
        (NotExecuted, ["Throttling", "Throttling.User", "Throttling.Api", "ServiceUnavailable"]),
        (Undetermined, ["InternalError", "InternalService.Timeout"]),
        (ReplayRefused, ["SignatureNonceUsed"]),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403, 404, 500, 503])
def test_the_code_decides_whatever_the_status(kind: type[ApiError], codes: list[str], status: int) -> None:
    for code in codes:
        error = _raised(_answer(code, status))
        assert type(error) is kind
        assert (error.code, error.http_status, error.request_id) == (code, status, "AB-1")


@pytest.mark.parametrize(
    ("status", "inner", "kind"),
    [
        (400, None, Rejected),
        (429, None, Rejected),
        (499, 500, Rejected),
        (500, None, Undetermined),
        (502, None, Undetermined),
        (504, 404, Undetermined),
        (200, 404, Rejected),
        (200, "500", Undetermined),
        (200, 200, Undetermined),
        (200, None, Undetermined),
        (302, None, Undetermined),
    ],
)
def test_the_status_decides_for_an_unknown_code(status: int, inner: object, kind: type[ApiError]) -> None:
    assert type(_raised(_answer("Brand.New", status, inner=inner))) is kind


@pytest.mark.parametrize("status", [502, 503, 504, 500, 404, 403, 302, 200])
def test_without_a_code_nothing_is_known(status: int) -> None:
    with pytest.raises(Unanswered, match=f"HTTP {status}, text/html"):
        parse_answer(status, "text/html", b"<html>13188888888</html>")


@pytest.mark.parametrize("status", [200, 500])
def test_ok_is_no_error(status: int) -> None:
    raise_for(_answer("OK", status))
    assert classify(_answer(" OK ", status)) is None


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("1500", 1500),
        (" 0 ", 0),
        ("60001", 60_000),
        ("9" * 18, 60_000),
        ("9" * 30, None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("\u0661", None),
        (None, None),
    ],
)
def test_retry_after_is_a_whole_number_of_milliseconds_up_to_a_minute(header: str | None, read: int | None) -> None:
    assert _raised(_answer("Throttling.User", 400, retry_after=header)).retry_after_ms == read


def test_retry_after_means_nothing_elsewhere() -> None:
    assert _raised(_answer("InternalError", 500, retry_after="1500")).retry_after_ms is None


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_json_with_all_it_knows(kind: type[ApiError]) -> None:
    first = kind("text", "Code.X", 400, "AB-1", 1500)
    second = kind(*json.loads(json.dumps(first.args)))
    third = pickle.loads(pickle.dumps(first))  # noqa: S301  (our own bytes)
    for other in (second, third):
        assert type(other) is kind
        assert vars(other) == vars(first)
        assert other.args == first.args
        assert str(other) == "text"


def test_written_survives_json() -> None:
    error = Unanswered("text", written=False)
    assert not Unanswered(*json.loads(json.dumps(error.args))).written
    assert Unanswered("text").written


def test_every_outcome_is_one_of_the_hierarchy() -> None:
    assert set(ApiError.__subclasses__()) == set(CLASSES)
    assert errors.ApiError.__mro__[1].__name__ == "DtmfError"


@pytest.mark.parametrize(
    "code",
    ["ch:customer:13188888888", "Bad.13188888888", "12345", "Line\nbreak", "<b>", "x" * 101, "Umläut", "Job-65735"],
)
def test_a_code_that_is_none_is_not_repeated(code: str) -> None:
    error = _raised(_answer(code, 400))
    assert error.code == "unreadable"
    assert code not in str(error.args)


@pytest.mark.parametrize("request_id", ["13188888888", "ch:1->2", "a" * 65, "a b", "a\nb", "https://x/?Dtmf=5", ""])
def test_a_request_id_that_is_none_is_not_repeated(request_id: str) -> None:
    error = _raised(_answer("InternalError", 500, request_id=request_id))
    assert error.request_id is None
    assert "request id unknown" in str(error)


@pytest.mark.parametrize("content_type", ["text/13188888888", "13188888888", "text/html\nx", "é", None, ""])
def test_a_content_type_that_is_none_is_not_repeated(content_type: str | None) -> None:
    with pytest.raises(Unanswered, match=r"(unreadable|no) content type"):
        parse_answer(502, content_type, b"13188888888")


@pytest.mark.parametrize("code", ["NotExists.ChannelId", "InvalidX", "Forbidden.RAM", "Throttling", "InternalError"])
def test_the_apis_own_message_is_never_quoted(code: str) -> None:
    error = _raised(_answer(code, 404))
    text = "".join(traceback.format_exception(error)) + str(error.args)
    assert "13188888888" not in text
    assert "65735740600893440" not in text


@given(st.text(), st.text(), st.integers(100, 599))
def test_no_answer_brings_a_long_number_into_an_error(code: str, request_id: str, status: int) -> None:
    answer = _answer(f"{code}13188888888", status, request_id=f"{request_id}:13188888888")
    assert "13188888888" not in str(_raised(answer).args)


@pytest.mark.parametrize("kind", [Gone, Rejected, Refused, NotExecuted, Undetermined, ReplayRefused])
def test_a_message_says_what_to_do(kind: type[ApiError]) -> None:
    code = {
        Gone: "NotExists.JobId",
        Rejected: "MissingParameter",
        Refused: "Forbidden",
        NotExecuted: "Throttling",
        Undetermined: "InternalError",
        ReplayRefused: "SignatureNonceUsed",
    }[kind]
    message = str(_raised(_answer(code, 400)))
    assert f"code {code}, HTTP 400, request id AB-1" in message
    assert message.count(". ") >= 1
