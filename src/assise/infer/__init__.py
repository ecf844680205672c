"""From raw documents to a proposed manifest."""
