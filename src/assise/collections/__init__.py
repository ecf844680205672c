"""Collections that stay in MongoDB: made as the manifest says, and their queries explained."""
