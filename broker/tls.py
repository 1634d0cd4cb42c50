"""Certificates of the TLS listeners, and what a client's certificate says about who it is."""

import ssl
from collections.abc import Callable
from typing import Any

from amqtt.contexts import ListenerConfig

from pabal.errors import BadRequest
from pabal.ids import ClientId, parse_client_id


class BadCertificate(ValueError):  # noqa: N818 -- named like the refusals of pabal.errors
    """Certificate, key or client CA cannot be used. `str()` names the file and says why."""


def context_of(listener: ListenerConfig) -> ssl.SSLContext:
    """A server's context from a listener of amqtt's configuration.

    Clients are asked for a certificate only if there is a CA for them, and need not have one.

    Raises: BadCertificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A session ticket holds the client's certificate, and would outlive the CA that vouched for it.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    certificate, key = listener.certfile, listener.keyfile
    if certificate is None or key is None:
        raise BadCertificate("a listener with TLS wants a certificate and its key")
    for file in (certificate, key, listener.cafile):
        _check_readable(file)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificate(
            f"{certificate} with the key {key} is no certificate that can be used: {_why(error)}"
        ) from None
    if listener.cafile is not None or listener.capath is not None or listener.cadata is not None:
        try:
            context.load_verify_locations(listener.cafile, listener.capath, listener.cadata)  # type: ignore[arg-type]
        except (ssl.SSLError, ValueError, OSError) as error:
            raise BadCertificate(
                f"{listener.cafile} holds no CA certificates that can be used: {_why(error)}"
            ) from None
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _check_readable(file: Any) -> None:
    """Raises: BadCertificate naming the file, which OpenSSL does not."""
    if file is None:
        return
    try:
        with open(file, "rb"):  # noqa: PTH123 -- amqtt's configuration has a str or a Path
            pass
    except OSError as error:
        raise BadCertificate(f"{file} cannot be read: {error.strerror}") from None


def _no_password() -> str:
    # Otherwise OpenSSL asks at the terminal.
    raise ValueError("the key is encrypted, and nobody is there to be asked for its password")


def _why(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)


class Certificates:
    """What new connections of a listener are shown; those that are there keep theirs.

    Attributes:
        current: the context for the next handshake.
    """

    __slots__ = ("_listener", "current")

    def __init__(self, listener: ListenerConfig, first: ssl.SSLContext) -> None:
        self._listener = listener
        self.current = first

    def read(self) -> Callable[[], None]:
        """Read the files again. The result, when called, makes that the current context.

        Raises: BadCertificate; nothing has changed then.
        """
        new = context_of(self._listener)

        def swap() -> None:
            self.current = new

        return swap


def identity_of(ssl_object: Any) -> ClientId | None:
    """The device that a verified client certificate is for: the first URI of its subject alternative names, or
    common name, that reads `{user}:{device}`. None if there is no certificate, or none such in it.
    """
    certificate: dict[str, Any] | None = ssl_object.getpeercert() if ssl_object is not None else None
    if not certificate:
        return None
    said = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    said += [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    for text in said:
        try:
            found = parse_client_id(text)
        except BadRequest:
            continue
        if found.suffix is None:
            return found
    return None
