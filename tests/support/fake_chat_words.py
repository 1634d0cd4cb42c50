"""What a server in memory says no with."""


def refusal(code):
    return {"ok": False, "error": code, "detail": code}
