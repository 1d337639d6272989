//! HTTP/1.1 with JSON and server-sent events, on the Unix socket. `curl --unix-socket` works for everything.
//!
//! The routes stand in one table ([`ROUTES`]), from which both the router and the OpenAPI document are made.

mod answer;
mod daemon_routes;
mod feed_routes;
mod metrics;
mod openapi;
mod peer;
mod request;
mod routes;
mod run_routes;
mod schedule_routes;
mod streams;
mod workflow_routes;

use std::future::Future;

use tokio::net::UnixListener;

pub use crate::Door;
pub use openapi::document;
pub use peer::CLIENTS_MAX;
pub use routes::{ROUTES, Route};

/// Serves until `stop` is ready, then lets what is being answered finish.
pub async fn serve(
    listener: UnixListener,
    door: Door,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = routes::router(door);
    let service = router.into_make_service_with_connect_info::<peer::Peer>();
    axum::serve(peer::Limited::new(listener), service).with_graceful_shutdown(stop).await
}
