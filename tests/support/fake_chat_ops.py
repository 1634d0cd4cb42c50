"""What a server in memory does beside messages: edits, groups, people. Parts of `fake_chat_server.FakeServer`.

What makes an entry is a `make_` and returns the reply's fields and the publishes; the rest is a `do_` and returns the
fields alone.
"""

import base64
import hashlib

from fake_chat_words import refusal


def group_of(user, device, request_id):
    """Which group a `group.create` with this id makes, however often it comes."""
    digest = hashlib.blake2b(f"{user}/{device}/{request_id}".encode(), digest_size=8).digest()
    return "g" + base64.b32encode(digest).decode().lower()[:12]


class EntryOps:
    def _once(self, user, device, conv, request, type_, fields, also=None):
        """An entry of this conversation, once per id; `also` is done with it."""
        key = (conv, user, device, request.get("id"))
        if request.get("id") and key in self.known:
            return {**self.known[key], "dup": True}, []
        if not self._sees(user, conv):
            return refusal("not_a_member"), []
        entry = self._append(conv, type_, request.get("id"), fields)
        done = {"conv": conv, "message_id": entry["message_id"], "ts": entry["ts"], "dup": False}
        self.known[key] = done
        out = self._tell(conv, entry)
        if also is not None:
            also()
        return done, out

    def _tell(self, conv, entry):
        if conv in self.groups:
            return self._tell_group(conv, entry)
        return [self._put(member, entry) for member in sorted(set(conv.split("~")))]

    def _target(self, request):
        log = self.log.get(request["conv"], [])
        return log[request["target"] - 1] if request["target"] <= len(log) else None

    def make_edit(self, user, device, request):
        target = self._target(request)
        if target is None:
            return refusal("not_found"), []
        if target.get("from") != user:
            return refusal("forbidden"), []
        content = {name: request[name] for name in ("text", "body") if name in request}
        fields = {"from": user, "target": request["target"], **content}
        change = lambda: target.update(content, edited=1)  # noqa: E731 -- two lines for one
        return self._once(user, device, request["conv"], request, "edited", fields, change)

    def make_recall(self, user, device, request):
        target = self._target(request)
        if target is None:
            return refusal("not_found"), []

        def forget():
            target.pop("text", None)
            target["recalled"] = True

        fields = {"from": user, "target": request["target"]}
        return self._once(user, device, request["conv"], request, "recalled", fields, forget)

    def make_react(self, user, device, request):
        if self._target(request) is None:
            return refusal("not_found"), []
        fields = {"from": user, "target": request["target"], "emoji": request["emoji"]}
        if request.get("remove"):
            fields["removed"] = True
        return self._once(user, device, request["conv"], request, "reaction", fields)

    def make_delete(self, user, _device, request):
        self.deleted.append((user, request["conv"], request["target"]))
        out = [
            self._put(
                user, {"type": "deleted", "ts": 1, "conv": request["conv"], "target": request["target"]}
            )
        ]
        return {}, out

    def make_mute(self, user, _device, request):
        self.muted[user, request["conv"]] = None if request.get("remove") else request.get("until", 0)
        update = {"type": "conversation", "action": "muted", "ts": 1, "conv": request["conv"]}
        if "until" in request:
            update["until"] = request["until"]
        return {}, [self._put(user, update)]

    def do_typing(self, user, _device, request):
        self.typed.append((user, request["conv"], request["on"]))
        return {}


