"""Answers from rows: contexts for a question, the prompt, the model that answers, citations."""
