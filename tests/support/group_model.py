"""A group as one would explain it on a page: whoever asks for what, and what each member may know afterwards.

Plain lists and dictionaries, and nothing taken from the server's own rules, so that the two can disagree.
"""

from dataclasses import dataclass, field

FOREVER = 2**53 - 1


@dataclass
class Entry:
    type: str
    by: str
    action: str | None = None
    is_recalled: bool = False


@dataclass
class Membership:
    role: str
    sees_from: int
    read: int


@dataclass
class GroupModel:
    """`inboxes` and `room` are what was told: `(type, message_id, action)`. `asked` are the ids that were answered."""

    small_limit: int
    now: int
    members: dict[str, Membership] = field(default_factory=dict)
    silenced: dict[str, int] = field(default_factory=dict)
    history: str = "join"
    posting: str = "all"
    is_large: bool = False
    log: list[Entry] = field(default_factory=list)
    reactions: set[tuple[int, str]] = field(default_factory=set)
    uses_left: int = 0
    inboxes: dict[str, list[tuple]] = field(default_factory=dict)
    room: list[tuple] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)

    # What was told

    def _tell(self, users, what) -> None:
        for user in users:
            self.inboxes.setdefault(user, []).append(what)

    def _note(self, by, type_, action, concerned=(), *, moves=True, only=None) -> int:
        """One more entry, told to all (or `only` those), or to the room and those whom it is about."""
        self.log.append(Entry(type_, by, action))
        number = len(self.log)
        if self.is_large:
            self.room.append((type_, number, action))
            self._tell(concerned, (type_, number, action))
        else:
            self._tell(self.members if only is None else only, (type_, number, action))
        if moves and by in self.members:
            self.members[by].read = number
        return number

    def _role(self, user) -> str | None:
        return self.members[user].role if user in self.members else None

    # What is asked. Each answers with the entry's number, or with the code of the refusal.

    def create(self, owner, others) -> int:
        everybody = [owner, *others]
        self.is_large = len(everybody) > self.small_limit
        self.log.append(Entry("conversation", owner, "created"))
        for user in everybody:
            self.members[user] = Membership("owner" if user == owner else "member", 1, 1)
        self._tell(everybody, ("conversation", 1, "created"))
        return 1

    def _mute_code(self, user) -> str | None:
        if self.members[user].role != "member":
            return None
        is_silent = self.posting == "admins" or self.silenced.get(user, 0) > self.now
        return "forbidden" if is_silent else None

    def send(self, user) -> int | str:
        if user not in self.members:
            return "not_a_member"
        return self._mute_code(user) or self._note(user, "message", None)

    def _target(self, user, target) -> str | None:
        if user not in self.members:
            return "not_a_member"
        if not self.members[user].sees_from <= target <= len(self.log):
            return "not_found"
        if self.log[target - 1].type != "message":
            return "not_found"
        return "conflict" if self.log[target - 1].is_recalled else None

    def _witnesses(self, target) -> list[str]:
        return [user for user, one in self.members.items() if one.sees_from <= target]

    def edit(self, user, target) -> int | str:
        if code := self._target(user, target):
            return code
        if self.log[target - 1].by != user:
            return "forbidden"
        code = self._mute_code(user)
        return code or self._note(user, "edited", None, moves=False, only=self._witnesses(target))

    def recall(self, user, target) -> int | str:
        if code := self._target(user, target):
            return code
        if self.log[target - 1].by != user and self.members[user].role == "member":
            return "forbidden"
        self.log[target - 1].is_recalled = True
        return self._note(user, "recalled", None, moves=False, only=self._witnesses(target))

    def react(self, user, target) -> int | str:
        if code := self._target(user, target):
            return code
        if (target, user) in self.reactions:
            return "conflict"
        self.reactions.add((target, user))
        return self._note(user, "reaction", None, moves=False, only=self._witnesses(target))

    def read(self, user, number) -> int | str:
        if user not in self.members:
            return "not_a_member"
        if number > len(self.log):
            return "not_found"
        if number > self.members[user].read:
            self.members[user].read = number
            self._tell([user], ("read", number, None))
        return 0

    def update(self, user, history, posting) -> int | str:
        if user not in self.members:
            return "not_a_member"
        if self.members[user].role == "member":
            return "forbidden"
        self.history, self.posting = history, posting
        return self._note(user, "conversation", "settings")

    def add(self, user, other, role=None) -> int | str:
        mine, theirs = self._role(user), self._role(other)
        if mine is None:
            return "not_a_member"
        if role is not None and theirs is not None:
            return self._promote(user, other, role)
        if mine == "member" or (role == "admin" and mine != "owner") or role == "owner":
            return "forbidden"
        if theirs is not None:
            return "conflict"
        return self._admit(user, other, role or "member")

    def join(self, user) -> int | str:
        """By a link of so many uses."""
        if user in self.members:
            return "conflict"
        if self.uses_left == 0 or not self.members:
            return "not_found"
        self.uses_left -= 1
        return self._admit(user, user, "member")

    def _admit(self, by, user, role) -> int:
        number = len(self.log) + 1
        sees_from = 1 if self.history == "all" else number
        self.members[user] = Membership(role, sees_from, number)
        self._note(by, "member", "joined", [user])
        if not self.is_large and len(self.members) > self.small_limit:
            self._tell(self.members, ("conversation", number + 1, "mode"))
            self.is_large = True
            self._note(by, "conversation", "mode")
        return number

    def _promote(self, user, other, role) -> int | str:
        mine, theirs = self.members[user].role, self.members[other].role
        steps_down = user == other and mine == "admin" and role == "member"
        if mine == "member" or (mine == "admin" and user != other):
            return "forbidden"
        if theirs == role:
            return "conflict"
        if user == other and not steps_down:
            return "forbidden"
        number = self._set_role(user, other, role)
        if role == "owner":
            self._set_role(user, user, "admin")
        return number

    def _set_role(self, by, user, role) -> int:
        self.members[user].role = role
        if role != "member":
            self.silenced.pop(user, None)
        return self._note(by, "member", "role", [user])

    def remove(self, user, other) -> int | str:
        mine, theirs = self._role(user), self._role(other)
        if mine is None:
            return "not_a_member"
        if user == other:
            return self.leave(user)
        if mine == "member":
            return "forbidden"
        if theirs is None:
            return "not_found"
        if theirs == "owner" or (theirs == "admin" and mine != "owner"):
            return "forbidden"
        return self._dismiss(user, other, "removed")

    def leave(self, user) -> int | str:
        if user not in self.members:
            return "not_a_member"
        if self.members[user].role == "owner" and len(self.members) > 1:
            return "forbidden"
        return self._dismiss(user, user, "left")

    def _dismiss(self, by, user, action) -> int:
        number = self._note(by, "member", action, [user])
        del self.members[user]
        return number

    def silence(  # noqa: PLR0911 -- one line for each refusal
        self, user, other, until
    ) -> int | str:
        """`until` None: for good; 0: taken back."""
        if user not in self.members:
            return "not_a_member"
        if self.members[user].role == "member":
            return "forbidden"
        if other not in self.members:
            return "not_found"
        if self.members[other].role != "member":
            return "forbidden"
        before = self.silenced.get(other, 0)
        if until == 0:
            if before <= self.now:
                return "not_found"
            del self.silenced[other]
            return self._note(user, "member", "unmuted", [other])
        if until is not None and until <= self.now:
            return "bad_request"
        if before == (until or FOREVER):
            return "conflict"
        self.silenced[other] = until or FOREVER
        return self._note(user, "member", "muted", [other])

    def dissolve(self, user) -> int | str:
        if user not in self.members:
            return "not_a_member"
        if self.members[user].role != "owner":
            return "forbidden"
        number = self._note(user, "conversation", "dissolved", list(self.members))
        self.members.clear()
        return number

    # What each may know

    def visible(self, user) -> list[int]:
        return list(range(self.members[user].sees_from, len(self.log) + 1))

    def unread(self, user) -> int:
        """Counted again from the log."""
        return sum(entry.type == "message" for entry in self.log[self.members[user].read :])
