"""Users, sessions, devices, and one's own account."""

from msgspec import UnsetType

from bridge.accounts.origin import Origin
from bridge.accounts.passwords import check_new
from bridge.accounts.service import Accounts
from bridge.accounts.values import Profile, Session
from pabal import topics
from pabal.errors import BadRequest
from pabal.ids import ClientId, DeviceId, UserId, parse_device
from webapi import schemas as s
from webapi.brokers import Brokers
from webapi.limits import Limits
from webapi.routing import Answer, Api, Call


class AccountRoutes:
    """The views; `register` says which call each of them answers."""

    def __init__(self, accounts: Accounts, limits: Limits, brokers: Brokers) -> None:
        self._accounts = accounts
        self._limits = limits
        self._brokers = brokers

    def register(self, api: Api) -> None:
        api.route(
            "POST",
            "/v1/users",
            self.sign_up,
            {201: s.UserBody},
            tag="users",
            body=s.SignUp,
            refuses=(409,),
            is_open=True,
        )
        api.route(
            "POST",
            "/v1/sessions",
            self.log_in,
            {201: s.SessionBody},
            tag="sessions",
            body=s.LogIn,
            refuses=(401, 403, 409),
            is_open=True,
        )
        api.route(
            "POST",
            "/v1/sessions/refresh",
            self.refresh,
            {200: s.SessionBody},
            tag="sessions",
            body=s.Refresh,
            refuses=(401,),
            is_open=True,
        )
        api.route(
            "DELETE",
            "/v1/sessions/current",
            self.log_out,
            {204: None},
            tag="sessions",
            refuses=(404, 409),
        )
        self._register_devices(api)
        self._register_me(api)

    def _register_devices(self, api: Api) -> None:
        api.route("GET", "/v1/devices", self.list_devices, {200: s.DevicesBody}, tag="devices")
        api.route(
            "POST",
            "/v1/devices",
            self.add_device,
            {201: s.NewDeviceBody},
            tag="devices",
            body=s.AddDevice,
            refuses=(404, 409),
        )
        api.route(
            "DELETE",
            "/v1/devices/<device>",
            self.delete_device,
            {204: None},
            tag="devices",
            refuses=(403, 404),
        )

    def _register_me(self, api: Api) -> None:
        api.route("GET", "/v1/me", self.show_me, {200: s.ProfileBody}, tag="me", refuses=(404,))
        api.route(
            "PATCH",
            "/v1/me",
            self.change_me,
            {200: s.ProfileBody},
            tag="me",
            body=s.PatchMe,
            refuses=(403, 404),
        )

    # Users

    def sign_up(self, call: Call) -> Answer:
        """Sign up."""
        body: s.SignUp = call.body
        self._limits.sign_up(call.address)
        profile = self._accounts.sign_up(
            body.user, body.password, display_name=body.display_name, origin=Origin(call.address, via="http")
        )
        return Answer(201, s.UserBody(user=profile.user))

    # Sessions

    def log_in(self, call: Call) -> Answer:
        """Log in on a device; an older session of the same device ends."""
        body: s.LogIn = call.body
        with self._limits.failed_logins.attempt(body.user, call.address):
            origin = Origin(call.address, via="http")
            session = self._accounts.log_in(body.user, body.password, body.device, origin=origin)
        return Answer(201, self._session(session))

    def refresh(self, call: Call) -> Answer:
        """New tokens for a refresh token, which works once; using it again ends the session."""
        body: s.Refresh = call.body
        return Answer(
            200,
            self._session(
                self._accounts.refresh(body.refresh_token, origin=Origin(call.address, via="http"))
            ),
        )

    def log_out(self, call: Call) -> Answer:
        """Log out. A device secret is no session, and is ended by deleting the device."""
        self._accounts.log_out(call.login, origin=call.origin)
        return Answer(204, None)

    # Devices

    def list_devices(self, call: Call) -> Answer:
        """One's own devices."""
        devices = [
            s.DeviceBody(
                device=one.device,
                allow=sorted(one.allow),
                has_secret=one.has_secret,
                logged_in=one.logged_in,
                current=one.device == call.login.device,
                created_ts=one.created_ts,
                seen_ts=one.seen_ts,
            )
            for one in self._accounts.list_devices(call.login.user)
        ]
        return Answer(200, s.DevicesBody(devices=devices))

    def add_device(self, call: Call) -> Answer:
        """A long-lived secret for a thing without a login. Needs the account's password."""
        body: s.AddDevice = call.body
        user = call.login.user
        with self._limits.failed_logins.attempt(user, call.address):
            made = self._accounts.add_device(user, body.password, body.device, body.allow, origin=call.origin)
        answer = s.NewDeviceBody(
            user=user,
            device=made.device,
            allow=sorted(made.allow),
            secret=made.secret,
            mqtt=self._mqtt(user, made.device),
        )
        return Answer(201, answer)

    def delete_device(self, call: Call) -> Answer:
        """End a device: its session, its secret and its connections. A device secret can end itself only."""
        device = parse_device(call.path["device"])
        if device != call.login.device:
            call.must_be_logged_in()
        self._accounts.delete_device(call.login.user, device, origin=call.origin)
        return Answer(204, None)

    # Me

    def show_me(self, call: Call) -> Answer:
        """One's own profile."""
        return Answer(200, _profile(self._accounts.look_up(call.login.user)))

    def change_me(self, call: Call) -> Answer:
        """Change one's profile or password; a new password ends all other sessions."""
        body: s.PatchMe = call.body
        call.must_be_logged_in()
        login = call.login
        if not isinstance(body.password, UnsetType):
            if isinstance(body.current_password, UnsetType):
                raise BadRequest("a new password needs the current one", field="current_password")
            check_new(body.password)
            with self._limits.failed_logins.attempt(login.user, call.address):
                self._accounts.check_password(login.user, body.current_password, origin=call.origin)
        profile = self._accounts.update_profile(
            login.user, display_name=body.display_name, about=body.about, privacy=body.privacy
        )
        if not isinstance(body.password, UnsetType):
            self._accounts.set_password(
                login.user, body.password, keep_session=login.session_id, origin=call.origin
            )
        return Answer(200, _profile(profile))

    def _session(self, session: Session) -> s.SessionBody:
        return s.SessionBody(
            access_token=session.access_token,
            refresh_token=session.refresh_token,
            expires_in=session.expires_in,
            user=session.user,
            device=session.device,
            mqtt=self._mqtt(session.user, session.device),
        )

    def _mqtt(self, user: UserId, device: DeviceId) -> s.Mqtt:
        broker = self._brokers.best()
        return s.Mqtt(
            tcp=broker.tcp,
            ws=broker.ws,
            client_id=str(ClientId(user, device)),
            username=user,
            topics=s.Topics(
                up=topics.up(user, device),
                down=topics.down(user, device),
                inbox=topics.inbox(user),
                live=topics.live(user),
                status=topics.status(user, device),
            ),
        )


def _profile(profile: Profile) -> s.ProfileBody:
    return s.ProfileBody(
        user=profile.user,
        display_name=profile.display_name,
        about=profile.about,
        admin=profile.admin,
        created_ts=profile.created_ts,
        privacy=profile.privacy,
    )
