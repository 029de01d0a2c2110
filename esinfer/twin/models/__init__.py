"""Files that the embedders read; ``NOTICE`` says whose they are, ``distil`` makes the table."""
