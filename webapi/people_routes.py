"""People and each other: contacts, blocks, profiles, search, and reports to moderators.

Read from the database, and changed by the relay.
"""

import msgspec

from bridge.accounts.service import Accounts
from pabal import messages as m
from pabal.acl import RECEIVE, check_right
from pabal.errors import Forbidden
from pabal.ids import UserId, parse_user
from webapi import people_schemas as s
from webapi.asking import ask
from webapi.ports import PeopleReads, RelayClient
from webapi.routing import Answer, Api, Call


class PeopleRoutes:
    """The views; `register` says which call each of them answers."""

    def __init__(self, accounts: Accounts, reads: PeopleReads, relay: RelayClient) -> None:
        self._accounts = accounts
        self._reads = reads
        self._relay = relay

    def register(self, api: Api) -> None:
        api.route(
            "GET",
            "/v1/users",
            self.search,
            {200: s.FoundBody},
            tag="people",
            query=s.SearchQuery,
            refuses=(403,),
        )
        api.route(
            "GET", "/v1/users/<user>", self.look_up, {200: m.PublicProfile}, tag="people", refuses=(404,)
        )
        self._register_contacts(api)
        self._register_reports(api)

    def _register_contacts(self, api: Api) -> None:
        for path, listed, view in (
            ("/v1/contacts", s.ContactsBody, self.list_contacts),
            ("/v1/blocks", s.BlocksBody, self.list_blocks),
        ):
            api.route("GET", path, view, {200: listed}, tag="people", query=s.PeopleQuery, refuses=(403,))
        api.route(
            "PUT",
            "/v1/contacts/<user>",
            self.ask_contact,
            {200: s.ContactBody},
            tag="people",
            body=s.AskContact,
            may_be_empty=True,
            refuses=(403, 404),
        )
        for method, path, change in (
            ("DELETE", "/v1/contacts/<user>", self.remove_contact),
            ("PUT", "/v1/blocks/<user>", self.block),
            ("DELETE", "/v1/blocks/<user>", self.unblock),
        ):
            api.route(method, path, change, {204: None}, tag="people", refuses=(403, 404, 413))

    def _register_reports(self, api: Api) -> None:
        api.route(
            "POST",
            "/v1/reports",
            self.report,
            {200: s.ReportBody, 201: s.ReportBody},
            tag="reports",
            body=s.NewReport,
            refuses=(403, 404),
        )
        api.route(
            "GET",
            "/v1/reports",
            self.list_reports,
            {200: s.ReportsBody},
            tag="reports",
            query=s.ReportsQuery,
            refuses=(403, 404),
        )

    # People

    def search(self, call: Call) -> Answer:
        """People whose user name or display name begins so, without those who do not want to be found."""
        query: s.SearchQuery = call.query
        call.must(RECEIVE)
        page = self._reads.search(call.login.user, query.q, query.limit)
        return Answer(200, s.FoundBody(users=page.users, more=page.more))

    def look_up(self, call: Call) -> Answer:
        """Whether somebody has this name; to contacts and members of the same small groups also the profile."""
        return Answer(200, self._reads.profile(call.login.user, _named(call)))

    # Contacts and blocks

    def list_contacts(self, call: Call) -> Answer:
        """Contacts and open requests, by user."""
        query: s.PeopleQuery = call.query
        call.must(RECEIVE)
        page = self._reads.contacts(call.login.user, _after(query), query.limit)
        return Answer(200, s.ContactsBody(contacts=page.contacts, more=page.more))

    def ask_contact(self, call: Call) -> Answer:
        """Ask to be contacts; where the other one has asked already, both are from now on."""
        body: s.AskContact = call.body
        reply = self._ask(call, m.ContactRequest(user=_named(call), text=body.text))
        now = msgspec.json.decode(reply, type=m.ContactState)
        return Answer(200, s.ContactBody(user=now.user, state=now.state))

    def remove_contact(self, call: Call) -> Answer:
        """End a contact, refuse a request, or take one back."""
        self._ask(call, m.ContactRemove(user=_named(call)))
        return Answer(204, None)

    def list_blocks(self, call: Call) -> Answer:
        """Those whom one has blocked, by user."""
        query: s.PeopleQuery = call.query
        call.must(RECEIVE)
        page = self._reads.blocks(call.login.user, _after(query), query.limit)
        return Answer(200, s.BlocksBody(blocks=page.blocks, more=page.more))

    def block(self, call: Call) -> Answer:
        """Neither hears or sees anything of the other from now on. The other one is not told."""
        self._ask(call, m.BlockAdd(user=_named(call)))
        return Answer(204, None)

    def unblock(self, call: Call) -> Answer:
        """Take a block back. Whoever was a contact before has to be asked again."""
        self._ask(call, m.BlockRemove(user=_named(call)))
        return Answer(204, None)

    # Reports

    def report(self, call: Call) -> Answer:
        """Tell the moderators of a user, or of a message that one sees. 200 where they had it before."""
        body: s.NewReport = call.body
        request = m.Report(
            user=body.user, conv=body.conv, message_id=body.message_id, reason=body.reason, text=body.text
        )
        done = msgspec.json.decode(self._ask(call, request), type=m.ReportDone)
        return Answer(200 if done.dup else 201, s.ReportBody(report=done.report, dup=done.dup))

    def list_reports(self, call: Call) -> Answer:
        """Reports, oldest first. For admins."""
        query: s.ReportsQuery = call.query
        call.must_be_logged_in()
        if not self._accounts.look_up(call.login.user).admin:
            raise Forbidden("reports are for admins")
        found, more = self._reads.reports(query.after, query.limit)
        return Answer(200, {"reports": found, "more": more})

    def _ask(self, call: Call, request: m.AnyRequest) -> bytes:
        check_right(call.login.allow, request)
        return ask(self._relay, call, request, msgspec.to_builtins(request))


def _named(call: Call) -> UserId:
    return parse_user(call.path["user"])


def _after(query: s.PeopleQuery) -> UserId | None:
    return None if query.after is None else parse_user(query.after, field="after")
