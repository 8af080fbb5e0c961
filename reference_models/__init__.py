"""Models of the field, written from their papers; needs torch (``pip install 'cvbench[models]'``)."""
