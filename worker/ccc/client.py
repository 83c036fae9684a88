"""The client: one key press, one signed request, one answer or one typed error."""

from contextlib import closing
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy

import requests

from worker.ccc.answer import MAX_BODY_BYTES, Answer, parse_answer, unanswered
from worker.ccc.classify import raise_for
from worker.ccc.credentials import Credentials
from worker.ccc.endpoint import settle_endpoint
from worker.ccc.errors import ApiError, BadKeyPress, TooLate, Unanswered
from worker.ccc.names import Names
from worker.ccc.reasons import network_reason
from worker.ccc.signing import Signature, Stamp, sign_request
from worker.ccc.transport import Adapter, Exchange, LateError, carried_out
from worker.clock import clock

KEYS = frozenset("0123456789*#")


@dataclass(frozen=True, slots=True)
class KeyPress:
    """One key to press on one channel; its repr shows nothing.

    dtmf is exactly one of 0-9, * and #, since no document says that a request may carry several. user_id and
    device_id may be empty: newer pages of the API call them optional. Raises BadKeyPress.
    """

    channel_id: str = field(repr=False)
    job_id: str = field(repr=False)
    dtmf: str = field(repr=False)
    instance_id: str = field(repr=False)
    user_id: str = field(repr=False)
    device_id: str = field(repr=False)

    def __post_init__(self) -> None:
        if self.dtmf not in KEYS:
            raise BadKeyPress("A key press takes exactly one of the keys 0 to 9, * and #.")
        if any("\ud800" <= character <= "\udfff" for character in "".join(self.params().values())):
            raise BadKeyPress("An id of a key press holds half a surrogate pair: it is not valid Unicode.")

    def params(self) -> dict[str, str]:
        """The API's parameters; empty ones are left out."""
        params = {
            "ChannelId": self.channel_id,
            "DeviceId": self.device_id,
            "Dtmf": self.dtmf,
            "InstanceId": self.instance_id,
            "JobId": self.job_id,
            "UserId": self.user_id,
        }
        return {name: value for name, value in params.items() if value}


class CccClient:
    """Sends key presses to one endpoint; safe for any number of threads, of one process.

    Times in seconds. connect_timeout is for each step until the connection is up, read_timeout for each wait
    for bytes, total_timeout for the whole request. Proxies are read from the environment here, once. Raises
    BadEndpoint.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        signature: Signature = "v3",
        pool_size: int = 64,
        connect_timeout: float = 2.0,
        read_timeout: float = 5.0,
        total_timeout: float = 6.0,
        ca_bundle: str | None = None,
    ) -> None:
        settled = settle_endpoint(endpoint, ca_bundle)
        self._signature = signature
        self._host = settled.host
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._total_timeout = total_timeout
        self._names = Names()
        self._session = _session(settled.proxies, Adapter(pool_size, settled.tls))
        # An answer that is compressed all the same is not unpacked: a small one can unpack to gigabytes.
        headers = {"host": settled.host, "accept": "application/json", "accept-encoding": "identity"}
        headers["user-agent"] = "ccc-dtmf-worker"
        self._template = requests.Request("POST", settled.url, headers=headers).prepare()

    def send_dtmf(
        self, press: KeyPress, credentials: Credentials, *, nonce: str, signed_at: int, not_after: float
    ) -> Answer:
        """Press the key and return the answer, whose Code is OK.

        signed_at is in seconds since 1970 (UTC); with nonce it belongs to the attempt, and a resend repeats
        both. not_after is the deadline on worker.clock, looked at for the last time right before the request
        is written. Raises TooLate (nothing was sent) or what else shared error codes become: Gone, Rejected,
        Refused, NotExecuted, Undetermined, Unanswered, ReplayRefused.
        """
        signed = sign_request(
            self._signature,
            press.params(),
            credentials,
            Stamp(nonce, signed_at),
            host=self._host,
        )
        exchange = Exchange(
            target=signed.target,
            not_after=not_after,
            ends_at=clock() + self._total_timeout,
            connect_timeout=self._connect_timeout,
            read_timeout=self._read_timeout,
            names=self._names,
        )
        request = self._template.copy()
        request.headers.update(signed.headers)
        outcome = self._attempt(request, exchange)
        # Raised out here, where no error of a library can become its context.
        if isinstance(outcome, ApiError):
            raise outcome
        return outcome

    def close(self) -> None:
        """Close all idle connections; the client can be used again."""
        self._session.close()

    def _attempt(self, request: requests.PreparedRequest, exchange: Exchange) -> Answer | ApiError:
        try:
            with carried_out(exchange):
                answer = self._exchange(request)
            raise_for(answer)
        except ApiError as error:
            if isinstance(error, Unanswered):
                # The next request may fare better on another path through the gateway.
                exchange.retire_connection()
            # The frames of its traceback hold the answer, which has phone numbers in it.
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001  (whatever fails here, the key may have been pressed)
            return _failure(error, exchange)
        return answer

    def _exchange(self, request: requests.PreparedRequest) -> Answer:
        response = self._session.send(
            request,
            stream=True,
            allow_redirects=False,
            timeout=(self._connect_timeout, self._read_timeout),
            proxies=self._session.proxies,
        )
        with closing(response):
            body = response.raw.read(MAX_BODY_BYTES + 1, decode_content=False)
        return parse_answer(
            response.status_code,
            response.headers.get("content-type"),
            body,
            retry_after=response.headers.get("x-acs-retry-after"),
        )


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """No redirect at all: even one that is not followed would have its body read without a limit."""
        return None


def _session(proxies: dict[str, str], adapter: Adapter) -> _Session:
    session = _Session()
    session.trust_env = False
    session.proxies = dict(proxies)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _failure(error: Exception, exchange: Exchange) -> ApiError:
    late = isinstance(error, LateError) or clock() >= exchange.not_after
    if late and not exchange.written:
        return TooLate("The deadline passed before the request could be written; nothing was sent.")
    reason = network_reason(error) or f"an unforeseen failure ({type(error).__name__})"
    return unanswered(reason, written=exchange.written)
