"""What the API answers in the tests of runs."""

from worker.ccc import Gone, NotExecuted, Refused, ReplayRefused, Unanswered, Undetermined

LOST = Unanswered("no answer")
REFUSED = Refused("no", "Forbidden.RAM", 403)
UNSENT = Unanswered("no connection", written=False)
THROTTLED = NotExecuted("throttled", "Throttling.User", 429, "req-throttled")
INTERNAL = Undetermined("internal error", "InternalError", 500, "req-internal")
USED = ReplayRefused("nonce used", "SignatureNonceUsed", 400, "req-used")
GONE = Gone("gone", "NotExists.ChannelId", 404, "req-gone")
