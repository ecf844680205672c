"""The document path: one document at a time, field by field. It defines what shred and assemble give."""
