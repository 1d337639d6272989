//! The contract of slothd: wire types, error table, event names, client.
