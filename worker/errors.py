"""The one hierarchy of errors.

No message here, and no text of an exception that one of these chains, holds a digit, a phone number,
a channel id or a URL: messages end up in logs, results and pages that many people read.
"""


class DtmfError(Exception):
    """Something that this project refuses to do, or could not do; the base of every error it raises."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else self.__class__.__name__
