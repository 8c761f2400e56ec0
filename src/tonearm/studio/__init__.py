"""Studio: a live session in a browser, over one WebSocket, and from OSC controllers."""
