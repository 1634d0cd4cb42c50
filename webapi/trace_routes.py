"""One message's way, for who wrote it and for admins."""

from bridge.accounts.service import Accounts
from bridge.trace import Trace
from pabal.acl import RECEIVE
from pabal.ids import ConvId, direct, parse_conv, parse_user
from webapi.message_life_routes import message_id_of
from webapi.ports import Reads
from webapi.routing import Answer, Api, Call

_TRACE = "/v1/conversations/<conv>/messages/<message_id>/trace"


class TraceRoutes:
    """The view; `register` says which call it answers."""

    def __init__(self, accounts: Accounts, reads: Reads) -> None:
        self._accounts = accounts
        self._reads = reads

    def register(self, api: Api) -> None:
        api.route("GET", _TRACE, self.trace_message, {200: Trace}, tag="messages", refuses=(403, 404))

    def trace_message(self, call: Call) -> Answer:
        """One message's way: committed, fanned out, acknowledged, pushed. Admins see all of it; who wrote it, of others
        whether it was delivered, read and pushed. `@name` is the conversation with that user.
        """
        call.must(RECEIVE)
        conv, message_id = _conv(call), message_id_of(call)
        user = call.login.user
        if call.login.session_id is not None and self._accounts.look_up(user).admin:
            return Answer(200, self._reads.traces.whole(conv, message_id))
        return Answer(200, self._reads.traces.own(user, conv, message_id))


def _conv(call: Call) -> ConvId:
    """Raises: BadRequest."""
    named = call.path["conv"]
    if named.startswith("@"):
        return direct(call.login.user, parse_user(named[1:], field="conv"))
    return parse_conv(named)
