"""What a command ends with when it cannot do what it was asked."""


class TerminalError(Exception):
    """One cause and, where there is one, one way out; `cli/` prints them as `error:` and `hint:`.

    Attributes:
        detail: what went wrong, as a sentence without a full stop.
        hint: what to do about it, or None.
        code: the stable code of the protocol if the server refused, else None.
    """

    def __init__(self, detail: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.code = code
