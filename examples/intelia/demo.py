"""Intelia on two servers: its data, its users, and what its API answers, also when one is down.

Called again, it begins anew where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import jwt

HERE = Path(__file__).parent
ASSISE = Path(sys.executable).with_name("assise")
SECRET = "the secret of this demo, which is no secret"  # noqa: S105
SUPABASE_URL = "http://localhost:54321"
PEOPLE = (
    ("Dominic", "Roy"),
    ("Amélie", "Tremblay"),
    ("Karim", "Haddad"),
    ("Lucie", "Moreau"),
    ("Paul", "Gagnon"),
    ("Zoé", "Petit"),
)
QUESTIONS = (
    "Quel est le poids à 21 jours ?",
    "Which vaccine is due?",
    "Pourquoi boivent-ils peu ?",
)
FIRST = datetime(2025, 10, 1, tzinfo=UTC)

Json = dict[str, object]


def user_id(number: int) -> str:
    """The id of a user; the one behind the last of PEOPLE is unknown to Supabase."""
    return str(UUID(int=(0x843D440A_A7A7_45EE_96DF << 48) | number, version=4))


def write_data(folder: Path) -> None:
    """Write the conversations as JSON, and the users as Supabase's sign-up writes them."""
    drawn = random.Random(1)
    folder.mkdir(parents=True)
    conversations: list[Json] = []
    feedback: list[Json] = []
    for n in range(240):
        user = min(drawn.randrange(len(PEOPLE) + 1), drawn.randrange(len(PEOPLE) + 1))
        key, at = str(UUID(int=drawn.getrandbits(128), version=4)), FIRST + timedelta(hours=n)
        conversations.append(
            {
                "_id": {"$uuid": key},
                "conversation_id": {"$uuid": str(UUID(int=drawn.getrandbits(128), version=4))},
                "question": drawn.choice(QUESTIONS),
                "response": f"Answer {n}",
                "user_id": {"$uuid": user_id(user)},
                "status": "deleted" if n % 12 == 0 else "active",
                "timestamp": {"$date": at.isoformat()},
                "source": "llm_streaming_agent",
                "metadata": {"tokens": drawn.randrange(2_000)},
            }
        )
        if n % 4 == 0:
            note = {"question_id": {"$uuid": key}, "user_id": {"$uuid": user_id(user)}}
            rating = {"rating": drawn.randrange(1, 6), "created_at": {"$date": at.isoformat()}}
            feedback.append({"_id": {"$uuid": str(UUID(int=n + 1))}, **note, **rating})
    invitation = {"inviter_id": {"$uuid": user_id(0)}, "email": "new@example.org"}
    sent = {"status": "pending", "created_at": {"$date": FIRST.isoformat()}}
    files: dict[str, list[Json]] = {
        "conversations": conversations,
        "feedback": feedback,
        "invitations": [{"_id": {"$uuid": str(UUID(int=1))}, **invitation, **sent}],
    }
    for name, documents in files.items():
        lines = [json.dumps(each, ensure_ascii=False) for each in documents]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def write_sign_ups(first: int, stop: int) -> str:
    """The SQL by which some of PEOPLE sign up."""
    rows = []
    for number, (name, family) in list(enumerate(PEOPLE))[first:stop]:
        email = f"{name[0]}.{family}@example.org".lower()
        meta = json.dumps({"first_name": name, "last_name": family}, ensure_ascii=False)
        rows.append(f"('{user_id(number)}', '{email}', '2025-09-01', '{meta}')")
    columns = "id, email, email_confirmed_at, raw_user_meta_data"
    values = ",\n    ".join(rows)
    return f"INSERT INTO auth.users ({columns}) VALUES\n    {values}\nON CONFLICT DO NOTHING;\n"


def say(text: str = "") -> None:
    """Print before the commands do."""
    print(text, flush=True)


def run(folder: Path, *arguments: str, script: str = "", name: str = "") -> None:
    """Show a command and run it in the folder; end the demo when it fails.

    Raises:
        SystemExit: it failed.
    """
    say(f"$ assise {shlex.join(arguments)}{f' < {name}' if name else ''}")
    done = subprocess.run([ASSISE, *arguments], cwd=folder, input=script, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"\nThe demo ends here. To begin anew:\n{clean_up(folder)}")


def clean_up(folder: Path) -> str:
    """The command that leaves nothing of the demo."""
    name, program = shlex.quote(str(folder)), shlex.quote(os.path.relpath(ASSISE))
    stops = [f"{program} pg stop -f {name} --on auth", f"{program} pg stop -f {name}"]
    return " && ".join([*stops, f"rm -r {name}"])


