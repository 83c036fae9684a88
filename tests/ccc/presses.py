"""A key press, and what it is signed with."""

from typing import Any

from worker.ccc.answer import Answer
from worker.ccc.client import CccClient, KeyPress
from worker.ccc.credentials import Credentials
from worker.clock import clock

CREDENTIALS = Credentials("LTAItestAccessKeyId", "testAccessKeySecret30charsxxxx")
TEMPORARY = Credentials("LTAItestAccessKeyId", "testAccessKeySecret30charsxxxx", "CAISxyz+/==~ *token")
NONCE = "3ee8c1b883d344afa94f4e0ad82fd6cf"
SIGNED_AT = 1767323045

PRESS = KeyPress(
    channel_id="ch:customer:01089898989->13188888888:1609234221870:job-65735740600893440",
    job_id=":job-65735740600893440",
    dtmf="#",
    instance_id="ccc-test",
    user_id="user-test@ccc-test",
    device_id="ACC-YUNBS-1.0.10-bse05179638553000176add4046f",
)


def send(client: CccClient, press: KeyPress = PRESS, credentials: Credentials = CREDENTIALS, **options: Any) -> Answer:
    """Send a press with time enough, unless the options say otherwise."""
    values: dict[str, Any] = {"nonce": NONCE, "signed_at": SIGNED_AT, "not_after": clock() + 300, **options}
    return client.send_dtmf(press, credentials, **values)
