"""Documents into rows and back: shred and assemble, compiled once for each collection. Pure."""
