"""Which driver is always there? The built-in one: an epoll loop that interprets the scenario."""
