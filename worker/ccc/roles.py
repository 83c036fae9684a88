"""Temporary credentials of a role, fetched by the vendor's library alibabacloud-credentials.

Of the library only the two providers are used, each made anew for every request and told everything, and never
its default chain. So none of its caches, threads and waits is ours; worker.ccc.refreshing says when to ask. Its
logs, and the texts of its errors, hold the whole request with the service account's token, or the whole answer
with the secret: they are neither logged nor quoted.
"""

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alibabacloud_credentials.http import HttpOptions
from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider, OIDCRoleArnCredentialsProvider

from worker.ccc.credentials import Credentials
from worker.ccc.errors import NoCredentials
from worker.ccc.reasons import network_reason
from worker.ccc.refreshing import Temporary
from worker.ccc.text import clean_code

_STATUS = re.compile(r"http_?code[=:] ?([0-9]{3})\b", re.IGNORECASE)
_CODE = re.compile(r'"Code"\s*:\s*"([^"]{1,100})"')
_EXPIRED = "No cached value was found."


@dataclass(frozen=True, slots=True)
class ServiceAccountRole:
    """The role of a Kubernetes service account (RRSA): STS gives credentials for the token in a file.

    The file is read anew each time, since Kubernetes replaces it. The library finds STS by
    ALIBABA_CLOUD_STS_REGION and ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED; sts_endpoint overrides these.
    """

    role_arn: str
    oidc_provider_arn: str
    token_file: str
    sts_endpoint: str | None = None

    name = "the Kubernetes service account's role (ALIBABA_CLOUD_ROLE_ARN)"

    def fetch(self) -> Temporary:
        """Ask STS, for 25 s at the most for each address it has; raises NoCredentials."""
        return _fetch(
            lambda: OIDCRoleArnCredentialsProvider(
                role_arn=self.role_arn,
                oidc_provider_arn=self.oidc_provider_arn,
                oidc_token_file_path=self.token_file,
                sts_endpoint=self.sts_endpoint,
            ),
            "STS",
        )


@dataclass(frozen=True, slots=True)
class MachineRole:
    """The role of the machine (ECS): its metadata service gives credentials.

    The service's address is fixed in the library; proxy, a URL, is how a test gets in between.
    """

    role: str
    proxy: str | None = None

    name = "the machine's role (ALIBABA_CLOUD_ECS_METADATA)"

    def fetch(self) -> Temporary:
        """Ask the metadata service, for some seconds at the most; raises NoCredentials."""
        return _fetch(
            lambda: EcsRamRoleCredentialsProvider(
                role_name=self.role,
                http_options=HttpOptions(proxy=self.proxy),
                # Else each provider starts a scheduler, which nothing ever stops.
                async_update_enabled=False,
            ),
            "the metadata service",
        )


def _fetch(make_provider: Callable[[], Any], whom: str) -> Temporary:
    _secret.now = True
    try:
        given = make_provider().get_credentials()
        return Temporary(
            Credentials(given.get_access_key_id(), given.get_access_key_secret(), given.get_security_token()),
            float(given.get_expiration()),
        )
    except Exception as error:  # noqa: BLE001  (the library raises whatever happens to it)
        problem = _problem(error, whom)
    finally:
        _secret.now = False
    # Raised out here, so that it carries no context: the library's errors hold secrets.
    raise NoCredentials(problem)


def _problem(error: Exception, whom: str) -> str:
    text = str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be read ({type(error).__name__})"
    reason = network_reason(error)
    if reason:
        return f"no answer from {whom}: {reason}"
    status, code = _STATUS.search(text), _CODE.search(text)
    if status:
        facts = [f"HTTP {status[1]}", *([f"code {clean_code(code[1])}"] if code else [])]
        return f"{whom} refuses ({', '.join(facts)}); check the role, and who may assume it"
    if text == _EXPIRED:
        return f"what {whom} gives has expired by this machine's clock; check the clock"
    return f"what {whom} answers holds no credentials ({type(error).__name__})"


class _Unlogged(logging.Filter):
    """Drops what urllib3 says of these requests: it logs URLs."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  (logging's signature)
        return not getattr(_secret, "now", False)


_secret = threading.local()
for _name in ("connectionpool", "poolmanager", "connection", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_Unlogged())
for _name in ("credentials", "alibabacloud-tea"):
    logging.getLogger(_name).disabled = True
