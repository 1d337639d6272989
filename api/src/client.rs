//! A client of the API over the Unix socket.
