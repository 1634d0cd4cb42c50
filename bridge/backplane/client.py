"""The one module that knows redis-py: opens a client, and says in words what went wrong."""

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from bridge.backplane.address import RedisAddress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

# For a call, from asking to its answer, and to connect. Whoever calls waits no longer than both.
TIMEOUT_S: Final = 0.1
CONNECT_S: Final = 0.25
CONNECTIONS: Final = 16
# Answers by which a server says that it is not the one that was meant, or will not do: asking again is no use.
_REFUSALS: Final = {
    "WRONGPASS": "does not take this user and password",
    "NOAUTH": "wants a password",
    "NOPERM": "does not let this user do what is needed",
    "READONLY": "is a replica that takes no writes",
    "MISCONF": "takes no writes, because it cannot save to disk",
    "OOM": "is full and takes no writes",
    "MOVED": "is a node of a cluster",
}
# Those that its operator has to mend there; the others are mended in our settings.
_OF_THE_SERVER: Final = frozenset({"MISCONF", "OOM", "NOPERM"})
_HINTS: Final = {
    "WRONGPASS": "set the right user and password in redis_url",
    "NOAUTH": "set the password in redis_url: redis://:PASSWORD@HOST",
    "NOPERM": "allow it the keys and channels pabal:*, and the commands of docs/redis.md",
    "READONLY": "name its primary in redis_url",
    "MISCONF": "see its log; it has to be able to write its file, or not to save at all",
    "OOM": "give it more memory, or an eviction policy such as volatile-ttl",
    "MOVED": "write redis+cluster:// in redis_url",
}


class Client(Protocol):
    """What is used of redis-py, the same for one server and for a cluster."""

    def execute_command(self, *words: str | bytes | int) -> Any: ...

    def pubsub(self) -> Any: ...

    def close(self) -> None: ...


class NotInstalledError(Exception):
    """redis-py is not there."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a failure means. `lasting`: nothing but an operator mends it; `misnamed`: in the settings. Neither text
    holds a secret.
    """

    detail: str
    hint: str
    lasting: bool
    misnamed: bool = False


def is_installed() -> bool:
    return importlib.util.find_spec("redis") is not None


def open_client(
    address: RedisAddress,
    *,
    timeout_s: float = TIMEOUT_S,
    connect_s: float = CONNECT_S,
    connections: int = CONNECTIONS,
) -> Client:
    """A client whose calls are each one try, bounded in time. A single server is connected to at the first call.

    Raises: NotInstalledError; for a cluster, whatever `failures()` has.
    """
    options: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": connect_s,
        "socket_keepalive": True,
        "retry": _no_retry(),
        "protocol": 2,
        "client_name": "pabal",
    }
    redis = _module()
    if address.cluster:
        nodes = [redis.cluster.ClusterNode(node.host, node.port) for node in address.nodes]
        made: Client = redis.cluster.RedisCluster(
            startup_nodes=nodes,
            require_full_coverage=False,
            max_connections=connections,
            ssl=address.tls is not None,
            **options,
            **(address.tls or {}),
        )
        return made
    options["db"] = address.number
    kind = redis.connection.Connection
    if address.path is not None:
        kind = redis.connection.UnixDomainSocketConnection
        options["path"] = address.path
        del options["socket_keepalive"]
    else:
        options |= {"host": address.nodes[0].host, "port": address.nodes[0].port}
        if address.tls is not None:
            kind = redis.connection.SSLConnection
            options |= address.tls
    pool = redis.connection.BlockingConnectionPool(
        max_connections=connections, timeout=timeout_s, connection_class=kind, **options
    )
    single: Client = redis.Redis(connection_pool=pool)
    return single


def failures() -> tuple[type[BaseException], ...]:
    """All that a client raises for a server that does not answer, or not as it should."""
    redis = _module()
    return (
        redis.exceptions.RedisError,
        redis.exceptions.RedisClusterException,
        OSError,
        # What answers is something else, and not even bytes that can be read as an error.
        ValueError,
        IndexError,
    )


def trouble(error: BaseException) -> Trouble:
    """What to tell people of a failure."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    for one in chain:
        word = _first_word(one)
        if word in _REFUSALS:
            return Trouble(_REFUSALS[word], _HINTS[word], lasting=True, misnamed=word not in _OF_THE_SERVER)
    redis = _module()
    said = " ".join(str(one) for one in chain)
    if "cluster support disabled" in said or "Cluster mode is not enabled" in said:
        return Trouble("is no cluster", "write redis:// in redis_url", lasting=True, misnamed=True)
    if "DB index is out of range" in said:
        return Trouble(
            "has no database of this number",
            "leave the number out, or give a lower one",
            lasting=True,
            misnamed=True,
        )
    if any(isinstance(one, redis.exceptions.InvalidResponse) for one in chain) or "Protocol Error" in said:
        return Trouble(
            "answers, but not as Redis does", "see that HOST and PORT are right", lasting=True, misnamed=True
        )
    if any("CERTIFICATE_VERIFY_FAILED" in str(one) for one in chain):
        return Trouble(
            "has a certificate that is not trusted",
            "give its CA: rediss://…?ssl_ca_certs=FILE",
            lasting=True,
            misnamed=True,
        )
    return Trouble(f"does not answer ({_short(error)})", "see that it runs and can be reached", lasting=False)


def _first_word(error: BaseException) -> str | None:
    """redis-py takes some of these words off and makes a class of its own of them."""
    exceptions = _module().exceptions
    by_class: Mapping[str, tuple[type[BaseException], ...]] = {
        "READONLY": (exceptions.ReadOnlyError,),
        "NOPERM": (exceptions.NoPermissionError,),
        "OOM": (exceptions.OutOfMemoryError,),
        "MOVED": (exceptions.MovedError,),
    }
    for word, classes in by_class.items():
        if isinstance(error, classes):
            return word
    text = str(error)
    word = text.partition(" ")[0]
    if word in _REFUSALS:
        return word
    if isinstance(error, exceptions.AuthenticationError):
        return "NOAUTH" if "required" in text else "WRONGPASS"
    if isinstance(error, exceptions.AuthenticationWrongNumberOfArgsError):
        return "WRONGPASS"
    return "MISCONF" if "MISCONF" in text else "OOM" if "OOM command" in text else None


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _no_retry() -> Any:
    redis = _module()
    return redis.retry.Retry(redis.backoff.NoBackoff(), 0)


def _module() -> "ModuleType | Any":
    """Imported when there is a Redis to talk to: it is an extra, and slow to import.

    Raises: NotInstalledError.
    """
    try:
        import redis  # noqa: PLC0415 -- see above
        import redis.backoff  # noqa: PLC0415
        import redis.cluster  # noqa: PLC0415
        import redis.connection  # noqa: PLC0415
        import redis.exceptions  # noqa: PLC0415
        import redis.retry  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise NotInstalledError(error.name) from error
    return redis
