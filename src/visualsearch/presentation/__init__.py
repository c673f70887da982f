"""What people see: the terminal, a picture of the hits, and a page."""
