"""Texts of Devora: French and English words, and the code that was generated."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_NAMES = (
    "Camille Léa Manon Chloé Inès Zoé Élise Agathe Noémie Maëlle Hugo Lucas Théo "
    "Rémi Jérôme François Loïc Benoît Gaël Aurélien "
    "Olivia Emma Grace Alice Ruby Harriet Oliver George Jack Arthur Sean Declan"
).split()
LAST_NAMES = (
    "Martin Bernard Lefèvre Moreau Girard Rousseau Fontaine Chevalier Desprès "
    "Béranger Núñez Müller Łukasik Smith Taylor Walker "
    "Wright Hughes Foster Campbell Murphy O’Brien Bouchard"
).split()
MAIL_HOSTS = ("example.org", "example.com", "mail.example.net")


@dataclass(frozen=True)
class Language:
    """The words of one language. A subject is the name of an application and its purpose."""

    subjects: tuple[tuple[str, str], ...]
    suffixes: tuple[str, ...]
    openings: tuple[str, ...]
    features: tuple[str, ...]
    endings: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    commits: tuple[str, ...]
    tags: tuple[str, ...]
    subscription: str
    tokens: str


FRENCH = Language(
    subjects=(
        ("Réservation", "réserver une table au restaurant"),
        ("Boulangerie", "commander du pain et des gâteaux"),
        ("Facturation", "éditer les devis et les factures d’un artisan"),
        ("Covoiturage", "partager les trajets entre collègues"),
        ("Bibliothèque", "prêter les livres d’une association"),
        ("Vétérinaire", "prendre rendez-vous pour un animal"),
        ("Potager", "suivre les semis et les récoltes d’un jardin"),
        ("Immobilier", "visiter et louer des appartements"),
        ("École", "inscrire les élèves à la cantine"),
        ("Randonnée", "préparer des itinéraires en montagne"),
    ),
    suffixes=(
        "Express",
        "en ligne",
        "de Lyon",
        "Nantes",
        "Plus",
        "malin",
        "solidaire",
        "du quartier",
        "2000",
        "facile",
    ),
    openings=(
        "Une application pour",
        "Un site pour",
        "Un tableau de bord pour",
        "Une interface mobile pour",
    ),
    features=(
        "avec paiement par carte",
        "avec un calendrier partagé",
        "et des rappels par courriel",
        "avec une carte interactive",
        "et une recherche plein texte",
        "avec export en PDF",
        "et la gestion des stocks",
        "avec authentification à deux facteurs",
    ),
    endings=(
        "Conçue pour les téléphones.",
        "Hébergée en Europe.",
        "Les données restent privées.",
        "Prête à déployer.",
        "Encore à l’essai.",
    ),
    questions=(
        "Ajoute une page pour {subject} {feature}.",
        "Pourquoi le formulaire n’envoie-t-il rien ?",
        "Peux-tu {subject} {feature} ?",
        "Rends la page d’accueil plus claire, l’en-tête est trop chargé.",
        "La requête est lente : comment ajouter un index ?",
        "Traduis tous les textes en anglais, s’il te plaît.",
    ),
    answers=(
        "Voici le composant pour {subject} {feature} :\n\n{code}\nIl reste à ajouter les tests.",
        "L’erreur venait d’une promesse non attendue. J’ai corrigé ainsi :\n\n{code}",
        (
            "C’est fait : la page sert maintenant à {subject} {feature}. Rechargez "
            "l’aperçu pour la voir."
        ),
        (
            "Je propose cette version, plus courte et plus lisible :\n\n{code}\n"
            "Dites-moi si cela convient."
        ),
    ),
    commits=(
        "Corrige l’envoi du formulaire",
        "Ajoute la page d’accueil",
        "Améliore les performances",
        "Met à jour les dépendances",
    ),
    tags=("restauration", "commerce", "éducation", "santé", "gratuit", "mobile", "tableau de bord"),
    subscription="Abonnement {plan}",
    tokens="Jetons supplémentaires (par 1 000)",
)

ENGLISH = Language(
    subjects=(
        ("Booking", "book a table at a restaurant"),
        ("Bakery", "order bread and birthday cakes"),
        ("Invoicing", "send quotes and invoices to customers"),
        ("Carpool", "share rides between colleagues"),
        ("Library", "lend the books of a club"),
        ("Vet", "make appointments for pets"),
        ("Allotment", "track seeds and harvests of a garden"),
        ("Lettings", "view and rent apartments"),
        ("School", "sign pupils up for lunch"),
        ("Hiking", "plan routes in the mountains"),
    ),
    suffixes=(
        "Express",
        "online",
        "London",
        "Hub",
        "Plus",
        "2000",
        "Pro",
        "for teams",
        "Buddy",
        "made easy",
    ),
    openings=("An application to", "A website to", "A dashboard to", "A mobile interface to"),
    features=(
        "with card payments",
        "with a shared calendar",
        "and e-mail reminders",
        "with an interactive map",
        "and full text search",
        "with PDF export",
        "and stock keeping",
        "with two-factor authentication",
    ),
    endings=(
        "Made for phones.",
        "Hosted in Europe.",
        "All data stay private.",
        "Ready to deploy.",
        "Still an experiment.",
    ),
    questions=(
        "Add a page to {subject} {feature}.",
        "Why does the form not send anything?",
        "Can you help people {subject} {feature}?",
        "Make the landing page cleaner, the header is too busy.",
        "The query is slow: how do I add an index?",
        "Translate every text to French, please.",
    ),
    answers=(
        "Here is the component to {subject} {feature}:\n\n{code}\nTests are still to be added.",
        "The error came from a promise that was not awaited. This fixes it:\n\n{code}",
        "Done: people can now {subject} {feature}. Reload the preview to see it.",
        (
            "I suggest this version, which is shorter and easier to read:\n\n{code}\n"
            "Tell me whether it suits you."
        ),
    ),
    commits=("Fix form submission", "Add landing page", "Improve performance", "Bump dependencies"),
    tags=("restaurant", "commerce", "education", "health", "free", "mobile", "dashboard"),
    subscription="{plan} subscription",
    tokens="Extra tokens (per 1,000)",
)

LANGUAGES = {"fr": FRENCH, "en": ENGLISH}

ENTITIES = (
    "Booking Order Invoice Customer Trip Book Appointment Harvest Apartment Pupil Route Payment"
    " Message Product"
).split()

PATHS = (
    ("README.md", "markdown"),
    ("package.json", "json"),
    ("public/index.html", "html"),
    ("src/styles.css", "css"),
    ("src/App.tsx", "typescript"),
    ("src/api/client.ts", "typescript"),
    ("src/components/Form.tsx", "typescript"),
    ("src/utils/dates.js", "javascript"),
    ("server/main.py", "python"),
    ("server/models.py", "python"),
    ("db/schema.sql", "sql"),
    ("db/seed.sql", "sql"),
)

CODE: dict[str, tuple[str, ...]] = {
    "markdown": (
        "# {name}\n\n{description}\n",
        "## {Entity}\n\n- `npm install`\n- `npm run dev`\n",
    ),
    "json": (
        (
            '{{\n  "name": "{entity}-app",\n  "version": "0.1.0",\n'
            '  "scripts": {{"dev": "vite", "build": "vite build"}}\n}}\n'
        ),
    ),
    "html": (
        (
            '<!doctype html>\n<html lang="{locale}">\n<head>\n'
            '  <meta charset="utf-8">\n  <title>{name}</title>\n</head>\n'
        ),
        '<main id="{entity}">\n  <h1>{name}</h1>\n  <p>{description}</p>\n</main>\n',
    ),
    "css": (
        ".{entity} {{\n  display: grid;\n  gap: 1rem;\n  color: #1f2937;\n}}\n",
        "@media (max-width: 40rem) {{\n  .{entity}-list {{ grid-template-columns: 1fr; }}\n}}\n",
    ),
    "typescript": (
        (
            "export interface {Entity} {{\n  id: string;\n  title: string;\n"
            "  price: number;\n  createdAt: Date;\n}}\n"
        ),
        (
            "export async function fetch{Entity}(id: string): Promise<{Entity}> {{\n"
            "  const response = await fetch(`/api/{entity}/${{id}}`);\n"
            "  if (!response.ok) throw new Error(`{entity} ${{id}}: "
            "${{response.status}}`);\n  return response.json();\n}}\n"
        ),
        (
            "export const {Entity}List = ({{ items }}: {{ items: {Entity}[] }}) => (\n"
            "  <ul>{{items.map((item) => <li key={{item.id}}>{{item.title}}</li>)}}</ul>\n);\n"
        ),
    ),
    "javascript": (
        (
            "// {description}\n"
            "export const format{Entity} = (date) => new "
            "Intl.DateTimeFormat('{locale}').format(date);\n"
        ),
        (
            "export function group{Entity}s(list) {{\n"
            "  return Object.groupBy(list, (each) => each.createdAt.slice(0, 10));\n"
            "}}\n"
        ),
    ),
    "python": (
        (
            '@app.get("/api/{entity}/{{key}}")\n'
            "async def read_{entity}(key: str) -> {Entity}:\n"
            '    """{description}"""\n'
            "    return await store.find_one({{'_id': key}})\n"
        ),
        (
            "class {Entity}(BaseModel):\n    title: str\n    price: float = 9.99\n"
            "    created_at: datetime\n"
        ),
    ),
    "sql": (
        (
            "CREATE TABLE {entity} (\n  id uuid PRIMARY KEY,\n"
            "  title text NOT NULL,\n  price numeric(10, 2)\n);\n"
        ),
        "INSERT INTO {entity} (title, price) VALUES ('{name}', 9.99);\n",
    ),
}

LOGS = (
    (
        "Cloning repository…\nInstalling 214 packages\n"
        "vite build: 1 432 modules transformed\nUploading to {region}\n{end}\n"
    ),
    "Using cached dependencies\ntsc: no errors\nUploading to {region}\n{end}\n",
)
FAILURES = (
    ("BUILD_FAILED", "Module not found: ./components/Form"),
    ("TIMEOUT", "Health check did not answer within 30 s"),
    ("OUT_OF_MEMORY", "JavaScript heap out of memory"),
)
