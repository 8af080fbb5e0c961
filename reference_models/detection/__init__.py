"""Models that find objects and their boxes."""
