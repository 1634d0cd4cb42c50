"""A session whose connection is gone: when its will is due, and when it is over."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.hub import Hub
    from broker.mqtt.packets import Will
    from broker.session import Session


class Absence:
    """Hangs in the wheel until the session is there again, or over.

    Attributes:
        will: to be published at `will_due`, unless the client is back before (MQTT 5, 3.1.3.2.2), and at the end of
            the session at the latest.
        over_at: when the session ends; None: not of itself. Both in seconds of the loop's clock.
    """

    __slots__ = ("_hub", "_session", "over_at", "will", "will_due")

    def __init__(
        self, hub: "Hub", session: "Session", will: "Will | None", will_due: float, over_at: float | None
    ) -> None:
        self._hub = hub
        self._session = session
        self.will = will
        self.will_due = will_due
        self.over_at = over_at
        due = self._next()
        if due is not None:
            hub.wheel.at(due, self)

    def _next(self) -> float | None:
        if self.will is None:
            return self.over_at
        return self.will_due if self.over_at is None else min(self.will_due, self.over_at)

    def overdue(self, now: float) -> float | None:
        """`broker.wheel.Timed`."""
        if self.over_at is not None and now >= self.over_at:
            self._hub.expire(self._session)
            return None
        if self.will is not None and now >= self.will_due:
            self.publish_will()
        return self._next()

    def publish_will(self) -> None:
        """Now, if it is still to be."""
        will, self.will = self.will, None
        if will is not None:
            self._hub.publish_will(self._session, will)

    def end(self) -> None:
        """The client is back, or the session is over."""
        self._hub.wheel.forget(self)