def write_token(number: int, **claims: object) -> str:
    """A token as Supabase gives it to who has signed in."""
    expires = int(time.time()) + 3_600
    facts = {
        "iss": f"{SUPABASE_URL}/auth/v1",
        "sub": user_id(number),
        "aud": "authenticated",
        "exp": expires,
        **claims,
    }
    return jwt.encode({"role": "authenticated", **facts}, SECRET, "HS256")


@contextmanager
def serve(folder: Path) -> Iterator[httpx.Client]:
    """Start the application on a free port, and give what calls it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--app-dir", str(HERE), "--factory", "app:create_web", "--port", str(port)]
    say(f"$ uvicorn {shlex.join(arguments[2:])}")
    command = [sys.executable, "-m", "uvicorn", *arguments, "--log-level", "warning"]
    identity = {"SUPABASE_URL": SUPABASE_URL, "SUPABASE_JWT_SECRET": SECRET}
    with (
        (folder / "uvicorn.log").open("ab") as log,
        subprocess.Popen(command, cwd=folder, env=os.environ | identity, stderr=log) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        try:
            wait_for(server, client)
            yield client
        finally:
            server.terminate()


def wait_for(server: subprocess.Popen[bytes], client: httpx.Client) -> None:
    """Wait until the application answers.

    Raises:
        SystemExit: it has ended.
    """
    while server.poll() is None:
        try:
            client.get("/openapi.json")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the application has ended; uvicorn.log says why")


def call(
    client: httpx.Client, method: str, path: str, *, token: str = "", body: Json | None = None
) -> None:
    """Call the application, and print what was asked and answered."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = client.request(method, f"/api/v1/{path}", headers=headers, json=body)
    say(f"$ {method} /api/v1/{path}   {answer.status_code}")
    say(json.dumps(answer.json(), indent=2, ensure_ascii=False))


def call_all(client: httpx.Client, folder: Path) -> None:
    """Save a conversation, ask for the figures, and ask again while Supabase is down."""
    admin = write_token(0, app_metadata={"role": "admin"})
    conversation: Json = {
        "conversation_id": str(UUID(int=7, version=4)),
        "question": "Quel est le poids à 21 jours ?",
        "response": "Environ 900 g.",
        "user_id": user_id(5),
        "timestamp": "2025-10-11T12:00:00Z",
    }
    call(client, "POST", "conversations/save", token=write_token(5), body=conversation)
    call(client, "GET", "stats-fast/dashboard", token=admin)
    call(client, "GET", "stats-fast/health")
    say("\n== 5. The same while Supabase is down\n")
    run(folder, "pg", "stop", "--on", "auth")
    call(client, "GET", "stats-fast/health")
    call(client, "GET", "stats-fast/dashboard", token=admin)
    run(folder, "pg", "start", "--on", "auth")


def demonstrate(folder: Path) -> None:
    """Print and do everything, step by step."""
    if not (folder / "data").exists():
        draft = folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        write_data(draft)
        draft.rename(folder / "data")
    shutil.copy(HERE / "assise.yaml", folder)
    say("== 1. The application's own data, on the server main\n")
    run(folder, "migrate", "data")
    run(folder, "pg", "shell", script=(HERE / "schema.sql").read_text(), name="schema.sql")
    say("\n== 2. Supabase, which is another embedded server here, with users from before\n")
    run(folder, "pg", "start", "--on", "auth")
    supabase = (HERE / "supabase.sql").read_text() + write_sign_ups(0, 4)
    run(folder, "pg", "shell", "--on", "auth", script=supabase, name="supabase.sql")
    say("\n== 3. A profile for each user, from now on by a trigger\n")
    run(folder, "identity", "repair")
    sign_ups = write_sign_ups(4, len(PEOPLE))
    run(folder, "pg", "shell", "--on", "auth", script=sign_ups, name="sign_ups.sql")
    say("\n== 4. The application\n")
    with serve(folder) as client:
        call_all(client, folder)
    say(f"\n== 6. To leave nothing of it\n\n{clean_up(folder)}")


def main() -> None:
    """Read the arguments and show it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="gets the data, the manifest and both servers")
    folder = parser.parse_args().folder
    folder.mkdir(exist_ok=True)
    try:
        demonstrate(folder)
    except KeyboardInterrupt:
        say("\nThe demo was stopped; called again, it goes on.")
        sys.exit(130)


if __name__ == "__main__":
    main()
