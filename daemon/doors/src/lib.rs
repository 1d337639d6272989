//! The doors of slothd: HTTP over a Unix socket.
