"""Reports: findings in, text out. Nothing here reads a file or prints."""
