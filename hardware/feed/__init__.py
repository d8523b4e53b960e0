"""Live frames for other processes, through a ring in shared memory."""