class GroupOps:
    def make_group_create(self, user, device, request):
        conv = group_of(user, device, request["id"])
        key = (conv, user, device, request["id"])
        if key in self.known:
            return {**self.known[key], "dup": True}, []
        out = self.create_group(
            conv, user, *request.get("members", []), name=request["name"], request_id=request["id"]
        )
        group = self.groups[conv]
        group.roles[user] = "owner"
        group.history, group.posting = request.get("history", "join"), request.get("posting", "all")
        entry = self.log[conv][0]
        self.known[key] = {"conv": conv, "message_id": 1, "ts": entry["ts"], "dup": False}
        return self.known[key], out

    def make_group_update(self, user, device, request):
        group = self.groups[request["conv"]]
        changed = {name: request[name] for name in ("name", "history", "posting") if name in request}
        action = "renamed" if set(changed) == {"name"} else "settings"
        change = lambda: vars(group).update(changed)  # noqa: E731 -- two lines for one
        fields = {"action": action, "by": user, "mode": group.mode, **changed}
        return self._once(user, device, request["conv"], request, "conversation", fields, change)

    def make_group_add(self, user, device, request):
        group, whom = self.groups[request["conv"]], request["user"]
        fields = {"action": "joined", "user": whom, "by": user}
        if whom in group.since:
            fields |= {"action": "role", "role": request.get("role", "member")}

        def take_in():
            group.since.setdefault(whom, len(self.log[request["conv"]]))
            group.roles[whom] = request.get("role", "member")

        return self._once(user, device, request["conv"], request, "member", fields, take_in)

    def make_group_remove(self, user, device, request, action="removed"):
        group, whom = self.groups[request["conv"]], request.get("user", user)
        if whom not in group.since and (request["conv"], user, device, request.get("id")) not in self.known:
            return refusal("not_found"), []
        fields = {"action": action, "user": whom, "by": user}
        part = lambda: group.since.pop(whom)  # noqa: E731 -- two lines for one
        return self._once(user, device, request["conv"], request, "member", fields, part)

    def make_group_leave(self, user, device, request):
        return self.make_group_remove(user, device, request, "left")

    def make_group_dissolve(self, user, device, request):
        group = self.groups[request["conv"]]
        fields = {"action": "dissolved", "by": user, "mode": group.mode}
        return self._once(user, device, request["conv"], request, "conversation", fields, group.since.clear)

    def make_group_mute(self, user, device, request):
        group, whom = self.groups[request["conv"]], request["user"]
        fields = {"action": "unmuted" if request.get("remove") else "muted", "user": whom, "by": user}
        if "until" in request:
            fields["until"] = request["until"]
        change = lambda: group.silenced.update({whom: request.get("until")})  # noqa: E731 -- two lines for one
        return self._once(user, device, request["conv"], request, "member", fields, change)

    def make_group_join(self, user, device, request):
        conv = next((c for c, group in self.groups.items() if request["code"] in group.invites), None)
        if conv is None:
            return refusal("not_found"), []
        self.groups[conv].since.setdefault(user, len(self.log[conv]) + 1)
        fields = {"action": "joined", "user": user, "by": user}
        return self._once(user, device, conv, request, "member", fields)

    def do_group_get(self, user, _device, request):
        group = self.groups.get(request["conv"])
        if group is None or user not in group.since:
            return refusal("not_a_member")
        names = sorted(name for name in group.since if name > request.get("after", ""))
        page = names[: self.page_limit]
        members = [{"user": name, "role": group.roles.get(name, "member")} for name in page]
        for member in members:
            if member["user"] in group.silenced:
                member["muted_until"] = group.silenced[member["user"]]
        settings = {name: getattr(group, name) for name in ("name", "mode", "history", "posting")}
        return {**settings, "members": members, "more": len(names) > len(page)}

    def do_group_invite(self, _user, _device, request):
        group = self.groups[request["conv"]]
        code = f"code{len(group.invites) + 1}"
        group.invites[code] = {
            "code": code,
            "expires": request.get("expires_in"),
            "uses": request.get("uses"),
        }
        return group.invites[code]

    def do_group_invites(self, _user, _device, request):
        return {"invites": list(self.groups[request["conv"]].invites.values())}

    def do_group_uninvite(self, _user, _device, request):
        return {} if self.groups[request["conv"]].invites.pop(request["code"], None) else refusal("not_found")


class PeopleOps:
    def make_contact_request(self, user, _device, request):
        return self._contact(user, request["user"], "requested", "received", request.get("text"))

    def make_contact_accept(self, user, _device, request):
        if self.contacts.get((user, request["user"])) != "received":
            return refusal("not_found"), []
        return self._contact(user, request["user"], "accepted", "accepted")

    def make_contact_remove(self, user, _device, request):
        return self._contact(user, request["user"], "removed", "removed")

    def _contact(self, user, other, mine, theirs, text=None):
        if self.contacts.get((user, other)) == mine:
            return {"user": other, "state": mine}, []
        out = []
        for me, you, state in ((user, other, mine), (other, user, theirs)):
            self.contacts[me, you] = state
            said = {"text": text} if text is not None else {}
            out.append(self._put(me, {"type": "contact", "action": state, "user": you, "ts": 1, **said}))
        return {"user": other, "state": mine}, out

    def do_contacts(self, user, _device, request):
        rows = [
            {"user": other, "state": state, "since": 5}
            for (me, other), state in sorted(self.contacts.items())
            if me == user and state != "removed"
        ]
        return self._page("contacts", rows, request)

    def make_block_add(self, user, _device, request):
        self.blocked[user, request["user"]] = True
        update = {"type": "contact", "action": "blocked", "user": request["user"], "ts": 1}
        return {}, [self._put(user, update)]

    def make_block_remove(self, user, _device, request):
        self.blocked.pop((user, request["user"]), None)
        update = {"type": "contact", "action": "unblocked", "user": request["user"], "ts": 1}
        return {}, [self._put(user, update)]

    def do_blocks(self, user, _device, request):
        rows = [{"user": other, "since": 5} for me, other in sorted(self.blocked) if me == user]
        return self._page("blocks", rows, request)

    def _page(self, name, rows, request):
        left = [row for row in rows if row["user"] > request.get("after", "")]
        return {name: left[: self.page_limit], "more": len(left) > self.page_limit}

    def do_users(self, _user, _device, request):
        known = sorted({user for user, _ in self.contacts})
        return {"users": [{"user": name} for name in known if name.startswith(request["q"])], "more": False}

    def do_presence(self, _user, _device, request):
        return {
            "presence": [
                {"user": user, **self.states.get(user, {"state": "offline"})} for user in request["users"]
            ]
        }

    def do_report(self, user, _device, request):
        self.reports.append(
            (user, {name: value for name, value in request.items() if name not in {"op", "id"}})
        )
        return {"report": len(self.reports), "dup": False}
