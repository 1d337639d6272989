//! Remembers: the SQLite store of slothd.
