"""What several models share. Models stand on these parts, and the parts on torch alone."""
