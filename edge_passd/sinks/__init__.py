"""Where results go: pictures, video, JSON lines, a window; `open.open_sinks` chooses."""
