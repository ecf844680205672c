"""Worker: runs the jobs that parts declare, at their times."""
