//! The doors of slothd. A door converts, calls the service and maps the error; it decides nothing.

pub mod http;
