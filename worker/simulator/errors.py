"""The codes with which a request is refused, with the vendor's HTTP statuses and texts."""

# Code → HTTP status and text, as the vendor's pages and reports of its users have them.
KNOWN: dict[str, tuple[int, str]] = {
    "UnsupportedHTTPMethod": (400, "This http method is not supported."),
    "InvalidAction.NotFound": (404, "Specified api is not found, please check your url and method."),
    "InvalidVersion": (400, "Specified parameter Version is not valid."),
    "InvalidAccessKeyId.NotFound": (404, "Specified access key is not found."),
    "InvalidSecurityToken.Malformed": (400, "Specified SecurityToken is malformed."),
    "InvalidSecurityToken.Expired": (400, "Specified SecurityToken is expired."),
    "InvalidSecurityToken.MismatchWithAccessKey": (
        400,
        "Specified SecurityToken mismatch with the AccessKey.",
    ),
    "InvalidTimeStamp.Format": (400, "Specified time stamp or date value is not well formatted."),
    "InvalidTimeStamp.Expired": (400, "Specified time stamp or date value is expired."),
    "SignatureDoesNotMatch": (400, "Specified signature is not matched with our calculation."),
    "IncompleteSignature": (400, "The request signature does not conform to Aliyun standards."),
    "SignatureNonceUsed": (400, "Specified signature nonce was used already."),
    "Throttling": (400, "Request was denied due to request throttling."),
    "Throttling.User": (400, "Request was denied due to user flow control."),
    "Throttling.Api": (400, "Request was denied due to api flow control."),
    "ServiceUnavailable": (503, "The request has failed due to a temporary failure of the server."),
    "InternalError": (500, "The request processing has failed due to some unknown error."),
    "MissingParameter": (400, "A mandatory input parameter is not supplied."),
    "InvalidParameter": (400, "An input parameter is not valid."),
    "Forbidden.RAM": (403, "User not authorized to operate on the specified resource."),
    "NotExists.InstanceId": (404, "The specified instance %s does not exist."),
    "NotExists.JobId": (404, "The call %s does not exist."),
    "NotExists.ChannelId": (404, "The specified channel %s does not exist in call %s."),
}


class Refusal(Exception):
    """The request is answered with this code instead of being executed.

    ``status`` and ``message`` default to the vendor's for that code; ``retry_after_ms`` becomes the header
    x-acs-retry-after.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        status: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(code)
        known_status, known_message = KNOWN.get(code, (400, f"The request was refused: {code}."))
        self.code = code
        self.status = known_status if status is None else status
        self.message = known_message if message is None else message
        self.retry_after_ms = retry_after_ms


def missing(name: str) -> Refusal:
    """A parameter (or, in V3, a header) that must be there is not."""
    return Refusal(
        "MissingParameter",
        f'The input parameter "{name}" that is mandatory for processing this request is not supplied.',
    )
