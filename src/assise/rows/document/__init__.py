"""The document path: one document at a time, field by field. It defines shred and assemble."""
