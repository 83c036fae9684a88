"""What can come of a request to the API, as exceptions; one class for each class of shared error codes.

The class says what may be done next; the code, the HTTP status and the request id are for people. All of an
error's facts are in ``args`` as plain strings and numbers, so that Celery's JSON results bring back the same
exception, with its attributes, in another process.
"""

from worker.errors import DtmfError


class ApiError(DtmfError):
    """A request to CCC that did not end in Code OK."""

    def __init__(
        self,
        message: str,
        code: str | None = None,
        http_status: int | None = None,
        request_id: str | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message, code, http_status, request_id, retry_after_ms)
        self.code = code
        self.http_status = http_status
        self.request_id = request_id
        self.retry_after_ms = retry_after_ms


class Gone(ApiError):
    """The call, channel or instance does not exist (NotExists.ChannelId, .JobId, .InstanceId): final."""


class Rejected(ApiError):
    """The request is wrong (a missing or invalid parameter, any other 4xx): final."""


class Refused(ApiError):
    """The account or this machine's clock is wrong; every request fails until an operator acts: final."""


class NotExecuted(ApiError):
    """The API did not execute the request (throttled, unavailable): make a new attempt after a pause."""


class Undetermined(ApiError):
    """The API answered with an internal error: executed or not, nobody can say."""


class Unanswered(ApiError):
    """No answer came that tells anything (time-out, reset, 502, 503 or 504 without a Code, neither JSON nor XML).

    written is False where it is certain that not a byte of the request was written (no connection came up).
    """

    def __init__(  # noqa: PLR0917  (positional, for cls(*args) in another process)
        self,
        message: str,
        code: str | None = None,
        http_status: int | None = None,
        request_id: str | None = None,
        retry_after_ms: int | None = None,
        written: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        super().__init__(message, code, http_status, request_id, retry_after_ms)
        self.args = (*self.args, written)
        self.written = written


class ReplayRefused(ApiError):
    """The gateway has seen this nonce already (SignatureNonceUsed): an earlier copy was taken."""


class TooLate(ApiError):
    """The deadline passed before a byte of the request was written; nothing was sent."""


class BadEndpoint(DtmfError, ValueError):
    """The endpoint, its proxy or its CA bundle cannot be used; the message says why."""


class NoCredentials(DtmfError):
    """There is nothing to sign with at the moment: the source of temporary credentials does not give any.

    It says nothing of any request: none was made. It passes by itself once the source answers again.
    """


class BadCredentials(DtmfError, ValueError):
    """An AccessKey or a security token that cannot be one."""


class BadKeyPress(DtmfError, ValueError):
    """A key press that no request can carry: not exactly one key, or text that is not valid Unicode."""
