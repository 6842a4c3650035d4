"""What stands in for a netbench driver where the program isn't one? It runs command lines and says what these did."""
