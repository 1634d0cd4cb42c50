"""Why a database cannot be used as it is, for the operator."""


class UnusableDatabase(Exception):  # noqa: N818 -- what it is, not how it is classed
    """`detail` and `hint` are sentences for the operator; neither holds a secret."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint


class NotAdmitted(UnusableDatabase):
    """The server is there, and does not take this user, password or database: the setting is wrong."""
