"""TEMP."""
def write(record, path): path.write_text("temp")
