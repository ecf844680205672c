"""Tokens: each way to be wrong, keys that rotate, users who are found by a column."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from assise.errors import AssiseError, ForbiddenError, KeysError, TokenError, UsageError
from assise.identity.callers import Caller, Callers
from assise.identity.development import is_own
from assise.identity.signing import (
    FETCH_EVERY_S,
    FRESH_S,
    STALE_S,
    PublishedKeys,
    read_key_set,
    read_public_key,
    read_secret,
)
from assise.identity.tokens import Verifier
from assise.manifest.read import parse_manifest

ISSUER, AUDIENCE = "https://issuer.example", "app"
SECRET = "a secret of the tests that nobody else knows"
KEYS: dict[str, Any] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65_537, 2_048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
USER = "507f1f77-bcf8-86cd-8799-439011000000"


def claims(**given: object) -> dict[str, object]:
    facts = {"iss": ISSUER, "aud": AUDIENCE, "sub": USER, "exp": time.time() + 600, **given}
    return {name: value for name, value in facts.items() if value is not None}


def publish(name: str, algorithm: str, key: Any = None) -> dict[str, object]:  # noqa: ANN401
    public = (key or KEYS[algorithm]).public_key()
    found: dict[str, object] = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    return {**found, "kid": name, "use": "sig", "alg": algorithm}


def pem(algorithm: str) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return str(KEYS[algorithm].public_key().public_bytes(encoding, form).decode())


@dataclass
class Issuer:
    """A real HTTP server that publishes keys."""

    body: bytes = b'{"keys": []}'
    status: int = 200
    wait_s: float = 0.0
    asked: int = 0
    paths: set[str] = field(default_factory=set)
    url: str = ""
    server: Any = field(default=None)

    def show(self, *keys: dict[str, object]) -> None:
        self.body = json.dumps({"keys": keys}).encode()


@contextmanager
def run_issuer(*keys: dict[str, object]) -> Iterator[Issuer]:
    issuer = Issuer()
    issuer.show(*keys)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            issuer.paths.add(self.path)
            time.sleep(issuer.wait_s)
            self.send_response(issuer.status)
            self.send_header("Content-Length", str(len(issuer.body)))
            self.end_headers()
            self.wfile.write(issuer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def find_nobody(_claim: str) -> list[str]:
    return []


def verify(keys: Any, token: str) -> Any:  # noqa: ANN401
    return asyncio.run(Verifier(ISSUER, AUDIENCE, keys).verify(token))


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_of_each_algorithm_is_verified_by_a_given_key(algorithm: str) -> None:
    token = jwt.encode(claims(), KEYS[algorithm], algorithm=algorithm)
    assert verify(read_public_key(pem(algorithm)), token)["sub"] == USER
    other = next(name for name in KEYS if name != algorithm)
    with pytest.raises(TokenError, match="algorithm"):
        verify(read_public_key(pem(other)), token)


def without_signature(token: str) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


def wrong_tokens() -> dict[str, str]:
    good = jwt.encode(claims(), SECRET, algorithm="HS256")
    head, body, signature = good.split(".")
    now = time.time()
    given: dict[str, dict[str, object]] = {
        "has expired": {"exp": now - 60},
        "has no end": {"exp": None},
        "not valid yet": {"nbf": now + 60},
        "another issuer": {"iss": "https://other.example"},
        "another issuer (none)": {"iss": None},
        "another audience": {"aud": "other"},
        "another audience (none)": {"aud": None},
        "another audience (list)": {"aud": ["other"]},
    }
    found = {
        name: jwt.encode(each, SECRET, algorithm="HS256")
        for name, each in ((name, claims(**facts)) for name, facts in given.items())
    }
    signed = jwt.encode(claims(), "another secret that has thirty-two bytes", algorithm="HS256")
    return found | {
        "signature of the token is wrong": signed,
        "algorithm": without_signature(good),
        "algorithm (384)": jwt.encode(claims(), SECRET + SECRET, algorithm="HS384"),
        "algorithm (key as secret)": f"{base64.urlsafe_b64encode(json.dumps({'alg': 'RS256'}).encode()).decode().rstrip('=')}.{body}.{signature}",
        "malformed": "x",
        "malformed (parts)": f"{head}.{body}",
        "malformed (kid)": jwt.encode(claims(), SECRET, algorithm="HS256", headers={"kid": "a"}).replace(".", "", 1),
        "too long": good + "x" * 20_000,
    }  # fmt: skip


@pytest.mark.parametrize("reason", wrong_tokens())
def test_a_token_that_is_wrong_is_refused_with_its_reason(reason: str) -> None:
    with pytest.raises(TokenError, match=reason.partition(" (")[0]) as caught:
        verify(read_secret(SECRET), wrong_tokens()[reason])
    assert SECRET not in str(caught.value)


def test_clocks_may_differ_a_little_and_an_audience_may_be_a_list() -> None:
    facts = claims(exp=time.time() - 10, nbf=time.time() + 10, aud=["other", AUDIENCE])
    assert verify(read_secret(SECRET), jwt.encode(facts, SECRET, algorithm="HS256"))


def test_a_token_that_is_known_ends_when_it_expires_and_with_its_key() -> None:
    verifier = Verifier(ISSUER, AUDIENCE, read_secret(SECRET))
    token = jwt.encode(claims(), SECRET, algorithm="HS256")
    for _ in range(2):
        assert asyncio.run(verifier.verify(token))
    known = verifier._verified  # noqa: SLF001
    other = Verifier(ISSUER, AUDIENCE, read_secret(f"{SECRET}!"), known)
    with pytest.raises(TokenError, match="signature"):
        asyncio.run(other.verify(token))
    key, found = known[token]
    known[token] = key, {**found, "exp": time.time() - 31, "sub": "the one that is known"}
    assert asyncio.run(verifier.verify(token)) == found


def test_keys_of_supabase_are_no_users() -> None:
    anon = jwt.encode({"role": "anon", "iss": "supabase", "exp": time.time() + 60}, SECRET)
    assert verify(read_secret(SECRET), anon) is None
    with pytest.raises(ForbiddenError):
        verify(read_secret(SECRET), jwt.encode(claims(role="service_role"), SECRET))


@pytest.mark.parametrize("text", ["", "short", "x" * 31])
def test_a_secret_that_can_be_guessed_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        read_secret(text)
    with pytest.raises(UsageError, match="PEM"):
        read_public_key(text)


def test_an_rsa_key_that_can_be_factored_is_refused_and_passed_over() -> None:
    short = rsa.generate_private_key(65_537, 1_024)  # noqa: S505 - the test is of short ones
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    text = short.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    with pytest.raises(UsageError, match="1024 bits, fewer than 2,048"):
        read_public_key(text)
    published = [publish("short", "RS256", short), publish("long", "RS256")]
    names = [name for name, _ in read_key_set(json.dumps({"keys": published}).encode())]
    assert names == ["long"]


def test_a_secret_whose_variable_is_not_set_is_called_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = 'assise: 1\nname: app\nidentity: {issuer: x, audience: y, secret: "${OUR_SECRET:-}"}\ntables: {}\n'
    callers = Callers(parse_manifest(text), find_nobody)
    with pytest.raises(UsageError, match=r"secret is empty: \$\{OUR_SECRET:-\} is not set"):
        callers.check()
    monkeypatch.setenv("OUR_SECRET", "short")
    with pytest.raises(UsageError, match="fewer than 32 bytes") as caught:
        callers.check()
    assert "short" not in str(caught.value)
    monkeypatch.setenv("OUR_SECRET", SECRET)
    callers.check()


@pytest.mark.parametrize(
    "url", ["http://issuer.example/keys", "http://127.0.0.1.example/", "ftp://localhost/", "https://",
            "http://localhost@issuer.example/", "https://[::1", "keys"]
)  # fmt: skip
def test_keys_come_by_https_or_from_this_machine(url: str) -> None:
    identity = f'identity: {{issuer: x, audience: y, jwks: "{url}"}}'
    text = f"assise: 1\nname: app\n{identity}\ntables: {{}}\n"
    with pytest.raises(UsageError, match="no URL with https") as caught:
        Callers(parse_manifest(text), find_nobody).check()
    assert "https://" in (caught.value.remedy or "")
    for safe in ("http://localhost:1/", "http://[::1]:1/", "https://issuer.example/keys"):
        Callers(parse_manifest(text.replace(url, safe)), find_nobody).check()


def sign(kid: str | None, algorithm: str = "ES256", key: Any = None) -> str:  # noqa: ANN401
    headers = {"kid": kid} if kid is not None else None
    return jwt.encode(claims(), key or KEYS[algorithm], algorithm=algorithm, headers=headers)


async def outcome(verifier: Verifier, token: str) -> str:
    try:
        await verifier.verify(token)
    except AssiseError as error:
        return type(error).__name__
    return "taken"


def test_unknown_keys_are_passed_over_and_no_other_kind_is_taken() -> None:
    odd: list[dict[str, object]] = [
        {"kty": "oct", "k": "AAAA", "kid": "a", "alg": "HS256"},
        {"kty": "XYZ", "kid": "b"},
        {"kty": "EC", "crv": "P-256", "x": "no", "y": "no", "kid": "c"},
        {**publish("d", "RS256"), "alg": "RS512"},
        {**publish("e", "ES256"), "use": "enc"},
    ]

    async def run(url: str) -> list[str]:
        keys = PublishedKeys(url)
        verifier = Verifier(ISSUER, AUDIENCE, keys)
        tokens = [sign("k"), sign("r", "RS256"), sign(None, "RS256")]
        found = [await outcome(verifier, token) for token in tokens]
        found.append(await outcome(verifier, sign("k", "RS256")))
        await keys.close()
        return found

    with run_issuer(*odd, publish("k", "ES256"), publish("r", "RS256")) as issuer:
        assert asyncio.run(run(issuer.url)) == ["taken", "taken", "taken", "TokenError"]


def test_keys_without_names_are_told_apart_by_their_algorithm() -> None:
    async def run(url: str) -> list[str]:
        keys = PublishedKeys(url)
        verifier = Verifier(ISSUER, AUDIENCE, keys)
        found = [await outcome(verifier, sign(None, each)) for each in KEYS]
        found.append(await outcome(verifier, sign("", "ES256")))
        await keys.close()
        return found

    nameless = [publish("", each) for each in KEYS]
    for each in nameless:
        del each["kid"]
    with run_issuer(*nameless) as issuer:
        assert asyncio.run(run(issuer.url)) == ["taken", "taken", "taken", "KeysError"]


def test_a_token_without_a_name_is_tried_with_each_key_while_they_rotate() -> None:
    new, gone = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    late = jwt.encode(claims(exp=time.time() - 100), KEYS["ES256"], algorithm="ES256")

    async def run(url: str) -> list[str]:
        keys = PublishedKeys(url)
        verifier = Verifier(ISSUER, AUDIENCE, keys)
        tokens = [sign(None, key=key) for key in (new, KEYS["ES256"], new, gone)]
        found = [await outcome(verifier, token) for token in tokens]
        with pytest.raises(TokenError, match="expired"):
            await verifier.verify(late)
        await keys.close()
        return found

    published = [publish("", "ES256", KEYS["ES256"]), publish("", "ES256", new)]
    for each in published:
        del each["kid"]
    with run_issuer(*published) as issuer:
        assert asyncio.run(run(issuer.url)) == ["taken", "taken", "taken", "TokenError"]
        assert issuer.asked == 1


def test_what_is_nested_deeply_is_no_failure_of_ours() -> None:
    deep = b"[" * 30_000

    async def run(issuer: Issuer) -> str:
        keys = PublishedKeys(issuer.url)
        found = await outcome(Verifier(ISSUER, AUDIENCE, keys), sign("k"))
        await keys.close()
        return found

    with run_issuer() as issuer:
        issuer.body = deep
        assert asyncio.run(run(issuer)) == "KeysError"
    head = jwt.encode({}, SECRET, algorithm="HS256").partition(".")[0]
    message = f"{head}.{base64.urlsafe_b64encode(deep[:9_000]).decode().rstrip('=')}"
    mac = hmac.digest(SECRET.encode(), message.encode(), "sha256")
    token = f"{message}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    with pytest.raises(TokenError, match="malformed"):
        verify(read_secret(SECRET), token)
    assert not is_own(token)


def test_keys_rotate_under_load_and_a_flood_of_unknown_ones() -> None:
    new = ec.generate_private_key(ec.SECP256R1())

    async def run(issuer: Issuer) -> None:
        clock = Clock()
        keys = PublishedKeys(issuer.url, clock=clock)
        verifier = Verifier(ISSUER, AUDIENCE, keys)
        old_token, new_token = sign("old"), sign("new", key=new)
        floods = [sign(f"random {n}") for n in range(100)]
        first = await asyncio.gather(*(outcome(verifier, old_token) for _ in range(50)))
        assert set(first) == {"taken"}
        assert issuer.asked == 1
        issuer.show(publish("old", "ES256"), publish("new", "ES256", new))
        begun, taken_at = clock.now, None
        for n in range(60 * 2):
            clock.now = begun + n / 2 + 0.1
            answers = await asyncio.gather(
                *(outcome(verifier, token) for token in (old_token, new_token, *floods))
            )
            assert answers[0] == "taken"
            assert set(answers[2:]) <= {"TokenError", "KeysError"}
            if answers[1] == "taken" and taken_at is None:
                taken_at = clock.now
        assert taken_at is not None
        assert taken_at - begun <= FETCH_EVERY_S + 0.5
        assert issuer.asked - 1 <= 12
        with pytest.raises(KeysError) as caught:
            await keys.find("another", "ES256")
        assert 1 <= caught.value.retry_after_s <= FETCH_EVERY_S
        await keys.close()

    with run_issuer(publish("old", "ES256")) as issuer:
        asyncio.run(run(issuer))


def test_known_keys_go_on_for_an_hour_when_the_issuer_is_down() -> None:
    async def run(issuer: Issuer) -> None:
        clock = Clock()
        keys = PublishedKeys(issuer.url, clock=clock)
        verifier, token = Verifier(ISSUER, AUDIENCE, keys), sign("k")
        issuer.status = 500
        assert await outcome(verifier, token) == "KeysError"
        assert await outcome(verifier, token) == "KeysError"
        assert issuer.asked == 1
        issuer.status, clock.now = 200, clock.now + FETCH_EVERY_S
        assert await outcome(verifier, token) == "taken"
        begun = clock.now
        issuer.body = b'{"keys": [' + b" " * (64 << 10) + b"]}"
        clock.now = begun + FRESH_S
        assert await outcome(verifier, token) == "taken"
        clock.now = begun + STALE_S - 1
        assert await outcome(verifier, token) == "taken"
        await asyncio.sleep(0.1)
        clock.now = begun + STALE_S + FETCH_EVERY_S
        assert await outcome(verifier, token) == "KeysError"
        issuer.show(publish("other", "ES256"))
        clock.now += FETCH_EVERY_S
        assert await outcome(verifier, token) == "TokenError"
        await keys.close()

    with run_issuer(publish("k", "ES256")) as issuer:
        asyncio.run(run(issuer))


MANIFEST = f"""assise: 1
name: app
roles: {{prefix: app}}
identity: {{issuer: "{ISSUER}", audience: {AUDIENCE}, secret: "{SECRET}"%s}}
tables:
  users:
    collection: users
    primary_key: id
    access: {{owner: id}}
    columns: {{id: {{type: %s, from: _id}}, auth_id: text}}
