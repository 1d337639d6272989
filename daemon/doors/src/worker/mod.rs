//! The door of workers: a Unix stream socket that anybody may connect to and only workers get through. Messages are those of
//! [`sloth_api::worker`], each with its length before it.
//!
//! What comes in is hostile until proven otherwise: before its introduction a connection may send little and must be quick; after that
//! it is slowed down to the pace at which its records become durable, and nothing it says concerns another run than its own.

mod connection;
mod frames;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::task::JoinSet;

use crate::Door;
use sloth_service::Uid;

/// Connections at once, and of one user other than root.
const CONNECTIONS_MAX: usize = 1_000;
const CONNECTIONS_OF_USER_MAX: usize = 200;

/// Counts connections by user.
#[derive(Default)]
struct Places(Mutex<HashMap<u32, usize>>);

/// A place among them.
struct Place {
    places: Arc<Places>,
    uid: u32,
}

impl Places {
    fn take(self: &Arc<Self>, uid: u32) -> Option<Place> {
        let mut by_user = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_user = by_user.get(&uid).copied().unwrap_or(0);
        let all: usize = by_user.values().sum();
        if all >= CONNECTIONS_MAX || (uid != 0 && of_user >= CONNECTIONS_OF_USER_MAX) {
            return None;
        }
        by_user.insert(uid, of_user + 1);
        Some(Place { places: self.clone(), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_user = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_user.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                by_user.remove(&self.uid);
            }
        }
    }
}

/// Serves until `stop` is ready. Workers connect again to the next slothd.
pub async fn serve(
    listener: UnixListener,
    door: Door,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let places = Arc::new(Places::default());
    let mut connections: JoinSet<()> = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, or the peer is gone already: go on, but do not spin.
                tracing::warn!(%error, "a connection of a worker could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Nobody is let in whom the kernel does not name (SO_PEERCRED, unix(7)).
        let Some(uid) = stream.peer_cred().ok().map(|peer| peer.uid()) else { continue };
        let Some(place) = places.take(uid) else {
            tracing::warn!(uid, "too many connections to the socket of workers: one is closed");
            continue;
        };
        let service = door.service.clone();
        connections.spawn(async move {
            connection::talk(stream, Uid(uid), service).await;
            drop(place);
        });
    }
    connections.shutdown().await;
    Ok(())
}
