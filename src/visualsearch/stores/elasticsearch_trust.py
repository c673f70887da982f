"""Which servers are trusted: those of one authority, or those that a certificate with a fingerprint vouches for."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import sys
from typing import Any

import elastic_transport

_OTHERS = "certificates with other fingerprints"

_MISTRUST = (
    (_OTHERS, "store-certificate", "it shows {why}", "give store.fingerprint that of its certificate or its authority"),
    ("not valid for", "store-certificate", "{why}", "write in store.hosts a name that stands in its certificate"),
    (
        "expired|not yet valid",
        "store-certificate",
        "{why}",
        "have its certificate renewed, or set the clock of this machine right",
    ),
    (
        "certificate verify failed",
        "store-certificate",
        "its certificate is not trusted ({why})",
        "name its authority in store.ca, or its SHA-256 in store.fingerprint",
    ),
    (
        "WRONG_VERSION|wrong version|record layer",
        "store-unreachable",
        "expected TLS; what answers there speaks without",
        "write http:// in store.hosts, or the port that speaks TLS",
    ),
    ("", "store-certificate", "TLS came to nothing ({why})", "see the server's settings of TLS and its log"),
)
"""What is said of TLS that failed → slug, reason and advice."""


class TrustingNode(elastic_transport.Urllib3HttpNode):
    """A node that trusts what its context does; the client itself would add the public authorities."""

    def __init__(self, config: elastic_transport.NodeConfig) -> None:
        """Take the client's own settings, less its certificates."""
        super().__init__(config)
        if config.ssl_context is not None:
            pool: Any = self.pool
            pool.ca_certs = None
            pool.assert_hostname = None if config.ssl_context.check_hostname else False


def authority(file: str) -> ssl.SSLContext:
    """Return what trusts the certificates that one authority signed, for the names that stand in them.

    Raises:
        OSError: there is no such file, or no certificate in it.
    """
    context = ssl.create_default_context(cafile=file)
    # Python 3.13 asks for an extension that the authorities of Elasticsearch's own tools lack.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class Pinned(ssl.SSLContext):
    """Trusts one certificate by its SHA-256, wherever a server shows it in its chain, and what that one signed.

    The client's own check of a fingerprint verifies no signature: whoever shows the authority's
    certificate, which is public, beside one of his own would be believed, and sent the password.
    """

    def __new__(cls, fingerprint: str) -> Pinned:
        """Make a context of a client."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, fingerprint: str) -> None:
        """Trust the certificate with this SHA-256, in hexadecimal digits."""
        self.check_hostname = False
        self.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority's own
        self._wanted = fingerprint.replace(":", "").lower()
        self._found = False

    def wrap_socket(self, sock: socket.socket, *args: Any, **options: Any) -> ssl.SSLSocket:
        """Begin TLS; the first time, look on a connection of its own for the certificate to trust."""
        if not self._found:
            self._find(sock, options.get("server_hostname"))
        return super().wrap_socket(sock, *args, **options)

    def _find(self, sock: socket.socket, name: str | None) -> None:
        shown = _shown(sock, name)
        prints = [hashlib.sha256(one).hexdigest() for one in shown]
        if self._wanted not in prints:
            seen = ", ".join(f"{one[:16]}…" for one in prints)
            raise ssl.SSLCertVerificationError(1, f"{_OTHERS}: {seen}")
        self.load_verify_locations(cadata=shown[prints.index(self._wanted)])
        self._found = True


def _shown(sock: socket.socket, name: str | None) -> list[bytes]:
    """Return the certificates that the server at the other end of ``sock`` shows, unverified."""
    curious = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    curious.check_hostname = False
    curious.verify_mode = ssl.CERT_NONE
    address = sock.getpeername()[:2]
    with (
        socket.create_connection(address, timeout=sock.gettimeout()) as plain,
        curious.wrap_socket(plain, server_hostname=name) as encrypted,
    ):
        if sys.version_info >= (3, 13):
            return list(encrypted.get_unverified_chain())
        chain = encrypted._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
        return [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in chain]


def mistrust(told: str) -> tuple[str, str, str]:
    """Return slug, reason and advice for what OpenSSL says.

    >>> mistrust("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)")[1]
    'certificate has expired'
    """
    why = re.sub(r" \(_ssl\.c:\d+\)|\[.*?\] |certificate verify failed: |\.(?= \()|\.$", "", told)
    slug, reason, advice = next(rest for pattern, *rest in _MISTRUST if re.search(pattern, told))
    return slug, reason.format(why=why), advice
