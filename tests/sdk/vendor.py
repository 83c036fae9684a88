"""The vendor's two SDKs behind one face: each presses a key as a CRM would, and tells what its caller sees."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from alibabacloud_ccc20200701.client import Client
from alibabacloud_ccc20200701.models import SendDtmfSignalingRequest as CurrentRequest
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config
from aliyunsdkccc.request.v20200701.SendDtmfSignalingRequest import SendDtmfSignalingRequest as OldRequest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.http import protocol_type
from darabonba.core import DaraCore
from darabonba.runtime import RuntimeOptions

from worker.simulator.config import DEMO_ACCOUNT

CHANNEL = "ch:customer:01089898989->13188888888:1609234221870:job-65735740600893440"
CALL = {
    "InstanceId": "ccc-test",
    "JobId": "job-65735740600893440",
    "ChannelId": CHANNEL,
    "UserId": "agent@ccc-test",
    "DeviceId": "device",
    "Dtmf": "5",
}


class SeenError(Exception):
    """An error of the API as an SDK shows it. ``retry_after`` is in milliseconds, None where it is not shown."""

    def __init__(self, code: str, status: int, request_id: str, retry_after: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after


@dataclass(frozen=True)
class Access:
    """Where to send, and as whom. ``bundle`` holds the certificates to trust, for HTTPS."""

    url: str
    bundle: str | None = None
    key_id: str = DEMO_ACCOUNT.id
    secret: str = DEMO_ACCOUNT.secret
    token: str | None = None


class Vendor(Protocol):
    """An SDK and the way it signs."""

    signature: str

    def press(self, access: Access, **changed: str | None) -> dict[str, Any]:
        """Send one request, `CALL` with these parameters (None: left out); the answer's content, or `SeenError`."""


@dataclass(frozen=True)
class Current:
    """alibabacloud-ccc20200701. Its "v2" is the RPC signature, V1 in the vendor's documents."""

    signature: str = "ACS3-HMAC-SHA256"
    algorithm: str | None = None
    asynchronous: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    runtime: dict[str, Any] = field(default_factory=dict)

    def client(self, access: Access) -> Client:
        parts = urlsplit(access.url)
        return Client(
            Config(
                access_key_id=access.key_id,
                access_key_secret=access.secret,
                security_token=access.token,
                protocol=parts.scheme,
                endpoint=parts.netloc,
                ca=access.bundle,
                signature_algorithm=self.algorithm,
                **self.config,
            )
        )

    def ask(self, access: Access, **changed: str | None) -> Any:
        """The SDK's own answer, or its own exception."""
        client, request, runtime = self.client(access), CurrentRequest(), RuntimeOptions(**self.runtime)
        request.from_map(CALL | changed)
        if self.asynchronous:
            return asyncio.run(client.send_dtmf_signaling_with_options_async(request, runtime))
        return client.send_dtmf_signaling_with_options(request, runtime)

    def press(self, access: Access, **changed: str | None) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self.ask(access, **changed).body.to_map()
        except AlibabaCloudException as error:
            raise SeenError(error.code, error.status_code, error.request_id, error.retry_after) from error
        return answer


@dataclass(frozen=True)
class Old:
    """aliyun-python-sdk-ccc, which signs by V1 alone."""

    signature: str = "1.0"
    options: dict[str, Any] = field(default_factory=dict)

    def ask(self, access: Access, **changed: str | None) -> bytes:
        """The SDK's own answer, or its own exception."""
        with self.client(access) as client:
            answer: bytes = client.do_action_with_exception(self.request(access, **changed))
        return answer

    @contextmanager
    def client(self, access: Access) -> Iterator[AcsClient]:
        if access.token is None:
            credentials = {"ak": access.key_id, "secret": access.secret}
        else:
            credentials = {"credential": StsTokenCredential(access.key_id, access.secret, access.token)}
        client = AcsClient(
            region_id="cn-shanghai",
            port=urlsplit(access.url).port,
            verify=access.bundle,
            **credentials,
            **self.options,
        )
        yield client
        client.session.close()

    def request(self, access: Access, **changed: str | None) -> OldRequest:
        parts = urlsplit(access.url)
        request = OldRequest()
        request.set_endpoint(parts.hostname)
        # Its own constants: another string that reads "https" would be taken for HTTP.
        request.set_protocol_type(protocol_type.HTTPS if parts.scheme == "https" else protocol_type.HTTP)
        for name, value in (CALL | changed).items():
            if value is not None:
                getattr(request, f"set_{name}")(value)
        return request

    def press(self, access: Access, **changed: str | None) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self.ask(access, **changed))
        except ServerException as error:
            raise SeenError(error.get_error_code(), error.get_http_status(), error.get_request_id()) from error
        return answer


CURRENT_V3 = Current()
CURRENT_V1 = Current(signature="1.0", algorithm="v2")
OLD = Old()
VENDORS = {"current-v3": CURRENT_V3, "current-v1": CURRENT_V1, "old-v1": OLD}


def close_sessions() -> None:
    """Close the connections that the current SDK keeps for ever, for the whole process."""
    while DaraCore._sessions:
        DaraCore._sessions.popitem()[1].close()
