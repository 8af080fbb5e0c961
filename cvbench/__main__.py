"""``python -m cvbench`` is ``cvbench``."""

from cvbench.cli import main

main()
