"""Why a file of keys cannot be used, for the operator."""


class KeyFileError(Exception):
    """The key file cannot be used. Says in one line what is wrong (`detail`) and what to do (`hint`)."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
