"""What can go wrong between the poller and one router, and what the poller does about it.

    RouterError                      one poll failed: `status` event, breaker counts it
    ├── ConnectError                 no session: try again after the back-off
    │   ├── UnreachableError         host or network unreachable, name not resolved
    │   ├── RefusedError             the host refuses the port
    │   ├── TlsError                 handshake or certificate: an operator must act
    │   │   └── UnusableCaError      the mounted CA file is none: nothing was sent
    │   ├── LoginRejectedError       user or password wrong: an operator must act
    │   └── CredentialsMissingError  secret not mounted: nothing was sent
    ├── TimedOutError                deadline passed: connection closed, never reused
    ├── DisconnectedError            the connection ended: reconnect in the next poll
    ├── ProtocolViolatedError        no RouterOS API, or over a bound: connection closed
    ├── RouterClosedError            `!fatal`: the router ended the session
    └── CommandRefusedError          `!trap` on a command that every router has

Every one of them leaves the connection closed, except CommandRefusedError, after which the
stream is in step and the session goes on. Bugs are not in this tree; one that a router's
answers or record set off takes down that device alone (see fleet_poller.device).
"""

from enum import StrEnum


class ErrorClass(StrEnum):
    """Why a poll failed, one word that an operator can act on; a metric label."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TLS = "tls"
    LOGIN_REJECTED = "login_rejected"
    CREDENTIALS_MISSING = "credentials_missing"
    DISCONNECTED = "disconnected"
    PROTOCOL = "protocol"
    FATAL = "fatal"
    TRAP = "trap"


class RouterError(Exception):
    """A poll failed. `error_class` says why in one word, str() in a sentence."""

    error_class: ErrorClass


class ConnectError(RouterError):
    """No session could be opened."""


class UnreachableError(ConnectError):
    """No address answers."""

    error_class = ErrorClass.UNREACHABLE


class RefusedError(ConnectError):
    """The host answers, nobody listens on the port (or it limits our address)."""

    error_class = ErrorClass.REFUSED


class TlsError(ConnectError):
    """The TLS handshake failed or the certificate is not the expected one."""

    error_class = ErrorClass.TLS


class UnusableCaError(TlsError):
    """The CA file of the mounted secret holds no certificate."""


class LoginRejectedError(ConnectError):
    """The router rejects the user or the password, or has no session left for us."""

    error_class = ErrorClass.LOGIN_REJECTED


class CredentialsMissingError(ConnectError):
    """The mounted secret lacks what the device's record names."""

    error_class = ErrorClass.CREDENTIALS_MISSING


class TimedOutError(RouterError):
    """No answer, or not all of it, before the deadline."""

    error_class = ErrorClass.TIMEOUT


class DisconnectedError(RouterError):
    """The connection ended while an answer was awaited."""

    error_class = ErrorClass.DISCONNECTED


class ProtocolViolatedError(RouterError):
    """The peer sent bytes that are no RouterOS API, or more than a reply may have."""

    error_class = ErrorClass.PROTOCOL


class RouterClosedError(RouterError):
    """The router ended the session with `!fatal`."""

    error_class = ErrorClass.FATAL


class CommandRefusedError(RouterError):
    """The router refused a command that every router has; the session is still in step."""

    error_class = ErrorClass.TRAP
