"""How one person stands to another, as far as others' rights hang on it."""

from dataclasses import dataclass

from pabal.privacy import Privacy, Seen


@dataclass(frozen=True, slots=True)
class Relation:
    """Of somebody to a viewer, who asks.

    Attributes:
        privacy: what that person lets others do and see.
        contact: that person has accepted the viewer.
        accepts: the viewer has accepted that person.
        blocked: that person has blocked the viewer.
        blocks: the viewer has blocked that person.
        shares_group: both are in one small group.
    """

    privacy: Privacy
    contact: bool
    accepts: bool
    blocked: bool
    blocks: bool
    shares_group: bool

    @property
    def is_apart(self) -> bool:
        """Whichever of the two has blocked the other, neither sees or reaches the other."""
        return self.blocked or self.blocks

    @property
    def shows_profile(self) -> bool:
        return not self.is_apart and (self.contact or self.shares_group)

    @property
    def shows_presence(self) -> bool:
        """To whom contacts may see it, it is seen in small groups too."""
        who = self.privacy.presence
        return self.allows(who) or (who == "contacts" and self.shares_group and not self.is_apart)

    @property
    def shows_last_seen(self) -> bool:
        return self.allows(self.privacy.last_seen)

    def allows(self, who: Seen) -> bool:
        """Whether the viewer is among those whom a setting names."""
        if self.is_apart:
            return False
        return who == "everyone" or (who == "contacts" and self.contact)
