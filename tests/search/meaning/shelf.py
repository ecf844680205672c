"""Books about a few subjects, in French and English, of several users."""

from __future__ import annotations

from typing import Any

USERS = 5
MANIFEST = """assise: 1
name: app
roles: {prefix: apptest}
tables:
  users:
    collection: users
    primary_key: id
    access: {owner: id}
    columns: {id: {type: int4, from: _id}, name: text}
  books:
    collection: books
    primary_key: id
    access: {owner: user_id}
    soft_delete: true
    search: {title: title, body: text, language: [fr, en]}
    embed: [title, text]
    columns:
      id: {type: int4, from: _id}
      user_id: {type: int4, from: userId}
      title: text
      text: text
      size: int4
  notes:
    collection: notes
    primary_key: id
    access: {public: read}
    embed: {field: text, chunk: 40 tokens, where: "kind = 'user'"}
    columns: {id: {type: text, from: _id}, text: text, kind: text}
"""
SUBJECTS = {
    "Sécuriser une API": "Les jetons d'accès expirent, les clés sont chiffrées et chaque appel est authentifié.",
    "Baking bread": "Knead the dough, let it rise for an hour and bake it in a hot oven.",
    "Déployer sur Vercel": "Le projet est publié à chaque commit, les variables sont dans les réglages.",
    "Growing tomatoes": "Plant the seedlings in a sunny place and water them every morning.",
    "Réparer un vélo": "Démontez la roue, changez la chambre à air et réglez les freins.",
    "Stars and planets": "A telescope shows the rings of Saturn and the moons of Jupiter.",
    "Facturer un client": "La facture porte un numéro, une date, le montant et la TVA.",
    "Training a dog": "Reward the puppy with a treat whenever it sits at once.",
}
PLACES = ("Paris", "Lyon", "Nantes", "Lille", "Brest")


def make_documents() -> dict[str, list[dict[str, Any]]]:
    """The documents of all collections; each user has a book about each subject."""
    subjects = [*SUBJECTS.items()]
    return {
        "users": [{"_id": n, "name": f"user {n}"} for n in range(USERS)],
        "books": [
            {
                "_id": n,
                "userId": n % USERS,
                "title": f"{subjects[n // USERS][0]}",
                "text": f"{subjects[n // USERS][1]} ({PLACES[n % USERS]})",
                "size": n % 3,
            }
            for n in range(USERS * len(subjects))
        ],
        "notes": [
            {"_id": f"n{n}", "text": f"{title}. {text}", "kind": "user" if n % 2 else "bot"}
            for n, (title, text) in enumerate(subjects)
        ],
    }
