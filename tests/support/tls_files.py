"""A certificate authority for tests, and what it signs, as files."""

import ssl
from pathlib import Path

import trustme


class TlsFiles:
    """Of one server: its CA, certificate and key, and a CA for its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        self.client_ca = folder / "client-ca.pem"
        self.servers, self.clients = trustme.CA(), trustme.CA()
        self.issue()
        self.clients.cert_pem.write_to_path(str(self.client_ca))

    def issue(self) -> None:
        """A new certificate for the server, over the old one."""
        made = self.servers.issue_cert("localhost", "127.0.0.1")
        self.key.write_bytes(made.private_key_pem.bytes())
        self.cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))

    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts this server."""
        context = ssl.create_default_context()
        self.servers.configure_trust(context)
        return context

    def certified(self, name: str, *, by: trustme.CA | None = None) -> ssl.SSLContext:
        """The same with a certificate of the client's, whose common name this is."""
        context = self.trusting()
        (by or self.clients).issue_cert("client.example", common_name=name).configure_cert(context)
        return context