"""


def call(more: str, kind: str, users: list[str] | None = None, **given: object) -> Caller:
    asked: list[str] = []

    async def find_user(claim: str) -> list[str]:
        asked.append(claim)
        return users or []

    callers = Callers(parse_manifest(MANIFEST % (more, kind)), find_user)
    token = jwt.encode(claims(**given), SECRET, algorithm="HS256")
    caller = asyncio.run(callers.find(f"Bearer {token}"))
    assert asked == ([given.get("sub", USER)] if users is not None else [])
    return caller


@pytest.mark.parametrize("end", ["", "/"])
def test_supabase_is_one_word(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    async def find_user(_claim: str) -> list[str]:
        raise AssertionError

    async def run(url: str) -> list[object]:
        text = re.sub(r"identity: .*", "identity: supabase", MANIFEST % ("", "uuid"))
        callers = Callers(parse_manifest(text), find_user)
        facts = {"iss": f"{url}/auth/v1", "aud": "authenticated", "role": "authenticated"}
        found: list[object] = []
        for given in (facts, {**facts, "iss": ISSUER}, {**facts, "role": "anon"}):
            token = jwt.encode(
                claims(**given), KEYS["ES256"], algorithm="ES256", headers={"kid": "k"}
            )
            try:
                found.append((await callers.find(f"bearer {token}")).user_id)
            except TokenError:
                found.append("refused")
        await callers.close()
        return found

    with run_issuer(publish("k", "ES256")) as issuer:
        url = issuer.url.removesuffix("/keys")
        monkeypatch.setenv("SUPABASE_URL", url + end)
        assert asyncio.run(run(url)) == [USER, "refused", None]
        assert issuer.paths == {"/auth/v1/.well-known/jwks.json"}


def test_a_claim_is_the_key_where_it_has_its_type() -> None:
    assert call("", "uuid", sub=USER.upper()).user_id == USER
    assert call("", "int4", sub="7").user_id == "7"
    assert call("", "text", sub="auth0|7").user_id == "auth0|7"
    for kind, sub in [("uuid", "7"), ("int4", "x"), ("int4", "2147483648"), ("int4", "٣"),
                      ("text", "a@b.example"), ("text", ""), ("text", "a\0"), ("text", None),
                      ("text", {"a": 1})]:  # fmt: skip
        with pytest.raises(TokenError):
            call("", kind, sub=sub)


def test_a_claim_that_is_no_key_is_looked_for_in_a_column() -> None:
    more = ", match: users.auth_id"
    assert call(more, "uuid", users=[USER], sub="auth0|7").user_id == USER
    for found in ([], [USER, USER]):
        with pytest.raises(TokenError, match="no user"):
            call(more, "uuid", users=found, sub="auth0|7")


def test_a_claim_that_the_matched_column_cannot_hold_is_not_looked_for() -> None:
    for sub in ("auth0|0", "\ud800", "a\0"):
        with pytest.raises(TokenError):
            call(", match: users.id", "uuid", sub=sub)
    assert call(", match: users.id", "uuid", users=[USER], sub=USER).user_id == USER


def test_tenant_and_roles_come_from_claims() -> None:
    more = ", tenant: org, roles: {claim: app_metadata.roles, map: {boss: admin}}"
    caller = call(more, "uuid", org="t1", app_metadata={"roles": ["boss", "clerk", 3]})
    assert caller == Caller(USER, "t1", frozenset({"admin"}))
    with pytest.raises(TokenError, match="org"):
        call(more, "uuid")
