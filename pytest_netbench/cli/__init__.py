"""What does `netbench` do on the command line? One file a subcommand."""
