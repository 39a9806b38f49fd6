-- Hear a channel on this connection from the end of this statement on.
LISTEN {channel}
