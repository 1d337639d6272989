//! Who is behind a name on the bus: the bus itself tells, as it saw the credentials of the connection (D-Bus specification,
//! `GetConnectionCredentials`). Connections cannot change their user, and unique names are never given twice.

use std::sync::Arc;

use sloth_api::ErrorCode;
use sloth_service::{Caller, ServiceError, SharedAuthority, Uid};
use zbus::{Connection, Variant};

use super::BusKind;
use super::call::Call;
use super::polkit::Polkit;
use super::values::Options;

/// The caller of a call; `may_ask`: somebody may be asked for a password now.
pub(super) async fn caller(call: &Call, may_ask: bool) -> Result<Caller, ServiceError> {
    let unknown = |why: String| {
        ServiceError::new(ErrorCode::Unauthenticated, format!("the bus does not tell who you are: {why}"))
    };
    let sender = call.sender().ok_or_else(|| unknown("the message has no sender".to_owned()))?;
    let uid = uid(&call.connection, &sender).await.map_err(unknown)?;
    let authority = match call.kind {
        BusKind::System => {
            let polkit = Polkit::new(call.connection.clone(), sender, may_ask);
            Some(Arc::new(polkit) as SharedAuthority)
        }
        BusKind::Session => None,
    };
    Ok(Caller::from_bus(call.service().host(), uid, call.request_id.clone(), authority))
}

async fn uid(connection: &Connection, sender: &str) -> Result<Uid, String> {
    let bus = "org.freedesktop.DBus";
    let reply = connection
        .call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "GetConnectionCredentials", &sender)
        .await
        .map_err(|error| error.to_string())?;
    let body = reply.body();
    let credentials: Options = body.deserialize().map_err(|error| error.to_string())?;
    match credentials.get("UnixUserID").map(|value| &**value) {
        Some(Variant::U32(uid)) => Ok(Uid(*uid)),
        _ => Err("it knows no user of your connection".to_owned()),
    }
}
