"""URLs of MongoDB: no password is shown, and what cannot be reached is said."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from threading import Thread

import pytest

from assise.errors import SourceError, UsageError
from assise.mongo.server import Server
from assise.mongo.source import SourceOptions, is_mongodb_url
from assise.mongo.url import (
    hide_secrets,
    lacks_password,
    list_secrets,
)

SECRET = "s3cret-%40word"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://h/db", "mongodb://h/db"),
        ("mongodb://anna@h/db", "mongodb://anna@h/db"),
        ("mongodb://anna:secret@h/db?tls=true", "mongodb://anna@h/db?tls=true"),
        ("mongodb://anna:sec@ret@h1:1,h2:2/db", "mongodb://anna@h1:1,h2:2/db"),
        ("mongodb://anna:sec/ret@h/db", "mongodb://anna@h/db"),
        ("mongodb://anna:se?cret@h/db", "mongodb://anna@h/db"),
        ("mongodb://:secret@h/db", "mongodb://@h/db"),
        ("MONGODB+SRV://anna:secret@h/db", "MONGODB+SRV://anna@h/db"),
        (
            "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:secret&w=1",
            "mongodb://h/?w=1",
        ),
        ("mongodb://h/?tlsCertificateKeyFilePassword=secret", "mongodb://h/"),
        ("mongodb://[::1]:27017/db", "mongodb://[::1]:27017/db"),
        ("mongodb://h/?w=1;tlsCertificateKeyFilePassword=secret", "mongodb://h/?w=1"),
        ("mongodb://h/?w=1&tlsCertificateKeyFilePasword=secret", "mongodb://h/?w=1"),
        ("mongodb://h/?proxyPassword=secret&w=1", "mongodb://h/?w=1"),
        ("mongodb://h/?password=secret", "mongodb://h/"),
        ("mongodb://h/?tlsCertificateKeyFilePassword%3Dsecret", "mongodb://h/"),
        ("mongodb://anna:secret@h/db??password=secret", "mongodb://anna@h/db"),
        ("mongodb://anna%3Asecret@h/db", "mongodb://anna@h/db"),
        ("mongodb://anna:x@h/?w=1&tlsCertificateKeyFilePassword=s@sec", "mongodb://anna@h/?w=1"),
        ("mongodb://h:1/db?appName=anna@home", "mongodb://h:1/db?appName=anna@home"),
        ("mongodb://anna:se?cret@h/db?w=1", "mongodb://anna@h/db?w=1"),
    ],
)
def test_no_secret_is_shown(url: str, shown: str) -> None:
    assert hide_secrets(url) == shown
    assert "sec" not in hide_secrets(url)
    assert is_mongodb_url(url)


def test_a_secret_is_known_as_written_and_as_meant() -> None:
    assert list_secrets(f"mongodb://a:{SECRET}@h/") == {SECRET, "s3cret-@word"}
    assert not is_mongodb_url("postgresql://h")
    assert not is_mongodb_url("folder/mongodb:")


def test_a_user_needs_a_password_but_with_some_mechanisms() -> None:
    assert lacks_password("mongodb://anna@h/db?tls=true")
    assert lacks_password("mongodb+srv://anna@h")
    assert not lacks_password("mongodb://anna:x@h/db")
    assert not lacks_password("mongodb://h/db")
    assert not lacks_password("mongodb://CN%3Danna@h/?authMechanism=MONGODB-X509&tls=true")
    error = fail_to_open("mongodb://anna@127.0.0.1:1/shop")
    assert "${MONGO_URL}" in error.remedy


def fail_to_open(url: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        Server(url)
    text = f"{caught.value}{caught.value.as_json()}"
    assert SECRET not in text
    assert "s3cret-@word" not in text
    return caught.value


QUICKLY = "serverSelectionTimeoutMS=300&connectTimeoutMS=300"


def test_a_server_that_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = fail_to_open(f"mongodb://anna:{SECRET}@127.0.0.1:{port}/shop?{QUICKLY}")
    assert "cannot be reached" in error.message
    assert "Connection refused" in error.message
    assert "host and port" in error.remedy
    assert "Topology" not in error.message


def test_a_server_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        error = fail_to_open(f"mongodb://127.0.0.1:{port}/shop?{QUICKLY}&socketTimeoutMS=300")
    assert "timed out" in error.message
    assert "may reach" in error.remedy


def test_a_zone_has_no_meaning() -> None:
    with pytest.raises(UsageError, match="is a live source, where --zone has no meaning"):
        Server("mongodb://127.0.0.1:1/shop", SourceOptions(zone="UTC"))


def test_a_host_that_has_no_address() -> None:
    error = fail_to_open(f"mongodb://no-such-host.invalid/shop?{QUICKLY}")
    assert "no-such-host.invalid" in error.message
    assert "host" in error.remedy


def test_a_name_without_srv_records() -> None:
    error = fail_to_open(f"mongodb+srv://anna:{SECRET}@no-such-host.invalid/shop?{QUICKLY}")
    assert "mongodb://HOST" in error.remedy


@pytest.mark.parametrize(
    "options",
    ["tls=perhaps", "maxPoolSize=many", "tlsCAFile=/no/such/file&tls=true", "authMechanism=X"],
)
def test_options_that_cannot_be_used(options: str) -> None:
    error = fail_to_open(f"mongodb://anna:{SECRET}@127.0.0.1:1/shop?{options}&{QUICKLY}")
    assert error.remedy


@pytest.mark.parametrize(
    "url", [f"mongodb://a:{SECRET}@", "mongodb://", "mongodb://h:port/db", "mongodb://a:b:s@/c@h/"]
)
def test_urls_that_are_none(url: str) -> None:
    assert fail_to_open(url).remedy


def test_a_certificate_of_an_unknown_authority(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            for _ in range(2):
                try:
                    connection, _ = listener.accept()
                    with context.wrap_socket(connection, server_side=True) as secure:
                        secure.recv(1)
                except OSError:
                    pass

        server = Thread(target=serve, daemon=True)
        server.start()
        error = fail_to_open(f"mongodb://127.0.0.1:{port}/shop?tls=true&{QUICKLY}")
    assert "CERTIFICATE_VERIFY_FAILED" in error.message
    assert "tlsCAFile" in error.remedy
