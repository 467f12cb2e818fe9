"""Where pictures come from: photos, videos, cameras and streams; `open.open_source` chooses."""
