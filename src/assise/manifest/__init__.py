"""The manifest: its model, its YAML file with positions, paths, types. Pure."""
