"""What amqtt's plugins decide: who may come in, and who may publish, subscribe to or be sent what.

A plugin that raises has not said yes. Decisions are cached by whoever asks; asking costs tasks.
"""

import logging
from collections.abc import Collection
from typing import Any, Final

from amqtt.contexts import Action
from amqtt.plugins.manager import PluginManager

from broker.mqtt.reasons import Reason
from broker.plugin_session import PluginSession
from pabal.errors import Unavailable

_log = logging.getLogger("pabal.broker")

# Keys of `session.attributes` that our own plugins and the broker share.
PRINCIPAL: Final = "pabal.principal"
REFUSAL: Final = "pabal.refusal"
KICKED: Final = "pabal.kicked"
CREDENTIAL: Final = "pabal.credential"
# Topics of more levels are refused: a tree would have to be as deep.
MAX_LEVELS: Final = 200


class Guard:
    """Asks the plugins.

    Attributes:
        filters_topics: whether any plugin has rules on topics.
        filters_receive: whether any has rules on what is sent to whom. Ours have none, since a subscription
            that was granted says it all; a plugin of somebody else is asked.
        refusal: the reason code of a subscription that plugins refuse.
    """

    __slots__ = ("_manager", "filters_receive", "filters_topics", "refusal")

    def __init__(self, manager: PluginManager[Any]) -> None:
        self._manager = manager
        rules = manager._topic_plugins  # noqa: SLF001 -- guarded by a test; amqtt has no other way to ask
        self.filters_topics = bool(rules)
        self.filters_receive = any(getattr(rule, "filters_receive", True) for rule in rules)
        said = (getattr(rule, "refusal", None) for rule in rules)
        self.refusal: int = next((code for code in said if code is not None), Reason.NOT_AUTHORIZED)

    async def login(self, view: PluginSession) -> int:
        """The reason code of the CONNACK: success only if a plugin says yes and none says no.

        A plugin of ours may leave another than "not authorized" in the attribute REFUSAL.
        """
        try:
            answers = await self._manager.map_plugin_auth(session=view)
        except Exception:  # noqa: BLE001 -- anybody's plugin may raise anything
            _log.exception("an authentication plugin failed")
            return Reason.SERVER_UNAVAILABLE
        said = [answer for answer in (answers or {}).values() if answer is not None]
        if said and all(said):
            return Reason.SUCCESS
        return int(view.attributes.pop(REFUSAL, Reason.NOT_AUTHORIZED))

    async def allows(self, view: PluginSession, topic: str, action: Action) -> bool:
        """Whether a plugin says yes and none says no; everything if there are no rules.

        Raises: Unavailable if a subscription cannot be decided now, because the rules' own source does not answer.
        """
        if topic.count("/") > MAX_LEVELS:
            return False
        if not self.filters_topics:
            return self.allows_plain(topic, action)
        try:
            answers = await self._manager.map_plugin_topic(session=view, topic=topic, action=action)
        except Unavailable:
            if action is Action.SUBSCRIBE:
                raise
            return False
        except Exception:  # noqa: BLE001 -- anybody's plugin may raise anything
            _log.exception("a topic plugin failed")
            return False
        said = [answer for answer in answers.values() if answer is not None]
        return bool(said) and all(said)

    def allows_plain(self, topic: str, action: Action) -> bool:
        """The same where there are no rules: $SYS is the server's own (4.7.2)."""
        return topic.count("/") <= MAX_LEVELS and not (action == Action.PUBLISH and topic.startswith("$SYS/"))


def is_kicked(view: PluginSession, kicked: Collection[str | None]) -> bool:
    """Whether a login is among those that were ended: named by its credential, or None for all of its device."""
    login = view.attributes.get(CREDENTIAL)
    return None in kicked or (login is not None and login in kicked)
