"""The client of the CCC API: signing, sending, the answer and its errors.

Of the project it knows only worker.errors and worker.clock: no Celery, no Redis. A change of the API is a
change in here.
"""

from worker.ccc.answer import Answer, CallContext, ChannelContext, Data, UserContext, parse_answer
from worker.ccc.classify import classify, raise_for
from worker.ccc.client import KEYS, CccClient, KeyPress
from worker.ccc.credentials import Credentials, CredentialsProvider, CredentialsState, StaticCredentials
from worker.ccc.errors import (
    ApiError,
    BadCredentials,
    BadEndpoint,
    BadKeyPress,
    Gone,
    NoCredentials,
    NotExecuted,
    Refused,
    Rejected,
    ReplayRefused,
    TooLate,
    Unanswered,
    Undetermined,
)
from worker.ccc.refreshing import RefreshingCredentials
from worker.ccc.signing import Signature

__all__ = [
    "KEYS",
    "Answer",
    "ApiError",
    "BadCredentials",
    "BadEndpoint",
    "BadKeyPress",
    "CallContext",
    "CccClient",
    "ChannelContext",
    "Credentials",
    "CredentialsProvider",
    "CredentialsState",
    "Data",
    "Gone",
    "KeyPress",
    "NoCredentials",
    "NotExecuted",
    "RefreshingCredentials",
    "Refused",
    "Rejected",
    "ReplayRefused",
    "Signature",
    "StaticCredentials",
    "TooLate",
    "Unanswered",
    "Undetermined",
    "UserContext",
    "classify",
    "parse_answer",
    "raise_for",
]
