"""What the connection to another broker counts for those who watch it: plain numbers, read when somebody asks."""


class Figures:
    """`received` to `unkept` only rise.

    Attributes:
        received: messages that came from the broker.
        published: messages that were given to it, at any QoS.
        dropped: replies and other messages that are kept nowhere, and found no link or no room.
        strange: messages on topics that mean nothing here, or that are retained where nothing is to be.
        refused: publishes that the broker acknowledged and did nothing with.
        unkept: messages that the broker has to bring again.
        links: how often it was connected to.
    """

    __slots__ = ("dropped", "links", "published", "received", "refused", "strange", "unkept")

    def __init__(self) -> None:
        self.received = 0
        self.published = 0
        self.dropped = 0
        self.strange = 0
        self.refused = 0
        self.unkept = 0
        self.links = 0
