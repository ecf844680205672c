"""The manifest as SQL text. Pure: it can be printed without a server."""
