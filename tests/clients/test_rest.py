import httpx2
import pytest
from fake_chat_server import FakeServer
from fake_rest_server import FakeRest

from pabal import errors
from pabal.messages import Send, Sync
from pabal_client import Rest, Unreachable
from pabal_client.tokens import FreshToken, Tokens


@pytest.fixture
def fake():
    with FakeRest(FakeServer()) as fake:
        yield fake


@pytest.fixture
def rest(fake):
    with Rest(fake.url) as rest:
        rest.sign_up("alice", "pw", display_name="Alice")
        rest.token = rest.log_in("alice", "pw", "phone").access_token
        yield rest


def answering(status, content=b"", **headers):
    def handle(_request):
        return httpx2.Response(status, content=content, headers=headers)

    return Rest("http://server", transport=httpx2.MockTransport(handle))


def test_every_call_does_what_it_says(rest):
    assert rest.user("alice").user == "alice"
    assert rest.add_device("sensor", "pw", ["send"]).secret == "s3cret"
    assert rest.add_device("door", "pw").device == "door"
    done = rest.send("@bob", Send(id="x", to="bob", text="hi"))
    assert (done.conv, done.message_id, done.dup) == ("alice~bob", 1, False)
    assert rest.send("alice~bob", Send(id="x", conv="alice~bob", text="hi")).dup
    assert [row.conv for row in rest.conversations().conversations] == ["alice~bob"]
    assert rest.history("alice~bob", limit=3).items[0].text == "hi"
    page = rest.sync(0, wait=1)
    assert (page.head, page.more, len(page.items)) == (1, False, 1)
    assert b'"ok": true' in rest.request(Sync(id="s", after=0))
    rest.log_out()
    with pytest.raises(errors.Unauthorized):
        rest.conversations()


@pytest.mark.parametrize("ending", ["/", "/v1", "/v1/"])
def test_an_address_may_end_with_the_version_of_the_protocol(fake, rest, ending):
    with Rest(fake.url + ending, token=rest.token) as other:
        assert other.user("alice").user == "alice"
        assert other.base_url == fake.url


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://v1", "http://v1"),
        ("http://v1/v1", "http://v1"),
        ("https://x/chat/v1/", "https://x/chat"),
        ("http://x/v12", "http://x/v12"),
    ],
)
def test_of_an_address_only_a_path_that_is_the_version_is_left_out(given, base):
    with Rest(given) as rest:
        assert rest.base_url == base


def test_refresh_rotates(rest):
    first = rest.log_in("alice", "pw", "phone")
    second = rest.refresh(first.refresh_token)
    assert second.refresh_token != first.refresh_token
    with pytest.raises(errors.Unauthorized):
        rest.refresh(first.refresh_token)


@pytest.mark.parametrize("kind", errors.REFUSALS)
def test_a_problem_document_becomes_the_refusal_of_its_code(rest, fake, kind):
    fake.failures = [fake.problem(kind.http_status, kind.code, "because")]
    with pytest.raises(kind, match="because"):
        rest.user("alice")


def test_how_long_to_wait_comes_from_the_header_or_the_document():
    with answering(429, b'{"code":"rate_limited","detail":"slow"}', **{"Retry-After": "7"}) as rest:
        with pytest.raises(errors.RateLimited) as caught:
            rest.user("alice")
        assert caught.value.retry_after == 7
    with answering(503, b'{"code":"unavailable","detail":"busy","retry_after":3}') as rest:
        with pytest.raises(errors.Unavailable) as caught:
            rest.user("alice")
        assert caught.value.retry_after == 3


def test_a_refusal_without_a_document_is_told_by_its_status():
    with answering(404, b"<html>") as rest, pytest.raises(errors.NotFound):
        rest.user("alice")


@pytest.mark.parametrize("status", [302, 418, 500, 502, 504])
def test_what_no_pabal_server_would_say_is_unreachable(status):
    with answering(status, b"<html>") as rest, pytest.raises(Unreachable, match=str(status)):
        rest.user("alice")


def test_an_answer_that_cannot_be_read_is_unreachable():
    with answering(200, b"<html>") as rest, pytest.raises(Unreachable, match="like a Pabal server"):
        rest.user("alice")


def test_no_server_and_no_address_are_unreachable():
    with Rest("http://127.0.0.1:1") as rest, pytest.raises(Unreachable, match="cannot reach"):
        rest.user("alice")
    with pytest.raises(Unreachable, match="no address"):
        Rest("http://[::1")


def test_a_name_from_a_stranger_stays_one_segment_of_the_path(rest, fake):
    with pytest.raises(errors.NotFound):
        rest.user("../devices?x=1#ü")
    assert fake.calls[-1][1] == "users/../devices?x=1#ü"


class Kept:
    def __init__(self, tokens):
        self.tokens, self.saved, self.locks = tokens, [], 0
        self.while_locked = None

    def locked(self):
        return self

    def __enter__(self):
        self.locks += 1
        if self.while_locked:
            self.tokens = self.while_locked

    def __exit__(self, *_):
        pass

    def load(self):
        return self.tokens

    def save(self, tokens):
        self.tokens = tokens
        self.saved.append(tokens)


def tokens(access="access0", refresh="refresh0", expires_at=1000.0):
    return Tokens(access_token=access, refresh_token=refresh, expires_at=expires_at)


@pytest.fixture
def fresh(fake):
    fake.refreshes["refresh0"] = ("alice", "phone")
    store = Kept(tokens())
    return FreshToken(fake.url, store, clock=lambda: 100.0), store


def test_a_good_token_is_given_as_it_is(fresh):
    source, store = fresh
    assert source() == "access0"
    assert store.locks == 0


def test_a_token_about_to_end_is_refreshed_and_kept_before_it_is_given(fresh):
    source, store = fresh
    store.tokens = tokens(expires_at=150.0)
    assert source() == "access1"
    assert store.saved == [tokens("access1", "refresh1", 1000.0)]
    assert source() == "access1"


def test_a_refused_token_is_refreshed_but_one_that_was_never_given_is_tried_first(fresh):
    source, _ = fresh
    assert source(refused=True) == "access0"
    assert source(refused=True) == "access1"


def test_who_waited_for_another_to_refresh_takes_what_that_one_got(fresh, fake):
    source, store = fresh
    assert source() == "access0"
    store.while_locked = tokens("of-another", "refresh9")
    assert source(refused=True) == "of-another"
    assert ("POST", "sessions/refresh") not in fake.calls


def test_a_session_without_a_refresh_token_is_over(fresh):
    source, store = fresh
    store.tokens = tokens(refresh="", expires_at=0.0)
    with pytest.raises(errors.Unauthorized):
        source()
