"""Who may publish and subscribe to what: `pabal.acl`, asked by amqtt's topic filtering."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseTopicPlugin
from amqtt.session import Session

from broker.guard import PRINCIPAL
from pabal import acl, topics

if TYPE_CHECKING:
    from bridge.ports import Directory


class RulesPlugin(BaseTopicPlugin):
    """The topic rules. Whoever has not logged in has no rights."""

    # What was granted may be sent, so the broker need not ask about each message.
    filters_receive: ClassVar[bool] = False

    @dataclass
    class Config:
        """`directory` is a `bridge.ports.Directory`, or None: then nobody is in any room."""

        directory: Any = None

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._directory: Directory | None = self.config.directory

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        who = session.attributes.get(PRINCIPAL) if session is not None else None
        if who is None or topic is None:
            return False
        match action:
            case Action.PUBLISH:
                return acl.may_publish(who, topic)
            case Action.SUBSCRIBE:
                return acl.may_subscribe(who, topic, await self._relations(who, topic))
            case _:
                return True

    async def _relations(self, who: acl.Principal, topic: str) -> acl.Relations:
        """What the database knows about this one topic.

        Raises: Unavailable if it does not answer: neither yes nor no.
        """
        directory, meant = self._directory, topics.parse(topic)
        if directory is None or not isinstance(who, acl.Device):
            return acl.STRANGERS
        match meant:
            case topics.Room(conv):
                yes = await directory.in_room(who.user, conv)
            case topics.Presence(of):
                yes = await directory.sees_presence(who.user, of)
            case _:
                return acl.STRANGERS
        return acl.Relations(sees_presence=lambda *_: yes, in_room=lambda *_: yes)
