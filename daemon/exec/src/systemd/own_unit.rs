//! What the main process of a unit asks the service manager about its own unit: the bytes of its packets, which nobody else counts
//! and which are forgotten with the unit. slothd may be down then, so it cannot be the one that asks.

use std::time::Duration;

use zbus::OwnedVariant;
use zbus::connection::Builder;

use super::bus::{DESTINATION, PROPERTIES, SERVICE};
use super::names::object_path;
use super::result::known;

/// How long the end of an attempt waits for the answer. It is a number beside the result, and no reason to hold that back.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes that a unit has received and sent. Unknown where the sandbox hides the message bus, where the kernel does not count, and
/// when there is no answer in time.
pub(crate) fn ip_bytes(unit: &str) -> (Option<u64>, Option<u64>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return (None, None) };
    let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, ask(unit)).await });
    asked.ok().and_then(Result::ok).unwrap_or_default()
}

async fn ask(unit: &str) -> zbus::Result<(Option<u64>, Option<u64>)> {
    let connection = Builder::system().build().await?;
    let path = object_path(unit);
    let counter = async |name: &str| -> zbus::Result<Option<u64>> {
        let answer =
            connection.call_method(Some(DESTINATION), path.as_str(), Some(PROPERTIES), "Get", &(SERVICE, name)).await?;
        Ok(known(&answer.body().deserialize::<OwnedVariant>()?))
    };
    Ok((counter("IPIngressBytes").await?, counter("IPEgressBytes").await?))
}
