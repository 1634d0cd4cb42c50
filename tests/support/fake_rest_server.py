"""The HTTP side of a FakeServer: sign-up, sessions that rotate, messages. In a thread of its own."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from pabal.errors import BY_CODE


class FakeRest:
    """Attributes that bend it: `failures` (status, body, headers) to answer next; `expires_in`; `mqtt`."""

    def __init__(self, server, mqtt=None):
        self.server, self.mqtt = server, mqtt or {}
        self.failures, self.calls = [], []
        self.passwords, self.sessions, self.refreshes = {}, {}, {}
        self.expires_in = 900
        self.profiles, self.audit, self.devices = {}, [], []
        self.lock = threading.RLock()
        self._count = 0
        rest = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_any(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                with rest.lock:
                    status, answer, headers = rest.answer(self.command, self.path, self.headers, body)
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815 -- http.server calls them so

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(60)

    def answer(self, method, target, headers, body):  # noqa: PLR0911 -- one return for each call
        url = urlsplit(target)
        path = unquote(url.path).removeprefix("/v1/").split("/")
        query = dict(parse_qsl(url.query))
        self.calls.append((method, "/".join(path)))
        if self.failures:
            return self.failures.pop(0)
        fields = json.loads(body) if body else {}
        match method, path:
            case "POST", ["users"]:
                if fields["user"] in self.passwords:
                    return self.problem(409, "conflict", "the name is taken")
                self.passwords[fields["user"]] = fields["password"]
                return 201, {"user": fields["user"], "display_name": fields.get("display_name")}, {}
            case "POST", ["sessions"]:
                if self.passwords.get(fields["user"]) != fields["password"]:
                    return self.problem(401, "unauthorized", "wrong user or password")
                return self.grant(fields["user"], fields["device"])
            case "POST", ["sessions", "refresh"]:
                who = self.refreshes.pop(fields["refresh_token"], None)
                return self.grant(*who) if who else self.problem(401, "unauthorized", "the session has ended")
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.sessions:
            return self.problem(401, "unauthorized", "no good token")
        return self.as_device(*self.sessions[token], method, path, query, fields)

    def as_device(self, user, device, method, path, query, fields):  # noqa: PLR0911 -- one return for each call
        match method, path:
            case "DELETE", ["sessions", "current"]:
                self.sessions.clear()
                return 204, b"", {}
            case "POST", ["devices"]:
                return 201, {"secret": "s3cret", "device": fields["device"], "allow": fields.get("allow")}, {}
            case "GET", ["users", name] if name in self.passwords:
                return 200, {"user": name}, {}
            case "GET", ["conversations"]:
                return 200, self.server.do_conversations(user, device, query), {}
            case "GET", ["conversations", conv, "messages"]:
                numbers = {key: int(value) for key, value in query.items()}
                return 200, self.server.do_history(user, device, {"conv": conv, **numbers}), {}
            case "POST", ["conversations", conv, "messages"]:
                where = {"to": conv[1:]} if conv.startswith("@") else {"conv": conv}
                done, _ = self.server.commit(user, device, {**fields, **where})
                return (200 if done["dup"] else 201), {"re": fields.get("id"), "ok": True, **done}, {}
            case "GET", ["sync"]:
                asked = {
                    "after": int(query["after"]),
                    "epoch": query.get("epoch"),
                    "limit": int(query["limit"]),
                }
                return 200, self.server.do_sync(user, device, asked), {}
            case "POST", ["requests"]:
                out = self.server.handle(user, device, json.dumps(fields))
                reply = json.loads(out[0][1])
                if not reply["ok"]:
                    status = BY_CODE[reply["error"]].http_status
                    return self.problem(status, reply["error"], reply["detail"])
                return 200, out[0][1], {}
        return self.as_account(user, method, path, query, fields)

    def as_account(self, user, method, path, query, fields):  # noqa: C901, PLR0911 -- one case for each call
        profile = self.profiles.setdefault(user, {"user": user, "created_ts": 5})
        match method, path:
            case "GET", ["me"]:
                return 200, profile, {}
            case "PATCH", ["me"]:
                profile.update(
                    {**fields, "privacy": {**profile.get("privacy", {}), **fields.get("privacy", {})}}
                )
                return 200, profile, {}
            case "PUT", ["me", "password"] if self.passwords[user] == fields["old"]:
                self.passwords[user] = fields["new"]
                return 204, b"", {}
            case "DELETE", ["me"] if self.passwords[user] == fields["password"]:
                del self.passwords[user]
                return 204, b"", {}
            case "GET", ["me", "security"]:
                return 200, {"events": self.audit[: int(query["limit"])], "more": False}, {}
            case "GET", ["me", "export"]:
                return 200, b"PK-zip", {}
            case _, ["me", *_]:
                return self.problem(401, "unauthorized", "not the password of this account")
            case "GET", ["devices"]:
                return 200, {"devices": self.devices}, {}
            case "DELETE", ["devices", name]:
                self.devices = [row for row in self.devices if row["device"] != name]
                return 204, b"", {}
            case "GET", ["users"]:
                found = [{"user": name} for name in sorted(self.passwords) if query["q"] in name]
                return 200, {"users": found, "more": False}, {}
        return self.problem(404, "not_found", "no such thing")

    def grant(self, user, device):
        self._count += 1
        access, refresh = f"access{self._count}", f"refresh{self._count}"
        self.sessions = {token: who for token, who in self.sessions.items() if who != (user, device)}
        self.sessions[access] = self.refreshes[refresh] = (user, device)
        answer = {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": self.expires_in,
            "user": user,
            "device": device,
            "mqtt": self.mqtt,
        }
        return 201, answer, {}

    @staticmethod
    def problem(status, code, detail, **headers):
        return status, {"type": "about:blank", "status": status, "code": code, "detail": detail}, headers
