"""Models that find objects with their pixels."""
