"""What does a run of pytest hold? Its settings and hosts, a bench for each test, and how records leave it."""
