"""What must pytest find at the root? The plugin for testing plugins."""

pytest_plugins = ["pytester"]
