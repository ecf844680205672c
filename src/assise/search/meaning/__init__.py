"""Search by meaning: what turns texts into vectors, their passages, and the questions to them."""
