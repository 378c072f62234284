"""The simulator's server: API v1 over WebSocket, its state in Redis, any number of processes side by side."""
