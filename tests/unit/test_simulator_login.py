import pytest

from fleet_simulator.login import Accepted, Challenged, Credentials, answer, challenge_response
from fleet_simulator.tables import TrapError

USER = Credentials(b"admin", b"secret")
USERS = (USER, Credentials(b"admin", b"next"), Credentials(b"guest", b"other"))
CHALLENGE = bytes(range(16))


def ask(
    version: tuple[int, int, int], challenge: bytes | None = None, **arguments: bytes
) -> Accepted | Challenged:
    given = {name.encode(): value for name, value in arguments.items()}
    return answer(given, USERS, version, challenge, lambda: CHALLENGE)


def test_challenge_response_is_the_manuals_vector() -> None:
    challenge = bytes.fromhex("93b438ec9b80057c06dd9fe67d56aa9a")

    assert challenge_response(b"", challenge) == b"00e134102a9d330dd7b1849fedfea3cb57"


@pytest.mark.parametrize("version", [(6, 43, 0), (6, 49, 10), (7, 1, 0), (7, 20, 1)])
def test_plain_login_is_accepted_since_6_43(version: tuple[int, int, int]) -> None:
    assert ask(version, name=b"admin", password=b"secret") == Accepted()


def test_plain_login_before_6_43_is_answered_with_a_challenge() -> None:
    assert ask((6, 42, 12), name=b"admin", password=b"secret") == Challenged(CHALLENGE)


@pytest.mark.parametrize("version", [(6, 27, 0), (6, 42, 12), (6, 43, 0), (6, 45, 0)])
def test_challenge_is_given_and_its_answer_accepted(version: tuple[int, int, int]) -> None:
    assert ask(version) == Challenged(CHALLENGE)
    response = challenge_response(b"secret", CHALLENGE)

    assert ask(version, CHALLENGE, name=b"admin", response=response) == Accepted()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ((7, 20, 1), "invalid user name or password (6)"),
        ((6, 49, 10), "cannot log in"),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        {"name": b"admin", "password": b"wrong"},
        {"name": b"other", "password": b"secret"},
        {"name": b"admin"},
        {},
    ],
)
def test_wrong_login_is_refused_in_the_versions_own_words(
    version: tuple[int, int, int], message: str, arguments: dict[str, bytes]
) -> None:
    with pytest.raises(TrapError) as error:
        ask(version, None, **arguments)
    assert error.value.message == message


@pytest.mark.parametrize(
    ("challenge", "name", "password"),
    [
        (CHALLENGE, b"admin", b"wrong"),
        (CHALLENGE, b"other", b"secret"),
        (None, b"admin", b"secret"),
    ],
)
def test_wrong_or_unasked_challenge_response_is_refused(
    challenge: bytes | None, name: bytes, password: bytes
) -> None:
    response = challenge_response(password, CHALLENGE)

    with pytest.raises(TrapError, match="cannot log in"):
        ask((6, 40, 9), challenge, name=name, response=response)


@pytest.mark.parametrize(
    ("name", "password", "right"),
    [
        (b"admin", b"next", True),
        (b"guest", b"other", True),
        (b"guest", b"secret", False),
        (b"admin", b"other", False),
    ],
)
def test_each_user_has_a_password_of_its_own(name: bytes, password: bytes, right: bool) -> None:  # noqa: FBT001 - a test's parameter
    response = challenge_response(password, CHALLENGE)

    def both() -> None:
        assert ask((7, 1, 0), name=name, password=password) == Accepted()
        assert ask((6, 40, 0), CHALLENGE, name=name, response=response) == Accepted()

    if right:
        both()
        return
    with pytest.raises(TrapError):
        ask((7, 1, 0), name=name, password=password)
    with pytest.raises(TrapError):
        ask((6, 40, 0), CHALLENGE, name=name, response=response)
