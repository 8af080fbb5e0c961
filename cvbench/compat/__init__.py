"""Other packages' interfaces, with cvbench underneath: one subpackage for each package it stands in for."""
