"""Write the dump that the pages of the documentation begin with: 300 users and 500 projects.

python examples/app/generate.py [FOLDER]    # dump/app without it
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bson import ObjectId, encode

Document = dict[str, object]
START = datetime(2024, 1, 31, 10, tzinfo=UTC)


def make_collections(*, is_odd: bool) -> dict[str, list[Document]]:
    """The documents by collection; odd ones have a name that is a number, and a project twice."""
    users: list[Document] = [
        {
            "_id": ObjectId(f"507f1f77bcf86cd79943{i:04x}"),
            "email": f"user{i}@example.org",
            "fullName": 7 if is_odd and i == 9 else f"User {i}",
            "createdAt": START + timedelta(seconds=i),
        }
        for i in range(300)
    ]
    files = [{"path": "index.html", "content": "<p>"}, {"path": "app.js", "content": "1"}]
    projects: list[Document] = [
        {
            "_id": ObjectId(f"607f1f77bcf86cd79943{i:04x}"),
            "userId": users[i % 300]["_id"],
            "name": f"project {i}",
            "price": 10 if i % 2 else 9.99,
            "files": files,
        }
        for i in range(500)
    ]
    return {"users": users, "projects": [*projects, projects[3]] if is_odd else projects}


def main() -> None:
    """Read the argument, and write a file for each collection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("dump/app"))
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, documents in make_collections(is_odd=True).items():
        (folder / f"{name}.bson").write_bytes(b"".join(map(encode, documents)))


if __name__ == "__main__":
    main()
