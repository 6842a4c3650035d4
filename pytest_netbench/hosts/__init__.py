"""Where does it happen? Hosts, and the providers that make them."""
