"""What people touch: the command, and the texts and tables that all faces share."""
