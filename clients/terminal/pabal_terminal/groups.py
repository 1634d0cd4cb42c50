"""Groups."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pabal.messages import Committed
from pabal_client.groups import Group, Invite, Member, read_group, read_invite, read_invites
from pabal_terminal.asking import asking
from pabal_terminal.output import Output
from pabal_terminal.wording import local, until


def create(
    name: str,
    members: Sequence[str] = (),
    *,
    history: str | None = None,
    posting: str | None = None,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """A new group. Raises: TerminalError."""
    return _change(
        "group.create",
        "made the group {conv}",
        request_id,
        profile_path,
        output,
        name=name,
        members=[member.removeprefix("@") for member in members],
        history=history,
        posting=posting,
    )


def update(
    conv: str,
    *,
    name: str | None = None,
    history: str | None = None,
    posting: str | None = None,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """Another name, or other settings; what is left out stays. Raises: TerminalError."""
    return _change(
        "group.update",
        "changed: {conv}",
        request_id,
        profile_path,
        output,
        conv=conv,
        name=name,
        history=history,
        posting=posting,
    )


def add(
    conv: str,
    user: str,
    *,
    role: str | None = None,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """One more member, or another role for one. Raises: TerminalError."""
    name = user.removeprefix("@")
    what = f"added {name} to" if role is None else f"{name} is {role} of"
    return _change(
        "group.add", f"{what} {{conv}}", request_id, profile_path, output, conv=conv, user=name, role=role
    )


def remove(
    conv: str,
    user: str,
    *,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """One member less. Raises: TerminalError."""
    name = user.removeprefix("@")
    return _change(
        "group.remove",
        f"removed {name} from {{conv}}",
        request_id,
        profile_path,
        output,
        conv=conv,
        user=name,
    )


def leave(
    conv: str,
    *,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """Raises: TerminalError."""
    return _change("group.leave", "left {conv}", request_id, profile_path, output, conv=conv)


def dissolve(
    conv: str,
    *,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """Nobody is a member any more. Raises: TerminalError."""
    return _change("group.dissolve", "dissolved {conv}", request_id, profile_path, output, conv=conv)


def mute(
    conv: str,
    user: str,
    *,
    until: int | None = None,
    remove: bool = False,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """A member may not write, up to `until` (milliseconds since 1970 UTC), or may again. Raises: TerminalError."""
    name = user.removeprefix("@")
    return _change(
        "group.mute",
        f"{name} may write to {{conv}} again" if remove else f"silenced {name} in {{conv}}",
        request_id,
        profile_path,
        output,
        conv=conv,
        user=name,
        until=until,
        remove=remove or None,
    )


def join(
    code: str,
    *,
    request_id: str | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Committed:
    """Into the group that an invitation's code is of. Raises: TerminalError."""
    return _change("group.join", "joined {conv}", request_id, profile_path, output, code=code)


def _change(
    op: str,
    words: str,
    request_id: str | None,
    profile_path: Path | None,
    output: Output | None,
    **fields: Any,
) -> Committed:
    with asking(profile_path) as asker:
        name, committed = asker.entry(op, request_id, **fields)
    if output is not None:
        output.committed(words.format(conv=committed.conv), name, committed)
    return committed


def show(conv: str, *, profile_path: Path | None = None, output: Output | None = None) -> Group:
    """The group and all its members. Raises: TerminalError."""
    output = output or Output()
    members: list[Member] = []
    with asking(profile_path) as asker:
        while True:
            after = members[-1].user if members else None
            group = asker.ask("group.get", read_group, conv=conv, after=after)
            members += group.members
            if not group.more or not group.members:
                break
    if output.json:
        fields = {name: getattr(group, name) for name in ("name", "mode", "history", "posting")}
        output.data({"conv": conv, **fields, "members": members})
        return group
    output.line((group.name, "bold"), f"  {conv}  {group.mode}, {len(members)} members")
    output.line(
        f"newcomers see {'everything' if group.history == 'all' else 'what comes after they joined'}; ",
        f"{'everybody' if group.posting == 'all' else 'only admins'} may write",
    )
    for member in members:
        silenced = "" if member.muted_until is None else f"  silenced{until(member.muted_until)}"
        output.line("  ", (member.user.ljust(12), "cyan"), f"  {member.role}{silenced}")
    return group


def invite(
    conv: str,
    *,
    expires_in: int | None = None,
    uses: int | None = None,
    profile_path: Path | None = None,
    output: Output | None = None,
) -> Invite:
    """A new code that lets its holder in. Raises: TerminalError."""
    with asking(profile_path) as asker:
        made = asker.ask("group.invite", read_invite, conv=conv, expires_in=expires_in, uses=uses)
    _show_invites([made], output)
    return made


def invites(conv: str, *, profile_path: Path | None = None, output: Output | None = None) -> Sequence[Invite]:
    """The codes that are still good. Raises: TerminalError."""
    with asking(profile_path) as asker:
        found = asker.ask("group.invites", read_invites, conv=conv).invites
    _show_invites(found, output)
    return found


def _show_invites(found: Sequence[Invite], output: Output | None) -> None:
    for one in found if output is not None else ():
        if output is not None and output.json:
            output.data(one)
        elif output is not None:
            ends = "" if one.expires is None else f"  until {local(one.expires)}"
            left = "" if one.uses is None else f"  {one.uses} uses"
            output.line((one.code, "bold"), ends, left)


def uninvite(conv: str, code: str, *, profile_path: Path | None = None, output: Output | None = None) -> None:
    """The code is good no more. Raises: TerminalError."""
    with asking(profile_path) as asker:
        asker.done("group.uninvite", conv=conv, code=code)
    if output is not None:
        output.done(f"the code is good no more: {code}", conv=conv, code=code)
