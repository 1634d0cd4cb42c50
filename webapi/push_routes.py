"""How devices are reached when their apps are closed, and when not; all asked of the relay."""

import msgspec

from pabal import messages as m
from pabal.acl import RECEIVE
from pabal.ids import ConvId, DeviceId, direct, parse_conv, parse_device, parse_user
from pabal.push import QuietHours
from webapi import push_schemas as s
from webapi.asking import ask
from webapi.ports import RelayClient
from webapi.routing import Answer, Api, Call

_PUSH = "/v1/devices/<device>/push"
_MINE = "/v1/me/quiet"
_QUIET = "/v1/conversations/<conv>/quiet"


class PushRoutes:
    """The views; `register` says which call each of them answers."""

    def __init__(self, relay: RelayClient) -> None:
        self._relay = relay

    def register(self, api: Api) -> None:
        api.route("GET", _PUSH, self.show_push, {200: s.PushBody}, tag="push", refuses=(403, 404))
        api.route(
            "PUT",
            _PUSH,
            self.put_push,
            {204: None},
            tag="push",
            body=s.NewPush,
            may_be_empty=True,
            refuses=(403, 404),
        )
        api.route("DELETE", _PUSH, self.delete_push, {204: None}, tag="push", refuses=(403,))
        api.route("GET", _MINE, self.show_quiet, {200: s.QuietBody}, tag="push", refuses=(403,))
        for path, put, delete in (
            (_MINE, self.put_quiet, self.delete_quiet),
            (_QUIET, self.put_quiet_of_conversation, self.delete_quiet_of_conversation),
        ):
            api.route("PUT", path, put, {204: None}, tag="push", body=QuietHours, refuses=(403, 404))
            api.route("DELETE", path, delete, {204: None}, tag="push", refuses=(403, 404))

    def show_push(self, call: Call) -> Answer:
        """How this device is reached, without what is secret."""
        state = msgspec.json.decode(self._ask(call, m.PushGet(), _device(call)), type=m.PushState)
        shown = {name: getattr(state, name) for name in s.PushBody.__struct_fields__}
        return Answer(200, s.PushBody(**shown))

    def put_push(self, call: Call) -> Answer:
        """Reach this device by that push service; instead of whatever was set before."""
        body: s.NewPush = call.body
        given = {name: getattr(body, name) for name in s.NewPush.__struct_fields__}
        self._ask(call, m.PushSet(**given), _device(call))
        return Answer(204, None)

    def delete_push(self, call: Call) -> Answer:
        """No pushes to this device any longer."""
        self._ask(call, m.PushRemove(), _device(call))
        return Answer(204, None)

    def show_quiet(self, call: Call) -> Answer:
        """All of one's quiet hours: those for everything, and those of single conversations."""
        state = msgspec.json.decode(self._ask(call, m.QuietGet()), type=m.QuietState)
        return Answer(200, s.QuietBody(quiet=state.quiet, conversations=state.conversations))

    def put_quiet(self, call: Call) -> Answer:
        """No pushes in these hours of the day."""
        self._ask(call, m.QuietSet(hours=call.body))
        return Answer(204, None)

    def delete_quiet(self, call: Call) -> Answer:
        """No quiet hours any longer."""
        self._ask(call, m.QuietRemove())
        return Answer(204, None)

    def put_quiet_of_conversation(self, call: Call) -> Answer:
        """No pushes of this conversation in these hours of the day. `@name` is the one with that user."""
        self._ask(call, m.QuietSet(hours=call.body, conv=_conv(call)))
        return Answer(204, None)

    def delete_quiet_of_conversation(self, call: Call) -> Answer:
        """No quiet hours of this conversation any longer. `@name` is the one with that user."""
        self._ask(call, m.QuietRemove(conv=_conv(call)))
        return Answer(204, None)

    def _ask(self, call: Call, request: m.AnyRequest, device: DeviceId | None = None) -> bytes:
        call.must(RECEIVE)
        return ask(self._relay, call, request, msgspec.to_builtins(request), device=device)


def _device(call: Call) -> DeviceId:
    """A device asks for itself; whoever is logged in, for any of the user's. Raises: BadRequest, Forbidden."""
    device = parse_device(call.path["device"])
    if device != call.login.device:
        call.must_be_logged_in()
    return device


def _conv(call: Call) -> ConvId:
    """Raises: BadRequest."""
    named = call.path["conv"]
    if named.startswith("@"):
        return direct(call.login.user, parse_user(named[1:], field="conv"))
    return parse_conv(named)
