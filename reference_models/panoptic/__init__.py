"""Models that divide all of an image into things and stuff."""
