"""What an operating system is needed for: processes, files, memory, clocks."""
