"""Reading and writing files of sequences and of long series."""
